/**
 * The rows of an analysis: frames that have enough of a past in their utterance, and their deltas,
 * read block by block.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import { Turns } from "../turns.ts";
import type { NumericArray } from "../types.ts";

/** A name of a speaker or an utterance: `1` and `"1"` are two. */
export type Id = string | number;

/** What the names of all speakers or utterances are; a table of text does not tell. */
export type IdKind = "number" | "text" | undefined;

/** A run of frames, [start, end), that nothing crosses. Names are written as texts, whatever they are. */
export interface Utterance {
  id: string;
  speaker: string;
  start: number;
  end: number;
}

/** Frames t of utterances with t >= firstTarget, counted in the utterance, one row each, in order. */
export interface Rows {
  /** `[frames, features]`, or `[frames]`, of any number type but 64-bit integers. */
  frames: ChunkedArray;
  utterances: readonly Utterance[];
  /** At least 1, as a delta needs the frame before. */
  firstTarget: number;
}

/** @throws {RangeError} Unless it is `[frames, features]` of numbers. */
export function checkFrames({ shape, dtype }: ChunkedArray, what: string): void {
  const isNumber = dtype !== "string" && !/64$/.test(dtype) || dtype === "float64";
  if (shape.length === 2 && shape[0]! >= 1 && shape[1]! >= 1 && isNumber) return;
  throw new RangeError(
    `Cannot use ${what}: it has shape [${shape}] of ${dtype}, wanted [frames, features] of numbers ` +
      "up to 32 bits or float64",
  );
}

/** @throws {RangeError} Unless it has a float for each frame. */
export function checkEnergy({ shape, dtype }: ChunkedArray, frames: number, what: string): void {
  if (shape.length === 1 && shape[0] === frames && dtype.startsWith("float")) return;
  throw new RangeError(
    `Cannot use ${what}: it has shape [${shape}] of ${dtype}, wanted [${frames}] of floats, one for ` +
      "each frame",
  );
}

/** Rows of an utterance. */
export function rowCount({ start, end }: Utterance, firstTarget: number): number {
  return Math.max(0, end - start - firstTarget);
}

/** Rows of all utterances together. */
export function countRows({ utterances, firstTarget }: Omit<Rows, "frames">): number {
  return utterances.reduce((sum, utterance) => sum + rowCount(utterance, firstTarget), 0);
}

/** Frames of all utterances together. */
export function countFrames(utterances: readonly Utterance[]): number {
  return utterances.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Rows of one utterance that were read together. */
export interface RowBlock {
  /** Number of the utterance. */
  utterance: number;
  /** Number of the first row. */
  row: number;
  rows: number;
  /** Its frame, counted in the utterance. */
  target: number;
  /** Frames from the one before the first row's up to the last row's: `[rows + 1, features]`. */
  values: Exclude<NumericArray, BigInt64Array | BigUint64Array>;
}

/** Rows of a block at most, so that cancelling waits for few of them. */
const BLOCK_ROWS = 4096;

/**
 * Reads all rows once.
 *
 * @param order Numbers of the utterances in the order they are wanted; as they are when not given.
 */
export async function* rowBlocks(
  { frames, utterances, firstTarget }: Rows,
  { order = [...utterances.keys()], signal }: ReadOptions & { order?: readonly number[] } = {},
): AsyncGenerator<RowBlock> {
  const firstRows = new Float64Array(utterances.length);
  utterances.reduce((row, utterance, i) => {
    firstRows[i] = row;
    return row + rowCount(utterance, firstTarget);
  }, 0);
  const reader = new BlockReader(frames);
  const turns = new Turns(signal);
  for (const utterance of order) {
    const { start } = utterances[utterance]!;
    const all = rowCount(utterances[utterance]!, firstTarget);
    for (let done = 0; done < all; done += BLOCK_ROWS) {
      await turns.next();
      const rows = Math.min(BLOCK_ROWS, all - done);
      const target = firstTarget + done;
      const values = await reader.read(start + target - 1, start + target + rows, signal);
      yield { utterance, row: firstRows[utterance]! + done, rows, target, values };
    }
  }
}

/** Frames of one utterance that were read together. */
export interface FrameBlock {
  /** Number of the utterance. */
  utterance: number;
  /** The first frame, counted in the utterance. */
  frame: number;
  values: RowBlock["values"];
}

/** Reads all frames of all utterances once, whether or not they have rows, in blocks that begin with them. */
export async function* frameBlocks(
  { frames, utterances }: Pick<Rows, "frames" | "utterances">,
  { signal }: ReadOptions = {},
): AsyncGenerator<FrameBlock> {
  const reader = new BlockReader(frames);
  const turns = new Turns(signal);
  for (const [utterance, { start, end }] of utterances.entries()) {
    for (let from = start; from < end; from += BLOCK_ROWS) {
      await turns.next();
      const values = await reader.read(from, Math.min(end, from + BLOCK_ROWS), signal);
      yield { utterance, frame: from - start, values };
    }
  }
}

/** Reads runs of rows through the chunks they lie in: many utterances share one. */
class BlockReader {
  readonly #array: ChunkedArray;
  readonly #width: number;
  #start = 0;
  #end = 0;
  #values: RowBlock["values"] = new Float32Array(0);

  constructor(array: ChunkedArray) {
    this.#array = array;
    this.#width = array.shape.slice(1).reduce((product, size) => product * size, 1);
  }

  async read(
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<RowBlock["values"]> {
    const width = this.#width;
    if (start < this.#start || end > this.#end) {
      const { chunkRows, shape } = this.#array;
      const to = Math.min(shape[0]!, Math.ceil(end / chunkRows) * chunkRows);
      // what is there of it already is not read again
      const isKept = start >= this.#start && start < this.#end;
      const from = isKept ? this.#end : Math.floor(start / chunkRows) * chunkRows;
      const read = await this.#array.read(from, to, signal ? { signal } : {}) as RowBlock["values"];
      if (isKept) {
        const kept = this.#values.subarray((start - this.#start) * width);
        const all = new (read.constructor as new (length: number) => RowBlock["values"])(
          kept.length + read.length,
        );
        all.set(kept);
        all.set(read, kept.length);
        this.#values = all;
      } else this.#values = read;
      this.#start = isKept ? start : from;
      this.#end = to;
    }
    return this.#values.subarray((start - this.#start) * width, (end - this.#start) * width);
  }
}
