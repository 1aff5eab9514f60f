/**
 * What commands that run one plan share: they say what it takes before, and what it took.
 *
 * @module
 */

import process from "node:process";
import { formatBytes, formatSeconds, printable, printableJson } from "../math/format.ts";
import type { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import { runWhole } from "./plan_runner.ts";
import { ProgressPrinter } from "./progress.ts";
import type { CommandLine } from "./usage.ts";
import { common } from "./usage.ts";

/** Runs a plan, and says what it takes. */
export async function runPlan<Result>(
  line: CommandLine,
  signal: AbortSignal,
  plan: Plan<Result>,
) {
  const { quiet = false } = line.read(common);
  const printer = new ProgressPrinter(quiet);
  if (!quiet) process.stderr.write(`${printable(plan.explain())}\n`);
  try {
    return await runWhole(plan, { signal, onProgress: printer.show });
  } finally {
    printer.end();
  }
}

/** Prints facts as JSON, or lines, with what it took. */
export function tell(
  line: CommandLine,
  { projectedBytes, peakBytes, seconds, resumed }: Measured,
  facts: Record<string, unknown>,
  lines: readonly string[],
): void {
  const { json } = line.read(common);
  const took = seconds.total === undefined
    ? "already finished: nothing had to be computed"
    : `${resumed ? `went on in pass "${resumed.pass}" at row ${resumed.row}\n` : ""}` +
      `${formatSeconds(seconds.total)}; GPU peak ${formatBytes(peakBytes.gpu)} of ` +
      `${formatBytes(projectedBytes.gpu)} promised`;
  console.log(
    json
      ? printableJson({ ...facts, projectedBytes, peakBytes, seconds, ...resumed && { resumed } })
      : printable([...lines, took].join("\n")),
  );
}
