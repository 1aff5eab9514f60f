/**
 * What every writable store must do, whatever the order of calls: fast-check makes up the calls, and a
 * model in two maps says what must come of them.
 *
 * @module
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChunkError, OutputConflictError } from "../../src/errors.ts";
import type { ByteRange } from "../../src/store/byte_range.ts";
import { PARTIAL_SUFFIX, partialKey } from "../../src/store/place.ts";
import type { Appender, Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open_store.ts";

const KEYS = ["/a", "/b/x", "/b/y/z"];
const LOCK = "/locks/lock";
const SIZES = [0, 1, 3, 4095, 4096, 4097, 65537];
const SEED = 20_260_318;

interface Model {
  values: Map<string, Uint8Array>;
  unfinished: Map<string, Uint8Array>;
  /** Keys whose unfinished value has an open appender. */
  growing: Set<string>;
  locked: boolean;
}

/** The store that is tested, and what was opened there. */
interface Real {
  store: Store;
  appenders: Map<string, Appender>;
  unlock: (() => Promise<void>) | undefined;
}

type Command = fc.AsyncCommand<Model, Real>;

export interface StoreModelOptions {
  /** Sequences of calls; 60 when not given. */
  runs?: number;
}

/** @param openFresh Opens a store that is empty, at a place no other one was given. */
export function describeStoreModel(
  kind: string,
  openFresh: () => Promise<Store>,
  { runs = 60 }: StoreModelOptions = {},
): void {
  describe(`a ${kind} store`, () => {
    it("does what its model does, in any order of calls", async () => {
      const calls = fc.commands(commandArbitraries(), { maxCommands: 30, size: "max" });
      const property = fc.asyncProperty(calls, async (commands) => {
        const model: Model = {
          values: new Map(),
          unfinished: new Map(),
          growing: new Set(),
          locked: false,
        };
        const real: Real = { store: await openFresh(), appenders: new Map(), unlock: undefined };
        try {
          await fc.asyncModelRun(() => ({ model, real }), commands);
          await expectSame(model, real.store);
        } finally {
          await closeAppenders(real);
          await real.unlock?.();
          await real.store.deleteAll();
          await real.store.close();
        }
      });
      await fc.assert(property, { seed: SEED, numRuns: runs });
    });

    const withStore = async (check: (store: Store) => Promise<void>) => {
      const store = await openFresh();
      try {
        await check(store);
      } finally {
        await store.deleteAll();
        await store.close();
      }
    };

    it("leaves a value where it is when more is to be kept than it has", () =>
      withStore(async (store) => {
        await store.set("/a", bytesFrom(1, 3));
        await expect(store.append("/a", { keep: 4 })).rejects.toThrow(ChunkError);
        expectBytes(await store.get("/a"), bytesFrom(1, 3));
        expect(await store.size(partialKey("/a"))).toBeUndefined();
      }));

    it("makes no unfinished value where bytes were to be kept and there are none", () =>
      withStore(async (store) => {
        await expect(store.append("/a", { keep: 1 })).rejects.toThrow(ChunkError);
        expect(await store.size(partialKey("/a"))).toBeUndefined();
      }));

    it("goes on with what was set last, not with what was unfinished before", () =>
      withStore(async (store) => {
        const appender = await store.append("/a");
        await appender.append(bytesFrom(1, 3));
        await appender.close();
        await store.set("/a", bytesFrom(7, 4));
        expect(await store.size(partialKey("/a"))).toBeUndefined();
        const next = await store.append("/a", { keep: 4 });
        await next.finish();
        expectBytes(await store.get("/a"), bytesFrom(7, 4));
      }));

    it("deletes values by their keys, and no folder that is called so", () =>
      withStore(async (store) => {
        await store.set("/b/x", bytesFrom(1, 3));
        await store.delete("/b");
        expect(await store.list("/")).toEqual(["/b/x"]);
      }));

    it("deletes folders by their prefix, and no value that is called so", () =>
      withStore(async (store) => {
        await store.set("/a", bytesFrom(1, 3));
        await store.deleteAll("/a");
        expect(await store.list("/")).toEqual(["/a"]);
      }));

    it("has no value where a folder is, however few bytes are wanted", () =>
      withStore(async (store) => {
        await store.set("/b/x", bytesFrom(1, 3));
        expect(await store.getRange("/b", { offset: 0, length: 0 })).toBeUndefined();
        expect(await store.getRange("/b", { suffixLength: 0 })).toBeUndefined();
      }));

    it("never mixes a value that is set with one that grows under its key", () =>
      withStore(async (store) => {
        const appender = await store.append("/a");
        await appender.append(Uint8Array.of(1, 2));
        // which of the two is refused is up to the store
        await store.set("/a", Uint8Array.of(9)).catch(() => {});
        await appender.append(Uint8Array.of(3)).catch(() => {});
        await appender.finish().catch(() => {});
        await appender.close().catch(() => {});
        const found = [...(await store.get("/a"))!];
        expect([[9], [1, 2, 3]]).toContainEqual(found);
      }));
  });
}

