import { describe, expect, it } from "vitest";
import { cdp } from "vitest/browser";
import { QuotaError, StoreError } from "../../src/errors.ts";
import { folderEntries } from "../../src/store/opfs_files.ts";
import { openStore } from "../../src/store/open_store.ts";
import { describeStore } from "../store/store_suite.ts";

const unique = () => `opfs_test-${crypto.randomUUID()}`;

describeStore("OPFS", `opfs:${unique()}/nested.zarr`);

describe("an OPFS store", () => {
  it("is what a plain path means in a browser", async () => {
    expect((await openStore("x/y.zarr")).place).toBe("opfs:x/y.zarr");
  });

  it("refuses to list what the browser does not name", async () => {
    async function* entries() {
      yield* [["x", {}], ["", {}]];
    }
    const directory = { entries } as unknown as FileSystemDirectoryHandle;
    await expect(folderEntries(directory, ["a", "b"])).rejects.toThrow(
      'Cannot list "opfs:a/b": the browser gives an entry without its name',
    );
  });

  it("takes over a buffer that is given away, and no other", async () => {
    const store = await openStore(`opfs:${unique()}`);
    const given = new Uint8Array(100).fill(1);
    const kept = new Uint8Array(100).fill(2);
    await store.set("/given", given, { transfer: true });
    await store.set("/kept", kept);
    expect(given.byteLength).toBe(0);
    expect(kept.byteLength).toBe(100);
    expect(await store.get("/given")).toEqual(new Uint8Array(100).fill(1));
    await store.deleteAll();
    await store.close();
  });

  it("reads ranges that are asked for together, also while the file is being written anew", async () => {
    const folder = unique();
    const [store, other] = [await openStore(`opfs:${folder}`), await openStore(`opfs:${folder}`)];
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => 7 * i);
    // the last go beyond the end
    const ranges = Array.from({ length: 40 }, (_, i) => ({ offset: 130 * i, length: 3 * i }));
    const wanted = ranges.map(({ offset, length }) => bytes.slice(offset, offset + length));
    const readAll = () => Promise.all(ranges.map((range) => store.getRange("/x", range)));
    // what was read is not held open: others may delete it at once
    for (let round = 0; round < 10; round++) {
      await store.set("/x", bytes);
      expect(await readAll()).toEqual(wanted);
      await other.deleteAll();
    }
    expect(await readAll()).toEqual(ranges.map(() => undefined));
    await store.set("/x", bytes);
    const root = await navigator.storage.getDirectory();
    const file = await (await root.getDirectoryHandle(folder)).getFileHandle("x");
    const writable = await file.createWritable();
    expect(await readAll()).toEqual(wanted);
    await writable.abort();
    await store.deleteAll();
    await store.close();
    await other.close();
  });

  it("refuses a place below a file, before and while writing", async () => {
    const folder = unique();
    const store = await openStore(`opfs:${folder}`);
    await store.set("/file", new Uint8Array(1));
    const below = openStore(`opfs:${folder}/file/out.zarr`, { mode: "write" });
    await expect(below).rejects.toThrow(/"file" in it is a file, wanted a folder/);
    await expect(store.set("/file/x", new Uint8Array(1))).rejects.toThrow(StoreError);
    await store.deleteAll();
    await store.close();
  });

  it("neither lists nor keeps what an unfinished write left", async () => {
    const folder = unique();
    const store = await openStore(`opfs:${folder}`);
    await store.set("/a/x", new Uint8Array(1));
    const root = await navigator.storage.getDirectory();
    const directory = await (await root.getDirectoryHandle(folder)).getDirectoryHandle("a");
    await directory.getFileHandle("y.partial", { create: true });
    expect(await store.list("/")).toEqual(["/a/x"]);
    await store.set("/a/y", new Uint8Array(2));
    await expect(directory.getFileHandle("y.partial")).rejects.toThrow();
    await store.deleteAll();
    await store.close();
    await expect(root.getDirectoryHandle(folder)).rejects.toThrow();
  });

  it("reports the bytes needed and left when the quota is exceeded, and keeps the old value", async () => {
    const store = await openStore(`opfs:${unique()}`);
    await store.set("/x", Uint8Array.of(1));
    const { usage = 0 } = await navigator.storage.estimate();
    const browser = cdp() as { send(method: string, options: object): Promise<unknown> };
    const { origin } = location;
    await browser.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: usage + 100_000 });
    try {
      const neededBytes = 8_000_000;
      const error = await store.set("/x", new Uint8Array(neededBytes)).catch((error) => error);
      expect(error).toBeInstanceOf(QuotaError);
      expect(error).toMatchObject({ neededBytes });
      expect(error.availableBytes).toBeLessThanOrEqual(100_000);
      expect(await store.get("/x")).toEqual(Uint8Array.of(1));
      expect(await store.list("/")).toEqual(["/x"]);
    } finally {
      await browser.send("Storage.overrideQuotaForOrigin", { origin });
      await store.deleteAll();
      await store.close();
    }
  });

  /** The worker of the next store that writes, as the browser has it. */
  async function workerOf<Value>(work: () => Promise<Value>): Promise<[Worker, Value]> {
    const made: Worker[] = [];
    const Own = globalThis.Worker;
    globalThis.Worker = class extends Own {
      constructor(...args: ConstructorParameters<typeof Own>) {
        super(...args);
        made.push(this);
      }
    };
    try {
      const value = await work();
      return [made[0]!, value];
    } finally {
      globalThis.Worker = Own;
    }
  }

  it("says that its worker ended, and waits for it no longer", async () => {
    const folder = unique();
    const store = await openStore(`opfs:${folder}`);
    const [worker, appender] = await workerOf(() => store.append("/x"));
    await appender.append(new Uint8Array(10));
    // not close(): the store is not told
    worker.terminate();
    const waiting = [
      appender.append(new Uint8Array(10)),
      appender.sync(),
      store.set("/y", new Uint8Array(1)),
    ];
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({ status: "rejected" });
      const { reason } = result as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(StoreError);
      expect(reason.message).toMatch(/Cannot write "opfs:.*": the storage worker ended/);
    }
    await expect(store.set("/y", new Uint8Array(1))).rejects.toThrow(/the storage worker ended/);
    await store.close();
    const again = await openStore(`opfs:${folder}`);
    await again.set("/y", Uint8Array.of(3));
    expect(await again.get("/y")).toEqual(Uint8Array.of(3));
    await again.deleteAll();
    await again.close();
  });

  it("says that its worker cannot be started", async () => {
    const Own = globalThis.Worker;
    globalThis.Worker = class extends Own {
      constructor() {
        super(URL.createObjectURL(new Blob(["throw new Error('no such file');"])));
      }
    };
    try {
      const store = await openStore(`opfs:${unique()}`);
      await expect(store.set("/x", new Uint8Array(1))).rejects.toThrow(
        /the storage worker stopped: .*no such file/,
      );
      await store.close();
    } finally {
      globalThis.Worker = Own;
    }
  });

  it("says what is missing where there are no locks, no private files, or none that may be used", async () => {
    const store = await openStore(`opfs:${unique()}`);
    const without = async (
      owner: object,
      name: string,
      value: unknown,
      work: () => Promise<void>,
    ) => {
      Object.defineProperty(owner, name, { value, configurable: true });
      try {
        await work();
      } finally {
        // the one of the prototype is there again
        delete (owner as Record<string, unknown>)[name];
      }
    };
    await without(navigator, "locks", undefined, async () => {
      const lock = store.lock("/locks/lock");
      await expect(lock).rejects.toThrow(StoreError);
      await expect(lock).rejects.toThrow(/has no locks \(navigator\.locks\).*https: or localhost/);
    });
    await without(navigator.storage, "getDirectory", undefined, async () => {
      await expect(openStore("opfs:x")).rejects.toThrow(
        /has no OPFS, wanted a browser page from https:/,
      );
    });
    const refuse = () => Promise.reject(new DOMException("no", "SecurityError"));
    await without(navigator.storage, "getDirectory", refuse, async () => {
      for (const work of [() => store.get("/x"), () => openStore("opfs:x", { mode: "write" })]) {
        await expect(work()).rejects.toThrow(
          /refuses its private file system here \(SecurityError\)/,
        );
      }
    });
    await store.close();
  });
});
