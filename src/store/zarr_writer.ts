/**
 * Writes zarr v3: metadata first, then chunks, each file complete or absent.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "./data_types.ts";
import { elementBytes, elementCount, encodeElements, filledBytes } from "./data_types.ts";
import type { Store } from "./store.ts";
import type { ZarrArraySpec, ZarrGroupSpec } from "./zarr_metadata.ts";
import {
  arrayMetadata,
  arrayMetadataKey,
  chunkKey,
  encodeJson,
  fillValueOf,
  groupMetadata,
  ROOT_METADATA_KEY,
} from "./zarr_metadata.ts";

/** Writes the metadata of every array, then of the group. Returns the bytes written. */
export async function writeGroup(store: Store, group: ZarrGroupSpec): Promise<number> {
  const root = encodeJson(groupMetadata(group));
  let bytesWritten = root.byteLength;
  for (const spec of group.arrays) {
    const bytes = encodeJson(arrayMetadata(spec));
    await store.set(arrayMetadataKey(spec), bytes);
    bytesWritten += bytes.byteLength;
  }
  await store.set(ROOT_METADATA_KEY, root);
  return bytesWritten;
}

/**
 * Replaces the attributes of a group, as at the end of a run. Returns the bytes written.
 *
 * @throws {ChunkError} If there is no group.
 */
export async function writeGroupAttributes(
  store: Store,
  attributes: Record<string, unknown>,
): Promise<number> {
  const bytes = await store.get(ROOT_METADATA_KEY);
  if (!bytes) {
    const path = store.place + ROOT_METADATA_KEY;
    throw new ChunkError(`Cannot write attributes: "${path}" is missing`, path);
  }
  const root = JSON.parse(new TextDecoder().decode(bytes));
  const rewritten = encodeJson({ ...root, attributes });
  await store.set(ROOT_METADATA_KEY, rewritten);
  return rewritten.byteLength;
}

/**
 * Writes the chunks of a small array at once. Strings must lie in a single chunk.
 * Returns the bytes written.
 *
 * @throws {RangeError} If `data` is not as long as the shape says.
 */
export async function writeArray(
  store: Store,
  spec: ZarrArraySpec,
  data: NumericArray | readonly string[],
): Promise<number> {
  if (data.length !== elementCount(spec.shape)) {
    throw new RangeError(
      `Cannot write "${spec.name}": got ${data.length} elements, its shape [${spec.shape}] has ` +
        `${elementCount(spec.shape)}`,
    );
  }
  if (data.length === 0) return 0;
  if (spec.dtype === "string") {
    const bytes = encodeStrings(spec, data as readonly string[]);
    await store.set(chunkKey(spec, spec.shape.map(() => 0)), bytes);
    return bytes.byteLength;
  }
  const writer = new ChunkWriter(store, spec);
  await writer.write(0, data as NumericArray);
  await writer.finish();
  return writer.bytesWritten;
}

/** One chunk of the vlen-utf8 codec: a count, then the length and UTF-8 of each string. */
function encodeStrings(spec: ZarrArraySpec, strings: readonly string[]): Uint8Array {
  if (spec.chunkShape.some((size, axis) => size !== spec.shape[axis])) {
    throw new RangeError(
      `Cannot write "${spec.name}": its chunks are [${spec.chunkShape}], strings want one chunk ` +
        `of [${spec.shape}]`,
    );
  }
  const texts = strings.map((text) => new TextEncoder().encode(text));
  const length = texts.reduce((bytes, text) => bytes + 4 + text.byteLength, 4);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, texts.length, true);
  let offset = 4;
  for (const text of texts) {
    view.setUint32(offset, text.byteLength, true);
    bytes.set(text, offset + 4);
    offset += 4 + text.byteLength;
  }
  return bytes;
}

/** Sizes of an array that is cut along its first axis alone. */
interface Rows {
  dtype: NumericType;
  /** Rows of the array, and of a chunk. */
  rows: number;
  chunkRows: number;
  rowElements: number;
  chunkBytes: number;
  chunks: number;
}

