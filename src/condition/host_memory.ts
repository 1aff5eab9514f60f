/**
 * What an analysis has in the host's memory beside the plans it runs.
 *
 * @module
 */

import { BudgetError } from "../errors.ts";
import { formatBytes, formatCount } from "../math/format.ts";
import type { Work } from "../stream/series_memory.ts";
import type { HostItem } from "../stream/task.ts";
import type { Condition } from "./config.ts";
import { diagnoseBytes } from "./diagnose.ts";

/** Sizes that bytes follow of. */
export interface AnalysisSizes {
  /** Rows of all splits, of the largest of them, and of train. */
  allRows: number;
  rows: number;
  trainRows: number;
  /** Of the speaker that has most. */
  speakerRows: number;
  dims: number;
  /** Slices besides all rows. */
  slices: number;
  /** Energies that are held at a time. */
  energies: number;
  minClusterSize: number;
}

/** The name of a diagnosis among the works of a part. */
export const DIAGNOSIS = "moments";

/** Energies of a split, and which of all rows are in which slice. */
export function energyItems({ allRows, energies }: AnalysisSizes): HostItem[] {
  return [{ what: "energies and slices", bytes: allRows + 8 * energies }];
}

/** Scores and ids of a split, and slices. */
export function scoreItems(
  { allRows, rows }: AnalysisSizes,
  { components = 0 }: Condition,
): HostItem[] {
  return [{ what: "scores, ids and slices", bytes: allRows + 4 * rows * (1 + components) }];
}

/** Moments of a split. Where they do not fit, it says how many clusters would. */
export function diagnosisWork(
  sizes: AnalysisSizes,
  { name, components = 0, clusters }: Condition,
): Work {
  const { trainRows, minClusterSize } = sizes;
  const most = Math.min(clusters ?? 4 ** components, Math.floor(trainRows / minClusterSize));
  const bytesOf = (clusters: number) => diagnoseBytes({ ...sizes, clusters });
  const host = bytesOf(most);
  return {
    name: DIAGNOSIS,
    projected: { gpu: 0, host },
    refusal(error) {
      const { projectedBytes, budgetBytes, smallestBudgetBytes } = error;
      const free = budgetBytes - (smallestBudgetBytes - projectedBytes);
      let [fitting, over] = [0, most];
      while (over - fitting > 1) {
        const middle = Math.floor((fitting + over) / 2);
        if (bytesOf(middle) <= free) fitting = middle;
        else over = middle;
      }
      const least = formatCount(Math.floor(trainRows / (fitting + 1)) + 1);
      return new BudgetError(
        `Cannot analyse ${name}: up to ${
          formatCount(most)
        } clusters of at least ${minClusterSize} of ` +
          `${formatCount(trainRows)} rows need ${formatBytes(host)} of host memory, ` +
          `${formatBytes(free)} of the budget of ${formatBytes(budgetBytes)} is free; ` +
          (fitting > 0
            ? `${formatCount(fitting)} would fit (minClusterSize ${least})`
            : `none would fit`),
        error,
      );
    },
  };
}
