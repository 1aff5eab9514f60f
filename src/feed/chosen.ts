/**
 * Some of the rows of an array, or of the samples of one, as an array of their own. Nothing is copied.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { NumericArray } from "../types.ts";
import type { RaggedArray } from "./ragged.ts";

/** Chosen rows that lie together in the array: the first of them there, and where they belong in what is read. */
interface Run {
  first: number;
  rows: number;
  target: number;
}

/**
 * Rows of an array, in this order. Where any row costs its whole chunk, a chunk is read once for all that is wanted
 * of it, and the last one stays for those that follow. Closing it leaves the array open.
 */
export function chosenRows(array: ChunkedArray, rows: ArrayLike<number>): ChunkedArray {
  const { dtype, dims, chunkRows, places, wholeChunks = false } = array;
  const shape = [rows.length, ...array.shape.slice(1)];
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  let held: { chunk: number; values: NumericArray } | undefined;
  const readChunk = async (chunk: number, { signal }: ReadOptions = {}) => {
    if (held?.chunk !== chunk) {
      const start = chunk * chunkRows;
      const end = Math.min(array.shape[0]!, start + chunkRows);
      // kept: in memory of its own
      held = { chunk, values: await array.read(start, end, signal && { signal }) };
    }
    return held.values;
  };
  return {
    shape,
    dtype,
    dims,
    places,
    chunkRows: Math.min(chunkRows, Math.max(1, rows.length)),
    wholeChunks,
    async read(start, end, options) {
      checkRows(shape, start, end);
      if (start === end) return await array.read(0, 0, options);
      const runs = runsOf(rows, start, end, wholeChunks ? chunkRows : Infinity);
      if (wholeChunks) runs.sort((one, other) => one.first - other.first);
      let all: NumericArray | undefined;
      for (const { first, rows, target } of runs) {
        let own: NumericArray;
        if (wholeChunks) {
          const chunk = Math.floor(first / chunkRows);
          const from = (first - chunk * chunkRows) * width;
          own = (await readChunk(chunk, options)).subarray(from, from + rows * width);
        } else own = await array.read(first, first + rows, options);
        if (runs.length === 1) return own;
        all ??= new (own.constructor as new (length: number) => NumericArray)(
          (end - start) * width,
        );
        all.set(own as never, target * width);
      }
      return all!;
    },
    close: () => Promise.resolve(),
  };
}

/** Chosen rows [start, end) as runs, none of which goes on into another chunk. */
function runsOf(rows: ArrayLike<number>, start: number, end: number, chunkRows: number): Run[] {
  const runs: Run[] = [];
  for (let row = start; row < end;) {
    const first = rows[row]!;
    const left = chunkRows - first % chunkRows;
    let count = 1;
    while (count < left && row + count < end && rows[row + count] === first + count) count++;
    runs.push({ first, rows: count, target: row - start });
    row += count;
  }
  return runs;
}

/** Samples, in this order. */
export function chosenSamples(data: RaggedArray, samples: ArrayLike<number>): RaggedArray {
  const { offsets } = data;
  const chosen = new Float64Array(samples.length + 1);
  for (let i = 0; i < samples.length; i++) {
    chosen[i + 1] = chosen[i]! + offsets[samples[i]! + 1]! - offsets[samples[i]!]!;
  }
  const rows = new Float64Array(chosen[samples.length]!);
  for (let i = 0; i < samples.length; i++) {
    for (let row = chosen[i]!; row < chosen[i + 1]!; row++) {
      rows[row] = offsets[samples[i]!]! + row - chosen[i]!;
    }
  }
  return {
    rows: chosenRows(data.rows, rows),
    offsets: chosen,
    ...(data.detected && { detected: Uint8Array.from(rows, (row) => data.detected![row]!) }),
  };
}
