/**
 * Where bytes live: keys and whole values, in memory, in files, in a browser's private file system,
 * or behind HTTP.
 *
 * @module
 */

import type { ByteRange } from "./byte_range.ts";

export interface GetOptions {
  /** Ends what is waited for, where the store can: a server's answer. */
  signal?: AbortSignal;
  /** Memory for so many bytes of a range, where the reader has some of its own. Stores may not use it. */
  allocate?: (bytes: number) => Uint8Array;
  /** Most bytes that the value can have; a server that sends more is refused. */
  mostBytes?: number;
}

export interface SetOptions {
  /**
   * The caller is done with the buffer behind `bytes`. A store in a worker then takes it over
   * instead of copying it, which leaves it detached.
   */
  transfer?: boolean;
}

/**
 * A value that grows at its end and stays unseen until it is finished. Until then its bytes can be
 * read under {@link partialKey}. Calls wait for one another.
 */
export interface Appender {
  /** Bytes it has, those under way among them. */
  readonly size: number;
  /**
   * Adds bytes at the end. They must not change until it resolves.
   *
   * @throws {QuotaError} If there is too little room.
   * @throws {StoreError} If they cannot be written; names the file.
   */
  append(bytes: Uint8Array, options?: SetOptions): Promise<void>;
  /** Resolves once what was appended outlasts a power cut. */
  sync(): Promise<void>;
  /** Syncs, and puts the value in place of what its key had. */
  finish(): Promise<void>;
  /** Lets go of an unfinished value. Its bytes stay, for another {@link Store.append}. */
  close(): Promise<void>;
}

/** Of a file: equal for as long as nobody wrote to it. */
export interface ValueStamp {
  /** Size, times of its bytes and of its metadata, and number. */
  text: string;
  /** When it last changed, milliseconds of the file system's clock. */
  changedMs: number;
}

/**
 * Values by key. Keys begin with `/` and name a file in folders, `/x/c/0/0`. Prefixes name a
 * folder: `/x` and `/x/` both mean what lies below `/x/`, and `/` means everything.
 */
export interface Store {
  /** How {@link openStore} finds this store again: `file:out.zarr`. */
  readonly place: string;
  /** The whole value, in memory of its own; `undefined` if there is none. */
  get(key: string, options?: GetOptions): Promise<Uint8Array | undefined>;
  /** Part of a value; shorter than asked for where the value ends sooner. */
  getRange(
    key: string,
    range: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array | undefined>;
  /** Bytes of a value, without reading it. */
  size(key: string, options?: GetOptions): Promise<number | undefined>;
  /** Tells a value from what it may be replaced by, without reading it, where the store can. */
  stamp?(key: string): Promise<ValueStamp | undefined>;
  /**
   * Writes a value. Atomic: until it resolves the old value, or none, is there.
   *
   * @throws {QuotaError} If there is too little room.
   * @throws {StoreError} If it cannot be written; names the file.
   */
  set(key: string, bytes: Uint8Array, options?: SetOptions): Promise<void>;
  /**
   * Writes a value where there is none, for good: of several calls at once, in whatever processes, one does. Absent
   * where the store cannot promise that.
   *
   * @returns Whether this call wrote it; after a connection that was lost, also `false` where it did.
   */
  create?(key: string, bytes: Uint8Array): Promise<boolean>;
  /**
   * Opens the unfinished value of a key: a new one, or the first `keep` bytes of what an earlier
   * appender left there. A finished value of that key is continued too, and is unseen from then on.
   *
   * @throws {ChunkError} If there are fewer bytes than are to be kept; gives both counts.
   * @throws {StoreError} If it cannot be written; names the file.
   */
  append(key: string, options?: { keep?: number }): Promise<Appender>;
  /**
   * Takes a key for this process, tab or worker alone. A lock left by a process that is gone is
   * taken over.
   *
   * @returns Gives the key back, and removes the folder of the lock where nothing else is in it.
   * @throws {OutputConflictError} If another one holds it; says who.
   */
  lock(key: string): Promise<() => Promise<void>>;
  /** Bytes that can still be written here; `Infinity` where nobody tells. */
  availableBytes(): Promise<number>;
  /** Removes a value if it is there. */
  delete(key: string): Promise<void>;
  /**
   * Removes a folder with all it holds, and what unfinished writes left there; default `/`. Of a folder that may
   * hold what is not ours, only files that `isOwn` are removed, and folders that have become empty.
   */
  deleteAll(prefix?: string, isOwn?: (key: string) => boolean): Promise<void>;
  /** Keys below a folder, sorted. */
  list(prefix: string): Promise<string[]>;
  close(): Promise<void>;
}
