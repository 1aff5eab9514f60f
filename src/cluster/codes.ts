/**
 * Codes in the device's coordinates, in f64 and as the device has them; and what rows do to them.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Tile } from "../stream/pass.ts";
import type { Decision } from "./near_ties.ts";
import { NearTies, ROUNDING } from "./near_ties.ts";

/**
 * Sums of what is left of rows, over f32 rows and codes, are off by less than this times the length of a
 * code: a code that moves by less has not moved.
 */
const STILL = 2 ** -44;
/**
 * Roundings to f32, of a code and of its rows' distances, that it may be off what the device has of it
 * before it gets another: more than means of f32 differences are off.
 */
const MOST_REST = 4;

/** `[codes, features]`, in the device's coordinates. */
export interface Codes {
  centers: Float64Array;
  /**
   * The device has these, which rows are compared with and subtracted from, and beside them what they
   * leave over. They stay while they are near enough: sums over the same rows are then the same bits.
   */
  coarse: Float32Array;
}

/** Codes as they are handed out, or come. */
export function codesOf(centers: Float64Array): Codes {
  return { centers, coarse: Float32Array.from(centers) };
}

/** A row, and its squared distance to its code. */
interface FarRow {
  row: number;
  distance: number;
  code: number;
}

/** What the rows of one sweep are to some codes: counts, and sums of differences from them. */
export class Tally {
  readonly codes: Codes;
  /** `[codes]` f64. */
  readonly counts: Float64Array;
  /** `[codes]`: sums of squared distances, in the device's coordinates. */
  readonly squared: Float64Array;
  readonly #points: Points;
  readonly #nearTies: NearTies;
  /** `[codes, features]` f64, of rows less what the device has of their code. */
  readonly #sums: Float64Array;
  /** What is to be added for rows that the device gave to another code. */
  readonly #corrections: Float64Array;
  /** Rows farthest from their codes, the farthest first; as many as codes. */
  readonly #far: FarRow[] = [];

  constructor(points: Points, codes: Codes) {
    this.codes = codes;
    this.#points = points;
    this.#nearTies = new NearTies(points, codes);
    this.#sums = new Float64Array(codes.centers.length);
    this.#corrections = new Float64Array(codes.centers.length);
    this.counts = new Float64Array(codes.centers.length / points.features);
    this.squared = new Float64Array(this.counts.length);
  }

  /** Takes the codes and nearness of a tile's rows, tiles in ascending order. */
  async takeRows(
    tile: Tile,
    ids: Uint32Array,
    nearness: Float32Array,
    signal: AbortSignal,
  ): Promise<void> {
    const decisions = await this.#nearTies.decide(tile, ids, nearness, signal);
    let next = 0;
    for (let row = 0; row < tile.end - tile.start; row++) {
      let code = ids[row]!;
      let distance = nearness[2 * row]!;
      const decision = decisions[next];
      if (decision?.row === row) {
        next++;
        this.#correct(decision, code);
        ({ code, squared: distance } = decision);
      }
      this.counts[code]!++;
      this.squared[code]! += distance;
      this.#considerFar({ row: tile.start + row, distance, code });
    }
  }

  #correct({ code, point }: Decision, taken: number): void {
    if (code === taken) return;
    this.#add(this.#corrections, code, point, 1);
    this.#add(this.#corrections, taken, point, -1);
  }

  #add(sums: Float64Array, code: number, point: Float64Array, sign: 1 | -1): void {
    const at = code * point.length;
    for (let d = 0; d < point.length; d++) {
      sums[at + d]! += sign * (point[d]! - this.codes.coarse[at + d]!);
    }
  }

  #considerFar(candidate: FarRow): void {
    const far = this.#far;
    const most = this.counts.length;
    if (far.length === most && candidate.distance <= far.at(-1)!.distance) return;
    let place = far.length;
    while (place > 0 && far[place - 1]!.distance < candidate.distance) place--;
    far.splice(place, 0, candidate);
    if (far.length > most) far.pop();
  }

  /** Takes the sums of a block of rows, `[codes, features]`, blocks in ascending order. */
  takeSums(sums: Float32Array): void {
    const own = this.#sums;
    for (let i = 0; i < own.length; i++) own[i]! += sums[i]!;
  }

  /**
   * Gives every code without rows the row that is farthest from its code, one each, while there are any
   * that are not where their code is: fewer rows than codes may differ.
   */
  async fillEmpty(signal: AbortSignal): Promise<void> {
    const { features } = this.#points;
    const { centers } = this.codes;
    const empty = [...this.counts.keys()].filter((code) => this.counts[code] === 0);
    for (const [i, { row, code, distance }] of this.#far.slice(0, empty.length).entries()) {
      const own = centers.subarray(code * features, (code + 1) * features);
      if (distance <= STILL ** 2 * squaredLength(own)) return;
      const point = await this.#points.readScaled(row, row + 1, { signal });
      const target = empty[i]!;
      this.#add(this.#sums, target, point, 1);
      this.#add(this.#sums, code, point, -1);
      this.counts[target] = 1;
      this.counts[code]!--;
    }
  }

  /**
   * Moves codes, each by the mean of its rows' differences from it.
   *
   * @param seen Rows that count for each code, as many as it was given or more.
   */
  moved(seen: Float64Array, spherical: boolean): Codes {
    const { features } = this.#points;
    const { centers: before, coarse: basis } = this.codes;
    const centers = before.slice();
    const coarse = basis.slice();
    for (const [code, count] of this.counts.entries()) {
      // a code whose rows all went elsewhere stays
      if (count === 0) continue;
      const at = code * features;
      const own = centers.subarray(at, at + features);
      for (let d = 0; d < features; d++) {
        const i = at + d;
        // sums and corrections are apart until now: they must not depend on where tiles end among blocks
        const sum = this.#sums[i]! + this.#corrections[i]!;
        const rest = before[i]! - basis[i]!;
        own[d] = seen[code] === count
          ? basis[i]! + sum / count
          : before[i]! + (sum - count * rest) / seen[code]!;
      }
      const length = Math.sqrt(squaredLength(own));
      if (spherical && length > 0) own.forEach((value, d) => own[d] = value / length);
      const old = before.subarray(at, at + features);
      const movement = own.reduce((sum, value, d) => sum + (value - old[d]!) ** 2, 0);
      if (movement <= STILL ** 2 * squaredLength(old)) own.set(old);
      const radius = Math.sqrt(this.squared[code]! / count);
      for (let i = at; i < at + features; i++) {
        const most = MOST_REST * ROUNDING * (Math.abs(centers[i]!) + radius);
        if (Math.abs(centers[i]! - coarse[i]!) > most) coarse[i] = centers[i]!;
      }
    }
    return { centers, coarse };
  }
}

function squaredLength(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
