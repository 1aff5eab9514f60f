/**
 * Files of nothing but numbers, such as `numpy.memmap` and recorders write, read as a place describes them.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import type { ByteSource } from "../files/byte_source.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";
import { openLayout } from "./npy.ts";

const PATTERN = /^(u?int(?:8|16|32|64)|float(?:16|32|64))(be)?((?:x\d+)*)(?:\+(\d+))?$/;

/** How numbers lie in a file, in words: as `int16x384`. */
const RAW_LAYOUT = "the type of its numbers and the sizes of a row, as int16x384 (be after the " +
  "type for big endian, +1024 at the end for a header of so many bytes)";

/**
 * Opens a file of numbers in C order; as many rows as it has room for.
 *
 * @param layout `int16x384`: rows of 384 numbers, each a row of its own without a size. `int16be`: big
 * endian. `+1024`: behind so many bytes.
 * @throws {ChunkError} If it is not described so, or rows do not fill the file.
 */
export function openRaw(source: ByteSource, layout: string): ChunkedArray {
  const { path, bytes } = source;
  const match = PATTERN.exec(layout);
  if (!match) {
    throw new ChunkError(
      `Cannot open "${path}/${layout}": wanted ${RAW_LAYOUT}`,
      path,
    );
  }
  const [, type, big, sizes, skipped = "0"] = match;
  const dtype = type as NumericType;
  const inner = sizes!.split("x").slice(1).map(Number);
  const offset = Number(skipped);
  const rowBytes = elementCount(inner) * elementBytes(dtype);
  const rows = (bytes - offset) / rowBytes;
  if (!(rows >= 0 && Number.isInteger(rows))) {
    throw new ChunkError(
      `Cannot open "${path}/${layout}": rows of ${rowBytes} bytes do not fill its ${bytes} bytes` +
        (offset > 0 ? ` behind the first ${offset}` : ""),
      path,
    );
  }
  const bigEndian = big !== undefined && elementBytes(dtype) > 1;
  return openLayout(source, { dtype, shape: [rows, ...inner], fortran: false, bigEndian, offset });
}
