/**
 * What tells files that are read from others that may take their place, without reading them.
 *
 * @module
 */

import { digestOf } from "../math/digest.ts";
import { openStore } from "../store/open_store.ts";
import { splitPlace } from "../store/place.ts";
import type { Feed } from "./task.ts";

/** Of all that is read from files; `undefined` where that, or a part of it, lies where nobody tells. */
export async function stampOf(
  feeds: readonly Pick<Feed, "places">[],
): Promise<string | undefined> {
  const texts: string[] = [];
  for (const { places } of feeds) {
    if (places === undefined) return undefined;
    for (const place of places) {
      const { folder, key } = splitPlace(place);
      const own = await stampsIn(folder, key === "/" ? [] : [key]) ??
        await stampsIn(place);
      if (own === undefined) return undefined;
      texts.push(place, ...own);
    }
  }
  return await digestOf(texts);
}

/** Of some values of a store, or of all; `undefined` where there are none, or it does not tell. */
async function stampsIn(place: string, keys?: readonly string[]): Promise<string[] | undefined> {
  const store = await openStore(place);
  try {
    if (!store.stamp) return undefined;
    const texts: string[] = [];
    for (const key of keys ?? await store.list("/")) {
      const stamp = await store.stamp(key);
      if (stamp === undefined) return undefined;
      texts.push(`${key} ${stamp.text}`);
    }
    return texts.length > 0 ? texts : undefined;
  } finally {
    await store.close();
  }
}
