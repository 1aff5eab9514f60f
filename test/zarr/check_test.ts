import { describe, expect, it } from "vitest";
import { checkStore } from "../../src/zarr/check.ts";
import { ChunkError } from "../../src/errors.ts";
import { openJournal } from "../../src/store/journal.ts";
import type { Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { ZarrFormat, ZarrGroupSpec } from "../../src/zarr/metadata.ts";
import { ChunkWriter } from "../../src/zarr/chunk_writer.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";

let places = 0;

const ROWS = 23;

function group(zarrFormat: ZarrFormat, complete: boolean): ZarrGroupSpec {
  return {
    zarrFormat,
    attributes: { complete },
    arrays: [
      {
        name: "x",
        shape: [ROWS, 3],
        chunkShape: [2, 3],
        ...(zarrFormat === 3 && { shardChunks: 4 }),
        dtype: "float32",
        dims: ["time", "state"],
      },
      {
        name: "names",
        shape: [2],
        chunkShape: [2],
        dtype: "string",
        stringLength: 3,
        dims: ["state"],
      },
    ],
  };
}

/** A store with so many rows of `x` written. */
async function written(
  { format = 3 as ZarrFormat, complete = true, rows = ROWS } = {},
): Promise<Store> {
  const store = await openStore(`memory:check_test/${places++}.zarr`);
  const spec = group(format, complete);
  await writeGroup(store, spec);
  await writeArray(store, spec.arrays[1]!, ["a", "bcd"], format);
  const writer = new ChunkWriter(store, spec.arrays[0]!, { format });
  await writer.write(0, Float32Array.from({ length: 3 * rows }, (_, i) => i));
  await writer.commit();
  await writer.close();
  return store;
}

describe("checkStore()", () => {
  it.each([2, 3] as const)("finds a store of version %i whole", async (format) => {
    const store = await written({ format });
    const found = await checkStore(store.place);
    expect(found.state).toBe("whole");
    expect(found.zarrFormat).toBe(format);
    expect(found.journal).toBeUndefined();
    const files = format === 3 ? 3 : 12;
    expect(found.arrays.find(({ name }) => name === "x")).toMatchObject({
      files,
      wholeFiles: files,
      missing: [],
      damaged: [],
    });
  });

  it("names files that are missing, cut or flipped, whichever byte it is", async () => {
    const store = await written();
    const key = "/x/c/1/0";
    const whole = (await store.get(key))!;
    for (let at = 0; at < whole.byteLength; at += 5) {
      const flipped = whole.slice();
      flipped[at]! ^= 4;
      await store.set(key, flipped);
      const { state, arrays: [, x] } = await checkStore(store.place);
      expect(state, `byte ${at}`).toBe("damaged");
      expect(x!.damaged.map(({ path }) => path)).toEqual([store.place + key]);
    }
    await store.set(key, whole.slice(0, 50));
    expect((await checkStore(store.place)).state).toBe("damaged");
    await store.delete(key);
    const found = await checkStore(store.place);
    expect(found.state).toBe("damaged");
    expect(found.advice).toMatch(/overwriting/);
    expect(found.arrays.find(({ name }) => name === "x")!.missing).toEqual([store.place + key]);
  });

  it("expects what the group names, whatever is left in its folder", async () => {
    for (const format of [2, 3] as const) {
      const store = await written({ format });
      await store.deleteAll("/names");
      const { state, arrays } = await checkStore(store.place);
      expect(state).toBe("damaged");
      expect(arrays.map(({ name }) => name)).toEqual(["names", "x"]);
      expect(arrays[0]!.damaged[0]!.reason).toMatch(/names": there is no zarr array/);
    }
  });

  it("takes missing chunks of other writers for the fill value, and strings that cannot be read for damage", async () => {
    const store = await written();
    const root = JSON.parse(new TextDecoder().decode((await store.get("/zarr.json"))!));
    root.attributes = {};
    await store.set("/zarr.json", new TextEncoder().encode(JSON.stringify(root)));
    await store.delete("/x/c/0/0");
    expect(await checkStore(store.place)).toMatchObject({ state: "whole", hasChecksums: false });
    await store.set("/names/c/0", Uint8Array.of(9, 0, 0, 0, 7));
    expect((await checkStore(store.place)).state).toBe("damaged");
  });

  it("says of an unfinished store what is stored, and where the next run goes on", async () => {
    const store = await written({ complete: false, rows: 11 });
    const journal = await openJournal(store.place);
    await journal.begin({ hash: "abc" });
    await journal.append({ pass: "filter", sweep: 0, row: 8, storedTo: 8 });
    const log = await journal.readLog();
    await journal.append({ pass: "filter", sweep: 0, row: 11, storedTo: 10 });
    const found = await checkStore(store.place);
    expect(found.state).toBe("unfinished");
    expect(found.advice).toMatch(/goes on in pass "filter" at row 10/);
    const x = found.arrays.find(({ name }) => name === "x")!;
    expect(x).toMatchObject({ files: 3, wholeFiles: 1 });
    expect(x.unfinished).toEqual([`${store.place}/x/c/1/0`]);
    expect(x.missing).toEqual([`${store.place}/x/c/2/0`]);
    await journal.continueLog(log[0]!.bytes);
    expect((await checkStore(store.place)).journal).toMatchObject({ steps: 1, row: 8 });
    await journal.clear();
    expect((await checkStore(store.place)).advice).toMatch(/it starts over/);
  });

  it("refuses a place without a store", async () => {
    await expect(checkStore("memory:check_test/none")).rejects.toThrow(ChunkError);
  });

  it("tells how much of a log is damaged and does not count", async () => {
    const place = "memory:check_test/damaged_log.zarr";
    const journal = await openJournal(place);
    await journal.begin({ hash: "abc" });
    await journal.append({ pass: "filter", sweep: 0, row: 64, storedTo: 48 });
    await journal.append({ pass: "filter", sweep: 0, row: 128, storedTo: 112 });
    await journal.close();
    const { journal: whole } = await checkStore(place);
    expect(whole).toMatchObject({ steps: 2, pass: "filter", row: 112, damagedBytes: 0 });
    const bytes = await journal.logBytes();
    const store = await openStore(journal.place);
    // the power went while a line was written
    const log = await store.append("/log/steps", { keep: bytes });
    await log.append(new Uint8Array(17));
    await log.close();
    expect((await checkStore(place)).journal).toEqual({ ...whole, damagedBytes: 17 });
    await journal.clear();
  });
});
