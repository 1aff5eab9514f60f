import type { FileHandle } from "node:fs/promises";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { QuotaError, StoreError } from "../../src/errors.ts";
import { createDiskFile } from "../../src/files/disk_file.ts";
import { describeWriteError } from "../../src/store/disk_errors.ts";
import { FileStore } from "../../src/store/fs.ts";

// other files of this worker have loaded the real ones, and will want them
vi.hoisted(() => vi.resetModules());
afterAll(() => {
  vi.resetModules();
});

/** Calls of the file system as they begin and end, `sync x` and `synced x`; folders end with `/`. */
const events = vi.hoisted(() => [] as string[]);
/** Which syncs fail, and with what. */
const failing = vi.hoisted(() => ({ name: /(?!)/, code: "EIO" }));

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs/promises")>();
  const { basename } = await import("node:path");
  const noted = async <Value>(begin: string, end: string, action: () => Promise<Value>) => {
    events.push(begin);
    const value = await action();
    events.push(end);
    return value;
  };
  const watch = (handle: FileHandle, name: string) =>
    new Proxy(handle, {
      get(target, property) {
        const value = Reflect.get(target, property) as unknown;
        if (typeof value !== "function") return value;
        const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
        switch (property) {
          case "sync":
            return () =>
              noted(`sync ${name}`, `synced ${name}`, () => {
                if (!failing.name.test(name)) return call();
                return Promise.reject(Object.assign(new Error("sync"), { code: failing.code }));
              });
          case "write":
            return (...args: unknown[]) =>
              noted(`write ${name}`, `wrote ${name}`, () => call(...args));
          default:
            return call;
        }
      },
    });
  return {
    ...real,
    open: async (path: string, flags: string) => {
      const handle = await real.open(path, flags);
      const isFolder = (await handle.stat()).isDirectory();
      return watch(handle, basename(path) + (isFolder ? "/" : ""));
    },
    rename: (from: string, to: string) =>
      noted(`rename ${basename(from)}`, `renamed ${basename(to)}`, () => real.rename(from, to)),
  };
});

vi.mock("node:fs", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs")>();
  const { basename } = await import("node:path");
  const names = new Map<number, string>();
  return {
    ...real,
    openSync: (path: string, flags: string) => {
      const descriptor = real.openSync(path, flags);
      const isFolder = real.fstatSync(descriptor).isDirectory();
      names.set(descriptor, basename(path) + (isFolder ? "/" : ""));
      return descriptor;
    },
    fsyncSync: (descriptor: number) => {
      if (failing.name.test(names.get(descriptor)!)) {
        throw Object.assign(new Error("sync"), { code: failing.code });
      }
      events.push(`synced ${names.get(descriptor)}`);
      real.fsyncSync(descriptor);
    },
    renameSync: (from: string, to: string) => {
      events.push(`renamed ${basename(to)}`);
      real.renameSync(from, to);
    },
  };
});

const folder = await mkdtemp(join(tmpdir(), "sluice-"));
const store = new FileStore(folder);
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => {
  events.length = 0;
  Object.assign(failing, { name: /(?!)/, code: "EIO" });
});

const own = `${basename(folder)}/`;

describe("a file store, so that a power cut loses nothing it promised", () => {
  it("syncs a value before it has its name, and the folder before it says so", async () => {
    await store.set("/x", Uint8Array.of(1, 2));
    expect(events).toEqual([
      "write x.partial",
      "wrote x.partial",
      "sync x.partial",
      "synced x.partial",
      "rename x.partial",
      "renamed x",
      `sync ${own}`,
      `synced ${own}`,
    ]);
  });

  it("syncs the folders above those it makes, all of them", async () => {
    await store.set("/a/b/c/x", Uint8Array.of(1));
    const folders = events.filter((event) => /^synced .*\/$/.test(event));
    // where a was made, where b was, where c was, and where x was put
    expect(folders.slice(0, -1).sort()).toEqual([`synced ${own}`, "synced a/", "synced b/"].sort());
    expect(folders.at(-1)).toBe("synced c/");
    expect(events.indexOf("sync x.partial")).toBeGreaterThan(events.indexOf("synced b/"));
  });

  it("syncs what was appended when it says so", async () => {
    const appender = await store.append("/log");
    await appender.append(Uint8Array.of(1));
    const sync = appender.sync();
    await sync;
    const synced = [
      "write log.partial",
      "wrote log.partial",
      "sync log.partial",
      "synced log.partial",
    ];
    // the first time with its name
    expect(events).toEqual([...synced, `sync ${own}`, `synced ${own}`]);
    events.length = 0;
    await appender.append(Uint8Array.of(2));
    await appender.sync();
    expect(events).toEqual(synced);
    await appender.close();
  });

  it("syncs what was appended before it has its name, and the folder before it says so", async () => {
    const appender = await store.append("/shard");
    void appender.append(Uint8Array.of(1));
    void appender.append(Uint8Array.of(2));
    await appender.finish();
    expect(events).toEqual([
      "write shard.partial",
      "wrote shard.partial",
      "write shard.partial",
      "wrote shard.partial",
      "sync shard.partial",
      "synced shard.partial",
      "rename shard.partial",
      "renamed shard",
      `sync ${own}`,
      `synced ${own}`,
    ]);
  });
});

