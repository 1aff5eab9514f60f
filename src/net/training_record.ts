/**
 * How training went: losses of every net by epoch, and whether it learns on.
 *
 * @module
 */

import type { Outcome } from "../stream/output.ts";
import type { Held } from "../stream/task.ts";
import { PROGRESS } from "./keep_best.ts";
import { LOSS_PARTS, PROGRESS_WORDS } from "./loss.ts";

/** Numbers of a net that are summed up in an epoch. */
const SUMS = { loss: 0, weight: 1, penalty: 2, validationLoss: 3, validationWeight: 4 } as const;
const SUM_COUNT = 5;
export function trainingHeld(nets: number, stride: number, epochs: number) {
  return {
    epoch: { dtype: "uint32", length: 1 },
    /** `[nets, 5]` of the epoch that runs. */
    sums: { dtype: "float64", length: nets * SUM_COUNT },
    progress: { dtype: "uint32", length: nets * PROGRESS_WORDS },
    /** `[nets]`: whether a net learns no more, from the end of an epoch on. */
    frozen: { dtype: "uint32", length: nets },
    epochsRun: { dtype: "uint32", length: nets },
    /** `[nets, epochs]`: means over samples, NaN where a net stood still. */
    trainingLosses: { dtype: "float64", length: nets * epochs },
    validationLosses: { dtype: "float64", length: nets * epochs },
    parameters: { dtype: "float32", length: nets * stride, role: "scratch" },
  } as const;
}

export type TrainingHeld = ReturnType<typeof trainingHeld>;

/** Begins with no losses. */
export function beginRecord({ trainingLosses, validationLosses }: Held<TrainingHeld>): void {
  trainingLosses.fill(NaN);
  validationLosses.fill(NaN);
}

/** Adds what nets told of a piece: of each, its loss, its weight and its penalty. */
export function addLosses(
  { sums, frozen }: Held<TrainingHeld>,
  told: Float32Array,
  trains: boolean,
): void {
  for (let k = 0; k < frozen.length; k++) {
    if (frozen[k]) continue;
    const weight = told[LOSS_PARTS * k + 1]!;
    const at = SUM_COUNT * k;
    sums[at + (trains ? SUMS.loss : SUMS.validationLoss)]! += told[LOSS_PARTS * k]!;
    sums[at + (trains ? SUMS.weight : SUMS.validationWeight)]! += weight;
    if (trains) sums[at + SUMS.penalty]! += weight * told[LOSS_PARTS * k + 2]!;
  }
}

/** Writes down how the epoch went; whether any net learns on. */
export function endEpoch(held: Held<TrainingHeld>, validates: boolean): boolean {
  const { sums, frozen, progress, epochsRun } = held;
  const nets = frozen.length;
  const epochs = held.trainingLosses.length / nets;
  const epoch = held.epoch[0]!;
  for (let k = 0; k < nets; k++) {
    if (frozen[k]) continue;
    const own = sums.subarray(SUM_COUNT * k, SUM_COUNT * (k + 1));
    const loss = (own[SUMS.loss]! + own[SUMS.penalty]!) / own[SUMS.weight]!;
    held.trainingLosses[k * epochs + epoch] = loss;
    held.validationLosses[k * epochs + epoch] = own[SUMS.validationLoss]! /
      own[SUMS.validationWeight]!;
    epochsRun[k] = epoch + 1;
    const told = PROGRESS_WORDS * k;
    const bestAt = validates ? progress[told + PROGRESS.bestAt]! : epoch + 1;
    const best = held.validationLosses[k * epochs + bestAt - 1]!;
    // nothing that comes after makes a number of it
    const isLost = !Number.isFinite(loss) && !(validates && Number.isFinite(best));
    if (isLost || progress[told + PROGRESS.frozen]) frozen[k] = 1;
  }
  sums.fill(0);
  held.epoch[0] = epoch + 1;
  return frozen.includes(0);
}

/** What is stored of it. */
export function recordValues(held: Held<TrainingHeld>, validates: boolean): Outcome["values"] {
  const { trainingLosses, validationLosses, epochsRun, progress } = held;
  return {
    training_loss: trainingLosses.slice(),
    validation_loss: validationLosses.slice(),
    epochs: Int32Array.from(epochsRun),
    best_epoch: Int32Array.from(
      epochsRun,
      (run, k) => validates ? progress[k * PROGRESS_WORDS + PROGRESS.bestAt]! : run,
    ),
  };
}
