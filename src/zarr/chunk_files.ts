/**
 * The files that chunks of an array of zarr lie in. Chunks have a file each, or share one: a shard, which
 * grows chunk by chunk and is seen once its index is written at its end.
 *
 * @module
 */

import type { ChunkError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import type { Appender, Store } from "../store/store.ts";
import type { FileSums } from "./checksums.ts";
import { sumOfShard } from "./checksums.ts";
import type { ZarrArraySpec, ZarrFormat } from "./metadata.ts";
import { chunkKey, hasChecksums } from "./metadata.ts";
import type { StoredChunk } from "./stored_chunks.ts";
import {
  endOf,
  indexBytes,
  sealWithChecksum,
  ShardTable,
  verifyChunkFile,
} from "./stored_chunks.ts";

/** A shard that is being written. */
interface OpenShard {
  appender: Appender;
  table: ShardTable;
  /** Chunks that are still to come. */
  missing: number;
  /** Whether bytes came since it was synced. */
  dirty: boolean;
  /** Bytes of the finished file it will replace. */
  replaces: number;
}

/** Stores chunks, in any order. What a commit told can be verified, and gone on with. */
export class ChunkFiles {
  readonly #store: Store;
  readonly #spec: ZarrArraySpec;
  readonly #format: ZarrFormat;
  /** Chunks of the array. */
  readonly #chunks: number;
  readonly #shards = new Map<number, OpenShard>();
  /** Of files that are finished. */
  readonly sums: FileSums = new Map();
  /** Files that are being written again. */
  readonly #replacing = new Set<number>();
  #uncommitted: StoredChunk[] = [];
  #bytesWritten = 0;

  constructor(store: Store, spec: ZarrArraySpec, format: ZarrFormat, chunks: number) {
    this.#store = store;
    this.#spec = spec;
    this.#format = format;
    this.#chunks = chunks;
  }

  /** Bytes that are stored. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Why stored files are not what earlier commits told; `undefined` if they are. */
  async verify(chunks: readonly StoredChunk[]): Promise<ChunkError | undefined> {
    for (const [file, own] of this.#byFile(chunks)) {
      const problem = await verifyChunkFile(this.#store, {
        key: this.#key(file),
        spec: this.#spec,
        format: this.#format,
        own,
        full: own.length === this.#chunksOf(file),
      });
      if (problem) return problem;
    }
    return undefined;
  }

  /** Goes on where earlier commits left off; shards are cut to what was committed. */
  async restore(chunks: readonly StoredChunk[]): Promise<void> {
    for (const [file, own] of this.#byFile(chunks)) {
      for (const [, , length] of own) this.#bytesWritten += length;
      if (this.#spec.shardChunks === undefined) {
        this.#noteChunk(file, own[0]!);
        continue;
      }
      const full = own.length === this.#chunksOf(file);
      if (full && await this.#store.size(this.#key(file)) !== undefined) {
        this.#bytesWritten += indexBytes(this.#spec);
        const table = new ShardTable(this.#spec.shardChunks, own);
        this.#noteShard(file, table, endOf(own) + indexBytes(this.#spec));
        continue;
      }
      const shard = await this.#openShard(file, own);
      if (full) await this.#finishShard(file, shard);
    }
  }

  /** Stores a chunk. Its last {@link checksumBytes} are filled here, and its buffer may be kept. */
  async put(index: number, bytes: Uint8Array): Promise<void> {
    const sealed = hasChecksums(this.#spec, this.#format);
    const checksum = sealed ? sealWithChecksum(bytes) : crc32c(bytes);
    const length = bytes.byteLength;
    const file = this.#fileOf(index);
    if (this.#spec.shardChunks === undefined) {
      const replaces = await this.#replacedBytes(file);
      await this.#store.set(this.#key(file), bytes, { transfer: true });
      this.#replacing.delete(file);
      const chunk: StoredChunk = [index, 0, length, checksum];
      this.#uncommitted.push(chunk);
      this.#noteChunk(file, chunk);
      this.#bytesWritten += length - replaces;
      return;
    }
    const shard = this.#shards.get(file) ?? await this.#openShard(file, []);
    const offset = shard.appender.size;
    await shard.appender.append(bytes, { transfer: true });
    shard.dirty = true;
    shard.table.enter([index, offset, length, checksum]);
    shard.missing--;
    this.#uncommitted.push([index, offset, length, checksum]);
    this.#bytesWritten += length;
    if (shard.missing === 0) await this.#finishShard(file, shard);
  }

  /** Waits until all chunks are stored for good; tells which are new. */
  async commit(): Promise<{ chunks: StoredChunk[]; replacing: boolean }> {
    for (const shard of this.#shards.values()) {
      if (shard.dirty) await shard.appender.sync();
      shard.dirty = false;
    }
    // of a file that is begun again the stored one counts until the new one is in its place
    const chunks = this.#uncommitted.filter(([index]) => !this.isReplacing(index));
    this.#uncommitted = this.#uncommitted.filter(([index]) => this.isReplacing(index));
    return { chunks, replacing: this.#replacing.size > 0 };
  }

  /** Whether the file of a chunk is being written again. */
  isReplacing(chunk: number): boolean {
    return this.#replacing.has(this.#fileOf(chunk));
  }

  /** Begins the file of a chunk again, to replace what is stored. The chunks [first, end) are in it. */
  beginAgain(chunk: number): [first: number, end: number] {
    const file = this.#fileOf(chunk);
    this.#replacing.add(file);
    const first = file * (this.#spec.shardChunks ?? 1);
    return [first, first + this.#chunksOf(file)];
  }

  /** Lets go of shards that are not finished. */
  async close(): Promise<void> {
    for (const { appender } of this.#shards.values()) await appender.close().catch(() => {});
    this.#shards.clear();
  }

  async #openShard(file: number, own: readonly StoredChunk[]): Promise<OpenShard> {
    const replaces = await this.#replacedBytes(file);
    const keep = endOf(own);
    const appender = await this.#store.append(this.#key(file), { keep });
    const missing = this.#chunksOf(file) - own.length;
    const table = new ShardTable(this.#spec.shardChunks!, own);
    const shard = { appender, table, missing, dirty: false, replaces };
    this.#shards.set(file, shard);
    return shard;
  }

  #noteChunk(file: number, [, , bytes, checksum]: StoredChunk): void {
    const how = hasChecksums(this.#spec, this.#format) ? "chunk" : "file";
    this.sums.set(this.#key(file), { how, checksum, bytes });
  }

  #noteShard(file: number, { body, checksums }: ShardTable, bytes: number): void {
    this.sums.set(this.#key(file), sumOfShard(body, checksums, bytes));
  }

  async #finishShard(file: number, shard: OpenShard): Promise<void> {
    const bytes = new Uint8Array(indexBytes(this.#spec));
    bytes.set(shard.table.body);
    sealWithChecksum(bytes);
    await shard.appender.append(bytes);
    await shard.appender.finish();
    this.#noteShard(file, shard.table, shard.appender.size);
    this.#bytesWritten += bytes.byteLength - shard.replaces;
    this.#replacing.delete(file);
    this.#shards.delete(file);
  }

  async #replacedBytes(file: number): Promise<number> {
    return this.#replacing.has(file) ? await this.#store.size(this.#key(file)) ?? 0 : 0;
  }

  #fileOf(chunk: number): number {
    return Math.floor(chunk / (this.#spec.shardChunks ?? 1));
  }

  /** Chunks a file holds: fewer at the end of the array. */
  #chunksOf(file: number): number {
    const { shardChunks = 1 } = this.#spec;
    return Math.min(shardChunks, this.#chunks - file * shardChunks);
  }

  #key(file: number): string {
    const position = this.#spec.shape.map((_, axis) => axis === 0 ? file : 0);
    return chunkKey(this.#spec, position, this.#format);
  }

  /** Chunks by the file they lie in. One that was stored twice counts where it was stored last. */
  #byFile(chunks: readonly StoredChunk[]): Map<number, StoredChunk[]> {
    const byFile = new Map<number, StoredChunk[]>();
    for (const chunk of new Map(chunks.map((chunk) => [chunk[0], chunk])).values()) {
      const file = this.#fileOf(chunk[0]);
      const own = byFile.get(file);
      if (own) own.push(chunk);
      else byFile.set(file, [chunk]);
    }
    return byFile;
  }
}
