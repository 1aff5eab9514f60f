/**
 * A folder of a store, as a store of its own.
 *
 * @module
 */

import type { ByteRange } from "./byte_range.ts";
import type { Appender, GetOptions, SetOptions, Store, ValueStamp } from "./store.ts";
import { StoreView } from "./store_view.ts";

/** Keys begin in the folder. Closing it leaves the store open. */
export class FolderStore extends StoreView {
  override readonly place: string;
  readonly #folder: string;

  /** @param folder As `/results/a`. */
  constructor(store: Store, folder: string) {
    super(store);
    this.place = store.place + folder;
    this.#folder = folder;
  }

  protected override createIn(store: Store, key: string, bytes: Uint8Array): Promise<boolean> {
    return super.createIn(store, this.#folder + key, bytes);
  }

  override get(key: string, options?: GetOptions): Promise<Uint8Array | undefined> {
    return super.get(this.#folder + key, options);
  }

  override getRange(
    key: string,
    range: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array | undefined> {
    return super.getRange(this.#folder + key, range, options);
  }

  override size(key: string, options?: GetOptions): Promise<number | undefined> {
    return super.size(this.#folder + key, options);
  }

  override stamp(key: string): Promise<ValueStamp | undefined> {
    return super.stamp(this.#folder + key);
  }

  override set(key: string, bytes: Uint8Array, options?: SetOptions): Promise<void> {
    return super.set(this.#folder + key, bytes, options);
  }

  override append(key: string, options?: { keep?: number }): Promise<Appender> {
    return super.append(this.#folder + key, options);
  }

  override lock(key: string): Promise<() => Promise<void>> {
    return super.lock(this.#folder + key);
  }

  override delete(key: string): Promise<void> {
    return super.delete(this.#folder + key);
  }

  override deleteAll(prefix = "/", isOwn?: (key: string) => boolean): Promise<void> {
    const own = isOwn && ((key: string) => isOwn(key.slice(this.#folder.length)));
    return super.deleteAll(this.#folder + prefix, own);
  }

  override async list(prefix: string): Promise<string[]> {
    return (await super.list(this.#folder + prefix)).map((key) => key.slice(this.#folder.length));
  }
}
