/**
 * The bins of all discrete states, one state after the other: the grid's interior, or a single one.
 *
 * @module
 */

import type { Grid } from "./grid.ts";
import { gridOfEnvironment } from "./grid.ts";
import type { StateModel } from "./states.ts";
import { SUM_TOLERANCE } from "./states.ts";

/** Where the bins of each state begin, and where each of them lies. */
export class StateBins {
  /** Of the first environment, where there are several. */
  readonly grid: Grid;
  /** [states] Grid of the environment of each. */
  readonly grids: readonly Grid[];
  readonly names: readonly string[];
  /** [states] Environment of each, where there are several. */
  readonly environments: readonly string[] | undefined;
  /** [states] By which samples spikes are encoded that each expects, where they differ. */
  readonly encodingGroups: readonly string[] | undefined;
  /** [states + 1] first bin of each state, then how many there are. */
  readonly starts: readonly number[];
  readonly #oneBin: readonly boolean[];

  /** @throws {RangeError} If a state is in an environment that there is not. */
  constructor(
    grid: Grid,
    { names, oneBin, environments, encodingGroups }: Pick<
      StateModel,
      "names" | "oneBin" | "environments" | "encodingGroups"
    >,
  ) {
    this.grid = grid;
    this.grids = names.map((_, state) => gridOfEnvironment(grid, environments?.[state]));
    this.names = names;
    this.environments = environments;
    this.encodingGroups = encodingGroups;
    this.#oneBin = names.map((_, state) => oneBin?.[state] ?? false);
    const starts = [0];
    this.#oneBin.forEach((one, state) => {
      starts.push(starts.at(-1)! + (one ? 1 : this.grids[state]!.interiorIndex.length));
    });
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
    return this.grids[state]!.interiorIndex[bin - this.starts[state]!]!;
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
    return boxBin === undefined
      ? NaN
      : binCenter(this.grids[this.stateOf(bin)]!, boxBin, dimension);
  }

  /** Centres of all bins along a dimension, f64, position units. */
  centers(dimension: number): Float64Array {
    return Float64Array.from({ length: this.count }, (_, bin) => this.centerOf(bin, dimension));
  }

  /** A value for every bin of every state; `binsOf` has those of one that is on a grid. */
  map<Value>(
    binsOf: (grid: Grid) => ArrayLike<number>,
    value: (state: number, bin: number | undefined) => Value,
  ): Value[] {
    return this.names.flatMap((_, state) =>
      this.#oneBin[state]
        ? [value(state, undefined)]
        : Array.from(binsOf(this.grids[state]!), (bin) => value(state, bin))
    );
  }
}

/** Centre of a bin of the box along a dimension, position units; NaN along one that the grid does not have. */
export function binCenter(grid: Grid, bin: number, dimension: number): number {
  if (dimension >= grid.dimensions) return NaN;
  const columns = grid.shape[grid.dimensions - 1]!;
  const isLast = dimension === grid.dimensions - 1;
  return grid.centers[dimension]![isLast ? bin % columns : Math.floor(bin / columns)]!;
}

/** @throws {RangeError} If there is not a probability for each state bin, or they do not sum to 1. */
export function checkInitial(initialProbs: ArrayLike<number>, count: number): Float64Array {
  const refuse = (is: string, wanted: string) => {
    throw new RangeError(`Cannot make a decoder: ${is}, wanted ${wanted}`);
  };
  if (initialProbs.length !== count) {
    refuse(`initialProbs has ${initialProbs.length} values`, `one for each of ${count} state bins`);
  }
  const probabilities = Float64Array.from(initialProbs);
  const wrong = probabilities.findIndex((value) => !(value >= 0 && value <= 1));
  if (wrong >= 0) {
    refuse(`initialProbs[${wrong}] is ${probabilities[wrong]}`, "probabilities from 0 to 1");
  }
  const sum = probabilities.reduce((total, value) => total + value, 0);
  if (!(Math.abs(sum - 1) <= SUM_TOLERANCE)) refuse(`initialProbs sums to ${sum}`, "1");
  return probabilities;
}
