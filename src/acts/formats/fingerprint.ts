/**
 * What tells files from others that may take their place, without reading them.
 *
 * @module
 */

import { ChunkError } from "../../errors.ts";
import { digestOf, StreamDigest } from "../../math/digest.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { openStore } from "../../store/open_store.ts";
import { splitPlace } from "../../store/place.ts";
import type { Store } from "../../store/store.ts";

const READ_BYTES = 4 * 2 ** 20;

/** Of files: where they lie, how long they are, and when they were written, where that is told. */
export async function fingerprintOf(
  places: readonly string[],
  reading: OpenStoreOptions,
): Promise<string> {
  const told: string[] = [];
  for (const place of places) {
    const { folder, key } = splitPlace(place);
    const store = await openStore(folder, reading);
    try {
      const stamp = (await store.stamp?.(key))?.text;
      const bytes = await store.size(key);
      if (bytes === undefined) {
        throw new ChunkError(`Cannot read "${place}": there is no such file`, place);
      }
      // memory and servers do not tell when: there all is read
      told.push(`${place} ${stamp ?? await digestOfFile(store, key, bytes)}`);
    } finally {
      await store.close();
    }
  }
  return await digestOf(told);
}

async function digestOfFile(store: Store, key: string, bytes: number): Promise<string> {
  const digest = new StreamDigest();
  for (let offset = 0; offset < bytes; offset += READ_BYTES) {
    const part = await store.getRange(key, {
      offset,
      length: Math.min(READ_BYTES, bytes - offset),
    });
    await digest.add(part ?? new Uint8Array(0));
  }
  return await digest.finish();
}
