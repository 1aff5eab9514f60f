/**
 * Reading an array from its first row to its last, a few at a time, where a row costs its whole chunk.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { NumericArray } from "../types.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";

/** What a chunk of an array takes once it is read, where it is read as a whole; else 0. */
export function bytesOfChunk({ shape, dtype, chunkRows, wholeChunks }: ChunkedArray): number {
  if (!wholeChunks) return 0;
  const bytes = dtype === "float16"
    ? 4
    : dtype === "bool" || dtype === "string"
    ? 1
    : elementBytes(dtype);
  return bytes * elementCount([Math.min(shape[0]!, chunkRows), ...shape.slice(1)]);
}

/**
 * The same array, which holds on to the last chunk of which a part was read: reading on, each chunk is read once, however few rows
 * are asked for and however large it is. At the end of the array it is let go.
 */
export function keepingChunk(array: ChunkedArray): ChunkedArray {
  const { shape, chunkRows, wholeChunks, values } = array;
  if (!wholeChunks || values) return array;
  const rows = shape[0]!;
  const width = elementCount(shape.slice(1));
  let kept: { start: number; end: number; values: NumericArray } | undefined;
  return {
    ...array,
    async read(start, end, { signal } = {}) {
      checkRows(shape, start, end);
      if (start === end) return await array.read(start, end);
      const options = signal ? { signal } : {};
      const own = kept && start >= kept.start && start < kept.end ? kept : undefined;
      // what is not read on from is let go first
      kept = own;
      const parts: NumericArray[] = [];
      let at = start;
      if (own) {
        at = Math.min(end, own.end);
        parts.push(own.values.subarray((start - own.start) * width, (at - own.start) * width));
      }
      if (at < end) {
        const last = Math.floor((end - 1) / chunkRows) * chunkRows;
        if (at < last) parts.push(await array.read(at, last, options));
        const chunk = { start: last, end: Math.min(rows, last + chunkRows) };
        const read = await array.read(chunk.start, chunk.end, options);
        kept = { ...chunk, values: read };
        parts.push(read.subarray((Math.max(at, last) - last) * width, (end - last) * width));
      }
      if (end === rows) kept = undefined;
      if (parts.length === 1) return parts[0]!;
      return joined(parts);
    },
  };
}

/** @param parts Of one type. */
function joined(parts: readonly NumericArray[]): NumericArray {
  const { constructor } = parts[0]!;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new (constructor as Float64ArrayConstructor)(length);
  let at = 0;
  for (const part of parts) {
    all.set(part as Float64Array, at);
    at += part.length;
  }
  return all;
}
