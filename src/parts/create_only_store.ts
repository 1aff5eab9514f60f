/**
 * A store in which nothing is replaced: what attempts at a part write into, of which several may be at work.
 *
 * @module
 */

import { crc32c } from "../math/crc32c.ts";
import type { Appender, Store } from "../store/store.ts";
import { StoreView } from "../store/store_view.ts";
import { createOnce } from "./markers.ts";

/** Checksums of a value that another attempt had written, other than this one's: of all bytes, and but the last four, its seal. */
export interface OtherValue {
  whole: number;
  body: number;
  /** What the last four bytes are, which have the checksum of those before in formats that do so. */
  seal: number;
  bytes: number;
}

export class CreateOnlyStore extends StoreView {
  readonly #stored: Store;
  /** What is there under a key in place of what this attempt made. */
  readonly others = new Map<string, OtherValue>();

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
    this.others.set(key, {
      whole: crc32c(there),
      body: crc32c(there.subarray(0, -4)),
      seal: sealOf(there),
      bytes: there.byteLength,
    });
  }

  override append(key: string): Promise<Appender> {
    return Promise.reject(
      new TypeError(`Cannot run in parts: ${key} is a shard that grows, wanted chunks in files`),
    );
  }

  /** Nothing that another attempt may have written is removed. */
  override delete(): Promise<void> {
    return Promise.resolve();
  }
}

function sealOf({ buffer, byteOffset, byteLength }: Uint8Array): number {
  return byteLength < 4 ? NaN : new DataView(buffer, byteOffset).getUint32(byteLength - 4, true);
}
