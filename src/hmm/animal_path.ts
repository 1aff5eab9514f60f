/**
 * Where the animal is at any time.
 *
 * @module
 */

import type { Grid } from "./grid.ts";
import { placeOn } from "./sorted_spikes.ts";

/** Position between samples on a straight line, and beyond them on that of the two at the end. */
export class AnimalPath {
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  readonly #grid: Grid;

  /**
   * @param times [samples] strictly ascending.
   * @param values [samples] or [samples, 2], NaN where unknown.
   * @param grid Along whose track positions are told, where it has one.
   */
  constructor(times: Float64Array, values: Float64Array, grid: Grid) {
    this.#times = times;
    this.#values = values;
    this.#grid = grid;
  }

  /** Of the places that are told. */
  get dimensions(): 1 | 2 {
    return this.#grid.dimensions;
  }

  /** The sample before a time, or the first of the two it lies beyond, and how far it is on the way to the next. */
  locate(time: number): { sample: number; share: number } {
    const times = this.#times;
    // the last sample that is not after it, of those with another one behind
    let [low, high] = [0, times.length - 2];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (times[middle]! <= time) low = middle;
      else high = middle - 1;
    }
    return { sample: low, share: (time - times[low]!) / (times[low + 1]! - times[low]!) };
  }

  /** NaN where it rests on a sample that is not known. */
  at(time: number): Float64Array {
    const values = this.#values;
    const dimensions = values.length / this.#times.length;
    const { sample, share } = this.locate(time);
    const place = Float64Array.from({ length: dimensions }, (_, d) => {
      const [from, to] = [values[sample * dimensions + d]!, values[(sample + 1) * dimensions + d]!];
      if (share === 0) return from;
      return share === 1 ? to : from + share * (to - from);
    });
    return placeOn(this.#grid, place);
  }
}