/** Bytes that differ from their neighbours and from those of another `first`. */
function bytesFrom(first: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (first + 31 * i + (i >> 8)) % 256);
}

function commandArbitraries(): fc.Arbitrary<Command>[] {
  const key = fc.constantFrom(...KEYS);
  const readable = fc.constantFrom(...KEYS, ...KEYS.map(partialKey), "/b", "/none");
  const folder = fc.constantFrom("/", "/b", "/b/", "/b/y", "/a", "/none");
  const bytes = fc.record({ first: fc.nat(255), size: fc.constantFrom(...SIZES) });
  const edge = fc.constantFrom(...SIZES, 2, 65536, 2 ** 32 + 1);
  const range: fc.Arbitrary<ByteRange> = fc.oneof(
    fc.record({ offset: edge, length: edge }),
    fc.record({ suffixLength: edge }),
  );
  const open = fc.nat(KEYS.length - 1);
  const keep = fc.constantFrom<Keep>("none", "all", "all", "half", "one less", "one more");
  return [
    fc.tuple(key, bytes, fc.boolean()).map((parts) => setCommand(...parts)),
    readable.map(getCommand),
    readable.map(sizeCommand),
    fc.tuple(readable, range).map((parts) => getRangeCommand(...parts)),
    folder.map(listCommand),
    fc.constantFrom(...KEYS, "/b", "/none").map(deleteCommand),
    folder.map(deleteAllCommand),
    fc.tuple(key, keep).map((parts) => openCommand(...parts)),
    fc.tuple(key, keep).map((parts) => openCommand(...parts)),
    fc.tuple(open, fc.array(bytes, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map((parts) => appendCommand(...parts)),
    open.map(syncCommand),
    open.map(finishCommand),
    open.map(closeCommand),
    fc.constant(lockCommand()),
    fc.constant(unlockCommand()),
    fc.constant(reopenCommand()),
  ];
}

function command(
  name: string,
  run: Command["run"],
  check: Command["check"] = () => true,
): Command {
  return { check, run, toString: () => name };
}

interface Bytes {
  first: number;
  size: number;
}

function setCommand(key: string, { first, size }: Bytes, transfer: boolean): Command {
  return command(
    `set ${key} to ${size} bytes from ${first}${transfer ? ", given away" : ""}`,
    async (model, { store }) => {
      const given = bytesFrom(first, size);
      await store.set(key, given, { transfer });
      overwrite(given);
      model.values.set(key, bytesFrom(first, size));
      model.unfinished.delete(key);
    },
    (model) => !model.growing.has(key),
  );
}

function getCommand(key: string): Command {
  return command(`get ${key}`, async (model, { store }) => {
    const found = await store.get(key);
    expectBytes(found, wanted(model, key));
    if (found) overwrite(found);
  });
}

function sizeCommand(key: string): Command {
  return command(`size of ${key}`, async (model, { store }) => {
    expect(await store.size(key)).toBe(wanted(model, key)?.byteLength);
  });
}

function getRangeCommand(key: string, range: ByteRange): Command {
  return command(`get ${JSON.stringify(range)} of ${key}`, async (model, { store }) => {
    const value = wanted(model, key);
    const found = await store.getRange(key, range);
    expectBytes(found, value && partOf(value, range));
    if (found) overwrite(found);
  });
}

function listCommand(prefix: string): Command {
  return command(`list ${prefix}`, async (model, { store }) => {
    // the files store has a file for each lock
    const found = (await store.list(prefix)).filter((key) => key !== LOCK);
    expect(found).toEqual([...model.values.keys()].filter((key) => isBelow(key, prefix)).sort());
  });
}

function deleteCommand(key: string): Command {
  return command(`delete ${key}`, async (model, { store }) => {
    await store.delete(key);
    model.values.delete(key);
  });
}

function deleteAllCommand(prefix: string): Command {
  return command(
    `delete all of ${prefix}`,
    async (model, { store }) => {
      await store.deleteAll(prefix);
      for (const kept of [model.values, model.unfinished]) {
        for (const key of kept.keys()) if (isBelow(key, prefix)) kept.delete(key);
      }
    },
    (model) =>
      !(model.locked && isBelow(LOCK, prefix)) &&
      ![...model.growing].some((key) => isBelow(key, prefix)),
  );
}

/** How much of what is there an appender goes on with. */
type Keep = "none" | "all" | "half" | "one less" | "one more";

function openCommand(key: string, keep: Keep): Command {
  return command(
    `open ${key} and keep ${keep}`,
    async (model, { store, appenders }) => {
      const found = model.unfinished.get(key) ?? model.values.get(key) ?? new Uint8Array(0);
      const size = found.byteLength;
      const kept = {
        none: 0,
        all: size,
        half: size >> 1,
        "one less": Math.max(0, size - 1),
        "one more": size + 1,
      }[keep];
      const opening = store.append(key, { keep: kept });
      if (kept > size) {
        await expect(opening).rejects.toThrow(ChunkError);
        await expect(opening).rejects.toThrow(`holds ${size} bytes, wanted the ${kept}`);
        return;
      }
      const appender = await opening;
      expect(appender.size).toBe(kept);
      appenders.set(key, appender);
      if (kept > 0 && !model.unfinished.has(key)) model.values.delete(key);
      model.unfinished.set(key, found.slice(0, kept));
      model.growing.add(key);
    },
    (model) => !model.growing.has(key),
  );
}

/** Appends several times without waiting. */
function appendCommand(open: number, parts: Bytes[], transfer: boolean): Command {
  return command(
    `append ${parts.map(({ first, size }) => `${size} bytes from ${first}`).join(", ")} to open ` +
      `value ${open}${transfer ? ", given away" : ""}`,
    async (model, { appenders }) => {
      const key = openKey(model, open);
      const appender = appenders.get(key)!;
      let value = model.unfinished.get(key)!;
      const given = parts.map(({ first, size }) => bytesFrom(first, size));
      await Promise.all(given.map((bytes) => appender.append(bytes, { transfer })));
      given.forEach(overwrite);
      for (const { first, size } of parts) value = joined(value, bytesFrom(first, size));
      model.unfinished.set(key, value);
      expect(appender.size).toBe(value.byteLength);
    },
    hasOpen,
  );
}

function syncCommand(open: number): Command {
  return command(`sync open value ${open}`, async (model, { appenders }) => {
    await appenders.get(openKey(model, open))!.sync();
  }, hasOpen);
}

function finishCommand(open: number): Command {
  return command(`finish open value ${open}`, async (model, { appenders }) => {
    const key = openKey(model, open);
    await appenders.get(key)!.finish();
    appenders.delete(key);
    model.values.set(key, model.unfinished.get(key)!);
    model.unfinished.delete(key);
    model.growing.delete(key);
  }, hasOpen);
}

function closeCommand(open: number): Command {
  return command(`close open value ${open}`, async (model, { appenders }) => {
    const key = openKey(model, open);
    await appenders.get(key)!.close();
    appenders.delete(key);
    model.growing.delete(key);
  }, hasOpen);
}

function lockCommand(): Command {
  return command("lock", async (model, real) => {
    if (!model.locked) {
      real.unlock = await real.store.lock(LOCK);
      model.locked = true;
      return;
    }
    await expect(real.store.lock(LOCK)).rejects.toThrow(OutputConflictError);
    const other = await openStore(real.store.place);
    await expect(other.lock(LOCK)).rejects.toThrow(OutputConflictError);
    await other.close();
  });
}

function unlockCommand(): Command {
  return command("unlock", async (model, real) => {
    await real.unlock!();
    real.unlock = undefined;
    model.locked = false;
  }, (model) => model.locked);
}

function reopenCommand(): Command {
  return command("open the store again by its place", async (model, real) => {
    await closeAppenders(real);
    model.growing.clear();
    const { place } = real.store;
    await real.store.close();
    real.store = await openStore(place);
    expect(real.store.place).toBe(place);
  });
}

/** Spoils bytes that the store must not share; those it was given may be detached. */
function overwrite(bytes: Uint8Array): void {
  if (bytes.byteLength > 0) bytes.fill(~bytes[0]!);
}

function hasOpen(model: Readonly<Model>): boolean {
  return model.growing.size > 0;
}

function openKey({ growing }: Model, open: number): string {
  return [...growing][open % growing.size]!;
}

function isBelow(key: string, prefix: string): boolean {
  return key.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(left.byteLength + right.byteLength);
  both.set(left);
  both.set(right, left.byteLength);
  return both;
}

function partOf(value: Uint8Array, range: ByteRange): Uint8Array {
  return "suffixLength" in range
    ? value.slice(Math.max(0, value.byteLength - range.suffixLength))
    : value.slice(range.offset, range.offset + range.length);
}

/** What the model has under a key, or under that of an unfinished value. */
function wanted({ values, unfinished }: Model, key: string): Uint8Array | undefined {
  return key.endsWith(PARTIAL_SUFFIX)
    ? unfinished.get(key.slice(0, -PARTIAL_SUFFIX.length))
    : values.get(key);
}

async function closeAppenders({ appenders }: Real): Promise<void> {
  for (const appender of appenders.values()) await appender.close();
  appenders.clear();
}

/** Compares all that a store holds with its model. */
async function expectSame(model: Model, store: Store): Promise<void> {
  const found = (await store.list("/")).filter((key) => key !== LOCK);
  expect(found).toEqual([...model.values.keys()].sort());
  for (const key of [...KEYS, ...KEYS.map(partialKey)]) {
    expectBytes(await store.get(key), wanted(model, key));
  }
}

/** Compares by the first difference: printing 65537 bytes helps nobody. */
export function expectBytes(found: Uint8Array | undefined, wanted: Uint8Array | undefined): void {
  expect(found?.byteLength).toBe(wanted?.byteLength);
  const at = wanted?.findIndex((byte, i) => byte !== found![i]) ?? -1;
  if (at >= 0) expect({ at, byte: found![at] }).toEqual({ at, byte: wanted![at] });
}
