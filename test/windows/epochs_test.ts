import { describe, expect, it } from "vitest";
import type { Sampler } from "../../src/feed/samplers.ts";
import { everyNth, prioritized, weighted } from "../../src/feed/samplers.ts";
import { measureMixing } from "../../src/windows/mixing.ts";
import type { HostBatchOptions } from "../../src/windows/batches.ts";
import type { BatchCursor } from "../../src/windows/batch_options.ts";
import type { Windows } from "../../src/windows/windows.ts";
import { windows } from "../../src/windows/windows.ts";
import { formatBytes } from "../../src/math/format.ts";
import { nextTurn } from "../../src/turns.ts";
import { useGpu } from "../support/gpu.ts";
import {
  framesOf,
  hidden,
  keepDevice,
  keepHost,
  someFrames,
  zarrFrames,
} from "../support/window_frames.ts";

const gpu = useGpu({ budget: "4 MiB" });

const [FRAMES, FEATURES] = [110, 4];
const values = someFrames(FRAMES, FEATURES);
const GRID = { size: 6, segments: [0, 40] };
const COUNT = 35 + 65;
const view = windows(framesOf(values, FEATURES), GRID);
const onDisk = windows(hidden(framesOf(values, FEATURES)), GRID);
const all = Array.from({ length: COUNT }, (_, i) => i);

const drawn = async (batches: AsyncIterable<{ windows: Uint32Array }>) => {
  const list: number[] = [];
  for await (const { windows } of batches) list.push(...windows);
  return list;
};

/** A sampler that does as it is told. */
const sampler = (draw: Sampler["draw"], most = 1000): Sampler => ({
  name: "own",
  most: () => most,
  draw,
});

describe("dropLast", () => {
  it("with fewer windows than a batch is refused with both numbers, in endless epochs too", async () => {
    for (const epochs of [1, 3, Infinity]) {
      const options = { size: 101, dropLast: true, epochs };
      const wanted = /an epoch has 100 windows, a batch 101, .* a size of at most 100/;
      expect(() => view.batches(options)).toThrow(wanted);
      expect(() => view.batches(gpu(), options)).toThrow(wanted);
      const few = { ...options, size: 8, sampler: everyNth(20) };
      expect(() => view.batches(few)).toThrow(/an epoch has at most 5 windows, a batch 8/);
      const drew = { ...few, sampler: sampler((_, epoch) => new Uint32Array(epoch < 2 ? 9 : 7)) };
      const got = drawn(view.batches({ ...drew, epoch: 2 }));
      await expect(got).rejects.toThrow(/epoch 2 has 7 windows, a batch 8/);
    }
    expect(view.batches({ size: 100, dropLast: true }).length).toBe(1);
  });

  it("leaves no short batch after a cursor of other batches either", async () => {
    let cursor: BatchCursor | undefined;
    for await (const batch of view.batches({ size: 15 })) {
      cursor = batch.cursor;
      break;
    }
    for (const framesIn of ["host", "disk"] as const) {
      const options = { size: 10, dropLast: true, from: cursor!, framesIn };
      const sizes = (await keepHost(onDisk.batches(options))).map(({ windows }) => windows.length);
      expect(sizes).toEqual([10, 10, 10, 10, 10, 10, 10, 10]);
    }
  });
});

