/**
 * Files of tensors as safetensors has them: a header of JSON, then the elements, little endian, in C order.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import type { ByteSource } from "../files/byte_source.ts";
import { readExactly } from "../files/byte_source.ts";
import { decodeBfloat16 } from "../math/bfloat16.ts";
import { wantedNames } from "../math/format.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { decodeElements, elementBytes, elementCount } from "../zarr/data_types.ts";

/** A tensor as the header has it. */
export interface Tensor {
  name: string;
  /** As the format writes it, `BF16`. */
  stored: string;
  /** As it is read; `undefined` if it cannot be. */
  dtype: NumericType | undefined;
  shape: number[];
  /** First byte in the file, and one past the last. */
  span: [number, number];
}

// by the format's own names; halves of the brain kind become f32, exactly
const DATA_TYPES: Record<string, NumericType> = {
  BOOL: "bool",
  U8: "uint8",
  I8: "int8",
  U16: "uint16",
  I16: "int16",
  U32: "uint32",
  I32: "int32",
  U64: "uint64",
  I64: "int64",
  F16: "float16",
  F32: "float32",
  F64: "float64",
};
const BRAIN = "BF16";
const LENGTH_BYTES = 8;
/** The format's own limit. */
const MOST_HEADER_BYTES = 100_000_000;
const READ_BYTES = 4 * 2 ** 20;

/**
 * Reads a header.
 *
 * @throws {ChunkError} If it is no such file, or tensors overlap, leave gaps or do not have the bytes of their shape.
 */
export async function readTensors(source: ByteSource): Promise<Tensor[]> {
  const { path, bytes } = source;
  const refuse = (reason: string) => new ChunkError(`Cannot open "${path}": ${reason}`, path);
  if (bytes < LENGTH_BYTES) throw refuse(`its ${bytes} bytes are no safetensors file`);
  const start = await readExactly(source, 0, LENGTH_BYTES);
  const headerBytes = Number(
    new DataView(start.buffer, start.byteOffset).getBigUint64(0, true),
  );
  if (headerBytes > Math.min(bytes - LENGTH_BYTES, MOST_HEADER_BYTES)) {
    throw refuse(`its header is said to have ${headerBytes} bytes, it has ${bytes} bytes in all`);
  }
  let header: unknown;
  try {
    const text = await readExactly(source, LENGTH_BYTES, headerBytes);
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (error) {
    if (error instanceof ChunkError) throw error;
    throw refuse("its header is not JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw refuse("its header is no object");
  }
  const dataAt = LENGTH_BYTES + headerBytes;
  const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__").map(
    ([name, entry]) => {
      const tensor = readTensor(name, entry, dataAt);
      if (!tensor) throw refuse(`its entry for ${JSON.stringify(name)} cannot be understood`);
      return tensor;
    },
  );
  let end = dataAt;
  for (
    const { name, span } of tensors.toSorted((a, b) =>
      a.span[0] - b.span[0] || a.span[1] - b.span[1]
    )
  ) {
    if (span[0] !== end) {
      const what = span[0] < end ? "overlaps another one" : "has a gap before it";
      throw refuse(`${JSON.stringify(name)} ${what}`);
    }
    end = span[1];
  }
  if (end !== bytes) {
    throw refuse(`it has ${bytes} bytes, its header wants ${end} bytes`);
  }
  return tensors;
}

function readTensor(name: string, entry: unknown, dataAt: number): Tensor | undefined {
  const { dtype: stored, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const isCounts = (value: unknown): value is number[] =>
    Array.isArray(value) && value.every((one) => Number.isSafeInteger(one) && one >= 0);
  if (typeof stored !== "string" || !isCounts(shape) || !isCounts(offsets)) return undefined;
  const [from, to] = offsets;
  if (offsets.length !== 2 || to! < from!) return undefined;
  const dtype = DATA_TYPES[stored] ?? (stored === BRAIN ? "float32" : undefined);
  const element = stored === BRAIN ? 2 : dtype && elementBytes(dtype);
  if (element && elementCount(shape) * element !== to! - from!) return undefined;
  return { name, stored, dtype, shape, span: [dataAt + from!, dataAt + to!] };
}

/**
 * Opens a tensor; the file stays open when it is closed. `BF16` is read as f32, exactly.
 *
 * @throws {ChunkError} If there is no such tensor, or it is of another kind.
 */
export async function openTensor(source: ByteSource, name: string): Promise<ChunkedArray> {
  const tensors = await readTensors(source);
  const found = tensors.find((tensor) => tensor.name === name);
  const path = `${source.path}/${name}`;
  const refuse = (reason: string) => new ChunkError(`Cannot open "${path}": ${reason}`, path);
  if (!found) {
    throw refuse(`there is no such tensor, ${wantedNames(name, tensors.map(({ name }) => name))}`);
  }
  const { dtype, shape, stored, span } = found;
  if (dtype === undefined) {
    throw refuse(
      `its dtype "${stored}" is not supported, wanted one of ` +
        [...Object.keys(DATA_TYPES), BRAIN].join(", "),
    );
  }
  if (shape.length === 0) throw refuse("it holds a single value, wanted at least one axis");
  const isBrain = stored === BRAIN;
  const rowBytes = elementCount(shape.slice(1)) * (isBrain ? 2 : elementBytes(dtype));
  const read = async (start: number, end: number, { signal }: ReadOptions = {}) => {
    signal?.throwIfAborted();
    checkRows(shape, start, end);
    return await readExactly(
      source,
      span[0] + start * rowBytes,
      (end - start) * rowBytes,
      `rows ${start} to ${end}`,
      signal && { signal },
    );
  };
  return {
    shape,
    dtype,
    dims: undefined,
    chunkRows: Math.max(1, Math.min(shape[0]!, Math.floor(READ_BYTES / Math.max(1, rowBytes)))),
    async read(start, end, options) {
      const bytes = await read(start, end, options);
      return isBrain ? decodeBfloat16(brainBits(bytes)) : decodeElements(dtype, bytes);
    },
    ...(isBrain && {
      async readBrainBits(start, end, options) {
        return brainBits(await read(start, end, options));
      },
    }),
    ...(dtype === "float16" && {
      async readBits(start, end, options) {
        return decodeElements("uint16", await read(start, end, options)) as Uint16Array;
      },
    }),
    close: () => Promise.resolve(),
  };
}

function brainBits(bytes: Uint8Array): Uint16Array {
  return decodeElements("uint16", bytes) as Uint16Array;
}