function rowsOf({ name, shape, chunkShape, dtype }: ZarrArraySpec): Rows {
  const [rows, ...inner] = shape;
  const [chunkRows, ...chunkInner] = chunkShape;
  if (rows === undefined || chunkRows === undefined || dtype === "string") {
    throw new TypeError(
      `Cannot write "${name}" by rows: it is ${dtype} of shape [${shape}], wanted numbers with at ` +
        `least one axis`,
    );
  }
  if (chunkInner.some((size, axis) => size !== inner[axis])) {
    throw new RangeError(
      `Cannot write "${name}" by rows: its chunks of [${chunkShape}] cut rows of [${inner}], ` +
        `wanted whole rows`,
    );
  }
  const rowElements = elementCount(inner);
  return {
    dtype,
    rows,
    chunkRows,
    rowElements,
    chunkBytes: chunkRows * rowElements * elementBytes(dtype),
    chunks: Math.ceil(rows / chunkRows),
  };
}

/** The chunk being filled: its rows [from, to) have come. */
interface OpenChunk {
  index: number;
  bytes: Uint8Array;
  from: number;
  to: number;
}

/**
 * Writes an array block by block, ascending or descending, one file per chunk. Blocks may be of any
 * length and need not meet chunk bounds. Rows are copied when {@link ChunkWriter.write} is called
 * and flushed when their chunk is complete; one chunk fills while the one before is stored.
 */
export class ChunkWriter {
  readonly #store: Store;
  readonly #spec: ZarrArraySpec;
  readonly #rows: Rows;
  readonly #done: Uint8Array;
  #open: OpenChunk | undefined;
  #flushing: Promise<void> | undefined;
  #failure: { reason: unknown } | undefined;
  /** Buffers that are not in use but kept. */
  #spare: Uint8Array[] = [];
  #buffers = 0;
  #bytesWritten = 0;

  /**
   * @throws {RangeError} If chunks cut rows.
   */
  constructor(store: Store, spec: ZarrArraySpec) {
    this.#store = store;
    this.#spec = spec;
    this.#rows = rowsOf(spec);
    this.#done = new Uint8Array(this.#rows.chunks);
  }

  /** Host bytes a writer holds at most: two chunks. */
  static projectedHostBytes(spec: ZarrArraySpec): number {
    const { chunks, chunkBytes } = rowsOf(spec);
    return Math.min(2, chunks) * chunkBytes;
  }

  /** Bytes of all chunk files; edge chunks are stored whole. */
  static projectedDiskBytes(spec: ZarrArraySpec): number {
    const { chunks, chunkBytes } = rowsOf(spec);
    return chunks * chunkBytes;
  }

  /** Bytes of the chunk files that are stored. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Bytes of the chunk buffers that are alive. */
  get hostBytes(): number {
    return this.#buffers * this.#rows.chunkBytes;
  }

  /**
   * Takes rows [startRow, startRow + the number of `rows`). Wait for it before the next call.
   *
   * @param rows Whole rows in C order. Not needed any more once the promise resolves.
   * @throws {RangeError} If rows are outside the array, came before, or do not adjoin the rows of a
   * chunk that is not complete.
   */
  async write(startRow: number, rows: NumericArray, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#throwIfFailed();
    const { dtype, chunkRows, rowElements } = this.#rows;
    const action = `write rows of "${this.#spec.name}"`;
    const bytes = encodeElements(dtype, rows, action);
    const rowBytes = rowElements * elementBytes(dtype);
    const endRow = startRow + (rowBytes === 0 ? 0 : bytes.byteLength / rowBytes);
    this.#checkRange(startRow, endRow, rows.length);
    if (startRow === endRow) return;

    const first = Math.floor(startRow / chunkRows);
    const last = Math.floor((endRow - 1) / chunkRows);
    // The chunk that was begun comes first and the one that stays incomplete last, so that one
    // buffer is being filled at any time.
    const descending = this.#open ? this.#open.index === last : startRow > first * chunkRows;
    for (let i = first; i <= last; i++) {
      const index = descending ? last - (i - first) : i;
      const from = Math.max(startRow, index * chunkRows);
      const to = Math.min(endRow, (index + 1) * chunkRows);
      const part = bytes.subarray((from - startRow) * rowBytes, (to - startRow) * rowBytes);
      await this.#fill(index, from, to, part);
      signal?.throwIfAborted();
    }
  }

