/**
 * Fewer rows than features: rows in coordinates of the space that they span, where a probe has as many weights
 * as there are rows. Its optimum is the same, since a penalty leaves no weight outside of that space.
 *
 * @module
 */

import { panelElements, toPanels } from "../math/panels.ts";
import { Turns } from "../turns.ts";

/** Rows as probes see them, with as many numbers each. */
export interface ProbeRows {
  readonly rows: number;
  readonly features: number;
  /** Whether a feature is the same in all rows. */
  isConstant(feature: number): boolean;
  /** Rows `[rows, features]` f64. */
  read(start: number, end: number, signal: AbortSignal): Promise<Float64Array>;
  /** The same in panels, f32. */
  readPanels(start: number, end: number, signal: AbortSignal): Promise<Float32Array>;
  /** Bytes of so many rows in panels. */
  panelBytes(rows: number): number;
  /** Host bytes that reading so many rows takes beside what it gives. */
  readBytes(rows: number): number;
}

/** More rows are not worth it: second derivatives and all directions are had up to as many numbers. */
const MOST_ROWS = 512;
/** Of all rows in f64, which are there at once. */
const MOST_BYTES = 128 * 2 ** 20;
/** A row that has less than this left of it, of the largest, adds no direction: what is left is rounding. */
const LEAST_LEFT = 1e-13;

/** Whether probes are better fitted in coordinates of the rows. */
export function isSpanned(rows: number, features: number): boolean {
  return features > MOST_ROWS && rows <= MOST_ROWS && 8 * rows * features <= MOST_BYTES;
}

export function spanHeld(rows: number, features: number, probes: number) {
  const own = isSpanned(rows, features) ? 1 : 0;
  return {
    /** `[rows, features]`, while products of rows are made. */
    gathered: { dtype: "float64", length: own * rows * features, role: "scratch" },
    /** `[rows, rows]`: the coordinates; and the rows that gave them, of which there are so many. */
    coordinates: { dtype: "float64", length: own * rows * rows },
    pivots: { dtype: "int32", length: own * (rows + 1) },
    /** `[probes, features]` */
    spanWeights: { dtype: "float64", length: own * probes * features },
    /** `[probes, features]` */
    spanGradients: { dtype: "float64", length: own * probes * features, role: "scratch" },
  } as const;
}

export interface SpanHeld {
  gathered: Float64Array;
  coordinates: Float64Array;
  pivots: Int32Array;
  spanWeights: Float64Array;
  spanGradients: Float64Array;
}

export class SpanRows implements ProbeRows {
  readonly rows: number;
  readonly features: number;
  readonly #arrays: () => SpanHeld;

  /** @param held Asked once there are any. */
  constructor(held: () => SpanHeld, rows: number) {
    this.#arrays = held;
    this.rows = rows;
    this.features = rows;
  }

  get #held(): SpanHeld {
    return this.#arrays();
  }

  get #rank(): number {
    return this.#held.pivots[this.rows]!;
  }

  isConstant(feature: number): boolean {
    return feature >= this.#rank;
  }

  read(start: number, end: number): Promise<Float64Array> {
    return Promise.resolve(this.#held.coordinates.slice(start * this.rows, end * this.rows));
  }

  readPanels(start: number, end: number): Promise<Float32Array> {
    const { coordinates } = this.#held;
    return Promise.resolve(
      toPanels(coordinates.subarray(start * this.rows, end * this.rows), this.rows),
    );
  }

  panelBytes(rows: number): number {
    return 4 * panelElements(rows, this.features);
  }

  readBytes(): number {
    return 0;
  }

  /**
   * Finds the coordinates of the rows that were gathered: the factor L of their products, X X^T = L L^T, by
   * rows of the most that is left.
   */
  async find(signal: AbortSignal): Promise<void> {
    const { gathered, coordinates, pivots } = this.#held;
    const { rows } = this;
    const width = gathered.length / rows;
    const turns = new Turns(signal);
    const products = new Float64Array(rows * rows);
    for (let i = 0; i < rows; i++) {
      const own = gathered.subarray(i * width, (i + 1) * width);
      for (let j = 0; j <= i; j++) {
        const from = j * width;
        let sum = 0;
        for (let d = 0; d < width; d++) sum += own[d]! * gathered[from + d]!;
        products[i * rows + j] = products[j * rows + i] = sum;
      }
      await turns.next();
    }
    const left = Float64Array.from({ length: rows }, (_, i) => products[i * (rows + 1)]!);
    const least = LEAST_LEFT * left.reduce((most, own) => Math.max(most, own), 0);
    coordinates.fill(0);
    let rank = 0;
    for (; rank < rows; rank++) {
      const pivot = left.reduce((best, own, i) => own > left[best]! ? i : best, 0);
      if (!(left[pivot]! > least)) break;
      const root = Math.sqrt(left[pivot]!);
      for (let i = 0; i < rows; i++) {
        if (left[i] === -Infinity || i === pivot) continue;
        let sum = products[i * rows + pivot]!;
        for (let k = 0; k < rank; k++) {
          sum -= coordinates[i * rows + k]! * coordinates[pivot * rows + k]!;
        }
        const own = sum / root;
        coordinates[i * rows + rank] = own;
        left[i]! -= own * own;
      }
      coordinates[pivot * rows + rank] = root;
      // it has no other coordinate
      left[pivot] = -Infinity;
      pivots[rank] = pivot;
      await turns.next();
    }
    pivots[rows] = rank;
  }

  /** By which rows add up to the weights that have these coordinates, `[rows]`. */
  sharesOf(weights: Float64Array): Float64Array {
    const { coordinates, pivots } = this.#held;
    const { rows } = this;
    const shares = new Float64Array(rows);
    for (let k = this.#rank - 1; k >= 0; k--) {
      let sum = weights[k]!;
      for (let j = this.#rank - 1; j > k; j--) {
        sum -= coordinates[pivots[j]! * rows + k]! * shares[pivots[j]!]!;
      }
      shares[pivots[k]!] = sum / coordinates[pivots[k]! * rows + k]!;
    }
    return shares;
  }
}
