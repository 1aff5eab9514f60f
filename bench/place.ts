/** Places of results that nobody keeps, on disk or in a browser's private files. */

import { openStore } from "../src/store/open_store.ts";
import { hasFileSystem } from "../src/store/place.ts";

/** Gives a folder, and removes it with all that is in it. */
export async function withPlace<Result>(use: (place: string) => Promise<Result>): Promise<Result> {
  if (!hasFileSystem()) {
    const place = `opfs:sluice-bench-${crypto.randomUUID()}`;
    return await use(place).finally(() => emptyPlace(place));
  }
  const { mkdtemp, rm } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  const folder = await mkdtemp(`${tmpdir()}/sluice-bench-`);
  return await use(folder).finally(() => rm(folder, { recursive: true, force: true }));
}

export async function emptyPlace(place: string): Promise<void> {
  const store = await openStore(place);
  await store.deleteAll();
  await store.close();
}
