/**
 * Arrays of zarr v2 and v3 stores.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { decodeFloat16 } from "../math/half.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { ArrayMetadata } from "./array_metadata.ts";
import { ChunkReader } from "./chunk_reader.ts";
import { createElements, elementBytes } from "./data_types.ts";
import { readAttributes, readMetadata } from "./read_metadata.ts";
import { decodeTexts, textBytes } from "./stored_text.ts";
import { elementsOf } from "./stored_types.ts";

export { chunkPositions } from "./chunk_reader.ts";

/** Most bytes of a chunk of strings, which do not say how long they are. */
const MOST_TEXT_BYTES = 2 ** 28;

/** How the elements of an array lie in files, and what is said of them. */
export interface ZarrLayout {
  shape: readonly number[];
  /** A name per axis, where they are known. */
  dims: readonly string[] | undefined;
  attributes: Record<string, unknown>;
  /** Elements that share a file: a shard's, or a chunk's where each has its own. */
  fileShape: readonly number[];
  isText: boolean;
  /** What version 2 says that unwritten elements are; there it is what "missing" is called, too. */
  fillValue: ArrayMetadata["missing"];
  /** Name of a file within the array's folder, by its position in the grid of files. */
  fileName(position: readonly number[]): string;
}

/** Reads the layout of an array whose path in the store is `/name`. */
export async function readZarrLayout(store: Store, path: string): Promise<ZarrLayout> {
  const metadata = await readMetadata(store, path);
  const { shape, fileShape, elements, missing, fileName } = metadata;
  const { _ARRAY_DIMENSIONS: dimsV2, ...attributes } = await readAttributes(store, path, metadata);
  return {
    shape,
    dims: namesOf(metadata.dimensionNames ?? dimsV2),
    attributes,
    fileShape,
    isText: elements.kind === "text",
    fillValue: missing,
    fileName,
  };
}

/** A single value as a row of one, which is how arrays are read here. */
function asRow(metadata: ArrayMetadata): ArrayMetadata {
  const { shape, fileName } = metadata;
  if (shape.length > 0) return metadata;
  const one = { shape: [1], fileShape: [1], chunkShape: [1], axisOrder: [0] };
  return { ...metadata, ...one, dimensionNames: undefined, fileName: () => fileName([]) };
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
  const metadata = asRow(await readMetadata(store, path));
  const { elements, shape } = metadata;
  if (elements.kind !== "text") {
    throw new ChunkError(`Cannot read "${full}": its elements are numbers, wanted strings`, full);
  }
  const { fill, type } = elements;
  // strings are read as their numbers in this list
  const texts = [fill];
  const chunks = new ChunkReader<Uint32Array>(store, path, metadata, {
    size: (count) => {
      const each = textBytes(type);
      const exact = each && each * count;
      return { exact, most: exact ?? MOST_TEXT_BYTES };
    },
    decode: (bytes, count) => {
      const first = texts.length;
      for (const text of decodeTexts(bytes, type, count)) texts.push(text);
      return Uint32Array.from({ length: count }, (_, i) => first + i);
    },
    fill: 0,
    create: (length) => new Uint32Array(length),
  });
  const values = await chunks.readRows(0, shape[0]!, undefined);
  return Array.from(values, (index) => {
    const text = texts[index];
    if (text !== undefined) return text;
    throw new ChunkError(
      `Cannot read "${full}": a chunk is missing, and no string stands for it`,
      full,
    );
  });
}

/**
 * Opens an array of a zarr store.
 *
 * @param path Of the array in the store: `/` or `/name`.
 * @param single What a single value, without axes, is: refused, or a row of one.
 * @throws {ChunkError} If there is no such array, or anything its metadata say is not known.
 */
export async function openZarrArray(
  store: Store,
  path = "/",
  single: "refused" | "row" = "refused",
): Promise<ChunkedArray> {
  const folder = path.replace(/\/$/, "");
  const full = store.place + folder;
  const stored = await readMetadata(store, folder);
  const metadata = single === "row" ? asRow(stored) : stored;
  const { shape, chunkShape, elements, dimensionNames } = metadata;
  if (elements.kind === "text") {
    throw new ChunkError(`Cannot open "${full}": its elements are string, wanted numbers`, full);
  }
  if (shape.length === 0) {
    throw new ChunkError(
      `Cannot open "${full}": it holds a single value, wanted at least one axis`,
      full,
    );
  }
  const { type, fill } = elements;
  const names = dimensionNames ??
    (await readAttributes(store, folder, metadata))._ARRAY_DIMENSIONS;
  const chunks = new ChunkReader<NumericArray>(store, folder, metadata, {
    size: (count) => {
      const exact = count * elementBytes(type.dtype);
      return { exact, most: exact };
    },
    decode: (bytes) => elementsOf(type, bytes),
    fill,
    create: (length) => createElements(type.dtype, length),
  });
  const read = async (start: number, end: number, { signal }: ReadOptions = {}) => {
    signal?.throwIfAborted();
    checkRows(shape, start, end);
    return await chunks.readRows(start, end, signal);
  };
  const readBits = async (start: number, end: number, options?: ReadOptions) =>
    await read(start, end, options) as Uint16Array;
  const isHalf = type.dtype === "float16";
  return {
    shape,
    dtype: type.dtype,
    dims: namesOf(names),
    chunkRows: Math.max(1, chunkShape[0]!),
    wholeChunks: true,
    read: isHalf
      ? async (start, end, options) => decodeFloat16(await readBits(start, end, options))
      : read,
    ...(isHalf && { readBits }),
    close: () => Promise.resolve(),
  };
}
