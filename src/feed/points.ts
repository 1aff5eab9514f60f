/**
 * Rows of numbers as points: shifted and scaled on the host, where every value is looked at, since a
 * shader can neither see a NaN nor subtract a mean without losing digits.
 *
 * @module
 */

import { StreamDigest } from "../math/digest.ts";
import { PANEL_ROWS, panelElements, panelIndex } from "../math/panels.ts";
import type { NumericArray } from "../types.ts";
import { Turns, unlessAborted } from "../turns.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { toNumbers } from "../chunked_array.ts";
import { isSound, Moments, MOST_VALUE, powerOfTwo } from "./moments.ts";

/** Rows are looked at in pieces of about so many bytes of f64. */
const LOOK_BYTES = 2 ** 20;
// squares of it, summed over any number of features, stay far below the largest f32
export const MOST = 1e15;
/**
 * Exact coordinates reach 2^32: squared distances then stay below 2^127 for any number of features, and
 * differences 2^95 times smaller than the largest have squares that are normal numbers.
 */
const REACH = 32;
/** Types whose values f32 holds without an error. */
const NARROW = new Set(["bool", "int8", "uint8", "int16", "uint16", "float16", "float32"]);

export interface PointsOptions {
  /** What is being done, for errors: `cluster`, `project`. */
  action: string;
  /** Rows of length 1 instead of shifted and scaled ones. Default false. */
  normalize?: boolean;
  /** What a row is called in errors. Default `row`. */
  item?: string;
  /**
   * Coordinates for distances between neighbours, which must not lose a digit: shifts by which every
   * value is moved without an error, and panels that hold what f32 leaves over, too. Otherwise shifts are
   * the means, to which f32 rounds. Default false.
   */
  exact?: boolean;
}

/** What {@link Points.look} is asked. */
export interface LookOptions extends ReadOptions {
  /** Whether the digest of all values is wanted. Default false. */
  digest?: boolean;
  /** `[points, features]`: others that coordinates must suit, as centroids. */
  around?: ArrayLike<number> | undefined;
}

/** What a look at every row told. */
export interface Look {
  /** Of all values, in hexadecimal digits: equal for equal values, however they are stored. */
  digest: string | undefined;
  /** `[features]`, in the array's units, f64. */
  mean: Float64Array;
  min: Float64Array;
  max: Float64Array;
  /** `[features]`, over rows, in the device's coordinates, f64. */
  variance: Float64Array;
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
  readonly places: ChunkedArray["places"];
  readonly rows: number;
  readonly features: number;
  readonly action: string;
  /**
   * Numbers that {@link readPanels} makes of a value: 2 where f32 may not hold it, of which the second is
   * what the first one leaves over.
   */
  readonly parts: 1 | 2;
  readonly #normalize: boolean;
  readonly #exact: boolean;
  readonly #item: string;
  /** Subtracted from every row; then it is multiplied by `scale`, a power of two. */
  shift: Float64Array;
  scale = 1;

  /**
   * @throws {TypeError} If the array holds no numbers.
   * @throws {RangeError} If it has no rows, or another number of axes than two.
   */
  constructor(
    array: ChunkedArray,
    { action, normalize = false, item = "row", exact = false }: PointsOptions,
  ) {
    checkShape(array, action);
    this.array = array;
    this.places = array.places;
    [this.rows, this.features] = array.shape as [number, number];
    this.action = action;
    this.parts = exact && (normalize || !NARROW.has(array.dtype)) ? 2 : 1;
    this.#normalize = normalize;
    this.#exact = exact;
    this.#item = item;
    this.shift = new Float64Array(this.features);
  }

