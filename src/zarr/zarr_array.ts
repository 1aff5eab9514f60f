/**
 * Arrays of zarr v2 and v3 stores. zarrita decodes the chunks.
 *
 * @module
 */

import * as zarr from "zarrita";
import { ChunkError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { decodeFloat16, float32ToFloat16Bits } from "../math/half.ts";
import type { NumericType } from "./data_types.ts";
import { createElements, elementCount } from "./data_types.ts";
import type { ByteRange } from "../store/byte_range.ts";
import type { GetOptions, Store } from "../store/store.ts";
import type { DataType, NumericArray } from "../types.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";

// Chunks decoded at a time: hides a server's latency, and bounds what a read holds.
const CONCURRENT_CHUNKS = 4;

/** The parts of `zarr.json` and `.zarray` that are looked at here. */
interface Metadata {
  node_type?: string;
  shape?: number[];
  data_type?: unknown;
  dtype?: unknown;
  fill_value?: unknown;
  codecs?: Codec[];
  chunks?: number[];
  chunk_grid?: { configuration?: { chunk_shape?: number[] } };
  chunk_key_encoding?: { name?: string; configuration?: { separator?: string } };
  dimension_separator?: string;
  compressor?: { id: string } | null;
  filters?: { id: string }[] | null;
  dimension_names?: (string | null)[];
  attributes?: Record<string, unknown>;
}

interface Codec {
  name: string;
  configuration?: { codecs?: Codec[]; index_codecs?: Codec[] };
}

/** How the elements of an array lie in files, and what is said of them. */
export interface ZarrLayout {
  shape: readonly number[];
  /** A name per axis, where they are known. */
  dims: readonly string[] | undefined;
  attributes: Record<string, unknown>;
  /** Elements that share a file: a shard's, or a chunk's where each has its own. */
  fileShape: readonly number[];
  isText: boolean;
  /** Name of a file within the array's folder, by its position in the grid of files. */
  fileName(position: readonly number[]): string;
}

/** Reads the layout of an array whose path in the store is `/name`. */
export async function readZarrLayout(store: Store, path: string): Promise<ZarrLayout> {
  const { version, metadata } = await readMetadata(store, path, store.place + path);
  const type = String(metadata.data_type ?? metadata.dtype);
  const { _ARRAY_DIMENSIONS: dimsV2, ...attributes } = version === "v2"
    ? await readAttributesV2(store, path)
    : metadata.attributes ?? {};
  return {
    shape: metadata.shape ?? [],
    dims: namesOf(metadata.dimension_names ?? dimsV2),
    attributes,
    fileShape: fileShapeOf(metadata),
    isText: type === "string" || /^.[US]/.test(type),
    fileName: (position) => fileName(metadata, version, position),
  };
}

async function readAttributesV2(store: Store, path: string): Promise<Record<string, unknown>> {
  const key = `${path}/.zattrs`;
  const bytes = await store.get(key);
  if (!bytes) return {};
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    const full = store.place + key;
    throw new ChunkError(`Cannot open "${full}": it is not JSON`, full, error);
  }
}

function namesOf(names: unknown): readonly string[] | undefined {
  const isNamed = Array.isArray(names) && names.every((name) => typeof name === "string");
  return isNamed ? names : undefined;
}

/**
 * Reads an array of strings, all of it, in C order.
 *
 * @param path Of the array in the store: `/name`.
 * @throws {ChunkError} If there is no such array, or it cannot be decoded.
 */
export async function readZarrText(store: Store, path: string): Promise<string[]> {
  const full = store.place + path;
  const { version } = await readMetadata(store, path, full);
  const location = zarr.root(store).resolve(path);
  try {
    const array = version === "v3"
      ? await zarr.open.v3(location, { kind: "array" })
      : await zarr.open.v2(location, { kind: "array" });
    const { data } = await zarr.get(array as zarr.Array<"string", Store>);
    return Array.from(data, String);
  } catch (error) {
    throw new ChunkError(`Cannot read "${full}": ${(error as Error).message}`, full, error);
  }
}

/** The codec `crc32c`: zarrita's own cuts the checksum off without a look. */
class CheckedCrc32c {
  readonly kind = "bytes_to_bytes";