describe("a sampler", () => {
  for (const framesIn of ["host", "disk"] as const) {
    it(`is asked when its epoch begins, with frames in ${framesIn}, and no batch is lost when it fails`, async () => {
      const events: string[] = [];
      const own = sampler((_, epoch) => {
        events.push(`epoch ${epoch}`);
        if (epoch === 2) throw new Error("no priorities");
        return Uint32Array.of(3, 4, 5, 6, 7, 8);
      });
      const options = { size: 4, sampler: own, epochs: 5, prefetch: 16, framesIn };
      const run = async () => {
        for await (const { epoch, isLast, windows } of onDisk.batches(options)) {
          // whatever is made ahead has had its time
          for (let i = 0; i < 20; i++) await nextTurn();
          events.push(`${windows.length} of ${epoch}${isLast ? ", the last" : ""}`);
        }
      };
      await expect(run()).rejects.toThrow("no priorities");
      expect(events).toEqual([
        ...["epoch 0", "4 of 0", "2 of 0, the last"],
        ...["epoch 1", "4 of 1", "2 of 1, the last", "epoch 2"],
      ]);
    });
  }

  it("sees the priorities that training gave to windows in the epoch before", async () => {
    for (const framesIn of ["device", "host", "disk"] as const) {
      const priorities = new Float32Array(COUNT).fill(1);
      const seen: number[][] = [[], []];
      const options = {
        size: 7,
        sampler: prioritized(priorities, { count: 50 }),
        epochs: 2,
        prefetch: 8,
        framesIn,
      };
      for await (const { epoch, windows, isLast } of onDisk.batches(gpu(), options)) {
        seen[epoch]!.push(...windows);
        // what came is not to come again
        if (isLast) { for (const window of seen[epoch]!) priorities[window] = 0; }
      }
      expect(seen.map((own) => new Set(own).size)).toEqual([50, 50]);
      expect(new Set(seen.flat()).size).toBe(100);
    }
  });

  it("may take its time", async () => {
    const own = sampler(async (windows, epoch) => {
      await nextTurn();
      return Uint32Array.of(epoch, windows - 1);
    });
    const batches = view.batches({ size: 8, shuffle: false, sampler: own, epochs: 2 });
    expect(await drawn(batches)).toEqual([0, 99, 1, 99]);
    expect(() => batches.length).toThrow(/the sampler \(own\) draws by a promise, wanted one/);
    expect(batches.explain()).toMatch(/draws by a promise/);
    const failing = sampler(() => Promise.reject(new Error("not there")));
    await expect(drawn(view.batches({ sampler: failing }))).rejects.toThrow("not there");
  });

  it("that draws what are no windows, or more than it said, is refused by name", async () => {
    const run = (draw: unknown, most?: number) =>
      drawn(view.batches({ size: 8, sampler: sampler(() => draw as Uint32Array, most) }));
    await expect(run(undefined)).rejects.toThrow(/\(own\) drew undefined .*, wanted a Uint32Array/);
    await expect(run([1, 2])).rejects.toThrow(/\(own\) drew a value of the kind Array/);
    await expect(run(new Float32Array(3))).rejects.toThrow(/of the kind Float32Array/);
    await expect(run(new Uint32Array(9), 8)).rejects.toThrow(
      /drew 9 windows .*, it said at most 8/,
    );
    await expect(run(new Uint32Array(0))).rejects.toThrow(/drew none in epoch 0/);
    expect(() => view.batches({ sampler: sampler(() => new Uint32Array(1), NaN) }))
      .toThrow(/draws at most NaN windows/);
  });

  it("that draws many gives others their turns, and takes the memory it promised", async () => {
    const many = windows(framesOf(new Float32Array(400_000), 1), { size: 1 });
    const weights = new Float32Array(400_000).fill(2.5);
    const own = weighted(weights, 3);
    let turns = 0;
    let going = true;
    const others = (async () => {
      for (; going; turns++) await nextTurn();
    })();
    const batches = many.batches({ size: 4096, sampler: own, prefetch: 0 });
    for await (const { windows } of batches) {
      expect(windows.length).toBe(4096);
      break;
    }
    going = false;
    await others;
    // of what cannot be seen here, the length of a turn, docs have the measurements
    expect(turns).toBeGreaterThan(3);
    const { buffer } = own.draw(400_000, 0);
    expect(buffer.byteLength).toBe(4 * own.most(400_000));
    expect(batches.projected.host).toBeGreaterThan(2 * buffer.byteLength);
  });

  it("that may draw more than a million windows is not asked beforehand: as many stand for them", () => {
    let draws = 0;
    const counted = (most: number, mean: number): Sampler => ({
      ...sampler(() => {
        draws++;
        return new Uint32Array(5);
      }, most),
      mean: () => mean,
    });
    const lots = onDisk.batches({ size: 10, sampler: counted(2 ** 20, 100) });
    const text = lots.explain();
    expect(text).toContain("about 10 batches an epoch");
    expect(text).toContain("is not asked beforehand");
    const plain = onDisk.batches({ size: 10 });
    expect(lots.mixing()).toEqual(plain.mixing());
    expect(lots.cost(false)).toEqual(plain.cost(false));
    expect(draws).toBe(0);
    // how many come is known exactly: drawn, unless all epochs have as many
    expect(lots.length).toBe(1);
    expect(draws).toBe(1);
    expect(onDisk.batches({ size: 10, sampler: counted(2 ** 20, 2 ** 20) }).length).toBe(104_858);
    expect(draws).toBe(1);
    const few = onDisk.batches({ size: 10, sampler: counted(5, 5) }).explain();
    expect(few).not.toContain("is not asked beforehand");
    expect(draws).toBe(2);
    expect(weighted([0.25, 2, 1.5]).mean(3)).toBe(3.75);
  });

  it("is asked once for explain(), however many orders that tells of", () => {
    let draws = 0;
    const own = sampler(() => {
      draws++;
      return Uint32Array.from(all);
    });
    view.batches({ size: 8, sampler: own }).explain();
    expect(draws).toBe(1);
  });
});

