/**
 * Rows of numbers as points: shifted and scaled on the host, where every value is looked at once,
 * since a shader can neither see a NaN nor subtract a mean without losing digits.
 *
 * @module
 */

import { PANEL_ROWS, panelElements, panelIndex } from "../math/panels.ts";
import { digestOf } from "../math/digest.ts";
import type { ChunkedArray, ReadOptions } from "./chunked_array.ts";
import { toNumbers } from "./chunked_array.ts";

/** Rows from which shift and scale are taken: this many stretches, spread evenly, of this many rows. */
const SAMPLE_STRETCHES = 32;
const STRETCH_ROWS = 32;
// squares of it, summed over any number of features, stay far below the largest f32
const MOST = 1e15;

export interface PointsOptions {
  /** What is being done, for errors: `cluster`, `project`. */
  action: string;
  /** Rows of length 1 instead of shifted and scaled ones. Default false. */
  normalize?: boolean;
  /** What a row is called in errors. Default `row`. */
  item?: string;
}

/** Where rows go that are read for the device, and where they come from. */
export interface RowTarget {
  /** Rows as they are, where they have been read. */
  values?: ArrayLike<number>;
  /** A new array for these rows alone when not given. */
  into?: Float32Array;
  /** Row of `into` that the first one becomes. Default 0. */
  at?: number;
  /** Is handed each row on the way. */
  look?: (row: Float64Array) => void;
}

/** An array of points, and the coordinates in which the device sees them. */
export class Points {
  readonly array: ChunkedArray;
  readonly rows: number;
  readonly features: number;
  readonly action: string;
  readonly #normalize: boolean;
  readonly #item: string;
  /** Subtracted from every row; then it is multiplied by `scale`, a power of two. */
  shift: Float64Array;
  scale = 1;

  /**
   * @throws {TypeError} If the array holds no numbers.
   * @throws {RangeError} If it has no rows, or another number of axes than two.
   */
  constructor(array: ChunkedArray, { action, normalize = false, item = "row" }: PointsOptions) {
    const { shape, dtype } = array;
    if (dtype === "string") {
      throw new TypeError(`Cannot ${action}: points are of type string, wanted numbers`);
    }
    if (shape.length !== 2 || shape[0]! < 1 || shape[1]! < 1) {
      throw new RangeError(
        `Cannot ${action}: points have shape [${shape}], wanted [rows, features], at least one of each`,
      );
    }
    this.array = array;
    this.rows = shape[0]!;
    this.features = shape[1]!;
    this.action = action;
    this.#normalize = normalize;
    this.#item = item;
    this.shift = new Float64Array(this.features);
  }

