import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ChunkError, StoreError } from "../../src/errors.ts";
import { writeWhole } from "../../src/store/fs.ts";
import { openStore } from "../../src/store/open_store.ts";
import { describeStore } from "../store/store_suite.ts";

const folder = await mkdtemp(join(tmpdir(), "sluice-"));

describeStore("file", `file:${folder}/suite/nested.zarr`);

describe("a file store", () => {
  beforeAll(() => writeFile(join(folder, "file"), "text"));
  afterAll(() => rm(folder, { recursive: true }));

  it("is what a plain path means, and creates nothing before the first write", async () => {
    const store = await openStore(join(folder, "new/out.zarr"), { mode: "write" });
    expect(store.place).toBe(`file:${join(folder, "new/out.zarr")}`);
    await expect(stat(join(folder, "new"))).rejects.toThrow(/ENOENT/);
  });

  it("makes a folder of one letter in the current one, above which there is no other", async () => {
    const place = "ß";
    const store = await openStore(place, { mode: "write" });
    try {
      await store.set("/x", new Uint8Array(3));
      expect(await readdir(place)).toEqual(["x"]);
    } finally {
      await store.close();
      await rm(place, { recursive: true });
    }
  });

  it("refuses a value that is longer than it can be, before it is read", async () => {
    const store = await openStore(folder);
    expect((await store.get("/file", { mostBytes: 4 }))?.length).toBe(4);
    const reading = store.get("/file", { mostBytes: 3 });
    await expect(reading).rejects.toThrow(ChunkError);
    await expect(reading).rejects.toThrow("it holds 4 bytes, wanted 3 at most");
  });

  it("refuses a place that is a file or lies below one, before any work", async () => {
    for (const place of ["file", "file/out.zarr", "file/a/b/out.zarr"]) {
      const open = openStore(`file:${folder}/${place}`, { mode: "write" });
      await expect(open).rejects.toThrow(StoreError);
      await expect(open).rejects.toThrow(`"${join(folder, "file")}" is a file, wanted a folder`);
    }
  });

  it("stamps a file, so that another of its name is told from it", async () => {
    const store = await openStore(`file:${folder}/stamped`, { mode: "write" });
    expect(await store.stamp!("/x")).toBeUndefined();
    await store.set("/x", new Uint8Array(3));
    const first = (await store.stamp!("/x"))!;
    expect(await store.stamp!("/x")).toEqual(first);
    expect(Math.abs(first.changedMs - Date.now())).toBeLessThan(60_000);
    await store.set("/x", new Uint8Array(3).fill(1));
    expect((await store.stamp!("/x"))!.text).not.toBe(first.text);
  });

  it("names the file when a write fails", async () => {
    const store = await openStore(`file:${folder}`);
    const set = store.set("/file/x", new Uint8Array(1));
    await expect(set).rejects.toThrow(StoreError);
    await expect(set).rejects.toMatchObject({ path: join(folder, "file/x") });
    await mkdir(join(folder, "taken"));
    await expect(store.set("/taken", new Uint8Array(1))).rejects.toThrow(/Cannot write ".*taken"/);
    expect(await readdir(folder)).not.toContain("taken.partial");
  });

  it("neither lists nor keeps what an unfinished write left", async () => {
    const store = await openStore(`file:${folder}/stale`);
    await store.set("/a/x", new Uint8Array(1));
    await writeFile(join(folder, "stale/a/y.partial"), "half");
    expect(await store.list("/")).toEqual(["/a/x"]);
    await store.set("/a/y", new Uint8Array(2));
    expect(await readdir(join(folder, "stale/a"))).toEqual(["x", "y"]);
    await writeFile(join(folder, "stale/a/z.partial"), "half");
    await store.deleteAll("/a");
    expect(await readdir(join(folder, "stale"))).toEqual([]);
  });

  it("sends the rest of a short write, and reports with both counts when nothing more arrives", async () => {
    const arriving = (...counts: number[]) => {
      const sent: number[][] = [];
      const write = (_: Uint8Array, offset: number, length: number, position: number) => {
        sent.push([offset, length, position]);
        return Promise.resolve({ bytesWritten: counts.shift()! });
      };
      return { sent, handle: { write } };
    };
    const late = arriving(3, 7);
    await writeWhole(late.handle, new Uint8Array(10), "x/c/0", 100);
    expect(late.sent).toEqual([[0, 10, 100], [3, 7, 103]]);
    const short = arriving(3, 0);
    await expect(writeWhole(short.handle, new Uint8Array(10), "x/c/0"))
      .rejects.toThrow('Cannot write "x/c/0": 3 of 10 bytes were written');
  });
});
