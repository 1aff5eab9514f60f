/**
 * Rows whose two nearest codes are closer than f32 tells: decided in f64, on the host.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Tile } from "../stream/pass.ts";
import type { Codes } from "./codes.ts";

/** Half the distance between neighbouring f32 numbers, relative. */
export const ROUNDING = 2 ** -24;
/** The smallest normal f32 number: what is smaller may count as 0. */
export const SMALLEST = 2 ** -126;
/**
 * A sum of n products is off by less than this times sqrt(n) roundings, but for one in 10^13.
 * Source: Higham and Mary 2019, "A new approach to probabilistic rounding error analysis".
 */
export const ROUNDING_DEVIATIONS = 8;
/** Rows that are read though nobody asked for them, rather than reading twice. */
const MOST_GAP = 16;
/** What is read at once, in f64. */
const MOST_READ_BYTES = 4 * 2 ** 20;

/** What rows of a tile turned out to be, row by row. */
export interface Decisions {
  /** Rows of the tile, ascending. */
  rows: Uint32Array;
  codes: Uint32Array;
  /** Squared distances in the device's coordinates. */
  squared: Float64Array;
}

/** Host bytes of deciding the rows of a tile, were it all of them: as they are read, in f64, and what they are. */
export function decisionBytes({ features }: Points, tileRows: number): number {
  return 2 * 8 * features * Math.min(tileRows, mostReadRows(features)) + tileRows * (2 * 4 + 8);
}

const mostReadRows = (features: number) =>
  Math.max(1, Math.floor(MOST_READ_BYTES / (8 * features)));

/** Which of so many rows are such, ascending. */
export function rowsThat(rows: number, isSuch: (row: number) => boolean): Uint32Array {
  const found = new Uint32Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    if (isSuch(row)) found[count++] = row;
  }
  return found.subarray(0, count);
}

/**
 * Reads some rows of a tile, those together that lie close.
 *
 * @param rows Counted from the tile's first, ascending.
 * @param take Is handed each of them in the device's coordinates, in memory that the next may overwrite.
 */
export async function readSome(
  points: Points,
  tile: Tile,
  rows: Uint32Array,
  signal: AbortSignal,
  take: (row: number, point: Float64Array) => void,
): Promise<void> {
  const { features } = points;
  const most = mostReadRows(features);
  for (let next = 0; next < rows.length;) {
    const first = rows[next]!;
    let last = next;
    while (
      last + 1 < rows.length && rows[last + 1]! - rows[last]! <= MOST_GAP &&
      rows[last + 1]! - first < most
    ) last++;
    const [start, end] = [tile.start + first, tile.start + rows[last]! + 1];
    const values = await points.readScaled(start, end, { signal });
    for (; next <= last; next++) {
      const at = (rows[next]! - first) * features;
      take(rows[next]!, values.subarray(at, at + features));
    }
  }
}

export class NearTies {
  readonly #points: Points;
  readonly #codes: Codes;
  /** Length of every code as the device has it, and of the longest. */
  readonly #lengths: Float64Array;
  readonly #longest: number;
  /** Largest distance of a code from what the device has of it. */
  readonly #coarseness: number;

  constructor(points: Points, codes: Codes) {
    const { features } = points;
    const { centers, coarse } = codes;
    this.#points = points;
    this.#codes = codes;
    const squares = new Float64Array(centers.length / features);
    const rests = new Float64Array(squares.length);
    centers.forEach((value, i) => {
      const code = Math.floor(i / features);
      squares[code]! += coarse[i]! ** 2;
      rests[code]! += (value - coarse[i]!) ** 2;
    });
    const largest = (values: Float64Array) => values.reduce((most, x) => Math.max(most, x), 0);
    this.#lengths = squares.map(Math.sqrt);
    this.#longest = largest(this.#lengths);
    this.#coarseness = Math.sqrt(largest(rests));
  }

  /**
   * Decides the rows of a tile that need it, by what the kernels left.
   *
   * @param moved Is handed those that another code is nearer to, `[features]` in the device's coordinates.
   */
  async decide(
    tile: Tile,
    ids: Uint32Array,
    nearness: Float32Array,
    signal: AbortSignal,
    moved?: (point: Float64Array, from: number, to: number) => void,
  ): Promise<Decisions> {
    const rows = rowsThat(
      ids.length,
      (row) => nearness[2 * row + 1]! <= this.#closeness(nearness[2 * row]!, ids[row]!),
    );
    const codes = new Uint32Array(rows.length);
    const squared = new Float64Array(rows.length);
    let next = 0;
    await readSome(this.#points, tile, rows, signal, (row, point) => {
      const nearest = this.#nearest(point);
      codes[next] = nearest.code;
      squared[next++] = nearest.squared;
      if (nearest.code !== ids[row]) moved?.(point, ids[row]!, nearest.code);
    });
    return { rows, codes, squared };
  }

  /**
   * Difference of two scores that the device's errors can turn around, given the squared distance to the
   * code that came out best. Only codes that are as near or nearer could be the right ones.
   */
  #closeness(squared: number, code: number): number {
    const { features, parts } = this.#points;
    const vanished = features * SMALLEST;
    const distance = Math.sqrt(squared + 2 * vanished);
    // of the row at most, and of such a code
    const length = distance + this.#lengths[code]! + this.#coarseness;
    const rival = Math.min(this.#longest, length + distance);
    const product = ROUNDING_DEVIATIONS * Math.sqrt(features) * length * rival;
    const scores = ROUNDING * (4 * product + 4 * rival * rival + 4 * length * rival);
    const codes = 4 * this.#coarseness * distance + 2 * this.#coarseness ** 2;
    const row = parts === 2 ? 4 * ROUNDING * length * distance : 0;
    return 1.01 * (scores + codes + row) + 8 * vanished;
  }

  #nearest(point: Float64Array): { code: number; squared: number } {
    const { centers } = this.#codes;
    let [code, squared] = [0, Infinity];
    for (let other = 0, at = 0; other < this.#lengths.length; other++) {
      let sum = 0;
      for (let d = 0; d < point.length; d++, at++) sum += (point[d]! - centers[at]!) ** 2;
      if (sum < squared) [code, squared] = [other, sum];
    }
    return { code, squared };
  }
}
