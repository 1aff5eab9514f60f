/**
 * Variables of NetCDF-4 files as arrays.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements, elementCount } from "../zarr/data_types.ts";
import type { NumericArray } from "../types.ts";
import type { H5Dataset, H5Metadata } from "./h5wasm.ts";
import { H5Access } from "./h5wasm.ts";
import type { SyncFile } from "./output_file.ts";
import { openFile } from "./sync_file.ts";

/** How a file begins that HDF5 reads. */
const SIGNATURE = "\x89HDF\r\n\x1a\n";
/** Bytes read at a time where the file has no chunks. */
const READ_BYTES = 4 * 2 ** 20;

/**
 * Opens a variable of a NetCDF-4 or HDF5 file as an array, read in place.
 *
 * Needs the optional package `h5wasm`. In browsers a file in `opfs:` can only be read in a dedicated
 * worker. Packed values (`scale_factor`) come as they are stored.
 *
 * @param file Place of the file.
 * @param variable Its name, or its path in the file.
 * @throws {ChunkError} If there is no such file or variable, or it does not hold numbers.
 */
export async function openNetcdf(file: string, variable: string): Promise<ChunkedArray> {
  const bytes = await openFile(file);
  let access: H5Access | undefined;
  try {
    // HDF5 itself would write pages of complaint to the console
    if (!beginsWith(bytes, SIGNATURE)) throw new RangeError("it is no HDF5 file");
    access = await H5Access.open(bytes, "r");
    return arrayOf(access, `${file}/${variable}`, variable, bytes);
  } catch (error) {
    access?.close();
    bytes.close();
    if (!(error instanceof RangeError)) throw error;
    throw new ChunkError(`Cannot open ${file}: ${error.message}`, file, error);
  }
}

function beginsWith(file: SyncFile, text: string): boolean {
  const start = new Uint8Array(text.length);
  file.read(start, { at: 0 });
  return String.fromCharCode(...start) === text;
}

function arrayOf(
  access: H5Access,
  path: string,
  variable: string,
  file: SyncFile,
): ChunkedArray {
  const dataset = access.dataset(variable);
  if (!dataset) throw new ChunkError(`Cannot open "${path}": there is no such variable`, path);
  const { shape, chunks, size } = dataset.metadata;
  const stored = numericType(dataset.metadata);
  if (stored === undefined || !shape || shape.length === 0) {
    throw new ChunkError(`Cannot open "${path}": wanted numbers along at least one axis`, path);
  }
  // as xarray marks what HDF5 has no type for
  const isBool = stored === "int8" && dataset.attrs.dtype?.value === "bool";
  const [rows, ...inner] = shape as [number, ...number[]];
  const rowBytes = elementCount(inner) * size;
  const chunkRows = chunks?.[0] ??
    Math.max(1, Math.min(rows, Math.floor(READ_BYTES / Math.max(1, rowBytes))));
  let open = true;
  return {
    shape,
    dtype: isBool ? "bool" : stored,
    dims: dimNames(dataset, shape.length),
    chunkRows,
    // async, so that what is wrong rejects
    async read(start: number, end: number, { signal }: ReadOptions = {}): Promise<NumericArray> {
      signal?.throwIfAborted();
      checkRows(shape, start, end);
      if (!open) throw new ChunkError(`Cannot read "${path}": it was closed`, path);
      const values = createElements(
        isBool ? "uint8" : stored,
        (end - start) * elementCount(inner),
      );
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
    },
    async close() {
      if (!open) return;
      open = false;
      access.close();
      file.close();
    },
  };
}

function numericType({ type, size, signed }: H5Metadata): NumericType | undefined {
  if (type === 0 && [1, 2, 4, 8].includes(size)) {
    return `${signed ? "" : "u"}int${8 * size}` as NumericType;
  }
  return type === 1 && (size === 4 || size === 8) ? `float${8 * size}` as NumericType : undefined;
}

function dimNames(dataset: H5Dataset, axes: number): string[] | undefined {
  const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  if (dataset.get_scale_name() !== null) return axes === 1 ? [nameOf(dataset.path)] : undefined;
  const names = Array.from({ length: axes }, (_, axis) => dataset.get_attached_scales(axis)[0]);
  return names.every((name) => name !== undefined) ? names.map(nameOf) : undefined;
}