describe("mixing", () => {
  it("of more than a million windows is measured on a million, with the same result", () => {
    const length = 29_999_999;
    let looked = 0;
    const at = (position: number) => {
      looked++;
      // a permutation: the length is prime
      return position * 48_271 % length;
    };
    const { positions, neighbours } = measureMixing({ length, at });
    expect(looked).toBe(2 ** 20);
    expect(positions.chiSquare / positions.degrees).toBeLessThan(2);
    // all neighbours are as far apart
    expect(neighbours.chiSquare).toBeGreaterThan(1000 * neighbours.degrees);
    const sorted = measureMixing({ length, at: (position) => position });
    expect(sorted.positions.chiSquare / sorted.positions.degrees).toBeGreaterThan(1000);
  });
});

describe("a cursor", () => {
  const cursorOf = async (own: Windows, options: HostBatchOptions) => {
    for await (const { cursor } of own.batches(options)) return cursor;
    throw new Error("no batch");
  };

  it("is good for the same windows, however they are kept or written down", async () => {
    const seed = 5;
    const kinds: HostBatchOptions[] = [{ shuffle: { seed } }, { shuffle: seed }, {
      shuffle: false,
    }];
    for (const options of kinds) {
      const made = { ...options, size: 30 };
      const cursor = await cursorOf(view, made);
      const rest = (await drawn(view.batches(made))).slice(30);
      const full = typeof options.shuffle === "object"
        ? { shuffle: { pool: 10, block: 1024, seed } }
        : {};
      const go = (own: Windows, more: HostBatchOptions) =>
        drawn(own.batches({ ...options, ...full, from: cursor, ...more }));
      const written = {
        ...GRID,
        stride: 1,
        delay: 0,
        previous: true,
        labels: new Int8Array(FRAMES),
      };
      for (
        const more of [
          { eager: true },
          { eager: "auto" },
          { hold: "float16" },
          { hold: "float16", dtype: "float16" },
          { framesIn: "disk", budget: 50_000, size: 5 },
          { dropLast: false, prefetch: 0, epoch: 0, epochs: 1, dtype: "float32" },
        ] as HostBatchOptions[]
      ) {
        expect(await go(view, more), JSON.stringify(more)).toEqual(rest);
        expect(await go(windows(onDisk.base, written), more)).toEqual(rest);
      }
      const halves = await zarrFrames(values, FEATURES, { chunkRows: 9, dtype: "float16" });
      expect(await go(windows(halves, GRID), {})).toEqual(rest);
      const kept = await keepDevice(
        gpu(),
        view.batches(gpu(), { ...options, size: 70, from: cursor, eager: true }),
      );
      expect(kept.flatMap(({ windows }) => windows)).toEqual(rest);
    }
  });

  it("is refused for other windows: of another delay, or with another frame before", async () => {
    const one = { size: 1, labels: new Int8Array(FRAMES) };
    const plain = windows(view.base, one);
    const cursor = await cursorOf(plain, { size: 8 });
    for (const more of [{ delay: 1 }, { previous: true }, { stride: 2 }, { segments: [0, 1] }]) {
      const other = windows(view.base, { ...one, ...more });
      await expect(drawn(other.batches({ from: cursor })), JSON.stringify(more)).rejects
        .toThrow(/made with other windows/);
    }
    const wider = windows(framesOf(values, 2 * FEATURES), one);
    await expect(drawn(wider.batches({ from: cursor }))).rejects.toThrow(/other frames/);
  });

  it("that stands where there is no window is refused, before anything is read", async () => {
    const cursor = await cursorOf(view, { size: 8 });
    for (const position of [-1, 1.5, NaN, Infinity, "8", undefined] as number[]) {
      expect(() => view.batches({ from: { ...cursor, position } }), String(position))
        .toThrow(/position of the cursor is .*, wanted a whole number from 0/);
    }
    expect(() => view.batches({ from: { ...cursor, epoch: 0.5 } })).toThrow(/epoch of the cursor/);
    expect(() => view.batches({ from: {} as BatchCursor })).toThrow(TypeError);
    await expect(drawn(view.batches({ from: { ...cursor, position: 101 } }))).rejects
      .toThrow(/stands at window 101, its epoch has 100/);
    expect(await drawn(view.batches({ from: { ...cursor, position: 100 } }))).toEqual([]);
  });
});

