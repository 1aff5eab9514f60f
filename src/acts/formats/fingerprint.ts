/**
 * What tells files from others that may take their place, without reading them.
 *
 * @module
 */

import { ChunkError } from "../../errors.ts";
import { digestOf } from "../../math/digest.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { openStore } from "../../store/open_store.ts";
import { splitPlace } from "../../store/place.ts";

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
      // in memory nobody tells when; those are read
      const own = stamp ?? (folder.startsWith("memory:")
        ? await digestOf([(await store.get(key))!])
        : String(bytes));
      told.push(`${place} ${own}`);
    } finally {
      await store.close();
    }
  }
  return await digestOf(told);
}
