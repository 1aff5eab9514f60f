/**
 * Writes an array of zarr block by block. Chunks have a file each, or share one: a shard, which grows
 * chunk by chunk and is seen once its index is written at its end.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import type { NumericArray } from "../types.ts";
import { compress, mostCompressedBytes } from "./codecs.ts";
import type { NumericType } from "./data_types.ts";
import { elementBytes, elementCount, encodeElements, filledBytes } from "./data_types.ts";
import { partialKey } from "../store/place.ts";
import type { Appender, Store } from "../store/store.ts";
import type { ZarrArraySpec, ZarrFormat } from "./metadata.ts";
import { chunkKey, fillValueOf, hasChecksums } from "./metadata.ts";

const CRC_BYTES = 4;
/** Offset and length of a chunk, in the index of its shard. */
const ENTRY_BYTES = 16;

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

/** A shard that is being written. */
interface OpenShard {
  appender: Appender;
  /** Offset and length of every chunk; all ones where there is none yet. */
  index: BigUint64Array;
  /** Chunks that are still to come. */
  missing: number;
  /** Whether bytes came since it was synced. */
  dirty: boolean;
  /** Bytes of the finished file it will replace. */
  replaces: number;
}

/** Where a stored chunk lies: its index, the offset and length in its file, its checksum or 0. */
export type StoredChunk = [index: number, offset: number, length: number, crc32c: number];

/** What {@link ChunkWriter.commit} made safe. */
export interface WriterCommit {
  /** Chunks stored since the commit before. */
  chunks: StoredChunk[];
  /** The rows that came of every chunk that is being filled. */
  openRows: [from: number, to: number][];
  /** Whether a file that was begun again is not complete. */
  replacing: boolean;
}

/** Options of a {@link ChunkWriter}. */
export interface ChunkWriterOptions {
  /** 3 when not given. */
  format?: ZarrFormat;
  /**
   * Whether blocks come from the last row to the first. The order of chunks in a shard follows it, so
   * that equal arrays are equal bytes, however they are cut into blocks. Default false.
   */
  descending?: boolean;
  /** Chunks that may be filled at a time: blocks of so many stretches of the array may alternate. */
  openChunks?: number;
}

/**
 * Writes an array block by block. Blocks may be of any length and need not meet chunk bounds. Rows are
 * copied when {@link ChunkWriter.write} is called and stored when their chunk is complete; chunks fill
 * while the one before is stored.
 */
export class ChunkWriter {
  readonly #store: Store;
  readonly #spec: ZarrArraySpec;
  readonly #format: ZarrFormat;
  readonly #descending: boolean;
  readonly #rows: Rows;
  readonly #checksums: boolean;
  readonly #done: Uint8Array;
  readonly #shards = new Map<number, OpenShard>();
  readonly #openChunks: number;
  /** Rows of stored chunks come again after a resume, and are skipped. */
  #restored = false;
  #again: "all" | "begun" | "none" = "none";
  /** Files that are being written again. */
  readonly #replacing = new Set<number>();
  readonly #open = new Map<number, OpenChunk>();
  #flushing: Promise<void> | undefined;
  #failure: { reason: unknown } | undefined;
  #uncommitted: StoredChunk[] = [];
  /** Buffers that are not in use but kept. */
  #spare: Uint8Array[] = [];
  #buffers = 0;
  #encodedBytes = 0;
  #bytesWritten = 0;

  /**
   * @throws {RangeError} If chunks cut rows.
   */
  constructor(
    store: Store,
    spec: ZarrArraySpec,
    { format = 3, descending = false, openChunks = 1 }: ChunkWriterOptions = {},
  ) {
    this.#openChunks = openChunks;
    this.#store = store;
    this.#spec = spec;
    this.#format = format;
    this.#descending = descending;
    this.#rows = rowsOf(spec);
    this.#checksums = hasChecksums(spec, format);
    this.#done = new Uint8Array(this.#rows.chunks);
  }

  /** Host bytes a writer holds at most: chunks that fill, one that is stored, and that compressed. */
  static projectedHostBytes(spec: ZarrArraySpec, format: ZarrFormat = 3, openChunks = 1): number {
    const { chunks, chunkBytes } = rowsOf(spec);
    const codec = spec.codec ?? "none";
    const encoded = codec === "none" ? 0 : mostCompressedBytes(codec, chunkBytes) + CRC_BYTES;
    return Math.min(openChunks + 1, chunks) * (chunkBytes + crcBytes(spec, format)) + encoded;
  }

