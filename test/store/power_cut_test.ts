import { describe, expect, it } from "vitest";
import { Journal } from "../../src/store/journal.ts";
import type { StoredChunk } from "../../src/zarr/chunk_writer.ts";
import { ChunkWriter } from "../../src/zarr/chunk_writer.ts";
import type { ZarrArraySpec } from "../../src/zarr/metadata.ts";
import { ForgetfulStore, PowerCutError } from "../support/forgetful_store.ts";

const SEEDS = [1, 2, 3];

/**
 * Does something again and again, each time with the power cut at a later operation, until it is through.
 * Whatever a cut leaves is checked for every seed.
 */
async function cutEverywhere(
  work: (store: ForgetfulStore) => Promise<void>,
  check: (left: (cutAt?: number) => ForgetfulStore, what: string) => Promise<void>,
): Promise<number> {
  for (let cutAt = 1;; cutAt++) {
    const store = new ForgetfulStore(new Map(), cutAt);
    const failure = await work(store).then(() => undefined, (error) => error);
    if (failure !== undefined && !(failure instanceof PowerCutError)) throw failure;
    for (const seed of SEEDS) {
      await check((again) => store.cutPower(seed, again), `cut at ${cutAt}, seed ${seed}`);
    }
    if (failure === undefined) return cutAt;
  }
}

describe("a store that forgets", () => {
  it("keeps what was set, synced or finished, and may lose or tear what was only appended", async () => {
    const store = new ForgetfulStore();
    await store.set("/set", Uint8Array.of(1));
    const appender = await store.append("/log");
    await appender.append(Uint8Array.of(1, 2, 3));
    await appender.sync();
    await appender.append(Uint8Array.of(4, 5, 6));
    const finished = await store.append("/done");
    await finished.append(Uint8Array.of(7));
    await finished.finish();
    const tails = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const left = store.cutPower(seed);
      expect(await left.list("/")).toEqual(["/done", "/set"]);
      const log = [...(await left.get("/log.partial"))!];
      expect(log.slice(0, 3)).toEqual([1, 2, 3]);
      tails.add(log.slice(3).join());
    }
    expect([...tails]).toEqual(expect.arrayContaining(["", "4", "4,5", "4,5,6"]));
    expect([...tails].some((tail) => tail !== "" && !"4,5,6".startsWith(tail))).toBe(true);
  });

  it("has not done yet what nobody waited for", async () => {
    const store = new ForgetfulStore();
    const log = await store.append("/log");
    await log.append(Uint8Array.of(1));
    void log.sync().catch(() => {});
    await null;
    const sizes = await Promise.all(
      Array.from({ length: 20 }, (_, seed) => store.cutPower(seed).size("/log.partial")),
    );
    expect(new Set(sizes)).toEqual(new Set([undefined, 0, 1]));
  });
});

describe("a journal after a power cut at any moment", () => {
  const entry = (row: number) => ({ row, text: `step ${row}` });
  const carry = (row: number) => Uint8Array.of(row, 2 * row, 3 * row);
  const parts = (row: number) => [Uint8Array.of(row), Float64Array.of(1 / row)];
  const state = (row: number) => {
    const [first, second] = parts(row);
    return Uint8Array.of(...first!, ...new Uint8Array(second!.buffer));
  };

  it("has every entry, carry and state it said was stored, and goes on from there", async () => {
    const nothing = { begun: false, carry: 0, entries: 0, state: 0 };
    let said = { ...nothing };
    let tried = 0;
    const cuts = await cutEverywhere(async (store) => {
      [said, tried] = [{ ...nothing }, 0];
      const journal = new Journal(store);
      await journal.begin({ hash: "abc" });
      said.begun = true;
      for (let row = 1; row <= 4; row++) {
        tried = row;
        await journal.saveState("filter", row, [carry(row)]);
        said.carry = row;
        await journal.append(entry(row));
        said.entries = row;
        if (row > 1) await journal.deleteState("filter", row - 1);
        await journal.saveState("iterate", 0, parts(row));
        said.state = row;
      }
    }, async (left, what) => {
      const journal = new Journal(left());
      if (said.begun) expect(await journal.claim(), what).toEqual({ hash: "abc" });
      const log = await journal.readLog();
      const entries = log.map(({ entry }) => entry);
      expect(entries.length, what).toBeGreaterThanOrEqual(said.entries);
      expect(entries.length, what).toBeLessThanOrEqual(tried);
      expect(entries, what).toEqual(entries.map((_, i) => entry(i + 1)));
      if (entries.length > 0) {
        expect(await journal.loadState("filter", entries.length), what)
          .toEqual(carry(entries.length));
      }
      if (said.carry > 0) {
        expect(await journal.loadState("filter", said.carry), what).toEqual(carry(said.carry));
      }
      const kept = await journal.loadState("iterate", 0);
      if (said.state > 0) expect(kept, what).toBeDefined();
      if (kept) expect([state(said.state), state(tried)], what).toContainEqual(kept);

      // what is torn is cut off, and what comes next is behind what holds
      await journal.continueLog(log.reduce((sum, { bytes }) => sum + bytes, 0));
      await journal.append(entry(entries.length + 1));
      expect((await journal.readLog()).map(({ entry }) => entry), what)
        .toEqual([...entries, entry(entries.length + 1)]);
    });
    expect(cuts).toBeGreaterThan(20);
  });

  it("that was begun for another plan is the old one, the new one, or none", async () => {
    const files = async () => {
      const store = new ForgetfulStore();
      const journal = new Journal(store);
      await journal.begin({ hash: "old" });
      await journal.append(entry(1));
      return store;
    };
    for (let cutAt = 1; cutAt <= 8; cutAt++) {
      const store = (await files()).cutPower(1, cutAt);
      await new Journal(store).begin({ hash: "new" }).catch(() => {});
      for (const seed of SEEDS) {
        const journal = new Journal(store.cutPower(seed));
        const hash = (await journal.claim())?.hash;
        if (hash === "new") expect(await journal.readLog()).toEqual([]);
        else expect(["old", undefined]).toContain(hash);
      }
    }
  });
});

