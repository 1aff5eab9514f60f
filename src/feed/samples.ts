/**
 * Samples that nets learn from: rows of features, or texts of tokens of which some count. Read in any order, as
 * f32, once all of it was looked at: a shader cannot see a NaN.
 *
 * @module
 */

import { toNumbers } from "../chunked_array.ts";
import { digestOf, StreamDigest } from "../math/digest.ts";
import { Turns, unlessAborted } from "../turns.ts";
import { MOST, readBlocks } from "./points.ts";
import { SampleTable } from "./sample_table.ts";

export type { SampleArray, SamplesOptions } from "./sample_table.ts";
export { isRagged } from "./sample_table.ts";

/** Where rows of samples go; it holds zeros. */
export interface SampleTarget {
  /** `[rows, stride]`. */
  values: Float32Array;
  stride: number;
  /** Whether values are looked at, which nobody did before. */
  checks?: boolean;
}

/** Rows that lie together: the first of those that are read, and of the array, and where it belongs in a target. */
interface Run {
  row: number;
  first: number;
  rows: number;
  target: number;
}

/** Rows between two that are read, which are rather read, too, than asked for twice. */
const NEAR_ROWS = 64;

export class Samples extends SampleTable {
  /** All that is read, once it was loaded. */
  #loaded: Float32Array | undefined;

  /** Host bytes of all rows once they are loaded. */
  get loadedBytes(): number {
    return 4 * this.rows * this.features;
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
    const { detected, offsets } = this.ragged ?? {};
    const check = (start: number, values: ArrayLike<number>) => this.#check(start, values);
    await readBlocks(this.array, (read) => bytes?.add(read as ArrayBufferView), check, signal);
    if (!bytes) return {};
    const tables = [offsets, detected].filter((table) => table !== undefined);
    return { digest: await digestOf([await bytes.finish(), ...tables]) };
  }

  /** Looks at rows of the array from one on; at those that count. */
  #check(start: number, values: ArrayLike<number>): void {
    const { detected } = this.ragged ?? {};
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
      return `sample ${sample}, token ${row - this.ragged!.offsets[sample]!}`;
    };
    const place = this.ragged ? token() : `sample ${row}`;
    throw new RangeError(
      `Cannot ${this.action}: ${place}, feature ${feature} is ${value}, wanted ` +
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
    const place = ({ row, first, rows, target }: Run, read: ArrayLike<number>, from: number) => {
      const at = (j: number) => (first - from + j) * features;
      const own = (read as Float32Array).subarray(at(0), at(rows));
      if (checks) this.#check(this.rowOf(row), own);
      for (let j = 0; j < rows; j++) {
        if (!this.counts(row + j)) continue;
        values.set(own.subarray(j * features, (j + 1) * features), (target + j) * stride);
      }
    };
    const runs: Run[] = [];
    let target = 0;
    for (let i = 0; i < samples.length; i++) {
      if (turns.isDue) await turns.next();
      const end = this.startOf(samples[i]! + 1);
      for (let row = this.startOf(samples[i]!); row < end;) {
        const rows = this.together(row, end);
        const run = { row, first: this.#loaded ? row : this.rowOf(row), rows, target };
        if (source) place(run, source, 0);
        else runs.push(run);
        row += rows;
        target += rows;
      }
    }
    // a chunk is read once for all that is wanted of it
    runs.sort((one, other) => one.first - other.first);
    for (let i = 0; i < runs.length;) {
      const { first } = runs[i]!;
      const last = this.#lastTogether(runs, i);
      const read = await this.#read(first, runs[last]!.first + runs[last]!.rows, signal);
      for (; i <= last; i++) place(runs[i]!, read, first);
    }
  }

  /** The last of ascending runs that is worth reading with one of them, and lies in the same chunk. */
  #lastTogether(runs: readonly Run[], from: number): number {
    const { chunkRows, wholeChunks } = this.array;
    const { first } = runs[from]!;
    const chunkEnd = first - first % chunkRows + chunkRows;
    let last = from;
    for (let next = runs[last + 1]; next; next = runs[last + 1]) {
      const end = runs[last]!.first + runs[last]!.rows;
      const isNear = wholeChunks || next.first - end < NEAR_ROWS;
      // runs of one sample that is wanted twice lie over each other
      if (!isNear || next.first + next.rows > chunkEnd || next.first < end) break;
      last++;
    }
    return last;
  }

  async #read(start: number, end: number, signal: AbortSignal) {
    return toNumbers(await unlessAborted(signal, this.array.read(start, end, { signal })));
  }
}
