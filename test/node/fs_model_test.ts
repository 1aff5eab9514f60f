import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { partialKey } from "../../src/store/place.ts";
import { openStore } from "../../src/store/open_store.ts";
import { checkLargeValue, LARGE_BYTES, LARGE_TAIL } from "../store/large_value.ts";
import { describeStoreModel } from "../store/store_model.ts";

const folder = await mkdtemp(join(tmpdir(), "sluice-"));
let opened = 0;

afterAll(() => rm(folder, { recursive: true }));

describeStoreModel("file", () => openStore(`file:${folder}/${opened++}`));

describe("a file store with a value above 4 GiB", () => {
  for (const state of ["finished", "unfinished"] as const) {
    it(`reads and continues one that is ${state}`, async () => {
      const key = `/${state}`;
      await createSparse(join(folder, state === "finished" ? key : partialKey(key)));
      const store = await openStore(`file:${folder}`);
      try {
        await checkLargeValue(store, key, state);
      } finally {
        await rm(join(folder, key), { force: true });
        await rm(join(folder, partialKey(key)), { force: true });
      }
    });
  }
});

/** Makes a file that takes hardly any room on the disk. */
async function createSparse(path: string): Promise<void> {
  const file = await open(path, "w");
  await file.truncate(LARGE_BYTES);
  await file.write(LARGE_TAIL, 0, LARGE_TAIL.byteLength, LARGE_BYTES - LARGE_TAIL.byteLength);
  await file.close();
}
