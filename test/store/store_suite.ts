/**
 * What every writable store must do.
 *
 * @module
 */

import { afterAll, describe, expect, it } from "vitest";
import { OutputConflictError, StoreError } from "../../src/errors.ts";
import { partialKey } from "../../src/store/place.ts";
import { openStore } from "../../src/store/open_store.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

/** Names that are other things in addresses. */
export const AWKWARD_NAMES = [
  "x",
  "x#2",
  "x?3",
  "100%",
  "%41",
  "a b",
  "plus+",
  "a&b;c",
  "é",
  "a\\b",
];

/** @param place Of a store that does not exist yet; removed at the end. */
export function describeStore(kind: string, place: string): void {
  describe(`a ${kind} store`, () => {
    const opened = openStore(place, { mode: "write" });

    afterAll(async () => {
      const store = await opened;
      await store.deleteAll();
      await store.close();
    });

    it("gives back what was set, as a copy", async () => {
      const store = await opened;
      const value = bytes(1, 2, 3);
      await store.set("/a/b", value);
      value[0] = 9;
      const read = await store.get("/a/b");
      expect(read).toEqual(bytes(1, 2, 3));
      read![1] = 9;
      expect(await store.get("/a/b")).toEqual(bytes(1, 2, 3));
    });

    it("takes names for what they are", async () => {
      const store = await opened;
      const names = AWKWARD_NAMES.filter((name) => kind !== "OPFS" || !name.includes("\\"));
      for (const [i, name] of names.entries()) await store.set(`/names/${name}/0`, bytes(i));
      for (const [i, name] of names.entries()) {
        expect(await store.get(`/names/${name}/0`)).toEqual(bytes(i));
        expect(await store.getRange(`/names/${name}/0`, { offset: 0, length: 1 })).toEqual(
          bytes(i),
        );
      }
      const keys = names.map((name) => `/names/${name}/0`).sort();
      expect(await store.list("/names")).toEqual(keys);
    });

    it("refuses names it cannot have, and has nothing there", async () => {
      const store = await opened;
      if (kind === "OPFS") {
        await expect(store.set("/names/a\\b/0", bytes(1))).rejects.toThrow(StoreError);
        expect(await store.get("/names/a\\b/0")).toBeUndefined();
        expect(await store.size("/names/a\\b/0")).toBeUndefined();
        const range = { offset: 0, length: 1 };
        expect(await store.getRange("/names/a\\b/0", range)).toBeUndefined();
        const both = await Promise.all([0, 1].map(() => store.getRange("/names/a\\b/0", range)));
        expect(both).toEqual([undefined, undefined]);
      }
      for (const key of ["x", "/", "//x", "/../x", "/x/./y"]) {
        const set = Promise.resolve().then(() => store.set(key, bytes(1)));
        await expect(set, key).rejects.toThrow(TypeError);
      }
    });

    it("replaces values by longer, shorter and empty ones", async () => {
      const store = await opened;
      for (const size of [5, 100_000, 1, 0]) {
        await store.set("/replaced", new Uint8Array(size).fill(size));
        expect(await store.get("/replaced")).toEqual(new Uint8Array(size).fill(size));
        expect(await store.size("/replaced")).toBe(size);
      }
    });

    it("makes a value once, whoever comes first, or says that it cannot", async () => {
      const store = await opened;
      if (!store.create) {
        expect(kind).toMatch(/OPFS/);
        return;
      }
      const made = await Promise.all(
        [1, 2, 3, 4].map((value) => store.create!("/once/only", bytes(value, value))),
      );
      expect(made.filter((own) => own)).toHaveLength(1);
      const winner = made.indexOf(true) + 1;
      expect(await store.create("/once/only", bytes(9))).toBe(false);
      expect(await store.get("/once/only")).toEqual(bytes(winner, winner));
      expect(await store.list("/once")).toEqual(["/once/only"]);
    });

    it("takes a view of a larger buffer, and a buffer that is given away", async () => {
      const store = await opened;
      const large = bytes(0, 1, 2, 3, 4);
      await store.set("/view", large.subarray(1, 3), { transfer: true });
      expect(await store.get("/view")).toEqual(bytes(1, 2));
      expect(large.byteLength).toBe(5);
      await store.set("/given", bytes(7, 8), { transfer: true });
      expect(await store.get("/given")).toEqual(bytes(7, 8));
    });

    it("has no value where none was set", async () => {
      const store = await opened;
      await store.set("/folder/value", bytes(1));
      for (const key of ["/none", "/none/below", "/folder", "/folder/value/below"]) {
        expect(await store.get(key)).toBeUndefined();
        expect(await store.getRange(key, { offset: 0, length: 1 })).toBeUndefined();
        expect(await store.size(key)).toBeUndefined();
      }
      await store.delete("/none");
      expect(await store.list("/none")).toEqual([]);
    });

    it("reads ranges, and what there is of ranges past the end", async () => {
      const store = await opened;
      await store.set("/range", bytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
      const cases: [Parameters<typeof store.getRange>[1], number[]][] = [
        [{ offset: 0, length: 3 }, [0, 1, 2]],
        [{ offset: 7, length: 3 }, [7, 8, 9]],
        [{ offset: 8, length: 5 }, [8, 9]],
        [{ offset: 10, length: 1 }, []],
        [{ offset: 99, length: 1 }, []],
        [{ offset: 4, length: 0 }, []],
        [{ suffixLength: 4 }, [6, 7, 8, 9]],
        [{ suffixLength: 40 }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
      ];
      for (const [range, wanted] of cases) {
        expect(await store.getRange("/range", range)).toEqual(bytes(...wanted));
      }
      // together, and more of them than share a file
      const many = [...cases, ...cases, ...cases];
      const found = await Promise.all(many.map(([range]) => store.getRange("/range", range)));
      expect(found).toEqual(many.map(([, wanted]) => bytes(...wanted)));
      const none = many.map(([range]) => store.getRange("/none", range));
      expect(await Promise.all(none)).toEqual(many.map(() => undefined));
    });

    it("lists and deletes by folder", async () => {
      const store = await opened;
      for (const key of ["/list/b", "/list/a/1", "/list/a/2", "/listed"]) {
        await store.set(key, bytes(1));
      }
      expect(await store.list("/list")).toEqual(["/list/a/1", "/list/a/2", "/list/b"]);
      expect(await store.list("/list/")).toEqual(await store.list("/list"));
      await store.delete("/list/b");
      await store.deleteAll("/list/a");
      expect(await store.list("/list")).toEqual([]);
      expect(await store.list("/")).toContain("/listed");
    });

    it("removes of a folder what is ours alone, and folders that are empty then", async () => {
      const store = await opened;
      for (const key of ["/own/a/1", "/own/a/2", "/own/b/1", "/own/b/mine", "/own/c"]) {
        await store.set(key, bytes(1));
      }
      const unfinished = await store.append("/own/a/3");
      await unfinished.append(bytes(1));
      await unfinished.close();
      await store.deleteAll("/own", (key) => /^\/own\/[ab]\/\d$/.test(key));
      expect(await store.list("/own")).toEqual(["/own/b/mine", "/own/c"]);
      expect(await store.size(partialKey("/own/a/3"))).toBeUndefined();
      await store.deleteAll("/own");
    });

    it("is found again by its place, and its folders are places too", async () => {
      const store = await opened;
      await store.set("/again/x", bytes(5));
      const again = await openStore(store.place);
      expect(await again.get("/again/x")).toEqual(bytes(5));
      await again.close();
      const folder = await openStore(`${store.place}/again`);
      expect(await folder.get("/x")).toEqual(bytes(5));
      await folder.close();
    });

    it("ends with one of two values that are set at once", async () => {
      const store = await opened;
      const values = [new Uint8Array(70_000).fill(1), new Uint8Array(50_000).fill(2)];
      await Promise.all(values.map((value) => store.set("/race", value)));
      expect(await store.get("/race")).toEqual(values[1]);
    });

    it("shows a value that grows only when it is finished", async () => {
      const store = await opened;
      await store.set("/grown/x", bytes(9));
      const appender = await store.append("/grown/x");
      await appender.append(bytes(1, 2));
      await Promise.all([appender.append(bytes(3)), appender.append(bytes(4, 5))]);
      await appender.sync();
      expect(appender.size).toBe(5);
      expect(await store.get("/grown/x")).toEqual(bytes(9));
      expect(await store.list("/grown")).toEqual(["/grown/x"]);
      expect(await store.get(partialKey("/grown/x"))).toEqual(bytes(1, 2, 3, 4, 5));
      await appender.append(bytes(6));
      await appender.finish();
      expect(await store.get("/grown/x")).toEqual(bytes(1, 2, 3, 4, 5, 6));
      expect(await store.get(partialKey("/grown/x"))).toBeUndefined();
    });

    it("continues an unfinished value, and a finished one, from a byte on", async () => {
      const store = await opened;
      const first = await store.append("/continued");
      await first.append(bytes(1, 2, 3, 4));
      await first.close();
      const second = await store.append("/continued", { keep: 2 });
      await second.append(bytes(7));
      await second.finish();
      expect(await store.get("/continued")).toEqual(bytes(1, 2, 7));
      const third = await store.append("/continued", { keep: 1 });
      expect(await store.get("/continued")).toBeUndefined();
      await third.append(bytes(8));
      await third.finish();
      expect(await store.get("/continued")).toEqual(bytes(1, 8));
      await store.delete("/continued");
      await expect(store.append("/continued", { keep: 1 })).rejects.toThrow(
        /continued": it holds 0 bytes, wanted the 1 that were stored/,
      );
    });

    it("refuses a lock that is held, and gives it again once it is free", async () => {
      const store = await opened;
      const unlock = await store.lock("/locks/lock");
      await expect(store.lock("/locks/lock")).rejects.toThrow(OutputConflictError);
      await unlock();
      await (await store.lock("/locks/lock"))();
      expect(await store.list("/locks")).toEqual([]);
    });

    it("tells how much room there is", async () => {
      expect(await (await opened).availableBytes()).toBeGreaterThan(2 ** 20);
    });

    it("refuses keys that leave it or name nothing", async () => {
      const store = await opened;
      for (const key of ["a", "/", "/a//b", "/../a", "/a/.", "/a.partial"]) {
        const set = async () => await store.set(key, bytes(1));
        await expect(set(), key).rejects.toThrow(TypeError);
      }
    });

    it("is empty after deleteAll(), and can be used again", async () => {
      const store = await opened;
      await store.set("/x", bytes(1));
      await store.deleteAll();
      expect(await store.list("/")).toEqual([]);
      await store.set("/x", bytes(2));
      expect(await store.list("/")).toEqual(["/x"]);
    });
  });
}
