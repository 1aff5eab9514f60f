/**
 * Stores around stores.
 *
 * @module
 */

import type { ByteRange } from "./byte_range.ts";
import type { Appender, GetOptions, SetOptions, Store, ValueStamp } from "./store.ts";

/** The same store, with a `close` that does nothing: for stores somebody else opened. */
export class StoreView implements Store {
  readonly place: string;
  /** Where the store has it. */
  readonly create?: (key: string, bytes: Uint8Array) => Promise<boolean>;
  readonly #store: Store;

  constructor(store: Store) {
    this.place = store.place;
    this.#store = store;
    if (store.create) this.create = (key, bytes) => this.createIn(store, key, bytes);
  }

  protected createIn(store: Store, key: string, bytes: Uint8Array): Promise<boolean> {
    return store.create!(key, bytes);
  }

  get(key: string, options?: GetOptions): Promise<Uint8Array | undefined> {
    return this.#store.get(key, options);
  }

  getRange(
    key: string,
    range: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array | undefined> {
    return this.#store.getRange(key, range, options);
  }

  size(key: string, options?: GetOptions): Promise<number | undefined> {
    return this.#store.size(key, options);
  }

  stamp(key: string): Promise<ValueStamp | undefined> {
    return this.#store.stamp?.(key) ?? Promise.resolve(undefined);
  }

  set(key: string, bytes: Uint8Array, options?: SetOptions): Promise<void> {
    return this.#store.set(key, bytes, options);
  }

  append(key: string, options?: { keep?: number }): Promise<Appender> {
    return this.#store.append(key, options);
  }

  lock(key: string): Promise<() => Promise<void>> {
    return this.#store.lock(key);
  }

  availableBytes(): Promise<number> {
    return this.#store.availableBytes();
  }

  delete(key: string): Promise<void> {
    return this.#store.delete(key);
  }

  deleteAll(prefix?: string, isOwn?: (key: string) => boolean): Promise<void> {
    return this.#store.deleteAll(prefix, isOwn);
  }

  list(prefix: string): Promise<string[]> {
    return this.#store.list(prefix);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A store that counts what passes through it; made by {@link countingStore}. */
export class CountingStore extends StoreView {
  #bytesRead = 0;
  #bytesWritten = 0;
  #reads = 0;
  #writes = 0;

  /** Bytes handed out so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes of finished writes so far. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Calls that found a value. */
  get reads(): number {
    return this.#reads;
  }

  /** Finished writes. */
  get writes(): number {
    return this.#writes;
  }

  override async get(key: string, options?: GetOptions): Promise<Uint8Array | undefined> {
    return this.#countRead(await super.get(key, options));
  }

  override async getRange(
    key: string,
    range: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array | undefined> {
    return this.#countRead(await super.getRange(key, range, options));
  }

  override async set(key: string, bytes: Uint8Array, options?: SetOptions): Promise<void> {
    // before the buffer is given away
    const { byteLength } = bytes;
    await super.set(key, bytes, options);
    this.#bytesWritten += byteLength;
    this.#writes++;
  }

  protected override async createIn(store: Store, key: string, bytes: Uint8Array) {
    const made = await super.createIn(store, key, bytes);
    if (made) this.#bytesWritten += bytes.byteLength;
    if (made) this.#writes++;
    return made;
  }

  override async append(key: string, options?: { keep?: number }): Promise<Appender> {
    const appender = await super.append(key, options);
    return {
      get size() {
        return appender.size;
      },
      append: async (bytes, options) => {
        const { byteLength } = bytes;
        await appender.append(bytes, options);
        this.#bytesWritten += byteLength;
        this.#writes++;
      },
      sync: () => appender.sync(),
      finish: () => appender.finish(),
      close: () => appender.close(),
    };
  }

  #countRead(bytes: Uint8Array | undefined): Uint8Array | undefined {
    if (bytes) this.#reads++;
    this.#bytesRead += bytes?.byteLength ?? 0;
    return bytes;
  }
}

/** Wraps a store so that its traffic is counted. Closing the wrapper leaves the store open. */
export function countingStore(store: Store): CountingStore {
  return new CountingStore(store);
}