describe("a sync that the disk refuses", () => {
  const refused = async (action: () => Promise<unknown>) => {
    await expect(action()).rejects.toThrow(StoreError);
    await expect(action()).rejects.toThrow(/Cannot write ".*": the disk reports an error/);
  };

  it("is an error of the value, which stays what it was", async () => {
    await store.set("/kept", Uint8Array.of(1));
    failing.name = /^kept\.partial$/;
    await refused(() => store.set("/kept", Uint8Array.of(2)));
    expect(await store.get("/kept")).toEqual(Uint8Array.of(1));
    failing.name = /\/$/;
    await refused(() => store.set("/kept", Uint8Array.of(2)));
  });

  it("is an error of what was appended, and of all that comes after it", async () => {
    const appender = await store.append("/grown");
    await appender.append(Uint8Array.of(1));
    failing.name = /^grown\.partial$/;
    await refused(() => appender.sync());
    failing.name = /(?!)/;
    await refused(() => appender.finish());
    await appender.close();
    expect(await store.get("/grown")).toBeUndefined();
  });

  it("is an error of an export, whether of its file or of its folder", async () => {
    for (const name of [/^b\.nc\./, /\/$/]) {
      const { file, finish, discard } = await createDiskFile(join(folder, "b.nc"));
      file.write(Uint8Array.of(1), { at: 0 });
      failing.name = name;
      await expect(finish()).rejects.toThrow(/Cannot write ".*b\.nc": the disk reports an error/);
      await discard();
      failing.name = /(?!)/;
    }
  });

  it("is none where folders cannot be synced at all", async () => {
    Object.assign(failing, { name: /\/$/, code: "EINVAL" });
    await store.set("/kept", Uint8Array.of(3));
    const { finish } = await createDiskFile(join(folder, "c.nc"));
    await finish();
  });
});

describe("what the system says of a write", () => {
  const told = (code: string) =>
    describeWriteError(join(folder, "x"), 7, Object.assign(new Error(code), { code }));

  it("is put into words that help", () => {
    for (
      const [code, kind, words] of [
        ["ENOSPC", QuotaError, /: 7 bytes are needed, \d+ bytes are free on this disk$/],
        ["EDQUOT", QuotaError, /: 7 bytes are needed, your quota on this disk is used up/],
        ["EROFS", StoreError, /: the disk is read only; some become so when they fail/],
        ["EIO", StoreError, /: the disk reports an error, which the system's log may tell/],
        ["EACCES", StoreError, /: there is no permission$/],
      ] as const
    ) {
      expect(told(code), code).toBeInstanceOf(kind);
      expect(told(code).message, code).toMatch(words);
    }
  });
});

describe("a file that is exported", () => {
  it("is synced before it has its name, and its folder is after that", async () => {
    const { file, finish } = await createDiskFile(join(folder, "a.nc"));
    expect(file.write(Uint8Array.of(1, 2, 3), { at: 0 })).toBe(3);
    expect(events).toEqual([]);
    await finish();
    expect(events).toEqual([
      expect.stringMatching(/^synced a\.nc\.\d+-\d+\.partial$/),
      "renamed a.nc",
      `synced ${own}`,
    ]);
    expect(await readFile(join(folder, "a.nc"))).toHaveLength(3);
  });
});
