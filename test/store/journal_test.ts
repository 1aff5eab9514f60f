import { describe, expect, it } from "vitest";
import { ChunkError, OutputConflictError } from "../../src/errors.ts";
import { Journal, openJournal } from "../../src/store/journal.ts";
import { partialKey } from "../../src/store/place.ts";
import { openStore } from "../../src/store/store.ts";

const carry = Uint8Array.of(1, 2, 3, 255, 0);
const entries = async (journal: Journal) => (await journal.readLog()).map(({ entry }) => entry);

describe("a journal", () => {
  it("keeps plan, log and carries until it is cleared", async () => {
    const place = "memory:journal_test/kept.zarr";
    const journal = await openJournal(place);
    expect(await journal.planHash()).toBeUndefined();
    expect(await journal.readLog()).toEqual([]);
    await journal.begin("abc");
    await journal.append({ row: 1 });
    await journal.append({ row: 2, text: "Zürich 🐀" });
    await journal.saveCarry("filter", 12, carry);
    await journal.saveCarry("filter", 7, carry);
    await journal.close();

    const again = await openJournal(place);
    expect(await again.planHash()).toBe("abc");
    expect(await entries(again)).toEqual([{ row: 1 }, { row: 2, text: "Zürich 🐀" }]);
    expect(await again.loadCarry("filter", 7)).toEqual(carry);
    expect(await again.carryRows("filter")).toEqual([7, 12]);
    expect(await again.carryRows("smooth")).toEqual([]);
    await again.deleteCarry("filter", 7);
    expect(await again.carryRows("filter")).toEqual([12]);
    await again.clear();
    expect(await again.planHash()).toBeUndefined();
    expect(await again.readLog()).toEqual([]);
    expect(await (await openStore(again.place)).list("/")).toEqual([]);
  });

  it("keeps one state of the host, the last, if it is whole", async () => {
    const journal = await openJournal("memory:journal_test/state.zarr");
    await journal.begin("abc");
    expect(await journal.loadState()).toBeUndefined();
    const states = [1, 2].map((sweep) => ({
      facts: { sweep, text: "Zürich 🐀" },
      arrays: [
        Float32Array.of(Infinity, 1.5, -0),
        Float64Array.of(),
        Float64Array.of(1 / 3, 1e300 * sweep),
      ],
    }));
    for (const state of states) await journal.saveState(state);
    const store = await openStore(journal.place);
    const bytes = Journal.stateBytes(states[1]!);
    expect(await store.size("/state")).toBe(bytes);
    expect(await journal.loadState()).toEqual({ state: states[1], bytes });
    await store.set("/state", (await store.get("/state"))!.subarray(0, bytes - 1));
    expect(await journal.hasState()).toBe(true);
    expect(await journal.loadState()).toBeUndefined();
    await journal.clear();
    expect(await journal.hasState()).toBe(false);
  });

  it("takes the bytes it said it would", async () => {
    const journal = await openJournal("memory:journal_test/size.zarr");
    await journal.begin("abc");
    await journal.append({ row: 1 });
    await journal.saveCarry("filter", 0, carry);
    const store = await openStore(journal.place);
    expect(await store.size(partialKey("/log/steps"))).toBe(Journal.entryBytes({ row: 1 }));
    const [key] = await store.list("/carry");
    expect(await store.size(key!)).toBe(Journal.carryBytes(carry.byteLength));
  });

  it("ends at the first entry that is torn or damaged, wherever it is cut or flipped", async () => {
    const journal = await openJournal("memory:journal_test/cut.zarr");
    await journal.begin("abc");
    const all = [{ a: 1 }, { b: [2, 3] }, { c: "x" }];
    for (const entry of all) await journal.append(entry);
    const store = await openStore(journal.place);
    const whole = (await store.get(partialKey("/log/steps")))!;
    const ends = all.map((_, i) =>
      all.slice(0, i + 1).reduce((sum, entry) => sum + Journal.entryBytes(entry), 0)
    );
    const damaged = async (bytes: Uint8Array) => {
      const other = await openJournal("memory:journal_test/damaged.zarr");
      await other.begin("abc");
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
    await journal.begin("abc");
    for (const row of [1, 2, 3]) await journal.append({ row });
    const [first] = await journal.readLog();
    await journal.continueLog(first!.bytes);
    await journal.append({ row: 9 });
    expect(await entries(journal)).toEqual([{ row: 1 }, { row: 9 }]);
  });

  it("names a carry that is missing, cut or damaged", async () => {
    const journal = await openJournal("memory:journal_test/carry.zarr");
    await expect(journal.loadCarry("smooth", 3)).rejects.toThrow(
      /carry\/smooth\/000000000003" is missing/,
    );
    await journal.saveCarry("smooth", 3, carry);
    const store = await openStore(journal.place);
    const [key] = await store.list("/carry");
    const bytes = (await store.get(key!))!;
    const flipped = bytes.slice();
    flipped[2]! ^= 1;
    for (const wrong of [flipped, bytes.slice(0, -1), bytes.slice(0, 3), bytes.slice(0, 0)]) {
      await store.set(key!, wrong);
      await expect(journal.loadCarry("smooth", 3)).rejects.toThrow(ChunkError);
      await expect(journal.loadCarry("smooth", 3)).rejects.toThrow(key);
      expect(await journal.carryRows("smooth")).toEqual([]);
    }
  });

  it("is not gone on with when another version wrote it, or its plan is damaged", async () => {
    const journal = await openJournal("memory:journal_test/version.zarr");
    const store = await openStore(journal.place);
    for (const text of ['{"version":99,"hash":"abc"}', '{"versi']) {
      await store.set("/plan.json", new TextEncoder().encode(text));
      expect(await journal.planHash()).toBeUndefined();
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
