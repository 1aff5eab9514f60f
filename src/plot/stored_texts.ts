/**
 * Names that lie in stores.
 *
 * @module
 */

import { openStore } from "../store/open_store.ts";
import { readZarrText } from "../zarr/zarr_array.ts";

/** Texts of an array of a stored result. */
export async function storedTexts(place: string, name: string): Promise<readonly string[]> {
  const store = await openStore(place);
  try {
    return await readZarrText(store, `/${name}`);
  } finally {
    await store.close();
  }
}