describe("an array after a power cut at any moment", () => {
  const ROWS = 17;
  const base: ZarrArraySpec = {
    name: "x",
    shape: [ROWS, 3],
    chunkShape: [2, 3],
    dtype: "float32",
    dims: ["time", "state"],
  };
  const rows = (from: number, to: number) =>
    Float32Array.from({ length: 3 * (to - from) }, (_, i) => 3 * from + i + 1);

  /** Writes blocks of 3 rows that are not stored yet, and logs what each commit made safe. */
  async function write(store: ForgetfulStore, spec: ZarrArraySpec, descending: boolean) {
    const journal = new Journal(store);
    if (await journal.claim() === undefined) await journal.begin({ hash: "abc" });
    const log = await journal.readLog();
    const writer = new ChunkWriter(store, spec, { descending });
    const chunks = log.flatMap(({ entry }) => entry as StoredChunk[]);
    const damage = await writer.verify(chunks);
    if (damage) throw damage;
    await writer.restore(chunks);
    await journal.continueLog(log.reduce((sum, { bytes }) => sum + bytes, 0));
    const starts = Array.from({ length: Math.ceil(ROWS / 3) }, (_, i) => 3 * i);
    for (const start of descending ? starts.reverse() : starts) {
      const end = Math.min(ROWS, start + 3);
      await writer.write(start, rows(start, end));
      if (start % 2 === 0) await journal.append((await writer.commit()).chunks);
    }
    await writer.finish();
    await journal.append((await writer.commit()).chunks);
    return journal;
  }

  async function contents(store: ForgetfulStore) {
    const keys = (await store.list("/x")).map(async (key) => [key, await store.get(key)]);
    return Object.fromEntries(await Promise.all(keys)) as Record<string, Uint8Array>;
  }

  const cases: [string, Partial<ZarrArraySpec>, boolean][] = [
    ["in shards", { shardChunks: 5 }, false],
    ["in shards, from the last row to the first", { shardChunks: 5 }, true],
    ["in a file a chunk", {}, false],
  ];
  for (const [name, choices, descending] of cases) {
    it(`${name} becomes the same bytes once it is gone on with`, async () => {
      const spec = { ...base, ...choices };
      const whole = new ForgetfulStore();
      await write(whole, spec, descending);
      const wanted = await contents(whole);
      expect(Object.keys(wanted).length).toBe(Math.ceil(9 / (spec.shardChunks ?? 1)));
      await cutEverywhere(async (store) => {
        await write(store, spec, descending);
      }, async (left, what) => {
        const store = left();
        try {
          await write(store, spec, descending);
        } catch (error) {
          throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
        }
        expect(await contents(store), what).toEqual(wanted);
      });
    });
  }

  it("is gone on with after a second cut", async () => {
    const spec = { ...base, shardChunks: 5 };
    const whole = new ForgetfulStore();
    await write(whole, spec, false);
    const wanted = await contents(whole);
    for (let cutAt = 1; cutAt < whole.history.length; cutAt += 4) {
      for (let again = 1; again < 12; again += 2) {
        const first = new ForgetfulStore(new Map(), cutAt);
        await write(first, spec, false).catch(() => {});
        const second = first.cutPower(cutAt, again);
        await write(second, spec, false).catch(() => {});
        const third = second.cutPower(again);
        await write(third, spec, false);
        expect(await contents(third), `cuts at ${cutAt} and ${again}`).toEqual(wanted);
      }
    }
  });

  it("has every chunk that was committed", async () => {
    const spec = { ...base, shardChunks: 5 };
    let committed: StoredChunk[] = [];
    await cutEverywhere(async (store) => {
      committed = [];
      const writer = new ChunkWriter(store, spec);
      for (let start = 0; start < ROWS; start++) {
        await writer.write(start, rows(start, start + 1));
        committed.push(...(await writer.commit()).chunks);
      }
    }, async (left, what) => {
      expect(await new ChunkWriter(left(), spec).verify(committed), what).toBeUndefined();
    });
    expect(committed.length).toBe(9);
  });
});