  static fromConfig(): CheckedCrc32c {
    return new CheckedCrc32c();
  }

  encode(): Uint8Array {
    throw new TypeError("Cannot encode: this codec only reads");
  }

  decode(bytes: Uint8Array): Uint8Array {
    const body = bytes.subarray(0, Math.max(0, bytes.byteLength - 4));
    const stored = bytes.byteLength < 4
      ? NaN
      : new DataView(bytes.buffer, bytes.byteOffset).getUint32(body.byteLength, true);
    if (crc32c(body) !== stored) {
      throw new RangeError(`its ${bytes.byteLength} bytes do not match their checksum`);
    }
    return body;
  }

  computeEncodedSize(bytes: number): number {
    return bytes + 4;
  }
}

/**
 * Opens an array of a zarr store.
 *
 * @param path Of the array in the store: `/` or `/name`.
 * @throws {ChunkError} If there is no such array, or its element type or a codec is not known.
 */
export async function openZarrArray(store: Store, path = "/"): Promise<ChunkedArray> {
  const folder = path === "/" ? "" : path.replace(/\/$/, "");
  const full = store.place + folder;
  const { version, key, metadata } = await readMetadata(store, folder, full);
  zarr.registry.set("crc32c", () => Promise.resolve(CheckedCrc32c));
  const unknown = codecNames(metadata, version).find((name) => !zarr.registry.has(name as "bytes"));
  if (unknown !== undefined) {
    throw new ChunkError(
      `Cannot open "${full}": its codec "${unknown.replace(/^numcodecs\./, "")}" is not known`,
      full,
    );
  }
  const { readable, isHalf } = readableMetadata(store, key, metadata);
  const location = zarr.root(readable).resolve(folder || "/");
  let array: OpenArray;
  try {
    array = version === "v3"
      ? await zarr.open.v3(location, { kind: "array" })
      : await zarr.open.v2(location, { kind: "array" });
  } catch (error) {
    throw new ChunkError(`Cannot open "${full}": ${(error as Error).message}`, full, error);
  }
  const { shape, chunks } = array;
  if (shape.length === 0) {
    throw new ChunkError(
      `Cannot open "${full}": it holds a single value, wanted at least one axis`,
      full,
    );
  }
  if (!array.is("number") && !array.is("bigint") && !array.is("boolean")) {
    throw new ChunkError(
      `Cannot open "${full}": its elements are ${array.dtype}, wanted numbers`,
      full,
    );
  }
  const names = array.dimensionNames ?? array.attrs._ARRAY_DIMENSIONS;
  const fileOf = (position: readonly number[]) =>
    `${full}/${fileName(metadata, version, position.map(inFiles))}`;
  const fileShape = fileShapeOf(metadata);
  const inFiles = (index: number, axis: number) =>
    Math.floor(index * chunks[axis]! / fileShape[axis]!);
  const read = async (start: number, end: number, { signal }: ReadOptions = {}) => {
    signal?.throwIfAborted();
    checkRows(shape, start, end);
    return await readRows(array, start, end, fileOf, signal);
  };
  const readBits = async (start: number, end: number, options?: ReadOptions) =>
    await read(start, end, options) as Uint16Array;
  return {
    shape,
    dtype: isHalf ? "float16" : array.dtype as DataType,
    dims: namesOf(names),
    chunkRows: chunks[0]!,
    wholeChunks: true,
    read: isHalf
      ? async (start, end, options) => decodeFloat16(await readBits(start, end, options))
      : read,
    ...(isHalf && { readBits }),
    close: () => Promise.resolve(),
  };
}

async function readMetadata(
  store: Store,
  folder: string,
  full: string,
): Promise<{ version: "v2" | "v3"; key: string; metadata: Metadata }> {
  for (const [version, name] of [["v3", "zarr.json"], ["v2", ".zarray"]] as const) {
    const key = `${folder}/${name}`;
    const bytes = await store.get(key);
    if (!bytes) continue;
    let metadata: Metadata;
    try {
      metadata = JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      const path = store.place + key;
      throw new ChunkError(`Cannot open "${path}": it is not JSON`, path, error);
    }
    if (version === "v3" && metadata.node_type !== "array") break;
    return { version, key, metadata };
  }
  throw new ChunkError(
    `Cannot open "${full}": there is no zarr array, wanted the place of one, as in ` +
      `file:x.zarr/name`,
    full,
  );
}

