/**
 * Datasets of HDF5 files as arrays, read in place.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { formatBytes } from "../math/format.ts";
import { decodeFloat16 } from "../math/half.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements, elementCount } from "../zarr/data_types.ts";
import type { H5Access, H5Dataset } from "./h5wasm.ts";

/** Bytes read at a time where the file has no chunks. */
const READ_BYTES = 4 * 2 ** 20;
/** Bytes that pass through HDF5's own memory at once. */
const PIECE_BYTES = 64 * 2 ** 20;
/** Larger chunks are held whole while a part of them is read, which no machine is to be told by a file. */
const MOST_CHUNK_BYTES = 512 * 2 ** 20;
/** A dataset, and how it is reached. */
interface DatasetToRead {
  dataset: H5Dataset;
  dtype: NumericType;
  /** For errors. */
  path: string;
  access: H5Access;
  isOpen(): boolean;
}

/**
 * A dataset as an array, whose `close` leaves the file open.
 *
 * @throws {RangeError} If its shape is not understood.
 */
export function datasetArray(
  { dataset, dtype, path, access, isOpen }: DatasetToRead,
): ChunkedArray {
  const { shape, chunks, size } = dataset.metadata;
  if (!shape || shape.length === 0) {
    throw new RangeError(
      "it holds a single value or none, wanted numbers along at least one axis",
    );
  }
  const [rows, ...inner] = shape as [number, ...number[]];
  const rowBytes = elementCount(inner) * size;
  for (
    const [what, bytes] of [["a row", rowBytes], [
      "a chunk",
      elementCount(chunks ?? []) * size,
    ]] as const
  ) {
    if (bytes <= MOST_CHUNK_BYTES) continue;
    throw new RangeError(
      `${what} of its shape [${shape.join(", ")}] takes ${formatBytes(bytes)}, wanted at most ` +
        formatBytes(MOST_CHUNK_BYTES),
    );
  }
  const fitting = (bytes: number) => Math.max(1, Math.floor(bytes / Math.max(1, rowBytes)));
  const chunkRows = Math.min(
    chunks?.[0] ?? Math.min(Math.max(1, rows), fitting(READ_BYTES)),
    fitting(PIECE_BYTES),
  );
  const stored = dtype === "bool" ? "uint8" : dtype;
  // async, so that what is wrong rejects
  const read = async (start: number, end: number, { signal }: ReadOptions = {}) => {
    signal?.throwIfAborted();
    checkRows(shape, start, end);
    if (!isOpen()) throw new ChunkError(`Cannot read "${path}": it was closed`, path);
    const values = createElements(stored, (end - start) * elementCount(inner));
    const bytes = new Uint8Array(values.buffer);
    for (let from = start; from < end;) {
      const to = Math.min(end, from - from % chunkRows + chunkRows);
      const part = bytes.subarray((from - start) * rowBytes, (to - start) * rowBytes);
      try {
        const zeros = inner.map(() => 0);
        access.read(dataset.path, [from, ...zeros], [to - from, ...inner], part);
      } catch (error) {
        const { message } = error as Error;
        throw new ChunkError(
          `Cannot read rows ${from} to ${to} of "${path}": ${message}`,
          path,
          error,
        );
      }
      from = to;
    }
    return values;
  };
  return {
    shape,
    dtype,
    dims: dimNames(dataset, shape.length),
    chunkRows,
    // what was filtered has to be undone as a whole, whatever is wanted of it
    wholeChunks: dataset.filters.length > 0,
    ...(dtype === "float16"
      ? {
        read: async (start, end, options): Promise<NumericArray> =>
          decodeFloat16(await read(start, end, options) as Uint16Array),
        readBits: async (start, end, options) => await read(start, end, options) as Uint16Array,
      }
      : { read }),
    close: () => Promise.resolve(),
  };
}

function dimNames(dataset: H5Dataset, axes: number): string[] | undefined {
  const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  if (dataset.get_scale_name() !== null) return axes === 1 ? [nameOf(dataset.path)] : undefined;
  const names = Array.from({ length: axes }, (_, axis) => dataset.get_attached_scales(axis)[0]);
  return names.every((name) => name !== undefined) ? names.map(nameOf) : undefined;
}