  /**
   * Waits until everything is stored.
   *
   * @throws {RangeError} If rows are missing; names the first of them.
   */
  async finish(): Promise<void> {
    await this.#flushing;
    this.#throwIfFailed();
    const missing = this.#firstMissing();
    if (missing) {
      const [from, to] = missing;
      throw new RangeError(
        `Cannot finish "${this.#spec.name}": rows ${from} to ${to} never came, wanted all ` +
          `${this.#rows.rows} rows`,
      );
    }
    this.#spare = [];
    this.#buffers = 0;
  }

  async #fill(index: number, from: number, to: number, part: Uint8Array): Promise<void> {
    const open = this.#open;
    if (this.#done[index] || (open?.index === index && from < open.to && to > open.from)) {
      throw this.#refusal(from, to, "some of them came before, wanted each row once");
    }
    if (open && (open.index !== index || (from !== open.to && to !== open.from))) {
      throw this.#refusal(
        from,
        to,
        `rows ${open.from} to ${open.to} wait for the rest of their chunk, wanted blocks that ` +
          `adjoin, ascending or descending`,
      );
    }
    const { rows, chunkRows, chunkBytes } = this.#rows;
    const chunk = open ?? { index, bytes: this.#takeBuffer(), from, to };
    const start = index * chunkRows;
    const end = Math.min(rows, start + chunkRows);
    const rowBytes = chunkBytes / chunkRows;
    chunk.bytes.set(part, (from - start) * rowBytes);
    chunk.from = Math.min(chunk.from, from);
    chunk.to = Math.max(chunk.to, to);
    if (chunk.from > start || chunk.to < end) {
      this.#open = chunk;
      return;
    }
    this.#open = undefined;
    this.#done[index] = 1;
    const used = (end - start) * rowBytes;
    if (used < chunkBytes) chunk.bytes.set(this.#padding((chunkBytes - used) / rowBytes), used);
    // one at a time: with the chunk that fills next, two buffers are alive
    await this.#flushing;
    this.#throwIfFailed();
    this.#flushing = this.#flush(index, chunk.bytes);
  }

  async #flush(index: number, bytes: Uint8Array): Promise<void> {
    try {
      const position = this.#spec.shape.map((_, axis) => axis === 0 ? index : 0);
      await this.#store.set(chunkKey(this.#spec, position), bytes, { transfer: true });
      this.#bytesWritten += this.#rows.chunkBytes;
      // a store in a worker kept the buffer
      if (bytes.byteLength === this.#rows.chunkBytes) this.#spare.push(bytes);
      else this.#buffers--;
    } catch (reason) {
      this.#buffers--;
      this.#failure = { reason };
    }
  }

  #takeBuffer(): Uint8Array {
    const spare = this.#spare.pop();
    if (spare) return spare;
    this.#buffers++;
    return new Uint8Array(this.#rows.chunkBytes);
  }

  #padding(rows: number): Uint8Array {
    const { dtype, rowElements } = this.#rows;
    const fillValue = fillValueOf(this.#spec) as number | boolean;
    return filledBytes(dtype, fillValue, rows * rowElements);
  }

  #firstMissing(): [number, number] | undefined {
    const { rows, chunkRows, chunks } = this.#rows;
    const first = this.#done.indexOf(0);
    if (first < 0) return undefined;
    const open = this.#open;
    const start = first * chunkRows;
    const from = open?.index === first && open.from === start ? open.to : start;
    if (open?.index === first && open.from > start) return [from, open.from];
    for (let index = first + 1; index < chunks; index++) {
      if (this.#done[index]) return [from, index * chunkRows];
      if (open?.index === index) return [from, Math.max(open.from, index * chunkRows)];
    }
    return [from, rows];
  }

  #checkRange(from: number, to: number, elements: number): void {
    const { rows, rowElements } = this.#rows;
    if (!Number.isInteger(to)) {
      throw new RangeError(
        `Cannot write rows of "${this.#spec.name}": got ${elements} elements, wanted a multiple ` +
          `of ${rowElements}`,
      );
    }
    if (!Number.isInteger(from) || from < 0 || to > rows) {
      throw this.#refusal(from, to, `the array has ${rows} rows`);
    }
  }

  #refusal(from: number, to: number, reason: string): RangeError {
    return new RangeError(`Cannot write rows ${from} to ${to} of "${this.#spec.name}": ${reason}`);
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure.reason;
  }
}
