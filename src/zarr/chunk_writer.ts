/**
 * Writes an array of zarr block by block.
 *
 * @module
 */

import type { ChunkError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import type { StoredChunk } from "./stored_chunks.ts";
import type { FileSums } from "./checksums.ts";
import { ChunkFiles } from "./chunk_files.ts";
import { checksumBytes, indexBytes } from "./stored_chunks.ts";
import { compress, mostCompressedBytes } from "./codecs.ts";
import { elementBytes, encodeElements } from "./data_types.ts";
import { FillingChunks, rowSizes } from "./filling_chunks.ts";
import type { ZarrArraySpec, ZarrFormat } from "./metadata.ts";

export type { StoredChunk } from "./stored_chunks.ts";

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
  readonly #spec: ZarrArraySpec;
  readonly #format: ZarrFormat;
  readonly #descending: boolean;
  readonly #filling: FillingChunks;
  readonly #files: ChunkFiles;
  /** Rows of stored chunks come again after a resume, and are skipped. */
  #restored = false;
  #again: "all" | "begun" | "none" = "none";
  #flushing: Promise<void> | undefined;
  #failure: { reason: unknown } | undefined;
  #encodedBytes = 0;

  /**
   * @throws {RangeError} If chunks cut rows.
   */
  constructor(
    store: Store,
    spec: ZarrArraySpec,
    { format = 3, descending = false, openChunks = 1 }: ChunkWriterOptions = {},
  ) {
    this.#spec = spec;
    this.#format = format;
    this.#descending = descending;
    this.#filling = new FillingChunks(spec, checksumBytes(spec, format), openChunks);
    this.#files = new ChunkFiles(store, spec, format, this.#filling.sizes.chunks);
  }

  /** Host bytes a writer holds at most: chunks that fill, one that is stored, and that compressed. */
  static projectedHostBytes(spec: ZarrArraySpec, format: ZarrFormat = 3, openChunks = 1): number {
    const { chunks, chunkBytes } = rowSizes(spec);
    const codec = spec.codec ?? "none";
    const encoded = codec === "none"
      ? 0
      : mostCompressedBytes(codec, chunkBytes) + checksumBytes(spec, format);
    return Math.min(openChunks + 1, chunks) * (chunkBytes + checksumBytes(spec, format)) + encoded;
  }

  /** Bytes of all chunks and shard indexes at most; edge chunks are stored whole. */
  static projectedDiskBytes(spec: ZarrArraySpec, format: ZarrFormat = 3): number {
    const { chunks, chunkBytes } = rowSizes(spec);
    const { codec = "none", shardChunks } = spec;
    const stored = mostCompressedBytes(codec, chunkBytes) + checksumBytes(spec, format);
    const shards = shardChunks === undefined ? 0 : Math.ceil(chunks / shardChunks);
    return chunks * stored + shards * indexBytes(spec);
  }

  /** Bytes that are stored. */
  get bytesWritten(): number {
    return this.#files.bytesWritten;
  }

  /** Checksums of the files that are finished. */
  get sums(): FileSums {
    return this.#files.sums;
  }

  /** Bytes of the chunk buffers that are alive. */
  get hostBytes(): number {
    return this.#filling.hostBytes + this.#encodedBytes;
  }

  /**
   * Why stored files are not what earlier commits told; `undefined` if they are. Of finished files
   * the size is looked at; shards that would be gone on with are read, since what is appended to a
   * damaged one is lost.
   */
  verify(chunks: readonly StoredChunk[]): Promise<ChunkError | undefined> {
    return this.#files.verify(chunks);
  }

  /**
   * Goes on where earlier commits left off: their chunks are done, and rows of theirs that come again
   * are skipped. Shards that were being written are cut to what was committed.
   */
  async restore(chunks: readonly StoredChunk[]): Promise<void> {
    this.#restored = true;
    for (const [index] of chunks) this.#filling.setDone(true, index);
    await this.#files.restore(chunks);
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
    const { dtype, chunkRows, rowElements } = this.#filling.sizes;
    const action = `write rows of "${this.#spec.name}"`;
    const bytes = encodeElements(dtype, rows, action);
    const rowBytes = rowElements * elementBytes(dtype);
    const endRow = startRow + (rowBytes === 0 ? 0 : bytes.byteLength / rowBytes);
    this.#filling.checkRange(startRow, endRow, rows.length);
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
    return { ...await this.#files.commit(), openRows: this.#filling.openRows };
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
   * @param rows Those that had to come, whole chunks; all of them when not given.
   * @throws {RangeError} If rows are missing; names the first of them.
   */
  async finish(rows: readonly [from?: number, to?: number] = []): Promise<void> {
    await this.#flushing;
    this.#throwIfFailed();
    this.#filling.finish(...rows);
  }

  /** Lets go of shards that are not finished. Their bytes stay, for {@link restore}. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.#files.close();
  }

  async #fill(index: number, from: number, to: number, part: Uint8Array): Promise<void> {
    const stored = this.#filling.isDone(index) && !this.#files.isReplacing(index);
    if (stored && this.#again === "begun") return;
    if (stored && this.#again === "all") {
      this.#filling.setDone(false, ...this.#files.beginAgain(index));
    }
    if (this.#restored && this.#again === "none" && this.#filling.isDone(index)) return;
    const chunk = this.#filling.fill(index, from, to, part);
    if (!chunk) return;
    // one at a time: with the chunk that fills next, two buffers are alive
    await this.#flushing;
    this.#throwIfFailed();
    this.#flushing = this.#flush(index, chunk);
  }

  async #flush(index: number, buffer: Uint8Array): Promise<void> {
    try {
      await this.#files.put(index, await this.#encode(buffer));
    } catch (reason) {
      this.#failure = { reason };
    } finally {
      this.#encodedBytes = 0;
      // a store in a worker kept the buffer
      this.#filling.giveBack(buffer);
    }
  }

  /** A chunk, and room for its checksum. */
  async #encode(buffer: Uint8Array): Promise<Uint8Array> {
    const { codec = "none", dtype } = this.#spec;
    if (codec === "none") return buffer;
    const { chunkBytes } = this.#filling.sizes;
    const compressed = await compress(codec, dtype, buffer.subarray(0, chunkBytes));
    const room = checksumBytes(this.#spec, this.#format);
    const encoded = new Uint8Array(compressed.byteLength + room);
    encoded.set(compressed);
    this.#encodedBytes = encoded.byteLength;
    return encoded;
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure.reason;
  }
}
