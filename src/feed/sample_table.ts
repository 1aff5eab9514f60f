/**
 * Which rows of an array are read, and which sample they are of: those of features are a sample each, those of
 * texts may count or not.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { RaggedArray } from "./ragged.ts";
import { checkRagged } from "./ragged.ts";

/** Rows of features, or rows in samples of any length. */
export type SampleArray = ChunkedArray | RaggedArray;

export interface SamplesOptions {
  /** What is being done, for errors: `fit a probe`. */
  action: string;
  /**
   * What a sample is: `rows` are those of its own that count, `whole` all of them, since their places matter;
   * of `each` row that counts becomes a sample of its own. Arrays of features have samples of one row.
   */
  unit?: "rows" | "whole" | "each";
}

export function isRagged(data: SampleArray): data is RaggedArray {
  return "offsets" in data;
}

export class SampleTable {
  readonly array: ChunkedArray;
  readonly features: number;
  /** How many there are. */
  readonly count: number;
  protected readonly action: string;
  protected readonly ragged: RaggedArray | undefined;
  /** Row that each sample begins at, of those that are read; its own number when not given. */
  readonly #starts: Float64Array | undefined;
  /** Row of the array of every row that is read; its own number when not given. */
  readonly #rows: Float64Array | undefined;

  /**
   * @throws {TypeError} If the array holds no numbers.
   * @throws {RangeError} If shapes do not fit each other, there are no samples, or no row counts.
   */
  constructor(data: SampleArray, { action, unit = "rows" }: SamplesOptions) {
    this.action = action;
    this.ragged = isRagged(data) ? data : undefined;
    this.array = isRagged(data) ? data.rows : data;
    checkSamples(data, action);
    const { shape } = this.array;
    this.features = shape[1]!;
    if (!this.ragged) {
      this.count = shape[0]!;
      return;
    }
    const { offsets, detected } = this.ragged;
    if (detected && unit !== "whole") this.#rows = detectedRows(detected);
    this.count = unit === "each" ? this.#rows?.length ?? shape[0]! : offsets.length - 1;
    if (unit !== "each") {
      this.#starts = detected && unit === "rows" ? countedStarts(offsets, detected) : offsets;
    }
  }

  /** Rows that are read, of all samples. */
  get rows(): number {
    return this.startOf(this.count);
  }

  /** Host bytes of its tables. */
  get tableBytes(): number {
    return (this.#rows?.byteLength ?? 0) + (this.#starts?.byteLength ?? 0);
  }

  /** The row a sample begins at, of those that are read; that of `count` is their number. */
  startOf(sample: number): number {
    return this.#starts?.[sample] ?? sample;
  }

  rowsOf(sample: number): number {
    return this.startOf(sample + 1) - this.startOf(sample);
  }

  /** Rows of a sample, whether they count or not. */
  lengthOf(sample: number): number {
    const { offsets } = this.ragged ?? {};
    return this.#starts && offsets ? offsets[sample + 1]! - offsets[sample]! : 1;
  }

  /** The row of the array that a row is. */
  rowOf(row: number): number {
    return this.#rows?.[row] ?? row;
  }

  /** Whether a row counts. */
  counts(row: number): boolean {
    return this.#rows !== undefined || this.ragged?.detected?.[row] !== 0;
  }

  /** The text that a row of the array is of. */
  textOf(row: number): number {
    return sampleAt(this.ragged!.offsets, row);
  }

  /** Rows from one on, up to another, that lie together in the array. */
  protected together(row: number, end: number): number {
    if (!this.#rows) return end - row;
    let rows = 1;
    while (row + rows < end && this.#rows[row + rows] === this.#rows[row]! + rows) rows++;
    return rows;
  }
}

/** Checks that shapes fit each other, and that something counts. */
function checkSamples(data: SampleArray, action: string): void {
  const { shape, dtype } = isRagged(data) ? data.rows : data;
  if (dtype === "string") {
    throw new TypeError(`Cannot ${action}: samples are of type string, wanted numbers`);
  }
  if (shape.length !== 2 || shape[0]! < 1 || shape[1]! < 1) {
    throw new RangeError(
      `Cannot ${action}: samples have shape [${shape}], wanted [rows, features], at least one of each`,
    );
  }
  if (!isRagged(data)) return;
  checkRagged(data, action);
  const { detected } = data;
  if (detected && !detected.some(Boolean)) {
    throw new RangeError(
      `Cannot ${action}: the mask detects none of the ${detected.length} tokens, wanted one at least`,
    );
  }
}

/** The sample, among those that begin at these rows, that a row is of. */
function sampleAt(offsets: Float64Array, row: number): number {
  let [low, high] = [0, offsets.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (offsets[middle]! <= row) low = middle;
    else high = middle;
  }
  return low;
}

function detectedRows(detected: Uint8Array): Float64Array {
  const rows = new Float64Array(detected.reduce((sum, one) => sum + (one ? 1 : 0), 0));
  let at = 0;
  detected.forEach((one, row) => {
    if (one) rows[at++] = row;
  });
  return rows;
}

/** Where samples begin among rows that count. */
function countedStarts(offsets: Float64Array, detected: Uint8Array): Float64Array {
  const starts = new Float64Array(offsets.length);
  for (let sample = 0; sample + 1 < offsets.length; sample++) {
    let count = 0;
    for (let row = offsets[sample]!; row < offsets[sample + 1]!; row++) {
      count += detected[row]! ? 1 : 0;
    }
    starts[sample + 1] = starts[sample]! + count;
  }
  return starts;
}