  /** Bytes of all chunks and shard indexes at most; edge chunks are stored whole. */
  static projectedDiskBytes(spec: ZarrArraySpec, format: ZarrFormat = 3): number {
    const { chunks, chunkBytes } = rowsOf(spec);
    const { codec = "none", shardChunks } = spec;
    const stored = mostCompressedBytes(codec, chunkBytes) + crcBytes(spec, format);
    const indexes = shardChunks === undefined
      ? 0
      : Math.ceil(chunks / shardChunks) * (shardChunks * ENTRY_BYTES + CRC_BYTES);
    return chunks * stored + indexes;
  }

  /** Bytes that are stored. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Bytes of the chunk buffers that are alive. */
  get hostBytes(): number {
    return this.#buffers * this.#bufferBytes + this.#encodedBytes;
  }

  /**
   * Why stored files are not what earlier commits told; `undefined` if they are. Of finished files
   * the size is looked at; shards that would be gone on with are read, since what is appended to a
   * damaged one is lost.
   */
  async verify(chunks: readonly StoredChunk[]): Promise<ChunkError | undefined> {
    for (const [shard, own] of this.#byShard(chunks)) {
      const problem = await this.#verifyShard(shard, own);
      if (problem) return problem;
    }
    return undefined;
  }

  /**
   * Goes on where earlier commits left off: their chunks are done, and rows of theirs that come again
   * are skipped. Shards that were being written are cut to what was committed.
   */
  async restore(chunks: readonly StoredChunk[]): Promise<void> {
    this.#restored = true;
    for (const [shard, own] of this.#byShard(chunks)) {
      for (const [index, , length] of own) {
        this.#done[index] = 1;
        this.#bytesWritten += length;
      }
      if (this.#spec.shardChunks === undefined) continue;
      const full = own.length === this.#chunksOf(shard);
      if (full) this.#bytesWritten += this.#indexBytes;
      if (full && await this.#store.size(this.#shardKey(shard)) !== undefined) continue;
      const keep = endOf(own);
      const open = this.#newShard(shard, await this.#store.append(this.#shardKey(shard), { keep }));
      for (const [index, offset, length] of own) this.#enter(open, index, offset, length);
      if (full) await this.#finishShard(shard, open);
    }
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
    // one buffer is being filled at any time: the chunk that was begun comes first
    for (let i = first; i <= last; i++) {
      const index = this.#descending ? last - (i - first) : i;
      const from = Math.max(startRow, index * chunkRows);
      const to = Math.min(endRow, (index + 1) * chunkRows);
      const part = bytes.subarray((from - startRow) * rowBytes, (to - startRow) * rowBytes);
      await this.#fill(index, from, to, part);
      signal?.throwIfAborted();
    }
  }

  /** Waits until every complete chunk is stored for good; tells which are new. */
  async commit(): Promise<WriterCommit> {
    await this.#flushing;
    this.#throwIfFailed();
    for (const shard of this.#shards.values()) {
      if (shard.dirty) await shard.appender.sync();
      shard.dirty = false;
    }
    // of a file that is begun again the stored one counts until the new one is in its place
    const isReplacing = ([index]: StoredChunk) => this.#replacing.has(this.#shardOf(index));
    const chunks = this.#uncommitted.filter((chunk) => !isReplacing(chunk));
    this.#uncommitted = this.#uncommitted.filter(isReplacing);
    return {
      chunks,
      openRows: [...this.#open.values()].map(({ from, to }) => [from, to]),
      replacing: this.#replacing.size > 0,
    };
  }

  /**
   * Lets rows that are stored come once more: all of them, or those whose file was begun again; other
   * rows of stored chunks are skipped. A file that is begun again replaces the stored one when it is
   * complete.
   */
  redo(rows: "all" | "begun" | "none"): void {
    this.#again = rows;
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

  /** Lets go of shards that are not finished. Their bytes stay, for {@link restore}. */
  async close(): Promise<void> {
    await this.#flushing;
    for (const { appender } of this.#shards.values()) await appender.close().catch(() => {});
    this.#shards.clear();
  }

  get #bufferBytes(): number {
    return this.#rows.chunkBytes + crcBytes(this.#spec, this.#format);
  }

  get #indexBytes(): number {
    return (this.#spec.shardChunks ?? 0) * ENTRY_BYTES + CRC_BYTES;
  }

  async #fill(index: number, from: number, to: number, part: Uint8Array): Promise<void> {
    const open = this.#open.get(index);
    const file = this.#shardOf(index);
    if (this.#again !== "none" && this.#done[index] && !this.#replacing.has(file)) {
      if (this.#again === "begun") return;
      this.#beginAgain(file);
    }
    if (this.#restored && this.#done[index] && this.#again === "none") return;
    if (this.#done[index] || (open?.index === index && from < open.to && to > open.from)) {
      throw this.#refusal(from, to, "some of them came before, wanted each row once");
    }
    const waiting = open
      ? (from !== open.to && to !== open.from ? open : undefined)
      : this.#open.size >= this.#openChunks
      ? [...this.#open.values()].at(-1)
      : undefined;
    if (waiting) {
      throw this.#refusal(
        from,
        to,
        `rows ${waiting.from} to ${waiting.to} wait for the rest of their chunk, wanted blocks that ` +
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
      this.#open.set(index, chunk);
      return;
    }
    this.#open.delete(index);
    this.#done[index] = 1;
    const used = (end - start) * rowBytes;
    if (used < chunkBytes) chunk.bytes.set(this.#padding((chunkBytes - used) / rowBytes), used);
    // one at a time: with the chunk that fills next, two buffers are alive
    await this.#flushing;
    this.#throwIfFailed();
    this.#flushing = this.#flush(index, chunk.bytes);
  }

  /** Forgets what is stored in a file. */
  #beginAgain(file: number): void {
    this.#replacing.add(file);
    const { shardChunks = 1 } = this.#spec;
    this.#done.fill(0, file * shardChunks, file * shardChunks + this.#chunksOf(file));
  }

  async #flush(index: number, buffer: Uint8Array): Promise<void> {
    try {
      const { codec = "none", dtype } = this.#spec;
      const { chunkBytes } = this.#rows;
      let encoded = buffer;
      if (codec !== "none") {
        const compressed = await compress(codec, dtype, buffer.subarray(0, chunkBytes));
        encoded = new Uint8Array(compressed.byteLength + crcBytes(this.#spec, this.#format));
        encoded.set(compressed);
        this.#encodedBytes = encoded.byteLength;
      }
      const checksum = this.#checksums ? sealWithChecksum(encoded) : 0;
      await this.#put(index, encoded, checksum);
      this.#encodedBytes = 0;
      // a store in a worker kept the buffer
      if (buffer.byteLength > 0 || this.#bufferBytes === 0) this.#spare.push(buffer);
      else this.#buffers--;
    } catch (reason) {
      this.#buffers--;
      this.#encodedBytes = 0;
      this.#failure = { reason };
    }
  }

  async #put(index: number, bytes: Uint8Array, checksum: number): Promise<void> {
    const length = bytes.byteLength;
    if (this.#spec.shardChunks === undefined) {
      const position = this.#spec.shape.map((_, axis) => axis === 0 ? index : 0);
      const key = chunkKey(this.#spec, position, this.#format);
      const replaces = this.#replacing.has(index) ? await this.#store.size(key) ?? 0 : 0;
      await this.#store.set(key, bytes, { transfer: true });
      this.#replacing.delete(index);
      this.#uncommitted.push([index, 0, length, checksum]);
      this.#bytesWritten += length - replaces;
      return;
    }
    const shard = this.#shardOf(index);
    let open = this.#shards.get(shard);
    if (!open) {
      const key = this.#shardKey(shard);
      open = this.#newShard(shard, await this.#store.append(key));
      if (this.#replacing.has(shard)) open.replaces = await this.#store.size(key) ?? 0;
    }
    const offset = open.appender.size;
    await open.appender.append(bytes, { transfer: true });
    open.dirty = true;
    this.#enter(open, index, offset, length);
    this.#uncommitted.push([index, offset, length, checksum]);
    this.#bytesWritten += length;
    if (open.missing === 0) {
      await this.#finishShard(shard, open);
      this.#bytesWritten += this.#indexBytes;
    }
  }

  #newShard(shard: number, appender: Appender): OpenShard {
    const index = new BigUint64Array(2 * this.#spec.shardChunks!).fill(2n ** 64n - 1n);
    const open = { appender, index, missing: this.#chunksOf(shard), dirty: false, replaces: 0 };
    this.#shards.set(shard, open);
    return open;
  }

  #enter(open: OpenShard, index: number, offset: number, length: number): void {
    const at = index % this.#spec.shardChunks!;
    open.index[2 * at] = BigInt(offset);
    open.index[2 * at + 1] = BigInt(length);
    open.missing--;
  }

  async #finishShard(shard: number, open: OpenShard): Promise<void> {
    const bytes = new Uint8Array(this.#indexBytes);
    bytes.set(new Uint8Array(open.index.buffer));
    sealWithChecksum(bytes);
    await open.appender.append(bytes);
    await open.appender.finish();
    this.#bytesWritten -= open.replaces;
    this.#replacing.delete(shard);
    this.#shards.delete(shard);
  }

  #shardOf(chunk: number): number {
    return Math.floor(chunk / (this.#spec.shardChunks ?? 1));
  }

  /** Chunks a shard holds: fewer at the end of the array. */
  #chunksOf(shard: number): number {
    const { shardChunks = 1 } = this.#spec;
    return Math.min(shardChunks, this.#rows.chunks - shard * shardChunks);
  }

  /** Key of the file of a shard, or of a chunk that has its own. */
  #shardKey(shard: number): string {
    const position = this.#spec.shape.map((_, axis) => axis === 0 ? shard : 0);
    return chunkKey(this.#spec, position, this.#format);
  }

  /** Chunks by the file they lie in. One that was stored twice counts where it was stored last. */
  #byShard(chunks: readonly StoredChunk[]): Map<number, StoredChunk[]> {
    const byShard = new Map<number, StoredChunk[]>();
    for (const chunk of new Map(chunks.map((chunk) => [chunk[0], chunk])).values()) {
      const shard = this.#shardOf(chunk[0]);
      const own = byShard.get(shard);
      if (own) own.push(chunk);
      else byShard.set(shard, [chunk]);
    }
    return byShard;
  }

  async #verifyShard(
    shard: number,
    own: readonly StoredChunk[],
  ): Promise<ChunkError | undefined> {
    const key = this.#shardKey(shard);
    const path = this.#store.place + key;
    const sharded = this.#spec.shardChunks !== undefined;
    const full = own.length === this.#chunksOf(shard);
    const damaged = (bytes: number | undefined, wanted: number) =>
      new ChunkError(
        `Cannot go on with "${path}": ` +
          (bytes === undefined
            ? `it is missing, wanted ${wanted} bytes`
            : `it holds ${bytes} bytes, wanted ${wanted}`),
        path,
      );
    const finished = await this.#store.size(key);
    if (!sharded || (full && finished !== undefined)) {
      const wanted = endOf(own) + (sharded ? this.#indexBytes : 0);
      return finished === wanted ? undefined : damaged(finished, wanted);
    }
    const unfinished = await this.#store.size(partialKey(key));
    const source = unfinished === undefined ? key : partialKey(key);
    const bytes = unfinished ?? finished;
    if (bytes === undefined || bytes < endOf(own)) return damaged(bytes, endOf(own));
    for (const [index, offset, length, checksum] of own) {
      const stored = this.#checksums && await this.#store.getRange(source, { offset, length });
      if (stored && crc32c(stored.subarray(0, length - CRC_BYTES)) !== checksum) {
        return new ChunkError(`Cannot go on with "${path}": its chunk ${index} is damaged`, path);
      }
    }
    return undefined;
  }

  #takeBuffer(): Uint8Array {
    const spare = this.#spare.pop();
    if (spare) return spare;
    this.#buffers++;
    return new Uint8Array(this.#bufferBytes);
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
    const open = this.#open.get(first);
    const start = first * chunkRows;
    const from = open?.from === start ? open.to : start;
    if (open && open.from > start) return [from, open.from];
    for (let index = first + 1; index < chunks; index++) {
      if (this.#done[index]) return [from, index * chunkRows];
      const next = this.#open.get(index);
      if (next) return [from, Math.max(next.from, index * chunkRows)];
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

function crcBytes(spec: ZarrArraySpec, format: ZarrFormat): number {
  return hasChecksums(spec, format) ? CRC_BYTES : 0;
}

/** Puts the checksum of all that comes before into the last bytes; returns it. */
function sealWithChecksum(bytes: Uint8Array): number {
  const body = bytes.byteLength - CRC_BYTES;
  const checksum = crc32c(bytes.subarray(0, body));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(body, checksum, true);
  return checksum;
}

function endOf(chunks: readonly StoredChunk[]): number {
  return chunks.reduce((end, [, offset, length]) => Math.max(end, offset + length), 0);
}
