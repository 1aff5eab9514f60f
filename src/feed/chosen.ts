/**
 * Some of the rows of an array, or of the samples of one, as an array of their own. Nothing is copied.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { NumericArray } from "../types.ts";
import type { RaggedArray } from "./ragged.ts";

/** Rows of an array, in this order. Closing it leaves the array open. */
export function chosenRows(array: ChunkedArray, rows: ArrayLike<number>): ChunkedArray {
  const shape = [rows.length, ...array.shape.slice(1)];
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  return {
    shape,
    dtype: array.dtype,
    dims: array.dims,
    chunkRows: Math.min(array.chunkRows, Math.max(1, rows.length)),
    async read(start, end, options) {
      checkRows(shape, start, end);
      let all: NumericArray | undefined;
      for (let row = start; row < end;) {
        let count = 1;
        while (row + count < end && rows[row + count] === rows[row]! + count) count++;
        const read = await array.read(rows[row]!, rows[row]! + count, options);
        if (count === end - start) return read;
        all ??= new (read.constructor as new (length: number) => NumericArray)(
          (end - start) * width,
        );
        all.set(read as never, (row - start) * width);
        row += count;
      }
      return all ?? await array.read(0, 0, options);
    },
    close: () => Promise.resolve(),
  };
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