describe("another loop", () => {
  it("goes on with the next epoch, after a cursor and after a loop that was left, too", async () => {
    const wanted = await drawn(view.batches({ size: 8, epochs: 4 }));
    const epoch = (number: number) => wanted.slice(100 * number, 100 * (number + 1));
    const batches = view.batches({ size: 8 });
    for (const number of [0, 1]) expect(await drawn(batches)).toEqual(epoch(number));
    for await (const { epoch } of batches) {
      expect(epoch).toBe(2);
      break;
    }
    expect(await drawn(batches)).toEqual(epoch(3));
    let cursor: BatchCursor | undefined;
    for await (const batch of view.batches({ size: 8 })) {
      cursor = batch.cursor;
      break;
    }
    const on = view.batches({ size: 8, from: cursor! });
    expect(await drawn(on)).toEqual(epoch(0).slice(8));
    expect(await drawn(on)).toEqual(epoch(1));
  });

  it("reads frames again where they are not in memory already, as explain() says", async () => {
    const bytes = 4 * FRAMES * FEATURES;
    const says = `Each loop reads ${formatBytes(bytes)} of frames, once for all of its epochs`;
    for (const framesIn of ["host", "device"] as const) {
      for (const epochs of [1, 3]) {
        const batches = onDisk.batches(gpu(), { size: 8, framesIn, epochs });
        expect(batches.explain()).toContain(says);
        for (const loops of [1, 2]) {
          await drawn(batches);
          expect(batches.stats.bytesRead).toBe(loops * bytes);
        }
      }
    }
    const inMemory = view.batches(gpu(), { size: 8, framesIn: "host" });
    expect(inMemory.explain()).not.toContain("Each loop reads");
    for (const _ of [1, 2]) await drawn(inMemory);
    expect(inMemory.stats.reads).toBe(0);
  });

  it("for each epoch takes frames that were read once for all of them", async () => {
    const once = onDisk.batches({ size: 8 });
    await drawn(once);
    const batches = onDisk.batches({ size: 8, epochs: 3 });
    const wanted = await drawn(onDisk.batches({ size: 8, epochs: 3 }));
    const seen: number[] = [];
    for await (const { epoch, batches: own } of batches.byEpoch()) {
      for await (const batch of own) {
        expect(batch.epoch).toBe(epoch);
        seen.push(...batch.windows);
        // what is left of the second is passed over
        if (epoch === 1) break;
      }
    }
    expect(seen).toEqual([...wanted.slice(0, 108), ...wanted.slice(200)]);
    expect(batches.stats.bytesRead).toBe(once.stats.bytesRead);
    expect(gpu().ledger.reserved.gpu).toBe(0);
  });

  it("for each epoch draws it when that loop has been asked for", async () => {
    const events: string[] = [];
    const own = sampler((_, epoch) => {
      events.push(`drawn ${epoch}`);
      return Uint32Array.of(1, 2, 3);
    });
    for await (
      const { epoch, batches } of view.batches({ size: 2, sampler: own, epochs: 2 }).byEpoch()
    ) {
      for await (const { windows } of batches) events.push(`${windows.length} windows`);
      events.push(`validated ${epoch}`);
    }
    expect(events).toEqual([
      ...["drawn 0", "2 windows", "1 windows", "validated 0"],
      ...["drawn 1", "2 windows", "1 windows", "validated 1"],
    ]);
  });
});

describe("two levels", () => {
  it("say when blocks smaller than stored chunks make them read a table more than once", async () => {
    const many = someFrames(4000, 2);
    const chunked = windows(await zarrFrames(many, 2, { chunkRows: 1000 }), { size: 4 });
    const explain = (block: number) =>
      chunked.batches({
        size: 20,
        shuffle: { seed: 1, block, pool: 4 },
        framesIn: "disk",
        budget: 200_000,
      }).explain();
    expect(explain(50)).toMatch(
      /table is read \d+\.\d times: a block has 53 frames, a stored chunk 1000; blocks of several/,
    );
    const plain = windows(hidden(framesOf(many, 2)), { size: 4 });
    expect(plain.batches({ size: 20, shuffle: { seed: 1, block: 50 } }).explain())
      .not.toMatch(/On two levels the table is read/);
  });
});
