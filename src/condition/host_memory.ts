/**
 * What an analysis holds in the host's memory beside the plans it runs: reserved before it is taken, and all of
 * it looked at before any work.
 *
 * @module
 */

import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatBytes, formatCount } from "../math/format.ts";
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

/** Gives back what was reserved. */
export type Release = () => void;

export class HostMemory {
  readonly #gpu: Gpu;
  readonly #sizes: AnalysisSizes;

  constructor(gpu: Gpu, sizes: AnalysisSizes) {
    this.#gpu = gpu;
    this.#sizes = sizes;
  }

  /**
   * Reserves all there will be at a time, and gives it back.
   *
   * @param fitBytes Of each condition: what the plans of its fit hold.
   * @throws {BudgetError} If it does not fit; says what would.
   */
  check(conditions: readonly Condition[], fitBytes: readonly number[]): void {
    this.holdEnergies()();
    for (const [i, condition] of conditions.entries()) {
      const release = this.holdScores(condition);
      try {
        this.holdDiagnosis(condition)();
        const { components = 0 } = condition;
        // scores are there as they come, and once they have
        const bytes = fitBytes[i]! + 4 * this.#sizes.rows * components;
        this.#hold(`fit of ${condition.name}`, bytes, "scores")();
      } finally {
        release();
      }
    }
  }

  /** Energies of a split, and which of all rows are in which slice. */
  holdEnergies(): Release {
    const { allRows, energies } = this.#sizes;
    return this.#hold("condition", allRows + 8 * energies, "energies and slices");
  }

  /** Scores and ids of a split, and slices. */
  holdScores({ components = 0 }: Condition): Release {
    const { allRows, rows } = this.#sizes;
    return this.#hold("condition", allRows + 4 * rows * (1 + components), "scores and ids");
  }

  /**
   * Moments of a split.
   *
   * @throws {BudgetError} Says how many clusters would fit.
   */
  holdDiagnosis({ name, components = 0, clusters }: Condition): Release {
    const { trainRows, minClusterSize } = this.#sizes;
    const most = Math.min(clusters ?? 4 ** components, Math.floor(trainRows / minClusterSize));
    const bytesOf = (clusters: number) => diagnoseBytes({ ...this.#sizes, clusters });
    const host = bytesOf(most);
    try {
      return this.#hold("condition", host, "moments");
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      const { projectedBytes, budgetBytes, smallestBudgetBytes } = error;
      const free = budgetBytes - (smallestBudgetBytes - projectedBytes);
      let [fitting, over] = [0, most];
      while (over - fitting > 1) {
        const middle = Math.floor((fitting + over) / 2);
        if (bytesOf(middle) <= free) fitting = middle;
        else over = middle;
      }
      const least = formatCount(Math.floor(trainRows / (fitting + 1)) + 1);
      throw new BudgetError(
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
    }
  }

  #hold(name: string, host: number, what: string): Release {
    const { ledger } = this.#gpu;
    const account = ledger.open(name, { gpu: 0, host, disk: 0 });
    account.take("host", host, what);
    return () => {
      account.giveBack("host", host);
      account.close();
    };
  }
}
