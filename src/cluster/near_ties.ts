/**
 * Rows whose two nearest codes are closer than f32 tells: decided in f64, on the host.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import type { Tile } from "../stream/pass.ts";

/** Half the distance between neighbouring f32 numbers, relative. */
const ROUNDING = 2 ** -24;
/**
 * A sum of n products is off by less than this times sqrt(n) roundings, but for one in 10^13.
 * Source: Higham and Mary 2019, "A new approach to probabilistic rounding error analysis".
 */
const ROUNDING_DEVIATIONS = 8;
/** Rows that are read though nobody asked for them, rather than reading twice. */
const MOST_GAP = 16;

/** What a row turned out to be. */
export interface Decision {
  /** Row of the tile. */
  row: number;
  code: number;
  /** Squared distance in the device's coordinates. */
  squared: number;
  /** `[features]`, the row in the device's coordinates. */
  point: Float64Array;
}

export class NearTies {
  readonly #points: Points;
  readonly #codes: Float64Array;
  /** Length of every code, and of the longest. */
  readonly #lengths: Float64Array;
  readonly #longest: number;

  /** @param codes `[codes, features]` in the device's coordinates. */
  constructor(points: Points, codes: Float64Array) {
    const { features } = points;
    this.#points = points;
    this.#codes = codes;
    const squares = new Float64Array(codes.length / features);
    codes.forEach((value, i) => squares[Math.floor(i / features)]! += value * value);
    this.#lengths = squares.map(Math.sqrt);
    this.#longest = this.#lengths.reduce((most, length) => Math.max(most, length), 0);
  }

  /** Decides the rows of a tile that need it, ascending, by what the kernels left. */
  async decide(
    tile: Tile,
    ids: Uint32Array,
    nearness: Float32Array,
    signal: AbortSignal,
  ): Promise<Decision[]> {
    const close: number[] = [];
    for (let row = 0; row < ids.length; row++) {
      if (nearness[2 * row + 1]! <= this.#closeness(nearness[2 * row]!, ids[row]!)) close.push(row);
    }
    const decisions: Decision[] = [];
    const { features } = this.#points;
    for (let next = 0; next < close.length;) {
      const first = close[next]!;
      let last = next;
      while (last + 1 < close.length && close[last + 1]! - close[last]! <= MOST_GAP) last++;
      const [start, end] = [tile.start + first, tile.start + close[last]! + 1];
      const values = await this.#points.readScaled(start, end, { signal });
      for (; next <= last; next++) {
        const at = (close[next]! - first) * features;
        const point = values.subarray(at, at + features);
        decisions.push({ row: close[next]!, point, ...this.#nearest(point) });
      }
    }
    return decisions;
  }

  /** Difference of two scores that rounding in f32 can turn around. */
  #closeness(squared: number, code: number): number {
    const length = Math.sqrt(squared) + this.#lengths[code]!;
    const longest = this.#longest;
    const product = ROUNDING_DEVIATIONS * Math.sqrt(this.#points.features) * length * longest;
    return 2 * ROUNDING * (2 * product + 3 * longest * longest + 4 * length * longest);
  }

  #nearest(point: Float64Array): { code: number; squared: number } {
    let [code, squared] = [0, Infinity];
    for (let other = 0, at = 0; other < this.#lengths.length; other++) {
      let sum = 0;
      for (let d = 0; d < point.length; d++, at++) sum += (point[d]! - this.#codes[at]!) ** 2;
      if (sum < squared) [code, squared] = [other, sum];
    }
    return { code, squared };
  }
}