  /**
   * Takes shift and scale from rows spread over the whole array: whatever share of the rows lies
   * elsewhere adds more to the variance than to the distance from the true mean.
   *
   * @returns Digests of the rows, for a fingerprint of the array.
   */
  async sample(options?: ReadOptions): Promise<string[]> {
    const { rows, features } = this;
    const stretches = Math.min(SAMPLE_STRETCHES, Math.ceil(rows / STRETCH_ROWS));
    const digests: string[] = [];
    // relative to the first row, lest a large offset takes all digits
    let origin: Float64Array | undefined;
    const sums = new Float64Array(features);
    const squares = new Float64Array(features);
    const whole = new Uint8Array(features).fill(1);
    let count = 0;
    for (let i = 0; i < stretches; i++) {
      const start = Math.floor(i * rows / stretches);
      const end = Math.min(rows, start + STRETCH_ROWS);
      const values = Float64Array.from(await this.readValues(start, end, options));
      digests.push(await digestOf([values]));
      origin ??= values.slice(0, features);
      for (let at = 0; at < values.length; at++) {
        const d = at % features;
        const value = values[at]! - origin[d]!;
        sums[d]! += value;
        squares[d]! += value * value;
        if (!Number.isInteger(values[at])) whole[d] = 0;
      }
      count += end - start;
    }
    if (this.#normalize) return digests;
    let most = 0;
    for (let d = 0; d < features; d++) {
      const variance = squares[d]! / count - (sums[d]! / count) ** 2;
      most = Math.max(most, variance);
      const mean = origin![d]! + sums[d]! / count;
      // integers stay integers: f32 holds them, and sums of some thousand, without an error
      this.shift[d] = whole[d] ? Math.round(mean) : mean;
    }
    const exponent = Math.round(Math.log2(most) / 2);
    // refused when it is read, if it is not finite
    if (!this.shift.every(Number.isFinite)) this.shift.fill(0);
    this.scale = Number.isFinite(exponent) ? 2 ** -exponent : 1;
    return digests;
  }

  /** Rows as they are. */
  async readValues(start: number, end: number, options?: ReadOptions) {
    return toNumbers(await this.array.read(start, end, options));
  }

  /** Rows in the device's coordinates, f64 `[rows, features]`. */
  async readScaled(start: number, end: number, options?: ReadOptions): Promise<Float64Array> {
    const scaled = new Float64Array((end - start) * this.features);
    await this.#read(start, end, scaled, (row) => row * this.features, 1, options);
    return scaled;
  }

  /** Rows in the device's coordinates, in panels. */
  async readPanels(
    start: number,
    end: number,
    options: ReadOptions & RowTarget = {},
  ): Promise<Float32Array> {
    const { features } = this;
    const { at = 0, into = new Float32Array(panelElements(end - start, features)) } = options;
    const place = (row: number) => panelIndex(at + row, 0, features);
    await this.#read(start, end, into, place, PANEL_ROWS, options);
    return into;
  }

  /** Rows in the device's coordinates, each `stride` elements, 0 past the last feature. */
  async readStrided(
    start: number,
    end: number,
    stride: number,
    options: ReadOptions & RowTarget = {},
  ): Promise<Float32Array> {
    const { at = 0, into = new Float32Array((end - start) * stride) } = options;
    await this.#read(start, end, into, (row) => (at + row) * stride, 1, options);
    return into;
  }

  /** A point in the device's coordinates as it is in the array's. */
  toOriginal(scaled: ArrayLike<number>): Float64Array {
    const { features, shift, scale } = this;
    return Float64Array.from(scaled, (value, i) => value / scale + shift[i % features]!);
  }

  /** Points of the array's coordinates as the device sees them. */
  toScaled(original: ArrayLike<number>): Float64Array {
    const { features, shift, scale } = this;
    return Float64Array.from(original, (value, i) => (value - shift[i % features]!) * scale);
  }

  async #read(
    start: number,
    end: number,
    target: Float32Array | Float64Array,
    place: (row: number) => number,
    step: number,
    { look, signal, values: known }: ReadOptions & RowTarget = {},
  ): Promise<void> {
    const values = known ?? await this.readValues(start, end, signal && { signal });
    const { features, shift, scale } = this;
    const own = new Float64Array(features);
    for (let row = 0; row < end - start; row++) {
      const from = row * features;
      let sound = true;
      for (let d = 0; d < features; d++) {
        const value = (values[from + d]! - shift[d]!) * scale;
        // false for NaN too
        sound = sound && value < MOST && value > -MOST;
        own[d] = value;
      }
      if (!sound) this.#refuse(start + row, own);
      if (this.#normalize) this.#scaleToUnit(start + row, own);
      look?.(own);
      for (let d = 0, at = place(row); d < features; d++, at += step) target[at] = own[d]!;
    }
  }

  #scaleToUnit(row: number, values: Float64Array): void {
    const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    if (length === 0) {
      throw new RangeError(
        `Cannot ${this.action}: ${this.#item} ${row} has length 0, wanted rows that have a direction`,
      );
    }
    values.forEach((value, d) => values[d] = value / length);
  }

  #refuse(row: number, scaled: Float64Array): never {
    const feature = scaled.findIndex((value) => !(value < MOST && value > -MOST));
    const value = scaled[feature]! / this.scale + this.shift[feature]!;
    const wanted = Number.isFinite(value)
      ? `values within ${(MOST / this.scale).toExponential(0)} of the mean`
      : "finite numbers";
    throw new RangeError(
      `Cannot ${this.action}: ${this.#item} ${row}, feature ${feature} is ${value}, wanted ${wanted}`,
    );
  }
}
