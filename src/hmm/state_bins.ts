/**
 * The bins of all discrete states, one state after the other: the grid's interior, or a single one.
 *
 * @module
 */

import type { Grid } from "./grid.ts";
import type { StateModel } from "./states.ts";

/** Where the bins of each state begin, and where each of them lies. */
export class StateBins {
  readonly grid: Grid;
  readonly names: readonly string[];
  /** [states + 1] first bin of each state, then how many there are. */
  readonly starts: readonly number[];
  readonly #oneBin: readonly boolean[];

  constructor(grid: Grid, { names, oneBin }: Pick<StateModel, "names" | "oneBin">) {
    this.grid = grid;
    this.names = names;
    this.#oneBin = names.map((_, state) => oneBin?.[state] ?? false);
    const starts = [0];
    for (const one of this.#oneBin) {
      starts.push(starts.at(-1)! + (one ? 1 : grid.interiorIndex.length));
    }
    this.starts = starts;
  }

  get count(): number {
    return this.starts[this.names.length]!;
  }

  /** Whether all states have the bins of the grid. */
  get areOnGrid(): boolean {
    return !this.#oneBin.includes(true);
  }

  isOneBin(state: number): boolean {
    return this.#oneBin[state]!;
  }

  stateOf(bin: number): number {
    return this.starts.findLastIndex((start) => start <= bin);
  }

  /** Bin of the grid's box; `undefined` for that of a state which has one. */
  boxBinOf(bin: number): number | undefined {
    const state = this.stateOf(bin);
    if (this.#oneBin[state]) return undefined;
    return this.grid.interiorIndex[bin - this.starts[state]!]!;
  }

  /** Probability of every bin before the first row; those of a state are alike where they are not `given`. */
  initialProbs({ initial }: Pick<StateModel, "initial">, given?: ArrayLike<number>): Float64Array {
    return Float64Array.from({ length: this.count }, (_, bin) => {
      const state = this.stateOf(bin);
      return given?.[bin] ?? initial[state]! / (this.starts[state + 1]! - this.starts[state]!);
    });
  }

  /** Centre of a bin along a dimension, position units; NaN for one that is nowhere. */
  centerOf(bin: number, dimension: number): number {
    const boxBin = this.boxBinOf(bin);
    return boxBin === undefined ? NaN : binCenter(this.grid, boxBin, dimension);
  }

  /** Centres of all bins along a dimension, f64, position units. */
  centers(dimension: number): Float64Array {
    return Float64Array.from({ length: this.count }, (_, bin) => this.centerOf(bin, dimension));
  }

  /** A value for every bin of every state, `bins` being those of one that is on the grid. */
  map<Value>(
    bins: ArrayLike<number>,
    value: (state: number, bin: number | undefined) => Value,
  ): Value[] {
    return this.names.flatMap((_, state) =>
      this.#oneBin[state] ? [value(state, undefined)] : Array.from(bins, (bin) => value(state, bin))
    );
  }
}

/** Centre of a bin of the box along a dimension, position units. */
export function binCenter(grid: Grid, bin: number, dimension: number): number {
  const columns = grid.shape[grid.dimensions - 1]!;
  const isLast = dimension === grid.dimensions - 1;
  return grid.centers[dimension]![isLast ? bin % columns : Math.floor(bin / columns)]!;
}
