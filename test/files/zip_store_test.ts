import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { ChunkError, StoreError } from "../../src/errors.ts";
import { blobSource } from "../../src/files/byte_source.ts";
import { ZipStore } from "../../src/files/zip_store.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import { putFiles } from "../support/library_files.ts";
import type { ArchiveMember } from "../support/zip_archive.ts";
import { archive } from "../support/zip_archive.ts";

const text = (letters: string) => new TextEncoder().encode(letters);
const values = Float32Array.from({ length: 3000 }, (_, i) => i / 7);

/** The files of a group with the array `x`, in shards or not. */
async function zarrFiles(zarrFormat: 2 | 3): Promise<ArchiveMember[]> {
  const store = await openStore("memory:zip_store_test/in", { mode: "write" });
  await store.deleteAll();
  const x = {
    name: "x",
    shape: [1000, 3],
    chunkShape: [64, 3],
    dtype: "float32",
    dims: ["row", "column"],
  } as const;
  await writeGroup(store, { attributes: {}, arrays: [x], zarrFormat });
  await writeArray(store, x, values, zarrFormat);
  const members: ArchiveMember[] = [{ name: "x/", content: text("") }];
  for (const key of await store.list("/")) {
    members.push({ name: key.slice(1), content: (await store.get(key))! });
  }
  await store.close();
  return members;
}

describe("openArray() of a zarr store in a zip archive", () => {
  for (const zarrFormat of [2, 3] as const) {
    it(`reads version ${zarrFormat}, stored and deflated`, async () => {
      const members = await zarrFiles(zarrFormat);
      for (const deflate of [false, true]) {
        const bytes = await archive(members.map((member) => ({ ...member, deflate })));
        const place = await putFiles("zip_store_test", { "a.zarr.zip": bytes });
        const array = await openArray(`${place}/a.zarr.zip/x`);
        expect([array.shape, array.dims]).toEqual([[1000, 3], ["row", "column"]]);
        expect(await readAll(array)).toEqual(values);
        expect(await array.read(63, 65)).toEqual(values.slice(189, 195));
        await array.close();
        const only = await openArray(`${place}/a.zarr.zip`);
        expect(only.shape).toEqual([1000, 3]);
        await only.close();
      }
    });
  }

  it("refuses a chunk whose bytes are not those of its checksum", async () => {
    const members = await zarrFiles(3);
    const bytes = await archive(
      members.map((member) =>
        /x\/c\/?0/.test(member.name) ? { ...member, says: { crc: 1 } } : member
      ),
    );
    const place = await putFiles("zip_store_test", { "a.zarr.zip": bytes });
    const array = await openArray(`${place}/a.zarr.zip/x`);
    await expect(readAll(array)).rejects.toThrow(ChunkError);
    await expect(readAll(array)).rejects.toThrow(/CRC-32/);
    await array.close();
  });
});

describe("ZipStore", () => {
  it("gives whole values and parts, lists folders, and writes nothing", async () => {
    const bytes = await archive([
      { name: "a/", content: text("") },
      { name: "a/b", content: text("first"), deflate: true },
      { name: "a/b", content: text("second") },
      { name: "ab", content: text("third"), deflate: true },
    ]);
    const store = await ZipStore.open(blobSource(new Blob([bytes])));
    // of two with one name, the later one
    expect(await store.get("/a/b")).toEqual(text("second"));
    expect(await store.getRange("/a/b", { offset: 1, length: 3 })).toEqual(text("eco"));
    expect(await store.getRange("/ab", { suffixLength: 2 })).toEqual(text("rd"));
    expect(await store.getRange("/ab", { offset: 9, length: 3 })).toEqual(text(""));
    expect([await store.size("/ab"), await store.size("/none")]).toEqual([5, undefined]);
    expect(await store.get("/none")).toBeUndefined();
    expect(await store.list("/")).toEqual(["/a/b", "/ab"]);
    expect(await store.list("/a")).toEqual(["/a/b"]);
    expect(() => store.size("/../x")).toThrow(TypeError);
    for (const act of [() => store.set("/x"), () => store.delete("/ab"), () => store.deleteAll()]) {
      await expect(act()).rejects.toThrow(StoreError);
    }
    await store.close();
  });
});
