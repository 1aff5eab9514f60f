import { expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import { createArray, exportZip, listArrays, openArray } from "../../src/mod.ts";
import { openStore } from "../../src/store/open_store.ts";
import { bytesOf } from "../../src/stream/task.ts";
import { expectBytes } from "../store/store_model.ts";

const PLACE = "memory:zip-export/x.zarr";
const ZIP = "memory:zip-export/x.zarr.zip";

it("exportZip() writes a store as one file that is read in place, the same bytes each time", async () => {
  const values = Float32Array.from({ length: 3001 * 400 }, (_, i) => i * 0.37);
  const writer = await createArray(`${PLACE}/rows`, {
    ...{ shape: [3001, 400], dtype: "float32", dims: ["row", "column"] },
    // a file of more than one piece
    chunks: 3001,
  });
  await writer.append(values);
  await writer.close();
  const shares: number[] = [];
  const { files, fileBytes } = await exportZip(PLACE, ZIP, {
    onProgress: (share) => shares.push(share),
  });
  const store = await openStore("memory:zip-export");
  const first = (await store.get("/x.zarr.zip"))!;
  expect([fileBytes, files]).toEqual([first.length, (await store.list("/x.zarr")).length]);
  expect(shares.at(-1)).toBe(1);
  const [only, ...others] = (await listArrays(ZIP)).arrays;
  expect(only).toEqual({ place: `${ZIP}/rows`, shape: [3001, 400], dtype: "float32" });
  expect(others).toEqual([]);
  const stored = await openArray(`${ZIP}/rows`);
  const read = await readAll(stored) as Float32Array;
  expectBytes(bytesOf(read), bytesOf(values));
  await stored.close();
  await expect(exportZip(PLACE, ZIP)).rejects.toThrow(/there is a file already/);
  await exportZip(PLACE, ZIP, { overwrite: true });
  expectBytes(await store.get("/x.zarr.zip"), first);
  await expect(exportZip("memory:zip-export/nothing", ZIP)).rejects.toThrow(
    /^Cannot zip .*nothing is stored there$/,
  );
  await store.deleteAll();
});
