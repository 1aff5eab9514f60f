/**
 * What the rows of a sweep do to codes: how many each has, and where their means are.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { HeldArray, Sums, Tile } from "../stream/pass.ts";
import type { Held } from "../stream/task.ts";
import type { Codes } from "./codes.ts";
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

/** A row, its squared distance to its code, and the code. */
type FarRow = readonly [row: number, distance: number, code: number];
const FAR_ROW = 3;

/** What a {@link Tally} works in, for so many books of codes. Every sweep begins it anew. */
export function tallyHeld(books: number, codes: number, features: number) {
  const scratch = (length: number) =>
    ({ dtype: "float64", length: books * length, role: "scratch" }) as const;
  return {
    /** `[books, codes, features]`, of rows less what the device has of their code. */
    sums: scratch(codes * features),
    /** What is to be added for rows that the device gave to another code. */
    corrections: scratch(codes * features),
    /** `[books, codes]`: rows of each. */
    counts: scratch(codes),
    /** `[books, codes]`: sums of squared distances, in the device's coordinates. */
    squared: scratch(codes),
    /** `[books, codes, 3]`: rows farthest from their codes, the farthest first; then places at distance 0. */
    farRows: scratch(FAR_ROW * codes),
  };
}

export type TallyHeld = Held<ReturnType<typeof tallyHeld>>;
const TALLIED = ["sums", "corrections", "counts", "squared", "farRows"] as const;

/** What rows add to, of all books. */
export function tallySums(books: number): Sums {
  const farthest: NonNullable<Sums["merge"]>[string] = (total, section) => {
    const length = total.length / books;
    for (let book = 0, at = 0; book < books; book++) {
      const own = total.subarray(at, at += length);
      for (let place = 0; FAR_ROW * place < length; place++) {
        considerFar(own, farRowAt(section.subarray(at - length, at), place));
      }
    }
  };
  return { held: TALLIED, merge: { farRows: farthest } };
}

function farRowAt(farRows: HeldArray, place: number): FarRow {
  const [row, distance, code] = farRows.subarray(FAR_ROW * place);
  return [row!, distance!, code!];
}

/** Puts a row among the farthest, behind those before it that are as far. */
function considerFar(farRows: HeldArray, candidate: FarRow): void {
  const [, distance] = candidate;
  const distanceAt = (place: number) => farRows[FAR_ROW * place + 1]!;
  let place = farRows.length / FAR_ROW;
  while (place > 0 && distanceAt(place - 1) < distance) place--;
  if (FAR_ROW * place === farRows.length) return;
  farRows.copyWithin(FAR_ROW * (place + 1), FAR_ROW * place, farRows.length - FAR_ROW);
  farRows.set(candidate, FAR_ROW * place);
}

/** What the rows of one sweep are to some codes: counts, and sums of differences from them. */
export class Tally {
  readonly codes: Codes;
  /** Of this book alone. */
  readonly #held: TallyHeld;
  readonly #points: Points;
  readonly #nearTies: NearTies;

  constructor(points: Points, codes: Codes, held: TallyHeld) {
    this.codes = codes;
    this.#points = points;
    this.#nearTies = new NearTies(points, codes);
    this.#held = held;
    for (const name of TALLIED) held[name].fill(0);
  }

  /** `[codes]` */
  get counts(): Float64Array {
    return this.#held.counts;
  }

  /** Sum of squared distances of all rows, in the device's coordinates. */
  get inertia(): number {
    return this.#held.squared.reduce((sum, squared) => sum + squared, 0);
  }

  /** Takes the codes and nearness of a tile's rows, tiles in ascending order. */
  async takeRows(
    tile: Tile,
    ids: Uint32Array,
    nearness: Float32Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { counts, squared, corrections } = this.#held;
    const decided = await this.#nearTies.decide(tile, ids, nearness, signal, (point, from, to) => {
      this.#add(corrections, to, point, 1);
      this.#add(corrections, from, point, -1);
    });
    let next = 0;
    for (let row = 0; row < tile.end - tile.start; row++) {
      let code = ids[row]!;
      let distance = nearness[2 * row]!;
      if (decided.rows[next] === row) {
        code = decided.codes[next]!;
        distance = decided.squared[next++]!;
      }
      counts[code]!++;
      squared[code]! += distance;
      considerFar(this.#held.farRows, [tile.start + row, distance, code]);
    }
  }

  #add(sums: Float64Array, code: number, point: Float64Array, sign: 1 | -1): void {
    const at = code * point.length;
    for (let d = 0; d < point.length; d++) {
      sums[at + d]! += sign * (point[d]! - this.codes.coarse[at + d]!);
    }
  }

  /** The rows farthest from their codes, so many at most. */
  #farthest(most: number): FarRow[] {
    const { farRows } = this.#held;
    return Array.from({ length: most }, (_, place) => farRowAt(farRows, place));
  }

  /** Takes the sums of a block of rows, `[codes, features]`, blocks in ascending order. */
  takeSums(sums: Float32Array): void {
    const own = this.#held.sums;
    for (let i = 0; i < own.length; i++) own[i]! += sums[i]!;
  }

  /**
   * Gives every code without rows the row that is farthest from its code, one each, while there are any
   * that are not where their code is: fewer rows than codes may differ.
   */
  async fillEmpty(signal: AbortSignal): Promise<void> {
    const { features } = this.#points;
    const { centers } = this.codes;
    const { sums } = this.#held;
    const empty = [...this.counts.keys()].filter((code) => this.counts[code] === 0);
    for (const [i, [row, distance, code]] of this.#farthest(empty.length).entries()) {
      const own = centers.subarray(code * features, (code + 1) * features);
      if (distance <= STILL ** 2 * squaredLength(own)) return;
      const point = await this.#points.readScaled(row, row + 1, { signal });
      const target = empty[i]!;
      this.#add(sums, target, point, 1);
      this.#add(sums, code, point, -1);
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
    const { sums, corrections, squared } = this.#held;
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
        const sum = sums[i]! + corrections[i]!;
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
      const radius = Math.sqrt(squared[code]! / count);
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
