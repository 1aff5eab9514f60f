import { describe, it } from "vitest";
import { partialKey } from "../../src/store/place.ts";
import { openStore } from "../../src/store/open_store.ts";
import { checkLargeValue, LARGE_BYTES, LARGE_TAIL } from "../store/large_value.ts";
import { describeStoreModel } from "../store/store_model.ts";

const unique = () => `opfs_model_test-${crypto.randomUUID()}`;

describeStoreModel("OPFS", () => openStore(`opfs:${unique()}`));

describe("an OPFS store with a value above 4 GiB", () => {
  for (const state of ["finished", "unfinished"] as const) {
    it(`reads and continues one that is ${state}`, async (context) => {
      const folder = unique();
      const store = await openStore(`opfs:${folder}`);
      try {
        const refusal = await createSparse(folder, state === "finished" ? "x" : partialKey("x"));
        if (refusal) context.skip(`the browser makes no sparse file of this size: ${refusal}`);
        await checkLargeValue(store, "/x", state);
      } finally {
        await store.deleteAll();
        await store.close();
      }
    });
  }
});

/** Makes a file that takes hardly any room on the disk; returns why the browser refuses. */
async function createSparse(folder: string, name: string): Promise<string | undefined> {
  const root = await navigator.storage.getDirectory();
  const directory = await root.getDirectoryHandle(folder, { create: true });
  const file = await directory.getFileHandle(name, { create: true });
  const writable = await file.createWritable();
  try {
    await writable.truncate(LARGE_BYTES);
    await writable.write({
      type: "write",
      position: LARGE_BYTES - LARGE_TAIL.byteLength,
      data: LARGE_TAIL.slice(),
    });
    await writable.close();
    return undefined;
  } catch (error) {
    return String(error);
  }
}
