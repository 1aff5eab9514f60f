import { describe, expect, it } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { hasFileSystem, parsePlace, siblingPlace, splitPlace } from "../../src/store/place.ts";
import { openStore } from "../../src/store/open_store.ts";
import { countingStore } from "../../src/store/store_view.ts";
import { AWKWARD_NAMES, describeStore } from "./store_suite.ts";

describeStore("memory", "memory:store_test");

describe("openStore()", () => {
  it("refuses a scheme it does not know", async () => {
    await expect(openStore("gs:bucket")).rejects.toThrow(/"gs:" is not known, wanted a path/);
    await expect(openStore("")).rejects.toThrow(TypeError);
  });

  it("refuses the kinds of place this runtime does not have", async () => {
    const absent = hasFileSystem() ? "opfs:x" : "file:x";
    await expect(openStore(absent)).rejects.toThrow(/this runtime .*has no/);
  });

  it("refuses to write to a server", async () => {
    const open = openStore("https://example.org/x.zarr", { mode: "write" });
    await expect(open).rejects.toThrow(StoreError);
    const store = await openStore("https://example.org/x.zarr");
    await expect(store.set("/x", new Uint8Array(1))).rejects.toThrow(/read only/);
  });

  it("leaves a store it was given open", async () => {
    const store = await openStore("memory:given");
    const closed: string[] = [];
    store.close = () => Promise.resolve(void closed.push("closed"));
    await (await openStore(store)).close();
    expect(closed).toEqual([]);
  });
});

describe("places", () => {
  it("are plain paths, or begin with a scheme", () => {
    const plain = hasFileSystem() ? "file" : "opfs";
    expect(parsePlace("data/x.zarr")).toEqual({ scheme: plain, path: "data/x.zarr" });
    expect(parsePlace("C:\\data")).toEqual({ scheme: plain, path: "C:\\data" });
    expect(parsePlace("file:///a%20b/c")).toEqual({ scheme: "file", path: "/a b/c" });
    expect(parsePlace("FILE:x")).toEqual({ scheme: "file", path: "x" });
    expect(parsePlace("https://h/x").path).toBe("https://h/x");
  });

  it("have siblings", () => {
    expect(siblingPlace("file:out.zarr", ".journal")).toBe("file:out.zarr.journal");
    expect(siblingPlace("opfs:a/out.zarr/", ".journal")).toBe("opfs:a/out.zarr.journal");
  });

  it("split into folder and key", () => {
    expect(splitPlace("file:a/b.npy")).toEqual({ folder: "file:a/", key: "/b.npy" });
    expect(splitPlace("file:b.npy")).toEqual({ folder: "file:.", key: "/b.npy" });
    expect(splitPlace("file:/b.npy")).toEqual({ folder: "file:/", key: "/b.npy" });
    expect(splitPlace("memory:b.npy")).toEqual({ folder: "memory:", key: "/b.npy" });
    expect(splitPlace("http://h/a%20c/b%20d.npy?t=1")).toEqual({
      folder: "http://h/a%20c?t=1",
      key: "/b d.npy",
    });
    expect(splitPlace("memory:a/b#2?3%.npy")).toEqual({
      folder: "memory:a/",
      key: "/b#2?3%.npy",
    });
    expect(splitPlace("http://h/b%232%2525.npy").key).toBe("/b#2%25.npy");
  });

  it("take # and ? and % for letters of a file's name", () => {
    for (const path of ["/a/x#2", "/a/x?3", "/a/100%", "/a/%41", "/a/b+c d"]) {
      expect(parsePlace(`file:${path}`)).toEqual({ scheme: "file", path });
      expect(siblingPlace(`file:${path}`, ".journal")).toBe(`file:${path}.journal`);
    }
    expect(parsePlace("file:///a/x#2?3").path).toBe("/a/x#2?3");
    expect(parsePlace("file:///a/x%232%2525").path).toBe("/a/x#2%25");
  });

  it("that would be cut short or be somebody else's are refused", () => {
    expect(() => parsePlace("https://h/x#2")).toThrow(/never see what follows "#", wanted "%23"/);
    expect(() => parsePlace("file://server/x")).toThrow(/a file of the machine "server"/);
    expect(() => parsePlace("file:///a/100%")).toThrow(/a "%" in it encodes nothing/);
    expect(() => splitPlace("http://h/100%.npy")).toThrow(TypeError);
  });
});

describe("a store behind HTTP", () => {
  it("asks for the very names that keys have", async () => {
    const { fetch } = globalThis;
    const asked: string[] = [];
    globalThis.fetch = (input) => {
      asked.push(String(input));
      const response = new Response("x");
      return Promise.resolve(Object.defineProperty(response, "url", { value: String(input) }));
    };
    try {
      const store = await openStore("http://h/a%20b/c.zarr?token=1");
      for (const name of AWKWARD_NAMES) await store.get(`/${name}/0`);
    } finally {
      globalThis.fetch = fetch;
    }
    expect(asked).toHaveLength(AWKWARD_NAMES.length);
    asked.forEach((address, i) => {
      const { pathname, search, hash } = new URL(address);
      const parts = pathname.split("/").map(decodeURIComponent);
      expect(parts).toEqual(["", "a b", "c.zarr", AWKWARD_NAMES[i], "0"]);
      expect([search, hash]).toEqual(["?token=1", ""]);
    });
  });
});

describe("countingStore()", () => {
  it("counts bytes and calls that passed", async () => {
    const store = countingStore(await openStore("memory:counting"));
    await store.set("/x", new Uint8Array(10));
    await store.get("/x");
    await store.get("/none");
    await store.getRange("/x", { offset: 8, length: 5 });
    const { bytesRead, bytesWritten, reads, writes } = store;
    expect({ bytesRead, bytesWritten, reads, writes }).toEqual({
      bytesRead: 12,
      bytesWritten: 10,
      reads: 2,
      writes: 1,
    });
    await store.deleteAll();
  });
});
