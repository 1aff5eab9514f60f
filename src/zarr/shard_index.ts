/**
 * The index of a shard: where its chunks lie in it.
 *
 * @module
 */

import { crc32c } from "../math/crc32c.ts";
import type { ByteRange } from "../store/byte_range.ts";
import type { GetOptions } from "../store/store.ts";
import type { ShardLayout } from "./array_metadata.ts";
import { elementCount } from "./data_types.ts";

const CRC_BYTES = 4;
/** Offset and length. */
const ENTRY_BYTES = 16;
const NONE = 2n ** 64n - 1n;
/** Indexes that are kept: rows of a chunk may be spread over many shards. */
const MOST_KEPT = 64;

type ReadRange = (
  key: string,
  range: ByteRange,
  options: GetOptions,
) => Promise<Uint8Array | undefined>;

/** An index that is read for all who want it, until the first of them lets it be. */
interface KeptIndex {
  read: Promise<DataView | undefined>;
  signal: AbortSignal | undefined;
}

/** Finds chunks in shards. An index is read once; that of a missing shard each time, since it may come. */
export class ShardIndexes {
  readonly #layout: ShardLayout;
  readonly #read: ReadRange;
  readonly #kept = new Map<string, KeptIndex>();

  constructor(layout: ShardLayout, read: ReadRange) {
    this.#layout = layout;
    this.#read = read;
  }

  /**
   * Where a chunk lies; `undefined` if it is not stored.
   *
   * @param position Of the chunk in its shard, along the axes of the array.
   * @throws {RangeError} If the index is damaged.
   */
  async find(
    key: string,
    position: readonly number[],
    signal?: AbortSignal,
  ): Promise<{ offset: number; length: number } | undefined> {
    const { grid, axes, isIndexBigEndian } = this.#layout;
    const index = await this.#index(key, signal);
    if (!index) return undefined;
    const entry = axes.reduce((at, axis, i) => at * grid[i]! + position[axis]!, 0);
    const [offset, length] = [0, 8].map((half) =>
      index.getBigUint64(entry * ENTRY_BYTES + half, !isIndexBigEndian)
    ) as [bigint, bigint];
    if (offset === NONE && length === NONE) return undefined;
    if (offset + length > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`its shard has it at byte ${offset}, with ${length} bytes`);
    }
    return { offset: Number(offset), length: Number(length) };
  }

  async #index(key: string, signal: AbortSignal | undefined): Promise<DataView | undefined> {
    let kept = this.#kept.get(key);
    if (!kept) {
      kept = { read: this.#readIndex(key, signal ? { signal } : {}), signal };
      this.#kept.set(key, kept);
      const [oldest] = this.#kept.keys();
      if (this.#kept.size > MOST_KEPT) this.#kept.delete(oldest!);
    }
    const forget = () => {
      if (this.#kept.get(key) === kept) this.#kept.delete(key);
    };
    try {
      const index = await kept.read;
      if (!index) forget();
      return index;
    } catch (error) {
      forget();
      if (kept.signal?.aborted && !signal?.aborted) return await this.#index(key, signal);
      throw error;
    }
  }

  async #readIndex(key: string, options: GetOptions): Promise<DataView | undefined> {
    const { grid, isIndexAtStart, indexHasChecksum } = this.#layout;
    const entryBytes = elementCount(grid) * ENTRY_BYTES;
    const length = entryBytes + (indexHasChecksum ? CRC_BYTES : 0);
    const bytes = await this.#read(
      key,
      isIndexAtStart ? { offset: 0, length } : { suffixLength: length },
      options,
    );
    if (!bytes) return undefined;
    if (bytes.length !== length) {
      throw new RangeError(`its shard holds ${bytes.length} bytes, its index has ${length}`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (indexHasChecksum) {
      const checksum = view.getUint32(entryBytes, true);
      if (crc32c(bytes.subarray(0, entryBytes)) !== checksum) {
        throw new RangeError(`the ${length} bytes of its index do not match their checksum`);
      }
    }
    return view;
  }
}