function fileShapeOf({ chunk_grid, chunks }: Metadata): readonly number[] {
  return chunk_grid?.configuration?.chunk_shape ?? chunks ?? [];
}

/** Name of a file by its position in the grid of files. */
function fileName(
  metadata: Metadata,
  version: "v2" | "v3",
  position: readonly number[],
): string {
  if (version === "v2") return position.join(metadata.dimension_separator ?? ".");
  const { name = "default", configuration } = metadata.chunk_key_encoding ?? {};
  return name === "default"
    ? ["c", ...position].join(configuration?.separator ?? "/")
    : position.join(configuration?.separator ?? ".");
}

function codecNames(metadata: Metadata, version: "v2" | "v3"): string[] {
  if (version === "v2") {
    const codecs = [...metadata.filters ?? [], ...metadata.compressor ? [metadata.compressor] : []];
    // zarrita translates this one
    return codecs.map(({ id }) => `numcodecs.${id.replace(/^numcodecs\./, "")}`)
      .filter((name) => name !== "numcodecs.fixedscaleoffset");
  }
  const names = (codecs: Codec[] = []): string[] =>
    codecs.flatMap(({ name, configuration }) =>
      name === "sharding_indexed"
        ? [...names(configuration?.codecs), ...names(configuration?.index_codecs)]
        : [name]
    );
  return names(metadata.codecs);
}

/** The store as zarrita shall see it: half floats as their bits, and a fill value for every type. */
function readableMetadata(
  store: Store,
  metadataKey: string,
  metadata: Metadata,
): { readable: zarr.AsyncReadable; isHalf: boolean } {
  const isHalf = metadata.data_type === "float16" || /^.f2$/.test(String(metadata.dtype));
  const seen: Metadata = { ...metadata, fill_value: metadata.fill_value ?? 0 };
  if (isHalf) {
    if (metadata.data_type) seen.data_type = "uint16";
    else seen.dtype = String(metadata.dtype).replace("f", "u");
    const fill = seen.fill_value;
    seen.fill_value = /^0x/.test(String(fill)) ? Number(fill) : float32ToFloat16Bits(Number(fill));
  }
  const bytes = new TextEncoder().encode(JSON.stringify(seen));
  // of no type elements have more bytes than 8, and no filter or codec makes them many times longer
  const mostBytes = 32 * elementCount(fileShapeOf(metadata)) + 2 ** 20;
  const readable = {
    get: (key: string, options?: GetOptions) =>
      key === metadataKey ? Promise.resolve(bytes) : store.get(key, { mostBytes, ...options }),
    getRange: (key: string, range: ByteRange, options?: GetOptions) =>
      store.getRange(key, range, options),
  };
  return { readable, isHalf };
}

type OpenArray = zarr.Array<zarr.DataType, zarr.AsyncReadable>;
type Chunk = zarr.Chunk<zarr.NumberDataType>;

/** Rows [start, end) in C order. */
async function readRows(
  array: OpenArray,
  start: number,
  end: number,
  fileOf: (position: readonly number[]) => string,
  signal: AbortSignal | undefined,
): Promise<NumericArray> {
  const { shape, chunks } = array;
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const whole = wholeChunk(array, start, end);
  if (whole) {
    const { data, stride } = await readChunk(array, whole, fileOf(whole), signal);
    if (stride.join() === strides.join()) return data.subarray(0, (end - start) * strides[0]!);
  }
  const values = createElements(array.dtype as NumericType, (end - start) * strides[0]!);
  const first = shape.map((_, axis) => axis === 0 ? start : 0);
  const last = shape.map((size, axis) => axis === 0 ? end : size);

  const positions = chunkPositions(first, last, chunks);
  const work = async () => {
    for (const position of positions) {
      signal?.throwIfAborted();
      const chunk = await readChunk(array, position, fileOf(position), signal);
      // where chunk and rows meet, along each axis
      const from = position.map((index, axis) => Math.max(first[axis]!, index * chunks[axis]!));
      const to = position.map((index, axis) => Math.min(last[axis]!, (index + 1) * chunks[axis]!));
      const counts = to.map((stop, axis) => stop - from[axis]!);
      copyBlock(
        counts,
        chunk.data,
        chunk.stride,
        offsetOf(from.map((row, axis) => row - position[axis]! * chunks[axis]!), chunk.stride),
        values,
        strides,
        offsetOf(from.map((row, axis) => row - first[axis]!), strides),
      );
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_CHUNKS }, work));
  return values;
}

