/**
 * Numpy's `.npy` files, read by ranges of rows.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { NumericType } from "../zarr/data_types.ts";
import {
  dataTypeOf,
  decodeElements,
  elementBytes,
  elementCount,
  encodeElements,
} from "../zarr/data_types.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";

/** A file whose parts can be read. */
interface Source {
  path: string;
  bytes: number;
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;
}

/** What a header says. */
interface NpyHeader {
  dtype: NumericType;
  shape: number[];
  /** Whether the first axis varies fastest in the file, as MATLAB and `a.T` have it. */
  fortran: boolean;
  /** Where the elements begin. */
  offset: number;
}

// By kind and bytes, as in "<f4".
const DATA_TYPES: Record<string, NumericType> = {
  b1: "bool",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  f2: "float16",
  f4: "float32",
  f8: "float64",
};

const MAGIC = "\x93NUMPY";
// Enough that reading costs more than asking for it.
const READ_BYTES = 4 * 2 ** 20;
// A header tells a type and a shape: numpy itself takes none above 10,000 bytes for safe.
const MOST_HEADER_BYTES = 2 ** 20;

/**
 * Opens a `.npy` file of a store. Headers of version 1, 2 and 3; little-endian numbers in C or Fortran order.
 *
 * @throws {ChunkError} If it is missing, cut short, or of another kind.
 */
export async function openNpy(store: Store, key: string): Promise<ChunkedArray> {
  const path = store.place.replace(/\/$/, "") + key;
  const bytes = await store.size(key);
  if (bytes === undefined) {
    throw new ChunkError(`Cannot open "${path}": there is no such file`, path);
  }
  return openSource({
    path,
    bytes,
    read: async (offset, length, options) =>
      await store.getRange(key, { offset, length }, options) ?? new Uint8Array(0),
  });
}

/** Opens a file the user picked, or any other `Blob`, as {@link openNpy} does. */
export function openNpyBlob(blob: Blob): Promise<ChunkedArray> {
  return openSource({
    path: (blob as Partial<File>).name ?? "blob",
    bytes: blob.size,
    read: async (offset, length) =>
      new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  });
}

async function openSource(source: Source): Promise<ChunkedArray> {
  const { path } = source;
  const { dtype, shape, fortran, offset } = await readHeader(source);
  const rowBytes = elementCount(shape.slice(1)) * elementBytes(dtype);
  const wantedBytes = offset + shape[0]! * rowBytes;
  if (source.bytes < wantedBytes) {
    throw new ChunkError(
      `Cannot open "${path}": it is cut short, it has ${source.bytes} bytes, its header of shape ` +
        `[${shape}] wants ${wantedBytes} bytes`,
      path,
    );
  }
  async function readBytes(start: number, end: number, { signal }: ReadOptions = {}) {
    signal?.throwIfAborted();
    checkRows(shape, start, end);
    async function readExactly(from: number, length: number) {
      const bytes = await source.read(offset + from, length, signal && { signal });
      signal?.throwIfAborted();
      if (bytes.byteLength !== length) {
        throw new ChunkError(
          `Cannot read rows ${start} to ${end} of "${path}": got ${bytes.byteLength} bytes, ` +
            `wanted ${length} bytes`,
          path,
        );
      }
      return bytes;
    }
    if (!fortran) return await readExactly(start * rowBytes, (end - start) * rowBytes);
    // every column is a run of its own: rows are put together from a piece of each
    const element = elementBytes(dtype);
    const rows = new Uint8Array((end - start) * rowBytes);
    for (const [column, stored] of storedColumns(shape).entries()) {
      const piece = await readExactly(
        (stored * shape[0]! + start) * element,
        (end - start) * element,
      );
      for (let row = 0; row < end - start; row++) {
        const at = row * rowBytes + column * element;
        for (let byte = 0; byte < element; byte++) rows[at + byte] = piece[row * element + byte]!;
      }
    }
    return rows;
  }
  return {
    shape,
    dtype,
    dims: undefined,
    chunkRows: Math.max(1, Math.min(shape[0]!, Math.floor(READ_BYTES / rowBytes))),
    async read(start, end, options) {
      return decodeElements(dtype, await readBytes(start, end, options));
    },
    ...(dtype === "float16" && {
      async readBits(start, end, options) {
        return decodeElements("uint16", await readBytes(start, end, options)) as Uint16Array;
      },
    }),
    close: () => Promise.resolve(),
  };
}

