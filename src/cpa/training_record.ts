/**
 * How training went: sums of an epoch, means of those that are done, and whether there is another.
 *
 * @module
 */

import type { Held, HeldSpec } from "../stream/task.ts";
import type { BatchScores } from "./validation_scores.ts";

/** Means of an epoch, `[epochs]`; NaN where there was nothing to average. */
export const HISTORY = [
  ...["training_loss", "adversary_loss", "penalty", "validation_loss"] as const,
  ...["divergence", "r2_mean", "r2_var", "purity_basal", "purity_after", "cpa_metric"] as const,
] as const;

/** What says which state is the best. */
export const JUDGES = ["likelihood", "cpaMetric"] as const;
export type Judge = typeof JUDGES[number];

/** Pairs of a sum and of how many there are. */
const SUMS = {
  ...{ training_loss: 0, adversary_loss: 2, penalty: 4, validation_loss: 6, divergence: 8 },
  ...{ r2_mean: 10, r2_var: 12, purity_basal: 14, purity_after: 16, cpa_metric: 18 },
} as const satisfies Record<typeof HISTORY[number], number>;
const SUM_COUNT = 2 * HISTORY.length;

/** Epochs that are done; validations since the best; the epoch, from 1, of the best; whether that was the last. */
const PROGRESS = { epoch: 0, stale: 1, bestAt: 2, isBest: 3 } as const;

export type RecordHeld =
  & Record<typeof HISTORY[number] | "sums" | "best", HeldSpec<"float64">>
  & Record<"progress", HeldSpec<"uint32">>;

export function recordHeld(epochs: number): RecordHeld {
  const perEpoch = { dtype: "float64", length: epochs } as const;
  return {
    ...Object.fromEntries(HISTORY.map((name) => [name, perEpoch])) as Record<
      typeof HISTORY[number],
      typeof perEpoch
    >,
    sums: { dtype: "float64", length: SUM_COUNT },
    best: { dtype: "float64", length: 1 },
    progress: { dtype: "uint32", length: Object.keys(PROGRESS).length },
  };
}

export class TrainingRecord {
  readonly #held: Held<RecordHeld>;
  readonly #judge: Judge;

  constructor(held: Held<RecordHeld>, judge: Judge) {
    this.#held = held;
    this.#judge = judge;
  }

  begin(): void {
    for (const name of HISTORY) this.#held[name].fill(NaN);
    this.#held.best[0] = Infinity;
  }

  /** That runs, from 0. */
  get epoch(): number {
    return this.#held.progress[PROGRESS.epoch]!;
  }

  /** Whether the state at the end of the last epoch was the best so far. */
  get isBest(): boolean {
    return this.#held.progress[PROGRESS.isBest] === 1;
  }

  /** The epoch of the best state, from 1; 0 without. */
  get bestAt(): number {
    return this.#held.progress[PROGRESS.bestAt]!;
  }

  add(name: typeof HISTORY[number], sum: number, count: number): void {
    this.#held.sums[SUMS[name]]! += sum;
    this.#held.sums[SUMS[name] + 1]! += count;
  }

  /** Of a batch that validates: means are over batches whose score is not 0, as the original's. */
  addScores({ r2Mean, r2Var, basal, after, metric }: BatchScores): void {
    const scores = { r2_mean: r2Mean, r2_var: r2Var, purity_basal: basal, purity_after: after };
    for (const [name, score] of Object.entries(scores)) {
      this.add(name as keyof typeof scores, score, Number(score !== 0));
    }
    this.add("cpa_metric", metric, 1);
  }

  /** Writes down how the epoch went; whether there is another. */
  endEpoch(patience: number): boolean {
    const { sums, best, progress } = this.#held;
    const { epoch } = this;
    const mean = (name: typeof HISTORY[number]) => {
      const count = sums[SUMS[name] + 1]!;
      return count === 0 ? NaN : sums[SUMS[name]]! / count;
    };
    for (const name of HISTORY) this.#held[name][epoch] = mean(name);
    progress[PROGRESS.isBest] = 0;
    if (sums[SUMS.validation_loss + 1]! > 0) {
      const judged = this.#judge === "likelihood" ? mean("validation_loss") : -mean("cpa_metric");
      if (judged < best[0]!) {
        best[0] = judged;
        progress[PROGRESS.bestAt] = epoch + 1;
        progress[PROGRESS.isBest] = 1;
        progress[PROGRESS.stale] = 0;
      } else {
        progress[PROGRESS.stale]!++;
      }
    }
    // nothing that comes after makes a number of it
    const isLost = sums[SUMS.training_loss + 1]! > 0 && !Number.isFinite(mean("training_loss"));
    sums.fill(0);
    progress[PROGRESS.epoch] = epoch + 1;
    const epochs = this.#held.training_loss.length;
    return epoch + 1 < epochs && !isLost && progress[PROGRESS.stale]! < patience;
  }
}
