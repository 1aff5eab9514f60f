/**
 * Numpy's `.npy` files, read by ranges of rows.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { NUMPY_NAMES } from "../zarr/stored_types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import {
  dataTypeOf,
  decodeElements,
  elementBytes,
  elementCount,
  encodeElements,
} from "../zarr/data_types.ts";
import type { ByteSource } from "../files/byte_source.ts";
import { blobSource, readExactly, sourceOf } from "../files/byte_source.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { PythonLiteral } from "./python_literal.ts";
import { parsePythonLiteral } from "./python_literal.ts";

/** How numbers lie in a file, as a header says it. */
interface Layout {
  dtype: NumericType;
  shape: number[];
  /** Whether the first axis varies fastest in the file, as MATLAB and `a.T` have it. */
  fortran: boolean;
  bigEndian: boolean;
  /** Where the elements begin. */
  offset: number;
}

const MAGIC = "\x93NUMPY";
// Enough that reading costs more than asking for it.
const READ_BYTES = 4 * 2 ** 20;
/** Columns from which on a read of its own is no waste. */
const SHORT_COLUMN_BYTES = 2 ** 18;
/** Far more than numpy writes; a header says how long it is, up to 4 GiB. */
const MOST_HEADER_BYTES = 2 ** 20;

/**
 * Opens a `.npy` file of a store. Headers of version 1, 2 and 3; numbers in either order of bytes and of
 * axes.
 *
 * @throws {ChunkError} If it is missing, cut short, or of another kind.
 */
export async function openNpy(store: Store, key: string): Promise<ChunkedArray> {
  return await openNpySource(await sourceOf(store, key));
}

/** Opens a file the user picked, or any other `Blob`, as {@link openNpy} does. */
export function openNpyBlob(blob: Blob): Promise<ChunkedArray> {
  return openNpySource(blobSource(blob));
}

/** Opens a file that stays open when the array is closed. */
export async function openNpySource(source: ByteSource): Promise<ChunkedArray> {
  return openLayout(source, await readHeader(source));
}

/**
 * Opens numbers that lie in a file as a header has it. The file stays open when the array is closed.
 *
 * @throws {ChunkError} If the file is too short for them.
 */
export function openLayout(
  source: ByteSource,
  { dtype, shape, fortran, bigEndian, offset }: Layout,
): ChunkedArray {
  const { path } = source;
  const element = elementBytes(dtype);
  const rowBytes = elementCount(shape.slice(1)) * element;
  const wantedBytes = offset + shape[0]! * rowBytes;
  if (source.bytes < wantedBytes) {
    throw new ChunkError(
      `Cannot open "${path}": it is cut short, it has ${source.bytes} bytes, its header of shape ` +
        `[${shape}] wants ${wantedBytes} bytes`,
      path,
    );
  }
  async function readBytes(start: number, end: number, options: ReadOptions = {}) {
    options.signal?.throwIfAborted();
    checkRows(shape, start, end);
    const read = async (from: number, length: number) => {
      const rows = () => `rows ${start} to ${end}`;
      return await readExactly(source, offset + from, length, rows, options);
    };
    const rows = fortran
      ? await readColumns(read, shape, element, [start, end])
      : await read(start * rowBytes, (end - start) * rowBytes);
    // what was read may be what others hold
    return bigEndian ? reversed(rows, element) : rows;
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

/** Rows of a file in Fortran order, put together from a piece of every column. */
async function readColumns(
  read: (from: number, length: number) => Promise<Uint8Array>,
  [rowCount, ...inner]: readonly number[],
  element: number,
  [start, end]: readonly [number, number],
): Promise<Uint8Array> {
  const columns = elementCount(inner);
  const columnBytes = rowCount! * element;
  // short columns are read together, with the rows that nobody asked for
  const together = columnBytes > SHORT_COLUMN_BYTES ? 1 : Math.floor(READ_BYTES / columnBytes);
  const rowBytes = columns * element;
  const rows = new Uint8Array((end - start) * rowBytes);
  for (let first = 0; first < columns && end > start; first += together) {
    const last = Math.min(first + together, columns);
    const skipped = together === 1 ? start * element : 0;
    const piece = await read(
      first * columnBytes + skipped,
      together === 1 ? (end - start) * element : (last - first) * columnBytes,
    );
    for (let stored = first; stored < last; stored++) {
      const column = columnOf(stored, inner);
      const from = (stored - first) * columnBytes + start * element - skipped;
      for (let row = 0; row < end - start; row++) {
        const at = row * rowBytes + column * element;
        for (let byte = 0; byte < element; byte++) {
          rows[at + byte] = piece[from + row * element + byte]!;
        }
      }
    }
  }
  return rows;
}

/** Which column of a row, in C order, a file in Fortran order has at a place. */
function columnOf(stored: number, inner: readonly number[]): number {
  let [rest, column] = [stored, 0];
  for (const size of inner) {
    const index = rest % size;
    column = column * size + index;
    rest = (rest - index) / size;
  }
  return column;
}

/** A copy with the bytes of every element in the other order. */
function reversed(bytes: Uint8Array, element: number): Uint8Array {
  const turned = bytes.slice();
  for (let at = 0; at < turned.length; at += element) turned.subarray(at, at + element).reverse();
  return turned;
}

async function readHeader(source: ByteSource): Promise<Layout> {
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
function parseHeader(text: string, path: string): Omit<Layout, "offset"> {
  const refuse = (reason: string) => new ChunkError(`Cannot open "${path}": ${reason}`, path);
  let header: PythonLiteral;
  try {
    header = parsePythonLiteral(text.trim());
  } catch {
    header = null;
  }
  const [descr, fortran, shape] = ["descr", "fortran_order", "shape"].map((key) =>
    header instanceof Map ? header.get(key) : undefined
  );
  const isShape = Array.isArray(shape) &&
    shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
  if (
    !isShape || typeof fortran !== "boolean" || (header as Map<unknown, unknown>).size !== 3 ||
    (typeof descr !== "string" && !Array.isArray(descr))
  ) {
    throw refuse(`its header ${JSON.stringify(text.trim().slice(0, 200))} cannot be understood`);
  }
  if (typeof descr !== "string") {
    throw refuse("its elements are structured, wanted plain numbers (save one field)");
  }
  const [, order, kind] = /^([<>|=]?)(.*)$/s.exec(descr)!;
  const dtype = NUMPY_NAMES[kind!];
  if (dtype === undefined) {
    const wanted = Object.keys(NUMPY_NAMES).join(", ");
    throw refuse(`its dtype ${JSON.stringify(descr)} is not supported, wanted one of ${wanted}`);
  }
  const sizes = shape as number[];
  if (sizes.length === 0) throw refuse("it holds a single value, wanted at least one axis");
  return {
    dtype,
    shape: sizes,
    bigEndian: order === ">" && elementBytes(dtype) > 1,
    // with one axis longer than 1 both orders are the same
    fortran: fortran && sizes.filter((size) => size > 1).length > 1,
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
  const kind = Object.keys(NUMPY_NAMES).find((name) => NUMPY_NAMES[name] === dtype)!;
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
