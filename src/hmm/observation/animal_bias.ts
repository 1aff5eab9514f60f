/**
 * What bins gain and lose by how far they are from the animal: a kernel around it for local states, a penalty near it
 * for others.
 *
 * Distances are those between centres of bins along ways through the interior, from the bin in which the animal is.
 *
 * Source: non_local_detector (`local_position_std`, `non_local_position_penalty`).
 *
 * @module
 */

import type { Graph, Grid } from "../grid.ts";
import { interiorGraph, shortestPaths } from "../grid_graph.ts";

/** What is done to the logarithms of bins, by where the animal is. */
export type AnimalBias =
  /** A Gaussian that sums to the number of bins; of deviation 0, the animal's bin alone. */
  | { kind: "kernel"; std: number }
  /** Takes `nats` from the animal's bin, and less around it. */
  | { kind: "penalty"; nats: number; std: number };

/** Standard deviations beyond which a Gaussian is less than e^-5677, or than 1e-17 of itself. */
const KERNEL_REACH = 107;
const PENALTY_REACH = 9;

/** Rows of biases that are kept, bytes; more are worked out again. */
const MOST_KEPT_BYTES = 64 * 2 ** 20;

export class AnimalBiases {
  readonly #graph: Graph;
  readonly #bias: AnimalBias;
  readonly #known = new Map<number, Float64Array>();

  constructor(grid: Grid, bias: AnimalBias) {
    this.#graph = interiorGraph(grid);
    this.#bias = bias;
  }

  /** Bytes that are kept, at most. */
  get keptBytes(): number {
    return Math.min(MOST_KEPT_BYTES, 8 * this.#graph.length ** 2);
  }

  /**
   * @param bin Interior bin of the animal.
   * @returns [interior] f64, added to natural logarithms; -Infinity where a bin is ruled out.
   */
  of(bin: number): Float64Array {
    const known = this.#known.get(bin);
    if (known) return known;
    const own = this.#make(bin);
    if ((this.#known.size + 1) * own.byteLength > MOST_KEPT_BYTES) this.#known.clear();
    this.#known.set(bin, own);
    return own;
  }

  #make(bin: number): Float64Array {
    const bias = this.#bias;
    const bins = this.#graph.length;
    if (bias.kind === "penalty") {
      return shortestPaths(this.#graph, bin, PENALTY_REACH * bias.std).map((distance) =>
        distance === Infinity ? 0 : -bias.nats * Math.exp(-0.5 * (distance / bias.std) ** 2)
      );
    }
    if (bias.std === 0) {
      return new Float64Array(bins).fill(-Infinity).fill(Math.log(bins), bin, bin + 1);
    }
    const logs = shortestPaths(this.#graph, bin, KERNEL_REACH * bias.std)
      .map((distance) => -0.5 * (distance / bias.std) ** 2);
    // that of the animal's bin is 0
    const logSum = Math.log(logs.reduce((sum, log) => sum + Math.exp(log), 0));
    return logs.map((log) => log - logSum + Math.log(bins));
  }
}