/** Where a file in Fortran order has each column of a row, the columns being in C order. */
function storedColumns(shape: readonly number[]): number[] {
  let columns = [0];
  let stride = 1;
  shape.slice(1).forEach((size) => {
    const step = stride;
    columns = columns.flatMap((column) =>
      Array.from({ length: size }, (_, i) => column + i * step)
    );
    stride *= size;
  });
  return columns;
}

async function readHeader(source: Source): Promise<NpyHeader> {
  const { path } = source;
  const start = await source.read(0, Math.min(source.bytes, 4096));
  if (start.byteLength < 12 || String.fromCharCode(...start.subarray(0, 6)) !== MAGIC) {
    throw new ChunkError(
      `Cannot open "${path}": its ${source.bytes} bytes do not begin as a .npy file does`,
      path,
    );
  }
  const view = new DataView(start.buffer, start.byteOffset);
  const version = start[6]!;
  if (version < 1 || version > 3) {
    throw new ChunkError(
      `Cannot open "${path}": its .npy format is version ${version}, wanted 1, 2 or 3`,
      path,
    );
  }
  const textStart = version === 1 ? 10 : 12;
  const offset = textStart + (version === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (offset > source.bytes) {
    throw new ChunkError(
      `Cannot open "${path}": it is cut short, it has ${source.bytes} bytes, its header alone ` +
        `wants ${offset} bytes`,
      path,
    );
  }
  if (offset > MOST_HEADER_BYTES) {
    throw new ChunkError(
      `Cannot open "${path}": its header has ${offset} bytes, wanted at most ${MOST_HEADER_BYTES}`,
      path,
    );
  }
  const head = offset <= start.byteLength ? start : await source.read(0, offset);
  const text = new TextDecoder().decode(head.subarray(textStart, offset));
  return { ...parseHeader(text, path), offset };
}

/** Reads the Python literal `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`. */
function parseHeader(text: string, path: string): Omit<NpyHeader, "offset"> {
  const refuse = (reason: string) => new ChunkError(`Cannot open "${path}": ${reason}`, path);
  const descr = /'descr':\s*(?:'([^']*)'|\[)/.exec(text);
  const fortran = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const sizes = /'shape':\s*\(([\dL,\s]*)\)/.exec(text)?.[1];
  if (!descr || fortran === undefined || sizes === undefined) {
    throw refuse(`its header "${text.trim()}" cannot be understood`);
  }
  const [, kind] = descr;
  if (kind === undefined) {
    throw refuse("its elements are structured, wanted plain numbers (save one field)");
  }
  if (kind.startsWith(">")) {
    throw refuse(
      `its dtype "${kind}" is big endian, wanted little endian (use a.astype("<${kind.slice(1)}"))`,
    );
  }
  const dtype = DATA_TYPES[kind.slice(1)];
  if (dtype === undefined) {
    const wanted = Object.keys(DATA_TYPES).join(", ");
    throw refuse(`its dtype "${kind}" is not supported, wanted one of ${wanted}`);
  }
  const shape = (sizes.match(/\d+/g) ?? []).map(Number);
  if (shape.length === 0) throw refuse("it holds a single value, wanted at least one axis");
  // with one axis longer than 1 both orders are the same
  return {
    dtype,
    shape,
    fortran: fortran === "True" && shape.filter((size) => size > 1).length > 1,
  };
}

/** A whole `.npy` file of format version 1 for values in C order. */
export function encodeNpy(
  values: NumericArray,
  shape: readonly number[] = [values.length],
): Uint8Array<ArrayBuffer> {
  if (elementCount(shape) !== values.length) {
    throw new RangeError(
      `Cannot encode shape [${shape}]: got ${values.length} elements, wanted ` +
        `${elementCount(shape)}`,
    );
  }
  const dtype = dataTypeOf(values);
  const kind = Object.keys(DATA_TYPES).find((name) => DATA_TYPES[name] === dtype)!;
  const order = elementBytes(dtype) === 1 ? "|" : "<";
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${order}${kind}', 'fortran_order': False, 'shape': (${sizes}), }`;
  // numpy pads so that the elements begin at a multiple of 64
  const offset = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = `${MAGIC}\x01\0${" ".repeat(2)}${text.padEnd(offset - 11)}\n`;
  const elements = encodeElements(dtype, values, "encode .npy");
  const bytes = new Uint8Array(offset + elements.byteLength);
  for (let i = 0; i < offset; i++) bytes[i] = header.charCodeAt(i);
  new DataView(bytes.buffer).setUint16(8, offset - 10, true);
  bytes.set(elements, offset);
  return bytes;
}
