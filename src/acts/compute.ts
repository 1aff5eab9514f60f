/**
 * Computes what is to be done with activations: into memory, to a place, or to one where it is found again.
 *
 * @module
 */

import { Gpu } from "../gpu/device.ts";
import { digestOf } from "../math/digest.ts";
import { childPlace } from "../store/place.ts";
import type { PlanChoices, RunOptions } from "../stream/choices.ts";
import { Plan } from "../stream/plan.ts";
import { bytesOf } from "../stream/task.ts";
import type { ActsStored } from "./acts_task.ts";
import { ActsTask, identityOf } from "./acts_task.ts";
import type { ActsValues } from "./realized.ts";
import { realizedOf } from "./realized.ts";
import type { ActsSource } from "./source.ts";
import { openActsSource } from "./stored.ts";
import type { ActsWork } from "./work.ts";

/** How something is computed. */
type Computing = PlanChoices & {
  signal?: AbortSignal | undefined;
  onProgress?: RunOptions["onProgress"] | undefined;
};

/** @throws {BudgetError} If it does not fit. */
export function planWork(
  gpu: Gpu,
  work: ActsWork,
  where: { place: string | undefined; overwrite: boolean },
  choices: PlanChoices = {},
): { task: ActsTask; plan: Plan<ActsStored> } {
  if (!(gpu instanceof Gpu)) {
    throw new TypeError("Cannot compute activations: no GPU was given, wanted that of openGpu()");
  }
  const task = new ActsTask(work, { ...where, adapter: gpu.adapter.name });
  return { task, plan: new Plan<ActsStored>(gpu, task, choices) };
}

export async function realizeWork(
  gpu: Gpu,
  work: ActsWork,
  { signal, onProgress, ...choices }: Computing,
): Promise<{ values: ActsValues; source: ActsSource }> {
  const { task, plan } = planWork(gpu, work, { place: undefined, overwrite: false }, choices);
  const stored = await plan.run({ ...(signal && { signal }), ...(onProgress && { onProgress }) });
  return await realizedOf(task, stored);
}

export async function saveWork(
  gpu: Gpu,
  work: ActsWork,
  place: string,
  { signal, onProgress, overwrite, ...choices }: Computing & { overwrite: boolean },
): Promise<ActsSource> {
  const { plan } = planWork(gpu, work, { place, overwrite }, choices);
  await plan.run({ ...(signal && { signal }), ...(onProgress && { onProgress }) });
  return await openActsSource(place);
}

/** Where a result is found again: a name that all of what it is made of decides. */
export async function cachePlace(
  work: ActsWork,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { facts, arrays = [] } = identityOf(work);
  const hash = await digestOf([
    JSON.stringify(facts),
    ...arrays.map(bytesOf),
    await work.source.fingerprint(signal ? { signal } : {}),
  ]);
  return childPlace(folder, `${hash.slice(0, 32)}.zarr`);
}