  /**
   * Looks at every row once, in f64, and takes shift and scale from all of them.
   *
   * @throws {RangeError} If a value is not finite, or its square is not; if a row has no direction and one
   * is wanted.
   */
  async look({ digest = false, around, signal }: LookOptions = {}): Promise<Look> {
    const { array } = this;
    const moments = new Moments(this.features);
    const bytes = digest ? new StreamDigest() : undefined;
    const take = (start: number, values: ArrayLike<number>) => {
      const seen = this.#normalize ? this.#normalized(start, values) : values;
      if (!moments.add(seen)) this.#refuseAmong(start, values);
    };
    await readBlocks(array, (read) => bytes?.add(read as ArrayBufferView), take, signal);
    const { mean, min, max } = moments;
    if (!this.#normalize) {
      const digits = NARROW.has(array.dtype) ? 24 : 53;
      this.shift = this.#exact ? moments.exactShift(digits) : moments.roundedMean();
      const reach = moments.reach(this.shift, around);
      const deviation = moments.deviation();
      this.scale = this.#exact ? powerOfTwo(REACH, reach) : powerOfTwo(0, deviation);
    }
    const variance = moments.variance(this.scale);
    return { digest: await bytes?.finish(), mean, min, max, variance };
  }

  /** Takes another scale, that makes about 1 of this many of the array's units, if they are any. */
  scaleTo(reach: number): void {
    this.scale = powerOfTwo(0, reach);
  }

  /** Rows as they are. */
  async readValues(start: number, end: number, options?: ReadOptions) {
    // not every array hears of a signal
    return toNumbers(await unlessAborted(options?.signal, this.array.read(start, end, options)));
  }

  /** Rows in the device's coordinates, f64 `[rows, features]`. */
  async readScaled(
    start: number,
    end: number,
    options?: ReadOptions & RowTarget,
  ): Promise<Float64Array> {
    const scaled = new Float64Array((end - start) * this.features);
    await this.#read(start, end, scaled, (row) => row * this.features, 1, options);
    return scaled;
  }

  /**
   * Rows in the device's coordinates, in panels; where values have two {@link parts}, the second ones are
   * so many features more.
   */
  async readPanels(
    start: number,
    end: number,
    options: ReadOptions & RowTarget = {},
  ): Promise<Float32Array> {
    const { features, parts } = this;
    const elements = panelElements(end - start, parts * features);
    const { at = 0, into = new Float32Array(elements) } = options;
    const place = (row: number) => panelIndex(at + row, 0, parts * features);
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
      if (!sound) this.#refuseScaled(start + row, own);
      if (this.#normalize) this.#scaleToUnit(start + row, own);
      look?.(own);
      const first = place(row);
      for (let d = 0, at = first; d < features; d++, at += step) target[at] = own[d]!;
      if (step !== PANEL_ROWS || this.parts === 1) continue;
      for (let d = 0, at = first + features * step; d < features; d++, at += step) {
        target[at] = own[d]! - Math.fround(own[d]!);
      }
    }
  }

  #scaleToUnit(row: number, values: Float64Array): void {
    if (scaleToUnit(values)) return;
    throw new RangeError(
      `Cannot ${this.action}: ${this.#item} ${row} has length 0, wanted rows that have a direction`,
    );
  }

  #normalized(start: number, values: ArrayLike<number>): Float64Array {
    const { features } = this;
    const normalized = Float64Array.from(values);
    for (let at = 0; at < normalized.length; at += features) {
      const own = normalized.subarray(at, at + features);
      if (!own.every(isSound)) this.#refuseAmong(start, values);
      this.#scaleToUnit(start + at / features, own);
    }
    return normalized;
  }

  /** Names the first value that cannot be a coordinate. */
  #refuseAmong(start: number, values: ArrayLike<number>): never {
    const at = Array.prototype.findIndex.call(values, (value) => !isSound(value));
    const most = `magnitudes below ${MOST_VALUE.toExponential(0)}`;
    this.#refuse(start + Math.floor(at / this.features), at % this.features, values[at]!, most);
  }

  #refuseScaled(row: number, scaled: Float64Array): never {
    const feature = scaled.findIndex((value) => !(value < MOST && value > -MOST));
    const value = scaled[feature]! / this.scale + this.shift[feature]!;
    const most = `values within ${(MOST / this.scale).toExponential(0)} of the mean`;
    this.#refuse(row, feature, value, most);
  }

  /** @param most What is wanted of a finite value. */
  #refuse(row: number, feature: number, value: number, most: string): never {
    throw new RangeError(
      `Cannot ${this.action}: ${this.#item} ${row}, feature ${feature} is ${value}, wanted ` +
        (Number.isFinite(value) ? most : "finite numbers"),
    );
  }
}