/** The chunk that rows [start, end) are all of: it needs no copying. `undefined` if there is none. */
function wholeChunk(
  { shape, chunks }: OpenArray,
  start: number,
  end: number,
): number[] | undefined {
  const [chunkRows, ...inner] = chunks as [number, ...number[]];
  const isWhole = start % chunkRows === 0 && start < end &&
    end === Math.min(shape[0]!, start + chunkRows) &&
    inner.every((size, axis) => size === shape[axis + 1]);
  return isWhole ? [start / chunkRows, ...inner.map(() => 0)] : undefined;
}

/** Positions in the grid of the chunks that hold elements from `first` up to `last`. */
export function* chunkPositions(
  first: readonly number[],
  last: readonly number[],
  chunks: readonly number[],
): Generator<number[]> {
  if (first.some((from, axis) => from >= last[axis]!)) return;
  const lowest = first.map((from, axis) => Math.floor(from / chunks[axis]!));
  const highest = last.map((to, axis) => Math.floor((to - 1) / chunks[axis]!));
  const position = [...lowest];
  for (;;) {
    yield [...position];
    let axis = position.length - 1;
    while (axis >= 0 && position[axis] === highest[axis]) {
      position[axis] = lowest[axis]!;
      axis--;
    }
    if (axis < 0) return;
    position[axis]!++;
  }
}

async function readChunk(
  array: OpenArray,
  position: number[],
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ data: NumericArray; stride: readonly number[] }> {
  let chunk: Chunk;
  try {
    chunk = await array.getChunk(position, signal ? { signal } : {}) as Chunk;
  } catch (error) {
    signal?.throwIfAborted();
    const { message, cause } = error as Error;
    const reason = cause instanceof Error ? `${message}: ${cause.message}` : message;
    throw new ChunkError(`Cannot read chunk ${position} in "${path}": ${reason}`, path, error);
  }
  const { stride } = chunk;
  const data = chunk.data as NumericArray;
  const wanted = elementCount(array.chunks);
  if (data.length !== wanted) {
    // raw chunks that are cut short would else be read as zeros
    throw new ChunkError(
      `Cannot read chunk ${position} in "${path}": it holds ${data.length} elements, wanted ` +
        `${wanted}`,
      path,
    );
  }
  const isBool = (data as unknown) instanceof zarr.BoolArray;
  return { data: isBool ? new Uint8Array(data.buffer, data.byteOffset, wanted) : data, stride };
}

function offsetOf(position: readonly number[], strides: readonly number[]): number {
  return position.reduce((offset, index, axis) => offset + index * strides[axis]!, 0);
}

/** Copies a block of `counts` elements between two layouts, runs of memory at once. */
function copyBlock(
  counts: readonly number[],
  source: NumericArray,
  sourceStrides: readonly number[],
  sourceOffset: number,
  target: NumericArray,
  targetStrides: readonly number[],
  targetOffset: number,
): void {
  // the axes from `runAxis` on are one run in both
  let runAxis = counts.length;
  let run = 1;
  while (
    runAxis > 0 && sourceStrides[runAxis - 1] === run && targetStrides[runAxis - 1] === run
  ) {
    runAxis--;
    run *= counts[runAxis]!;
  }
  const copy = (axis: number, from: number, at: number) => {
    if (axis === runAxis) {
      (target as Float32Array).set((source as Float32Array).subarray(from, from + run), at);
      return;
    }
    for (let i = 0; i < counts[axis]!; i++) {
      copy(axis + 1, from + i * sourceStrides[axis]!, at + i * targetStrides[axis]!);
    }
  };
  copy(0, sourceOffset, targetOffset);
}
