/**
 * What every array is: rows to be read, wherever they are kept.
 *
 * @module
 */

import { ChunkError } from "./errors.ts";
import type { ArrayOfType, DataType, NumericArray } from "./types.ts";

export interface ReadOptions {
  signal?: AbortSignal;
  /**
   * Memory for so many bytes that are read, where the reader has some of its own; what is read may be a
   * view of it. Whoever keeps what was read for others must not pass this on.
   */
  allocate?: (bytes: number) => Uint8Array;
}

/** An array read along its first axis, of elements that come as `Values`. */
export interface ChunkedArray<Values extends NumericArray = NumericArray> {
  /** At least one axis. */
  readonly shape: readonly number[];
  readonly dtype: DataType;
  /** A name per axis, where they are known. */
  readonly dims: readonly string[] | undefined;
  /** Rows that are best read together. */
  readonly chunkRows: number;
  /** Whether reading one row costs its whole chunk, as where chunks are compressed. */
  readonly wholeChunks?: boolean;
  /** Where it is read from, as far as that is known: nothing may be put there in its place. */
  readonly places?: readonly string[] | undefined;
  /** All of it, where it lies in memory. */
  readonly values?: Values;
  /**
   * Rows [start, end) in C order, as the typed array that {@link NumericArray} describes. It may be
   * a view of what others hold: not to be written to.
   *
   * @throws {RangeError} If there are no such rows.
   * @throws {ChunkError} If what is stored is missing, short or damaged.
   */
  read(start: number, end: number, options?: ReadOptions): Promise<Values>;
  /** Rows of a `float16` array as the bits that are stored. */
  readBits?(start: number, end: number, options?: ReadOptions): Promise<Uint16Array>;
  /** Rows of an array of brain floats, which are read as `float32`, as the bits that are stored. */
  readBrainBits?(start: number, end: number, options?: ReadOptions): Promise<Uint16Array>;
  /** As a notebook shows it, of arrays that callers get. */
  toHTML?(): string;
  close(): Promise<void>;
}

/** The same array, whose `close` gives back what it was opened from, too. */
export function closingWith<Values extends NumericArray>(
  array: ChunkedArray<Values>,
  close: () => Promise<void> | void,
): ChunkedArray<Values> {
  return {
    ...array,
    async close() {
      await array.close();
      await close();
    },
  };
}

/**
 * The same array, whose elements are known to be of one of these types.
 *
 * @throws {ChunkError} If they are not.
 */
export function ofType<Type extends keyof ArrayOfType>(
  array: ChunkedArray,
  ...types: Type[]
): ChunkedArray<ArrayOfType[Type]> {
  if (!(types as DataType[]).includes(array.dtype)) {
    const place = array.places?.[0] ?? "an array";
    throw new ChunkError(
      `Cannot open ${place}: its elements are ${array.dtype}, wanted ${types.join(" or ")}`,
      place,
    );
  }
  return array as ChunkedArray<ArrayOfType[Type]>;
}

/** Numbers to calculate with: 64-bit integers become f64. */
export function toNumbers(
  values: NumericArray,
): Exclude<NumericArray, BigInt64Array | BigUint64Array> {
  return values instanceof BigInt64Array || values instanceof BigUint64Array
    ? Float64Array.from(values as BigInt64Array, Number)
    : values as Exclude<NumericArray, BigInt64Array | BigUint64Array>;
}

/**
 * @throws {RangeError} If an array of this shape has no rows [start, end).
 */
export function checkRows(shape: readonly number[], start: number, end: number): void {
  const whole = Number.isInteger(start) && Number.isInteger(end);
  if (!whole || start < 0 || end < start || end > shape[0]!) {
    throw new RangeError(
      `Cannot read rows ${start} to ${end}: the array has ${shape[0]} rows`,
    );
  }
}
