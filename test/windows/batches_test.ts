import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { BudgetError, ChunkError, DeviceLostError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { BatchCursor, HostBatchOptions } from "../../src/windows/batches.ts";
import type { Shuffle } from "../../src/feed/order.ts";
import { balanced, everyNth, weighted } from "../../src/feed/samplers.ts";
import type { Windows } from "../../src/windows/windows.ts";
import { windows } from "../../src/windows/windows.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { recordNumbers } from "../support/record.ts";
import { comesAbout, turn } from "../support/turns.ts";
import {
  checkBatches,
  framesOf,
  hidden,
  keepDevice,
  keepHost,
  someFrames,
  zarrFrames,
} from "../support/window_frames.ts";

const gpu = useGpu({ budget: "4 MiB" });

const FEATURES = 5;
const FRAMES = 230;
const values = someFrames(FRAMES, FEATURES);
const GRID = { size: 6, stride: 2, segments: [0, 90, 93, 170] };
const COUNT = 43 + 0 + 36 + 28;

const sorted = (list: readonly number[]) => [...list].sort((a, b) => a - b);
const all = Array.from({ length: COUNT }, (_, i) => i);

const SHUFFLES: Record<string, Shuffle> = {
  "not shuffled": false,
  "shuffled exactly": 11,
  "shuffled on two levels": { seed: 11, block: 8, pool: 3 },
};

/** Every way frames may be kept, on host and device. */
const SOURCES: Record<string, () => Promise<ChunkedArray> | ChunkedArray> = {
  memory: () => framesOf(values, FEATURES),
  "ranges of a file": () => hidden(framesOf(values, FEATURES)),
  "chunks of f32": () => zarrFrames(values, FEATURES, { chunkRows: 16 }),
  "chunks of f16": () => zarrFrames(values, FEATURES, { chunkRows: 16, dtype: "float16" }),
};

// a pool of about 80 rows and little else: several rounds
const HOST_BUDGET = 12_000;

describe("an epoch of windows", () => {
  for (const [order, shuffle] of Object.entries(SHUFFLES)) {
    it(`${order}: every window once, byte for byte, wherever frames are kept`, async () => {
      const orders: number[][] = [];
      for (const [name, open] of Object.entries(SOURCES)) {
        const view = windows(await open(), GRID);
        const options = { size: 8, shuffle };
        for (const framesIn of ["host", "disk"] as const) {
          for (const hold of ["float32", "float16"] as const) {
            const own = { ...options, framesIn, hold };
            const kept = await keepHost(view.batches(own));
            orders.push(checkBatches(kept, view, values, own));
            for (const dtype of hold === "float16" ? ["float16", "float32"] as const : []) {
              const onDevice = { ...own, dtype, size: 40 };
              const back = await keepDevice(gpu(), view.batches(gpu(), onDevice));
              orders.push(checkBatches(back, view, values, onDevice));
            }
          }
        }
        for (const framesIn of ["device", "host", "disk"] as const) {
          const own = { ...options, framesIn, size: 40 };
          const batches = view.batches(gpu(), own);
          expect(batches.framesIn, name).toBe(framesIn);
          orders.push(checkBatches(await keepDevice(gpu(), batches), view, values, own));
        }
      }
      expect(sorted(orders[0]!)).toEqual(all);
      for (const other of orders) expect(other).toEqual(orders[0]);
      if (shuffle !== false) expect(orders[0]).not.toEqual(all);
      await recordNumbers(`window_epoch_${order.replaceAll(" ", "_")}`, orders[0]!);
    });
  }

  it("is the same eager as lazy, on host and device", async () => {
    const view = windows(await SOURCES["chunks of f16"]!(), GRID);
    const lazy = checkBatches(await keepHost(view.batches({ size: 9 })), view, values, { size: 9 });
    for (const hold of ["float32", "float16"] as const) {
      const options = { size: 9, eager: true, hold };
      const host = view.batches(options);
      expect([host.eager, host.framesIn]).toEqual([true, "host"]);
      expect(checkBatches(await keepHost(host), view, values, options)).toEqual(lazy);
      for (const framesIn of ["device", "host"] as const) {
        const device = view.batches(gpu(), { ...options, framesIn });
        const kept = await keepDevice(gpu(), device);
        expect(checkBatches(kept, view, values, options)).toEqual(lazy);
      }
    }
  });

  it("does not depend on budget, batch, prefetch, or where a pool ends", async () => {
    const view = windows(hidden(framesOf(values, FEATURES)), GRID);
    const wanted = checkBatches(await keepHost(view.batches({ size: 8 })), view, values, {
      size: 8,
    });
    const rounds = new Set<number>();
    for (const size of [1, 7, COUNT, 1000]) {
      for (const budget of [HOST_BUDGET, 16_000, 1e6]) {
        const options: HostBatchOptions = { size, budget, prefetch: size % 3, framesIn: "disk" };
        let batches;
        try {
          batches = view.batches(options);
        } catch (error) {
          // a batch alone may be too much
          expect(error).toBeInstanceOf(BudgetError);
          continue;
        }
        expect(checkBatches(await keepHost(batches), view, values, options)).toEqual(wanted);
        expect(batches.stats.peakBytes.host).toBeLessThanOrEqual(batches.projected.host);
        expect(batches.projected.host).toBeLessThanOrEqual(budget);
        rounds.add(batches.stats.rounds);
      }
    }
    expect(rounds.size).toBeGreaterThan(2);
  });

  it("comes again in another order, and leaves out a short batch when told", async () => {
    const view = windows(framesOf(values, FEATURES), GRID);
    const options = { size: 10, shuffle: 3, epochs: 3, dropLast: true };
    const batches = view.batches(options);
    expect(batches.length).toBe(10);
    const kept = await keepHost(batches);
    const drawn = checkBatches(kept, view, values, options);
    const epochs = [0, 1, 2].map((epoch) => drawn.slice(100 * epoch, 100 * (epoch + 1)));
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(100);
    expect(epochs[0]).not.toEqual(epochs[1]);
    const last = checkBatches(
      await keepHost(view.batches({ ...options, epochs: 1, epoch: 2 })),
      view,
      values,
      options,
    );
    expect(last).toEqual(epochs[2]);
  });

  it("is what samplers draw", async () => {
    const view = windows(hidden(framesOf(values, FEATURES)), GRID);
    const weights = all.map((window) => (window % 5) / 2);
    for (
      const sampler of [everyNth(4, 1), weighted(weights), balanced(all.map((i) => i % 3 && 1))]
    ) {
      for (const epoch of [0, 1]) {
        const options = { size: 8, sampler, shuffle: 2, framesIn: "disk" as const, epoch };
        const drawn = checkBatches(await keepHost(view.batches(options)), view, values, options);
        expect(sorted(drawn)).toEqual([...sampler.draw(COUNT, epoch)]);
      }
    }
    const bad = { name: "bad", most: () => 1, draw: () => Uint32Array.of(COUNT) };
    await expect(keepHost(view.batches({ size: 8, sampler: bad }))).rejects
      .toThrow(`drew window ${COUNT}, there are ${COUNT}, numbered from 0`);
    const none = { name: "none", most: () => 0, draw: () => new Uint32Array(0) };
    await expect(keepHost(view.batches({ size: 8, sampler: none }))).rejects.toThrow(/drew none/);
  });

  it("never has a frame of another segment", async () => {
    // every frame tells its segment
    const bounds = [...GRID.segments, FRAMES];
    const marks = Float32Array.from(
      { length: FRAMES },
      (_, frame) => bounds.findIndex((bound) => frame < bound),
    );
    const view = windows(framesOf(marks, 1), GRID);
    for await (const { frames } of view.batches({ size: 16 })) {
      for (let i = 0; i < frames.length; i += GRID.size) {
        expect(new Set(frames.subarray(i, i + GRID.size)).size).toBe(1);
      }
    }
  });
});

describe("a batch", () => {
  it("has labels, previous labels and weights of the labelled frames", async () => {
    const labels = Int32Array.from({ length: 2 * FRAMES }, (_, i) => i);
    const weights = Float32Array.from({ length: FRAMES }, (_, i) => i / 4);
    for (const [size, delay] of [[6, 0], [6, 3], [1, 0], [1, 1]] as const) {
      const grid = { ...GRID, size, labels, weights, delay, previous: true };
      const view = windows(framesOf(values, FEATURES), grid);
      let seen = 0;
      for await (const batch of view.batches({ size: 8 })) {
        batch.windows.forEach((window, i) => {
          const segment = view.segments[view.segmentOf(window)]!;
          const start = view.startOf(window);
          const frame = start + size - 1 + delay;
          expect(frame).toBeLessThan(segment.end);
          expect(frame - 1).toBeGreaterThanOrEqual(segment.start);
          expect([batch.labels![2 * i], batch.labels![2 * i + 1]])
            .toEqual([2 * frame, 2 * frame + 1]);
          expect(batch.previous![2 * i]).toBe(2 * (frame - 1));
          expect(batch.weights![i]).toBe(frame / 4);
          seen++;
        });
      }
      expect(seen).toBe(view.shape[0]);
    }
  });

  it("takes labels from an array, and aligns values of frames", async () => {
    const labels = await zarrFrames(Float32Array.from({ length: FRAMES }, (_, i) => i), 1, {
      chunkRows: 50,
    });
    const view = windows(framesOf(values, FEATURES), { ...GRID, labels });
    const wanted = all.map((window) => view.startOf(window) + GRID.size - 1);
    expect([...view.atLabels(Float32Array.from({ length: FRAMES }, (_, i) => i))]).toEqual(wanted);
    const got: number[] = [];
    for await (const batch of view.batches({ size: 50, shuffle: false })) {
      got.push(...batch.labels as Float32Array);
    }
    expect(got).toEqual(wanted);
  });

  it("is made once the one before is in use, not while that is waited for", async () => {
    const events: string[] = [];
    const weights = new Proxy(new Float32Array(FRAMES), {
      get(target, key) {
        if (key !== "length") events.push("made");
        return Reflect.get(target, key);
      },
    });
    const view = windows(framesOf(values, FEATURES), { ...GRID, weights });
    for await (const _ of view.batches({ size: 1, prefetch: 1 })) {
      events.push("used");
      await turn();
      if (events.length > 20) break;
    }
    expect(events.slice(0, 20)).toEqual(Array.from({ length: 10 }, () => ["made", "used"]).flat());
  });

  it("says its shape and strides, and is detached once the next is asked for", async () => {
    const view = windows(framesOf(values, FEATURES), GRID);
    const batches = view.batches({ size: 100, prefetch: 0 })[Symbol.asyncIterator]();
    const first = (await batches.next()).value!;
    expect(first.shape).toEqual([100, 6, 5]);
    expect(first.strides).toEqual([30, 5, 1]);
    expect(first.frames.length).toBe(3000);
    const second = (await batches.next()).value!;
    expect(first.frames.length).toBe(0);
    expect(second.shape).toEqual([COUNT - 100, 6, 5]);
    expect((await batches.next()).done).toBe(true);
  });
});

describe("a cursor", () => {
  it("goes on with exactly what was left, through JSON, with other batches and memory", async () => {
    const view = windows(hidden(framesOf(values, FEATURES)), GRID);
    for (const shuffle of Object.values(SHUFFLES)) {
      for (const sampler of [undefined, weighted(all.map((i) => i % 3))]) {
        const options = { size: 8, shuffle, epochs: 2, ...sampler && { sampler } };
        const whole = (await keepHost(view.batches(options))).flatMap(({ windows }) => windows);
        for (const stop of [1, 5, Math.ceil(whole.length / 2 / 8), 1 + (whole.length >> 4)]) {
          let cursor: BatchCursor | undefined;
          const before: number[] = [];
          for await (const batch of view.batches(options)) {
            before.push(...batch.windows);
            cursor = batch.cursor;
            if (before.length >= 8 * stop) break;
          }
          const from = JSON.parse(JSON.stringify(cursor)) as BatchCursor;
          const rest = await keepHost(
            view.batches({ ...options, size: 5, from, framesIn: "disk", budget: HOST_BUDGET }),
          );
          const after = rest.flatMap(({ windows }) => windows);
          expect([...before, ...after]).toEqual(whole);
        }
      }
    }
  });

  it("goes on on a device that was lost and opened again", async () => {
    const own = await openGpu({ budget: "4 MiB" });
    try {
      const view = windows(hidden(framesOf(values, FEATURES)), GRID);
      for (const framesIn of ["device", "host", "disk"] as const) {
        const options = { size: 20, shuffle: 4, framesIn };
        const seen: number[] = [];
        let cursor: BatchCursor | undefined;
        const losing = async () => {
          for await (const batch of view.batches(own, options)) {
            seen.push(...batch.windows);
            cursor = batch.cursor;
            if (seen.length === 40) {
              own.device.destroy();
              // what was made before is still handed out
              await own.device.lost;
            }
          }
        };
        await expect(losing()).rejects.toThrow(DeviceLostError);
        expect(own.ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
        await own.reopen();
        const left = seen.length;
        expect(left).toBeLessThan(COUNT);
        const rest = await keepDevice(own, view.batches(own, { ...options, from: cursor! }));
        seen.push(...checkBatches(rest, view, values, options));
        expect(sorted(seen)).toEqual(all);
      }
    } finally {
      own.close();
    }
  });

  it("of another order, other frames or an epoch that is not asked for is refused", async () => {
    const view = windows(framesOf(values, FEATURES), GRID);
    const [{ cursor }] = await first(view, { size: 8, shuffle: 1 });
    // some at once, some where frames have been read
    const go = async (other: Windows, options: Partial<HostBatchOptions>) =>
      await keepHost(other.batches({ size: 8, shuffle: 1, from: cursor, ...options }));
    await expect(go(view, { shuffle: 2 })).rejects.toThrow(/another sampler or another shuffle/);
    await expect(go(view, { sampler: everyNth(2) })).rejects.toThrow(/another sampler/);
    await expect(go(windows(framesOf(values, FEATURES), { size: 6 }), {})).rejects
      .toThrow(/made with other windows/);
    await expect(go(view, { epoch: 1 })).rejects.toThrow(/is in epoch 0, wanted 1 to 1/);
    const changed = values.slice();
    changed[0]! += 1;
    await expect(go(windows(framesOf(changed, FEATURES), GRID), {})).rejects
      .toThrow(/made with other frames/);
  });
});

async function first(view: Windows, options: HostBatchOptions) {
  for await (const { cursor } of view.batches(options)) return [{ cursor }] as const;
  throw new Error("no batch");
}

describe("memory", () => {
  it("is what was promised, within the budget, and given back", async () => {
    const { ledger } = gpu();
    const view = windows(hidden(framesOf(values, FEATURES)), GRID);
    for (const framesIn of ["device", "host", "disk"] as const) {
      for (const eager of framesIn === "disk" ? [false] : [false, true]) {
        const batches = view.batches(gpu(), { size: 40, framesIn, eager });
        await keepDevice(gpu(), batches);
        const { peakBytes } = batches.stats;
        expect(peakBytes.gpu).toBe(batches.projected.gpu);
        expect(peakBytes.host).toBe(batches.projected.host);
        expect(ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
      }
    }
  });

  it("is given back when the loop is left, cancelled, or a read fails", async () => {
    const { ledger } = gpu();
    const view = windows(hidden(framesOf(values, FEATURES)), GRID);
    for (const framesIn of ["device", "host", "disk"] as const) {
      for await (const _ of view.batches(gpu(), { size: 8, framesIn })) break;
      expect(ledger.reserved.gpu).toBe(0);
      const cancel = new AbortController();
      const cancelled = (async () => {
        let seen = 0;
        const { signal } = cancel;
        for await (const _ of view.batches(gpu(), { size: 8, framesIn, signal })) {
          if (++seen === 2) cancel.abort(new Error("enough"));
        }
      })();
      await expect(cancelled).rejects.toThrow("enough");
      expect(ledger.reserved.gpu).toBe(0);
    }
    let reads = 0;
    const failing: ChunkedArray = {
      ...view.base,
      read: (start, end, options) =>
        ++reads > 4
          ? Promise.reject(new ChunkError("Cannot read: gone", "x"))
          : view.base.read(start, end, options),
    };
    const bad = windows(failing, GRID).batches(gpu(), { size: 2, framesIn: "disk" });
    await expect(keepDevice(gpu(), bad)).rejects.toThrow("Cannot read: gone");
    expect(ledger.reserved.gpu).toBe(0);
  });

  it("takes frames once, not once a window: 1 / size of eager", () => {
    const many = windows(hidden(framesOf(new Float32Array(20_000), 1)), { size: 30 });
    const bytes = (eager: boolean) => many.batches({ size: 1, prefetch: 0, eager }).projected.host;
    // what reads hold, and the batch, are in both
    const overhead = many.batches({ size: 1, prefetch: 0, framesIn: "host" }).projected.host -
      4 * 20_000;
    expect((bytes(false) - overhead) / (4 * 30 * 19_971)).toBeLessThan(1.01 / 30 * 20_000 / 19_971);
    expect(bytes(true)).toBeGreaterThan(4 * 30 * 19_971);
  });

  it("is refused with both numbers where a batch alone is too much", () => {
    const view = windows(hidden(framesOf(values, FEATURES)), GRID);
    const plan = (budget: number) => () => view.batches({ size: 64, budget });
    expect(plan(10_000)).toThrow(BudgetError);
    let smallest = 0;
    try {
      plan(10_000)();
    } catch (error) {
      const { smallestBudgetBytes, budgetBytes, message } = error as BudgetError;
      smallest = smallestBudgetBytes;
      expect(budgetBytes).toBe(10_000);
      expect(message).toContain(`(${smallest} B) of host memory`);
    }
    expect(plan(smallest - 1)).toThrow(BudgetError);
    expect(plan(smallest)().projected.host).toBe(smallest);
  });

  it("of the device: the smallest that is told does, a byte less does not, any more is kept to", async () => {
    const budget = gpu().budgetBytes as { gpu: number };
    const before = budget.gpu;
    const random = seeded(5);
    try {
      for (let round = 0; round < 25; round++) {
        const whole = (most: number) => 1 + Math.floor(random() * most);
        const grid = { ...GRID, size: whole(9), stride: whole(3) };
        const view = windows(hidden(framesOf(values, FEATURES)), grid);
        const framesIn = (["device", "host", "disk"] as const)[whole(3) - 1]!;
        const options = { size: whole(40), prefetch: whole(4) - 1, shuffle: round, framesIn };
        budget.gpu = 0;
        let smallest = 0;
        try {
          view.batches(gpu(), options);
        } catch (error) {
          smallest = (error as BudgetError).smallestBudgetBytes;
        }
        budget.gpu = smallest - 1;
        expect(() => view.batches(gpu(), options)).toThrow(BudgetError);
        budget.gpu = smallest + (round % 3) * whole(2000);
        const batches = view.batches(gpu(), options);
        expect(batches.projected.gpu).toBeLessThanOrEqual(budget.gpu);
        let drawn = 0;
        for await (const batch of batches) drawn += batch.windows.length;
        expect(drawn).toBe(view.shape[0]);
        expect(batches.stats.peakBytes.gpu).toBe(batches.projected.gpu);
      }
    } finally {
      budget.gpu = before;
    }
  });

  it("decides where frames are kept, and says why", () => {
    const small = windows(hidden(framesOf(values, FEATURES)), GRID);
    // 4 MiB of budget, frames of 8 MB
    const large = windows(hidden(framesOf(new Float32Array(2e6), 40)), { size: 4 });
    const chosen = (view: Windows, options: Partial<HostBatchOptions> = {}) => {
      const batches = view.batches(gpu(), { size: 8, ...options });
      return [batches.framesIn, batches.eager];
    };
    expect(chosen(small)).toEqual(["device", false]);
    const widened = gpu().adapter.software ? "host" : "device";
    expect(chosen(small, { hold: "float16" })).toEqual([widened, false]);
    expect(chosen(large)).toEqual(["host", false]);
    expect(chosen(large, { shuffle: { seed: 1 } })).toEqual(["disk", false]);
    expect(chosen(large, { shuffle: false })).toEqual(["disk", false]);
    expect(chosen(large, { hold: "float16" })).toEqual(["host", false]);
    expect(chosen(small, { eager: "auto" })).toEqual(["device", true]);
    const host = (view: Windows, options: Partial<HostBatchOptions>) => {
      const batches = view.batches({ size: 8, ...options });
      return [batches.framesIn, batches.eager];
    };
    expect(host(large, { eager: "auto" })).toEqual(["host", true]);
    expect(host(large, { eager: "auto", budget: "30 MB" })).toEqual(["host", false]);
    expect(host(large, { eager: "auto", budget: "14 MB", prefetch: 0 })).toEqual(["disk", false]);
    expect(() => host(large, { eager: true, budget: "20 MB" })).toThrow(BudgetError);
    expect(() => host(small, { framesIn: "device" })).toThrow(/want a GPU, none was given/);
    expect(large.batches(gpu(), { size: 8 }).explain()).toMatch(/do not fit the device's budget/);
  });
});

describe("reading from disk", () => {
  it("costs what explain() says, and no chunk more often than there are rounds", async () => {
    for (const chunkRows of [0, 16]) {
      const frames = chunkRows
        ? await zarrFrames(values, FEATURES, { chunkRows })
        : hidden(framesOf(values, FEATURES));
      const visits = new Map<number, number>();
      const counting: ChunkedArray = {
        ...frames,
        read(start, end, options) {
          const chunk = Math.floor(start / 16);
          visits.set(chunk, (visits.get(chunk) ?? 0) + 1);
          return frames.read(start, end, options);
        },
      };
      for (const shuffle of Object.values(SHUFFLES)) {
        visits.clear();
        const view = windows(counting, GRID);
        const batches = view.batches({ size: 8, shuffle, framesIn: "disk", budget: HOST_BUDGET });
        const cost = batches.cost();
        await keepHost(batches);
        const { rounds, reads, bytesRead } = batches.stats;
        expect({ rounds, reads, bytesRead })
          .toEqual({ rounds: cost.rounds, reads: cost.reads, bytesRead: cost.bytesRead });
        expect(cost.passes).toBe(bytesRead / values.byteLength);
        if (chunkRows) {
          // four more for the fingerprint
          for (const [, count] of visits) expect(count).toBeLessThanOrEqual(rounds + 4);
        }
      }
    }
  });

  it("is one pass in order, about one on two levels, many for an exact shuffle", async () => {
    const view = windows(hidden(framesOf(someFrames(5000, 4), 4)), { size: 10 });
    const batches = view.batches({ size: 4, framesIn: "disk", budget: 140_000 });
    const passes = (shuffle: Shuffle) => batches.cost(shuffle).passes;
    // what the end of one pool has, the next begins with again
    expect(passes(false)).toBeLessThan(1.1);
    // a block of 128 windows has 137 rows
    expect(passes({ seed: 1, block: 128, pool: 4 })).toBeLessThan(1.25);
    expect(passes(1)).toBeGreaterThan(2);
    expect(passes(1)).toBeLessThan(10);
    const table = batches.explain();
    expect(table).toMatch(/not shuffled +\d+ +1\.\d\d/);
    expect(table).toMatch(/two levels, 10 blocks of 1024/);
    expect(table).toMatch(/exact, seed 0 \(this one\)/);
    expect(table).toMatch(/all windows, made beforehand +780 KiB/);
    expect(table).toMatch(/left on disk: as asked for/);
  });

  it("goes on while batches are used: neither waits for the other longer than it must", async () => {
    const base = hidden(framesOf(values, FEATURES));
    let reads = 0;
    let reading = 0;
    /** How long a read takes. */
    let lasts = turn;
    let busy: Promise<unknown> = Promise.resolve();
    const slow: ChunkedArray = {
      ...base,
      wholeChunks: true,
      chunkRows: 50,
      // one read after the other, as on a disk
      async read(start, end, options) {
        reads++;
        reading++;
        await (busy = busy.then(() => lasts()));
        reading--;
        return await base.read(start, end, options);
      },
    };
    const epoch = async (use: () => Promise<void>, ask: () => void) => {
      const view = windows(slow, { size: 6 });
      const batches = view.batches({ size: 6, framesIn: "disk", budget: 24_000 });
      for await (const _ of batches) {
        await use();
        ask();
      }
      expect(batches.stats.rounds).toBeGreaterThan(3);
    };
    const TURNS = 20;
    // each batch is used until reading has come to rest: whatever is asked for has been read
    let asked: number | undefined;
    let late = 0;
    const rest = async () => {
      if (asked !== undefined) late += reads - asked;
      for (let quiet = 0; quiet < TURNS; quiet++) {
        if (reading > 0) quiet = 0;
        await turn();
      }
    };
    await epoch(rest, () => asked = reads);
    expect(late).toBe(0);
    // each read lasts until batches have run out: there is always one, up to the last
    const inAll = reads;
    let [waiting, idle] = [true, 0];
    reads = 0;
    lasts = async () => {
      for (let hungry = 0; hungry < TURNS; hungry++) {
        if (!waiting) hungry = 0;
        await turn();
      }
    };
    const use = async () => {
      waiting = false;
      if (!await comesAbout(() => reading > 0 || reads === inAll, { turns: TURNS })) idle++;
    };
    await epoch(use, () => waiting = true);
    expect(reads).toBe(inAll);
    expect(idle).toBe(0);
  });

  it("notices frames that change between reads, were it in one feature", async () => {
    const width = 40;
    for (const changes of [() => true, (feature: number) => feature === 13]) {
      let offset = 0;
      const base = hidden(framesOf(someFrames(FRAMES, width), width));
      const changing: ChunkedArray = {
        ...base,
        async read(start, end, options) {
          const rows = await base.read(start, end, options) as Float32Array;
          return rows.map((value, i) => changes(i % width) ? value + offset : value);
        },
      };
      const view = windows(changing, { size: 6 });
      const batches = view.batches({ size: 4, framesIn: "disk", budget: 8 * HOST_BUDGET });
      const run = async () => {
        let seen = 0;
        for await (const _ of batches) if (++seen === 3) offset = 1;
      };
      await expect(run()).rejects.toThrow(/frame \d+ changed since it was read before/);
      await expect(run()).resolves.toBe(undefined);
    }
  });
});

describe("windows", () => {
  const base = framesOf(values, FEATURES);

  it("split by whole segments, near the ratio, the same for a seed", () => {
    const segments = Array.from({ length: 23 }, (_, i) => 10 * i);
    const view = windows(base, { size: 4, segments });
    const [train, rest] = view.split(0.8, 5);
    expect(train.shape[0]! + rest.shape[0]!).toBe(view.shape[0]);
    // 7 windows a segment
    expect(Math.abs(train.shape[0]! - 0.8 * view.shape[0]!)).toBeLessThanOrEqual(3.5);
    const framesOfPart = (part: Windows) =>
      new Set([...part.starts()].flatMap((start) => [0, 1, 2, 3].map((i) => start + i)));
    const inTrain = framesOfPart(train);
    for (const frame of framesOfPart(rest)) expect(inTrain.has(frame)).toBe(false);
    expect([...view.split(0.8, 5)[0].starts()]).toEqual([...train.starts()]);
    expect([...view.split(0.8, 6)[0].starts()]).not.toEqual([...train.starts()]);
    expect(() => windows(base, { size: 4 }).split(0.5)).toThrow(/wanted at least 2/);
    expect(() => view.split(1)).toThrow(/the ratio is 1/);
  });

  it("refuse labels and weights of the wrong length, and options that cannot be", () => {
    expect(() => windows(base, { size: 6, labels: new Int32Array(FRAMES - 1) }))
      .toThrow(`got ${FRAMES - 1} elements, wanted one or more for each of the ${FRAMES} frames`);
    expect(() => windows(base, { size: 6, labels: framesOf(values.subarray(5), FEATURES) }))
      .toThrow(`got ${FRAMES - 1} labels, there are ${FRAMES} frames`);
    expect(() => windows(base, { size: 6, weights: [1] })).toThrow(/got 1 weights/);
    expect(() => windows(base, { size: 6, delay: -1 })).toThrow(/delay is -1/);
    expect(() => windows(base, { size: 6, previous: true })).toThrow(/want labels/);
    expect(() => windows(base, { size: FRAMES + 1 })).toThrow(/the longest of 1 segments has 230/);
    const view = windows(base, { size: 5, stride: 3 });
    for (
      const options of [
        { size: 0 },
        { size: 1.5 },
        { size: 8, prefetch: 17 },
        { size: 8, epochs: 0 },
        { size: 8, shuffle: -1 },
        { size: 8, dtype: "float16", hold: "float32" },
      ] as HostBatchOptions[]
    ) {
      expect(() => view.batches(options), JSON.stringify(options)).toThrow(
        /^Cannot .*: .*, wanted|held as/,
      );
    }
    expect(() => view.batches(gpu(), { size: 8, dtype: "float16" }))
      .toThrow(/a window has 25 elements, float16 on the device wants an even number/);
  });
});
