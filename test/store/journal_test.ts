import { describe, expect, it } from "vitest";
import { OutputConflictError } from "../../src/errors.ts";
import { Journal, openJournal } from "../../src/store/journal.ts";
import { partialKey } from "../../src/store/place.ts";
import { openStore } from "../../src/store/open_store.ts";

const state = Uint8Array.of(1, 2, 3, 255, 0);
const entries = async (journal: Journal) => (await journal.readLog()).map(({ entry }) => entry);

describe("a journal", () => {
  it("keeps plan, log and states until it is cleared", async () => {
    const place = "memory:journal_test/kept.zarr";
    const journal = await openJournal(place);
    expect(await journal.claim()).toBeUndefined();
    expect(await journal.readLog()).toEqual([]);
    await journal.begin({ hash: "abc" });
    await journal.append({ row: 1 });
    await journal.append({ row: 2, text: "Zürich 🐀" });
    await journal.saveState("filter", 12, [state]);
    await journal.saveState("filter", 7, [state]);
    await journal.close();

    const again = await openJournal(place);
    expect(await again.claim()).toEqual({ hash: "abc" });
    expect(await entries(again)).toEqual([{ row: 1 }, { row: 2, text: "Zürich 🐀" }]);
    expect(await again.loadState("filter", 7)).toEqual(state);
    expect(await again.stateRows("filter")).toEqual([7, 12]);
    expect(await again.stateRows("smooth")).toEqual([]);
    await again.deleteState("filter", 7);
    expect(await again.stateRows("filter")).toEqual([12]);
    await again.clear();
    expect(await again.claim()).toBeUndefined();
    expect(await again.readLog()).toEqual([]);
    expect(await (await openStore(again.place)).list("/")).toEqual([]);
  });

  it("puts the parts of a state one after the other, and the later in place of the earlier", async () => {
    const journal = await openJournal("memory:journal_test/state.zarr");
    const parts = (last: number) => [
      Float32Array.of(Infinity, 1.5),
      Float64Array.of(),
      Uint8Array.of(last),
    ];
    await journal.saveState("iterate 3", 0, parts(7));
    await journal.saveState("iterate 3", 0, parts(8));
    expect(await journal.loadState("iterate 3", 0))
      .toEqual(Uint8Array.of(0, 0, 128, 127, 0, 0, 192, 63, 8));
    expect(await journal.stateRows("iterate")).toEqual([]);
  });

  it("tells which result it may replace", async () => {
    const journal = await openJournal("memory:journal_test/claim.zarr");
    await journal.begin({ hash: "abc", replaces: "def" });
    expect(await journal.claim()).toEqual({ hash: "abc", replaces: "def" });
    // the same plan goes on with the claim it had
    await journal.begin({ hash: "abc" });
    expect(await journal.claim()).toEqual({ hash: "abc", replaces: "def" });
    await journal.begin({ hash: "ghi" });
    expect(await journal.claim()).toEqual({ hash: "ghi" });
  });

  it("takes the bytes it said it would", async () => {
    const journal = await openJournal("memory:journal_test/size.zarr");
    await journal.begin({ hash: "abc" });
    await journal.append({ row: 1 });
    await journal.saveState("filter", 0, [state]);
    const store = await openStore(journal.place);
    expect(await store.size(partialKey("/log/steps"))).toBe(Journal.entryBytes({ row: 1 }));
    const [key] = await store.list("/state");
    expect(await store.size(key!)).toBe(Journal.stateBytes(state.byteLength));
  });

  it("ends at the first entry that is torn or damaged, wherever it is cut or flipped", async () => {
    const journal = await openJournal("memory:journal_test/cut.zarr");
    await journal.begin({ hash: "abc" });
    const all = [{ a: 1 }, { b: [2, 3] }, { c: "x" }];
    for (const entry of all) await journal.append(entry);
    const store = await openStore(journal.place);
    const whole = (await store.get(partialKey("/log/steps")))!;
    const ends = all.map((_, i) =>
      all.slice(0, i + 1).reduce((sum, entry) => sum + Journal.entryBytes(entry), 0)
    );
    const damaged = async (bytes: Uint8Array) => {
      const other = await openJournal("memory:journal_test/damaged.zarr");
      await other.begin({ hash: "abc" });
      const log = await (await openStore(other.place)).append("/log/steps");
      await log.append(bytes);
      const read = await entries(other);
      await other.clear();
      return read;
    };
    for (let cut = 0; cut <= whole.byteLength; cut++) {
      const kept = ends.filter((end) => end <= cut).length;
      expect(await damaged(whole.slice(0, cut))).toEqual(all.slice(0, kept));
    }
    for (let at = 0; at < whole.byteLength; at++) {
      const flipped = whole.slice();
      flipped[at]! ^= 0x10;
      const kept = ends.filter((end) => end <= at).length;
      expect(await damaged(flipped)).toEqual(all.slice(0, kept));
    }
  });

  it("goes on after the entries that hold", async () => {
    const journal = await openJournal("memory:journal_test/continued.zarr");
    await journal.begin({ hash: "abc" });
    for (const row of [1, 2, 3]) await journal.append({ row });
    const [first] = await journal.readLog();
    await journal.continueLog(first!.bytes);
    await journal.append({ row: 9 });
    expect(await entries(journal)).toEqual([{ row: 1 }, { row: 9 }]);
  });

  it("does not know a state that is missing, cut or damaged", async () => {
    const journal = await openJournal("memory:journal_test/damaged_state.zarr");
    expect(await journal.loadState("smooth", 3)).toBeUndefined();
    await journal.saveState("smooth", 3, [state]);
    const store = await openStore(journal.place);
    const [key] = await store.list("/state");
    const bytes = (await store.get(key!))!;
    const flipped = bytes.slice();
    flipped[2]! ^= 1;
    for (const wrong of [flipped, bytes.slice(0, -1), bytes.slice(0, 3), bytes.slice(0, 0)]) {
      await store.set(key!, wrong);
      expect(await journal.loadState("smooth", 3)).toBeUndefined();
      expect(await journal.stateRows("smooth")).toEqual([]);
    }
  });

  it("is not gone on with when another version wrote it, or its plan is damaged", async () => {
    const journal = await openJournal("memory:journal_test/version.zarr");
    const store = await openStore(journal.place);
    for (const text of ['{"version":99,"hash":"abc"}', '{"versi']) {
      await store.set("/plan.json", new TextEncoder().encode(text));
      expect(await journal.claim()).toBeUndefined();
    }
  });

  it("is locked by one run at a time", async () => {
    const journal = await openJournal("memory:journal_test/locked.zarr");
    const unlock = await journal.lock();
    const other = await openJournal("memory:journal_test/locked.zarr");
    await expect(other.lock()).rejects.toThrow(OutputConflictError);
    await unlock();
    await (await other.lock())();
  });
});
