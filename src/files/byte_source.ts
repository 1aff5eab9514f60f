/**
 * Files whose parts can be read, wherever they lie.
 *
 * @module
 */

import type { ReadOptions } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { splitPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import type { OpenStoreOptions } from "../store/open_store.ts";
import { openStore } from "../store/open_store.ts";

export interface ByteSource {
  /** What messages call it. */
  path: string;
  bytes: number;
  /** Fewer bytes than asked for where it ends sooner. */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** @throws {ChunkError} If there is no such file. */
export async function openSource(
  place: string,
  reading: OpenStoreOptions = {},
): Promise<ByteSource> {
  const { folder, key } = splitPlace(place);
  const store = await openStore(folder, reading);
  try {
    return { ...await sourceOf(store, key), close: () => store.close() };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** A value of a store that stays open. @throws {ChunkError} If there is none. */
export async function sourceOf(store: Store, key: string): Promise<ByteSource> {
  const path = store.place.replace(/\/$/, "") + key;
  const bytes = await store.size(key);
  if (bytes === undefined) {
    throw new ChunkError(`Cannot open "${path}": there is no such file`, path);
  }
  return {
    path,
    bytes,
    read: async (offset, length, options) =>
      await store.getRange(key, { offset, length }, options) ?? new Uint8Array(0),
    close: () => Promise.resolve(),
  };
}

/** A file the user picked, or bytes in memory. */
export function blobSource(blob: Blob): ByteSource {
  return {
    path: (blob as Partial<File>).name ?? "blob",
    bytes: blob.size,
    read: async (offset, length) =>
      new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
    close: () => Promise.resolve(),
  };
}

/**
 * @param what Is read, for errors; a function of many small reads, which need no words.
 * @throws {ChunkError} If there are fewer bytes.
 */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  what: string | (() => string) = () => `bytes ${offset} to ${offset + length}`,
  options?: ReadOptions,
): Promise<Uint8Array> {
  const bytes = await source.read(offset, length, options);
  options?.signal?.throwIfAborted();
  if (bytes.byteLength === length) return bytes;
  throw new ChunkError(
    `Cannot read ${
      typeof what === "string" ? what : what()
    } of "${source.path}": got ${bytes.byteLength} bytes, wanted ${length} bytes`,
    source.path,
  );
}
