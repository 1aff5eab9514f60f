/**
 * A store in which nothing is replaced: what attempts at a part write into, of which several may be at work.
 *
 * @module
 */

import type { Appender, Store } from "../store/store.ts";
import { StoreView } from "../store/store_view.ts";
import { createOnce } from "./markers.ts";

export class CreateOnlyStore extends StoreView {
  readonly #stored: Store;
  /** Keys that have something else than what this attempt made. */
  readonly others = new Set<string>();

  constructor(store: Store) {
    super(store);
    this.#stored = store;
  }

  /** Leaves what is there, which is the same, but where another adapter made it. */
  override async set(key: string, bytes: Uint8Array): Promise<void> {
    if (await createOnce(this.#stored, key, bytes)) return;
    const there = (await this.#stored.get(key))!;
    if (there.byteLength === bytes.byteLength && there.every((byte, i) => byte === bytes[i])) {
      return;
    }
    this.others.add(key);
  }

  /** Bytes stay in memory until all of them can be stored at once. */
  override append(key: string): Promise<Appender> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    return Promise.resolve({
      get size() {
        return size;
      },
      append: (bytes) => {
        pieces.push(bytes.slice());
        size += bytes.byteLength;
        return Promise.resolve();
      },
      sync: () => Promise.resolve(),
      finish: async () => {
        const all = new Uint8Array(size);
        let at = 0;
        for (const piece of pieces.splice(0)) {
          all.set(piece, at);
          at += piece.byteLength;
        }
        await this.set(key, all);
      },
      close: () => Promise.resolve(void pieces.splice(0)),
    });
  }

  /** Nothing that another attempt may have written is removed. */
  override delete(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Removes what attempts that were killed left half-written, once all is there that they were to write: one that is
 * still at it finds that.
 */
export async function removeHalfWritten(store: Store): Promise<void> {
  const whole = new Set(await store.list("/"));
  await store.deleteAll("/", (key) => /\.[0-9a-f-]{36}$/.test(key) && !whole.has(key));
}
