/**
 * Samples that nets learn from: rows of features, or texts of tokens of which some count. Read in any order, as
 * f32, once all of it was looked at: a shader cannot see a NaN.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { toNumbers } from "../chunked_array.ts";
import { digestOf, StreamDigest } from "../math/digest.ts";
import { Turns, unlessAborted } from "../turns.ts";
import { MOST, readBlocks } from "./points.ts";
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

/** Where rows of samples go; it holds zeros. */
export interface SampleTarget {
  /** `[rows, stride]`. */
  values: Float32Array;
  stride: number;
  /** Whether values are looked at, which nobody did before. */
  checks?: boolean;
}

export function isRagged(data: SampleArray): data is RaggedArray {
  return "offsets" in data;
}

export class Samples {
  readonly array: ChunkedArray;
  readonly features: number;
  /** How many there are. */
  readonly count: number;
  readonly #action: string;
  readonly #ragged: RaggedArray | undefined;
  /** Row that each sample begins at, of those that are read; its own number when not given. */
  readonly #starts: Float64Array | undefined;
  /** Row of the array of every row that is read; its own number when not given. */
  readonly #rows: Float64Array | undefined;
  /** All that is read, once it was loaded. */
  #loaded: Float32Array | undefined;

  /**
   * @throws {TypeError} If the array holds no numbers.
   * @throws {RangeError} If shapes do not fit each other, there are no samples, or no row counts.
   */
  constructor(data: SampleArray, { action, unit = "rows" }: SamplesOptions) {
    this.#action = action;
    this.#ragged = isRagged(data) ? data : undefined;
    this.array = isRagged(data) ? data.rows : data;
    const { shape, dtype } = this.array;
    if (dtype === "string") {
      throw new TypeError(`Cannot ${action}: samples are of type string, wanted numbers`);
    }
    if (shape.length !== 2 || shape[0]! < 1 || shape[1]! < 1) {
      throw new RangeError(
        `Cannot ${action}: samples have shape [${shape}], wanted [rows, features], at least one of each`,
      );
    }
    this.features = shape[1]!;
    if (!this.#ragged) {
      this.count = shape[0]!;
      return;
    }
    checkRagged(this.#ragged, action);
    const { offsets, detected } = this.#ragged;
    if (detected && !detected.some(Boolean)) {
      throw new RangeError(
        `Cannot ${action}: the mask detects none of the ${detected.length} tokens, wanted one at least`,
      );
    }
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

  /** Host bytes of its tables, and of all rows once they are loaded. */
  get tableBytes(): number {
    return (this.#rows?.byteLength ?? 0) + (this.#starts?.byteLength ?? 0);
  }

  get loadedBytes(): number {
    return 4 * this.rows * this.features;
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
    const { offsets } = this.#ragged ?? {};
    return this.#starts && offsets ? offsets[sample + 1]! - offsets[sample]! : 1;
  }

  /** The row of the array that a row is. */
  rowOf(row: number): number {
    return this.#rows?.[row] ?? row;
  }

  /** Whether a row counts. */
  counts(row: number): boolean {
    return this.#rows !== undefined || this.#ragged?.detected?.[row] !== 0;
  }

  /** The text that a row of the array is of. */
  textOf(row: number): number {
    const { offsets } = this.#ragged!;
    let [low, high] = [0, offsets.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (offsets[middle]! <= row) low = middle;
      else high = middle;
    }
    return low;
  }

  /**
   * Looks at every row once.
   *
   * @returns The digest of rows, offsets and mask, if it is asked for.
   * @throws {RangeError} If a row that counts has a value that is not finite, or so large that its square is not.
   */
  async look(
    { digest, signal }: { digest: boolean; signal: AbortSignal },
  ): Promise<{ digest?: string }> {
    const bytes = digest ? new StreamDigest() : undefined;
    const { detected, offsets } = this.#ragged ?? {};
    const check = (start: number, values: ArrayLike<number>) => this.#check(start, values);
    await readBlocks(this.array, (read) => bytes?.add(read as ArrayBufferView), check, signal);
    if (!bytes) return {};
    const tables = [offsets, detected].filter((table) => table !== undefined);
    return { digest: await digestOf([await bytes.finish(), ...tables]) };
  }

  /** Looks at rows of the array from one on; at those that count. */
  #check(start: number, values: ArrayLike<number>): void {
    const { detected } = this.#ragged ?? {};
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value < MOST && value > -MOST) continue;
      const row = start + Math.floor(i / this.features);
      if (detected?.[row] !== 0) this.#refuse(row, i % this.features, value);
    }
  }

  #refuse(row: number, feature: number, value: number): never {
    const token = () => {
      const sample = this.textOf(row);
      return `sample ${sample}, token ${row - this.#ragged!.offsets[sample]!}`;
    };
    const place = this.#ragged ? token() : `sample ${row}`;
    throw new RangeError(
      `Cannot ${this.#action}: ${place}, feature ${feature} is ${value}, wanted ` +
        (Number.isFinite(value) ? `magnitudes below ${MOST}` : "finite numbers"),
    );
  }

  /** Takes all rows into memory, where samples are read again and again in another order. */
  async load(signal: AbortSignal): Promise<void> {
    if (this.array.values) return;
    const loaded = new Float32Array(this.rows * this.features);
    const turns = new Turns(signal);
    const pieceRows = Math.max(this.array.chunkRows, Math.ceil(2 ** 18 / this.features));
    for (let row = 0; row < this.rows;) {
      await turns.next();
      const first = this.rowOf(row);
      const end = Math.min(this.array.shape[0]!, first + pieceRows);
      const read = await this.#read(first, end, signal);
      for (; row < this.rows && this.rowOf(row) < end; row++) {
        const at = (this.rowOf(row) - first) * this.features;
        loaded.set(read.subarray(at, at + this.features), row * this.features);
      }
    }
    this.#loaded = loaded;
  }

  /** Gives back what was loaded. */
  unload(): void {
    this.#loaded = undefined;
  }

  /**
   * Reads rows of samples, one sample after the other, to where they belong in the target. Of those that do not
   * count nothing is taken: they may be no numbers.
   *
   * @throws {RangeError} As {@link Samples.look} does, where the target `checks`.
   */
  async read(
    samples: ArrayLike<number>,
    { values, stride, checks }: SampleTarget,
    signal: AbortSignal,
  ): Promise<void> {
    const { features } = this;
    const turns = new Turns(signal);
    const source = this.#loaded ?? (this.array.values && toNumbers(this.array.values));
    let target = 0;
    for (let i = 0; i < samples.length; i++) {
      if (turns.isDue) await turns.next();
      const end = this.startOf(samples[i]! + 1);
      for (let row = this.startOf(samples[i]!); row < end;) {
        const first = this.rowOf(row);
        const rows = this.#run(row, end);
        const from = this.#loaded ? row : first;
        const read = source
          ? source.subarray(from * features, (from + rows) * features)
          : await this.#read(first, first + rows, signal);
        if (checks) this.#check(first, read);
        for (let j = 0; j < rows; j++, target++) {
          if (!this.counts(row + j)) continue;
          values.set(read.subarray(j * features, (j + 1) * features), target * stride);
        }
        row += rows;
      }
    }
  }

  /** Rows from one on that lie together in the array. */
  #run(row: number, end: number): number {
    if (!this.#rows) return end - row;
    let rows = 1;
    while (row + rows < end && this.#rows[row + rows] === this.#rows[row]! + rows) rows++;
    return rows;
  }

  async #read(start: number, end: number, signal: AbortSignal) {
    return toNumbers(await unlessAborted(signal, this.array.read(start, end, { signal })));
  }
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
