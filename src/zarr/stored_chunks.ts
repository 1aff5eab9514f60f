/**
 * Where stored chunks lie in their files, by what commits tell of them.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { partialKey } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import type { ZarrArraySpec, ZarrFormat } from "./metadata.ts";
import { hasChecksums } from "./metadata.ts";

const CRC_BYTES = 4;
/** Offset and length of a chunk, in the index of its shard. */
const ENTRY_BYTES = 16;

/**
 * Where a stored chunk lies: its index, the offset and length in its file, and the checksum of its bytes, but for
 * the one that it may end in.
 */
export type StoredChunk = [index: number, offset: number, length: number, crc32c: number];

/** Bytes of the checksum that a chunk ends in. */
export function checksumBytes(spec: ZarrArraySpec, format: ZarrFormat): number {
  return hasChecksums(spec, format) ? CRC_BYTES : 0;
}

/** Bytes of the index that a shard ends in. */
export function indexBytes({ shardChunks = 0 }: ZarrArraySpec): number {
  return shardChunks * ENTRY_BYTES + CRC_BYTES;
}

/** Where the chunks of a shard lie, and their checksums. */
export class ShardTable {
  /** Offset and length of every chunk; all ones where there is none yet. */
  readonly index: BigUint64Array<ArrayBuffer>;
  /** By chunk. */
  readonly checksums: Uint32Array;

  /** @param chunks Of a whole shard. */
  constructor(chunks: number, own: readonly StoredChunk[]) {
    this.index = new BigUint64Array(2 * chunks).fill(2n ** 64n - 1n);
    this.checksums = new Uint32Array(chunks);
    for (const chunk of own) this.enter(chunk);
  }

  enter([chunk, offset, length, checksum]: StoredChunk): void {
    const at = chunk % this.checksums.length;
    this.index[2 * at] = BigInt(offset);
    this.index[2 * at + 1] = BigInt(length);
    this.checksums[at] = checksum;
  }

  /** The index as it is stored. */
  get body(): Uint8Array {
    return new Uint8Array(this.index.buffer);
  }
}

/** Puts the checksum of all that comes before into the last bytes; returns it. */
export function sealWithChecksum(bytes: Uint8Array): number {
  const body = bytes.byteLength - CRC_BYTES;
  const checksum = crc32c(bytes.subarray(0, body));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(body, checksum, true);
  return checksum;
}

export function endOf(chunks: readonly StoredChunk[]): number {
  return chunks.reduce((end, [, offset, length]) => Math.max(end, offset + length), 0);
}

/** A file, and the chunks that it is told to hold. */
interface ChunkFile {
  key: string;
  spec: ZarrArraySpec;
  format: ZarrFormat;
  own: readonly StoredChunk[];
  /** Whether these are all that it will ever hold. */
  full: boolean;
}

/** Chunks of a file that is whole, as a commit tells of them; `undefined` where the file is damaged. */
export function chunksIn(
  bytes: Uint8Array,
  { spec, format, chunks }: { spec: ZarrArraySpec; format: ZarrFormat; chunks: readonly number[] },
): StoredChunk[] | undefined {
  const { shardChunks } = spec;
  const tail = (own: Uint8Array) =>
    new DataView(own.buffer, own.byteOffset, own.byteLength).getUint32(
      own.byteLength - CRC_BYTES,
      true,
    );
  const bodySum = (own: Uint8Array) => crc32c(own.subarray(0, -CRC_BYTES));
  const isSealed = (own: Uint8Array) => own.byteLength >= CRC_BYTES && bodySum(own) === tail(own);
  const sealed = hasChecksums(spec, format);
  if (shardChunks === undefined) {
    if (sealed && !isSealed(bytes)) return undefined;
    const checksum = sealed ? bodySum(bytes) : crc32c(bytes);
    return chunks.map((chunk) => [chunk, 0, bytes.byteLength, checksum]);
  }
  const index = bytes.slice(-indexBytes(spec));
  if (index.byteLength !== indexBytes(spec) || !isSealed(index)) return undefined;
  const table = new BigUint64Array(index.buffer, 0, 2 * shardChunks);
  const found: StoredChunk[] = [];
  for (const chunk of chunks) {
    const at = chunk % shardChunks;
    const [offset, length] = [Number(table[2 * at]), Number(table[2 * at + 1])];
    const own = bytes.subarray(offset, offset + length);
    if (!isSealed(own)) return undefined;
    found.push([chunk, offset, length, bodySum(own)]);
  }
  return found;
}

/** Why a file is not what an earlier commit told of its chunks; `undefined` if it is. */
export async function verifyChunkFile(
  store: Store,
  { key, spec, format, own, full }: ChunkFile,
): Promise<ChunkError | undefined> {
  const path = store.place + key;
  const sharded = spec.shardChunks !== undefined;
  const damaged = (bytes: number | undefined, wanted: number) =>
    new ChunkError(
      `Cannot go on with "${path}": ` +
        (bytes === undefined
          ? `it is missing, wanted ${wanted} bytes`
          : `it holds ${bytes} bytes, wanted ${wanted}`),
      path,
    );
  const finished = await store.size(key);
  if (!sharded || (full && finished !== undefined)) {
    const wanted = endOf(own) + (sharded ? indexBytes(spec) : 0);
    return finished === wanted ? undefined : damaged(finished, wanted);
  }
  const unfinished = await store.size(partialKey(key));
  const source = unfinished === undefined ? key : partialKey(key);
  const bytes = unfinished ?? finished;
  if (bytes === undefined || bytes < endOf(own)) return damaged(bytes, endOf(own));
  if (!hasChecksums(spec, format)) return undefined;
  for (const [index, offset, length, checksum] of own) {
    const stored = await store.getRange(source, { offset, length });
    if (stored && crc32c(stored.subarray(0, length - CRC_BYTES)) !== checksum) {
      return new ChunkError(`Cannot go on with "${path}": its chunk ${index} is damaged`, path);
    }
  }
  return undefined;
}