function checkShape({ shape, dtype }: ChunkedArray, action: string): void {
  if (dtype === "string") {
    throw new TypeError(`Cannot ${action}: points are of type string, wanted numbers`);
  }
  if (shape.length !== 2 || shape[0]! < 1 || shape[1]! < 1) {
    throw new RangeError(
      `Cannot ${action}: points have shape [${shape}], wanted [rows, features], at least one of each`,
    );
  }
}

/**
 * Digest of all values of an array, in hexadecimal digits, as {@link Points.look} has it: equal for equal
 * values, however they are stored. An array's shape and type are no part of it.
 */
export async function digestRows(
  array: ChunkedArray,
  { signal, onShare }: ReadOptions & { onShare?: (share: number) => void } = {},
): Promise<string> {
  const bytes = new StreamDigest();
  const take = (read: NumericArray, start: number) => {
    onShare?.(start / array.shape[0]!);
    return bytes.add(read as ArrayBufferView);
  };
  await readBlocks(array, take, undefined, signal);
  return await bytes.finish();
}

/**
 * Reads all rows, whole chunks where a part costs as much, and hands them on as numbers, too, in blocks
 * that are the same however they are stored: what is summed by block is the same then.
 */
export async function readBlocks(
  array: ChunkedArray,
  onRead: (read: NumericArray, start: number) => Promise<void> | undefined,
  onBlock: ((start: number, values: ArrayLike<number>) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { shape: [rows], wholeChunks, chunkRows } = array as ChunkedArray & { shape: [number] };
  const width = array.shape.slice(1).reduce((product, size) => product * size, 1);
  const blockRows = Math.max(1, Math.floor(LOOK_BYTES / (8 * Math.max(1, width))));
  const readRows = wholeChunks ? Math.ceil(blockRows / chunkRows) * chunkRows : blockRows;
  /** Rows of a block that is not complete. */
  let held = new Float64Array(0);
  let heldRows = 0;
  // rows in memory come without a pause in which anybody could cancel
  const turns = new Turns(signal);
  for (let start = 0; start < rows; start += readRows) {
    await turns.next();
    const end = Math.min(rows, start + readRows);
    const read = await unlessAborted(signal, array.read(start, end, signal && { signal }));
    await onRead(read, start);
    if (!onBlock) continue;
    for (let row = start; row < end;) {
      // a chunk may be many blocks
      if (turns.isDue) await turns.next();
      const blockStart = row - heldRows;
      const stop = Math.min(end, blockStart + blockRows);
      const some = toNumbers(read.subarray((row - start) * width, (stop - start) * width));
      const whole = stop - blockStart === blockRows || stop === rows;
      if (whole && heldRows === 0) {
        onBlock(row, some);
      } else {
        if (held.length === 0) held = new Float64Array(blockRows * width);
        held.set(some, heldRows * width);
        heldRows += stop - row;
        if (whole) onBlock(blockStart, held.subarray(0, heldRows * width));
        if (whole) heldRows = 0;
      }
      row = stop;
    }
  }
}

/** Makes a vector's length 1; whether it has one. */
export function scaleToUnit(values: Float64Array): boolean {
  // squares of the largest stay finite, and those that count do not vanish
  const unit = powerOfTwo(0, values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  const length = Math.sqrt(values.reduce((sum, value) => sum + (value * unit) ** 2, 0));
  if (!(length > 0)) return false;
  values.forEach((value, d) => values[d] = value * unit / length);
  return true;
}
