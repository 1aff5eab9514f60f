/**
 * What an analysis is made of, from one place: options, rows, a task with its output, and the plan that runs it.
 * `examples/column_moments.ts` is one.
 *
 * @module
 */

import type { CommandContext } from "./cli/usage.ts";

export type { ChunkedArray } from "./chunked_array.ts";
export { Points } from "./feed/points.ts";
export type { Gpu } from "./gpu/device.ts";
export type { KernelSpec } from "./gpu/kernel.ts";
export * from "./options.ts";
export { outputChoices, planChoices } from "./stream/choices.ts";
export { variable } from "./stream/output.ts";
export { Plan } from "./stream/plan.ts";
export type { Measured, Task } from "./stream/task.ts";
export type { CommandContext };

/** A command of an analysis of rows, `--input rows.npy`: its options are as they are declared. In Node and Deno. */
export async function runAnalysis(
  ...args: Parameters<typeof import("./cli/points.ts").runAnalysis>
): Promise<void> {
  const { runAnalysis: run } = await import("./cli/points.ts");
  await run(...args);
}
