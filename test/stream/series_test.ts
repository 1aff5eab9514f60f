import { describe, expect, it } from "vitest";
import { BudgetError, ChunkError, LedgerError, OutputConflictError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { parseBytes } from "../../src/math/format.ts";
import { openStore } from "../../src/store/open_store.ts";
import { Plan } from "../../src/stream/plan.ts";
import type { SeriesRunOptions, SeriesSpec } from "../../src/stream/series.ts";
import { Series } from "../../src/stream/series.ts";
import type { Progress } from "../../src/types.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { removeAfterAll } from "../support/kept_states.ts";
import { taskOf } from "../support/task.ts";

const gpu = useGpu();
const VALUES = [3, 1, 4, 1, 5, 9, 2, 6];
const SUM = 31;
const TABLE_BYTES = 1024;

/** Sums of all values times 1, 2 and 3, one after the other. */
interface Toy {
  place: string;
  values?: number[];
  settings?: unknown;
  format?: string;
  costs?: number[];
  /** Bytes that parts hold all the while, and that counting takes beside. */
  held?: number;
  counting?: number;
  /** Bytes on the device that plans take beyond what was promised. */
  more?: number;
  isDone?: (sums: readonly number[]) => boolean;
  checkUnchanged?: () => Promise<void>;
  /** Told what is done. */
  did?: (what: string) => void;
}

function planOf(device: Gpu, values: number[], factor: number, bytes: number): Plan<number> {
  let sum = 0;
  return new Plan(
    device,
    taskOf({
      name: "sum",
      layout: (tileRows) => ({
        rows: values.length,
        shared: [{ name: "table", bytes, kind: "storage" }],
        passes: [{
          name: "add",
          direction: "forward",
          cost: 1,
          slotBuffers: [],
          steps: [],
          besideBytes: 4 * tileRows,
          read: ({ start, end }) =>
            Promise.resolve({ own: Float32Array.from(values.slice(start, end)) }),
          write: (_tile, _, { beside }) => {
            (beside.own as Float32Array).forEach((value) => sum += factor * value);
          },
        }],
      }),
      result: () => sum,
    }),
    { tileRows: 2 },
  );
}

function specOf(device: Gpu, toy: Toy): SeriesSpec<number, number[]> {
  const { place, values = VALUES, costs = [1, 1, 1], held = 500, counting = 3000 } = toy;
  const did = toy.did ?? (() => {});
  return {
    name: "sums",
    place: {
      place,
      manifest: "/sums.json",
      format: toy.format ?? "toy.sums",
      adapter: device.adapter.name,
      settings: toy.settings ?? { times: costs.length },
      folders: ["/parts"],
      isOwn: (key) => /^\/parts\/\d+\.txt$/.test(key),
      files: ["/whole.txt"],
    },
    prepare: {
      name: "prepare",
      kind: "prepare",
      memory: () => ({ held: [], work: [] }),
      run: async () => did("prepare"),
    },
    parts: costs.map((cost, i) => ({
      name: `times ${i + 1}`,
      kind: "times",
      key: `/parts/${i + 1}.txt`,
      cost,
      memory: () => {
        const { name, projected } = planOf(device, values, 1, TABLE_BYTES);
        const count = { name: "count", projected: { gpu: 0, host: counting } };
        return { held: [{ what: "sums", bytes: held }], work: [{ name, projected }, count] };
      },
      run: async ({ before, run, show, work }) => {
        did(`part ${i + 1}`);
        // goes on from the part before, as iterations do
        const last = before.at(-1) ?? 0;
        const sum = await run(
          planOf(device, values, 1, TABLE_BYTES + (toy.more ?? 0)),
          [0, 0.5],
        );
        return await work("count", async () => {
          show("count", 1, [0.5, 1]);
          return await Promise.resolve(last + sum);
        });
      },
    })),
    encode: String,
    decode: (text) => {
      if (!/^\d+$/.test(text)) throw new Error(`"${text}" is no sum`);
      return Number(text);
    },
    ...(toy.isDone && { isDone: toy.isDone }),
    openInput: ({ onShare }) => {
      onShare("compare", 1);
      return Promise.resolve({
        digest: values.join(),
        checkUnchanged: toy.checkUnchanged ?? (() => Promise.resolve()),
        close: async () => did("close"),
      });
    },
    finish: (sums) => ({ whole: [...sums], files: { "/whole.txt": sums.join() } }),
  };
}

const seriesOf = (toy: Toy, device = gpu()) => new Series(device, specOf(device, toy));
const runToy = (toy: Toy, options?: SeriesRunOptions) => seriesOf(toy).run(options);

const places: string[] = [];
function newPlace(): string {
  places.push(`memory:series_test/${places.length}`);
  return places.at(-1)!;
}
removeAfterAll("memory:series_test");

async function filesOf(place: string): Promise<Record<string, string>> {
  const store = await openStore(place);
  const files: Record<string, string> = {};
  for (const key of await store.list("/")) {
    files[key] = new TextDecoder().decode(await store.get(key));
  }
  await store.close();
  return files;
}

async function put(place: string, key: string, text: string): Promise<void> {
  const store = await openStore(place, { mode: "write" });
  await store.set(key, new TextEncoder().encode(text));
  await store.close();
}

/** Aborts when a stage begins. */
function stopAt(pattern: RegExp, reason: Error): SeriesRunOptions {
  const cancel = new AbortController();
  const onProgress = ({ pass }: Progress) => pattern.test(pass) && cancel.abort(reason);
  return { signal: cancel.signal, onProgress };
}

const SUMS = [SUM, 2 * SUM, 3 * SUM];
const FREE = { gpu: 0, host: 0, disk: 0 };

describe("a series", () => {
  it("runs its parts one after the other, and stores the result of each", async () => {
    const place = newPlace();
    const done: string[] = [];
    expect(await runToy({ place, did: (what) => done.push(what) })).toEqual(SUMS);
    expect(done).toEqual(["prepare", "part 1", "part 2", "part 3", "close"]);
    const { "/sums.json": manifest, ...files } = await filesOf(place);
    expect(files).toEqual({
      "/parts/1.txt": "31",
      "/parts/2.txt": "62",
      "/parts/3.txt": "93",
      "/whole.txt": "31,62,93",
    });
    expect(JSON.parse(manifest!)).toMatchObject({
      format: "toy.sums",
      input_digest: "3,1,4,1,5,9,2,6",
      settings: { times: 3 },
    });
    expect(gpu().ledger.reserved).toEqual(FREE);
  });

  it("goes on with what is there, to the same files, and does nothing where all is there", async () => {
    const [place, whole] = [newPlace(), newPlace()];
    await runToy({ place: whole });
    const enough = new Error("enough");
    const done: string[] = [];
    const toy = { place, did: (what: string) => done.push(what) };
    const stored = async () => Object.keys(await filesOf(place)).sort();
    await expect(runToy(toy, stopAt(/times 1, sum/, enough))).rejects.toBe(enough);
    expect(await stored()).toEqual(["/sums.json"]);
    // a part that comes to its end is kept
    await expect(runToy(toy, stopAt(/times 1, count/, enough))).rejects.toBe(enough);
    await expect(runToy(toy, stopAt(/times 2, sum/, enough))).rejects.toBe(enough);
    expect(await stored()).toEqual(["/parts/1.txt", "/sums.json"]);
    done.length = 0;
    expect(await runToy(toy)).toEqual(SUMS);
    expect(done).toEqual(["prepare", "part 2", "part 3", "close"]);
    expect(await filesOf(place)).toEqual(await filesOf(whole));
    done.length = 0;
    const passes: string[] = [];
    expect(await runToy(toy, { onProgress: ({ pass }) => passes.push(pass) })).toEqual(SUMS);
    expect(done).toEqual(["close"]);
    expect(passes).toEqual(["prepare, compare", "done, stored"]);
  });

  it("says how far it is by what parts cost, never goes back, and ends at 1", async () => {
    const place = newPlace();
    const toy = { place, costs: [1, 5, 2] };
    const seen: Progress[] = [];
    await runToy(toy, { onProgress: (progress) => seen.push(progress) });
    const fractions = seen.map(({ fraction }) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    const at = (pass: string) => seen.findLast((progress) => progress.pass === pass)!.fraction;
    // of 9 with what comes before all: half a part, and all of it
    expect(at("times 1, sum add")).toBeCloseTo(1.5 / 9);
    expect(at("times 2, sum add")).toBeCloseTo(4.5 / 9);
    expect(at("times 2, count")).toBeCloseTo(7 / 9);
    expect(at("times 3, sum add")).toBeCloseTo(8 / 9);
    expect(at("done, stored")).toBe(1);
    expect(fractions.at(-1)).toBe(1);
    expect(new Set(seen.map(({ plan }) => plan))).toEqual(new Set(["sums"]));
    // with a part that is there
    const store = await openStore(place, { mode: "write" });
    await store.delete("/parts/3.txt");
    await store.close();
    seen.length = 0;
    await runToy(toy, { onProgress: (progress) => seen.push(progress) });
    expect(at("times 3, sum add")).toBeGreaterThanOrEqual(7 / 9);
    expect(seen.at(-1)!.fraction).toBe(1);
  });

  it("is alone in its folder for as long as it runs", async () => {
    const place = newPlace();
    let other: Promise<unknown> | undefined;
    const running = runToy({
      place,
      did: (what) => {
        if (what === "part 2") other = runToy({ place }).catch((error) => error);
      },
    });
    expect(await running).toEqual(SUMS);
    expect(await other).toBeInstanceOf(OutputConflictError);
    expect(await runToy({ place })).toEqual(SUMS);
  });

  it("refuses the results of other settings, of other input and of another kind of series", async () => {
    const place = newPlace();
    await runToy({ place });
    const files = await filesOf(place);
    for (
      const [other, message] of [
        [{ settings: { times: 4 } }, /the results of another analysis/],
        [{ values: [2, 7] }, /its results are of other input/],
        [{ format: "toy.products" }, /files that are no results/],
      ] as const
    ) {
      const refusal = runToy({ place, ...other } as Toy);
      await expect(refusal).rejects.toThrow(OutputConflictError);
      await expect(refusal).rejects.toThrow(message);
      expect(await filesOf(place)).toEqual(files);
    }
    const replaced = await runToy({ place, values: [2, 7] }, { overwrite: true });
    expect(replaced).toEqual([9, 18, 27]);
    const fresh = newPlace();
    await runToy({ place: fresh, values: [2, 7] });
    expect(await filesOf(place)).toEqual(await filesOf(fresh));
    // another kind is not replaced either
    await expect(runToy({ place, format: "toy.products" }, { overwrite: true })).rejects.toThrow(
      /files that are no results/,
    );
  });

  it("deletes no file that is not its own", async () => {
    const [strange, place] = [newPlace(), newPlace()];
    await put(strange, "/notes.txt", "mine");
    // what only has the name of a manifest
    for (const manifest of [undefined, "null", "{", '{ "format": "toy.notes" }']) {
      if (manifest !== undefined) await put(strange, "/sums.json", manifest);
      const files = await filesOf(strange);
      for (const overwrite of [false, true]) {
        await expect(runToy({ place: strange }, { overwrite })).rejects.toThrow(
          /files that are no results/,
        );
        expect(await filesOf(strange)).toEqual(files);
      }
    }
    await runToy({ place });
    await put(place, "/notes.txt", "mine");
    await put(place, "/other/1.txt", "mine");
    await runToy({ place, values: [2, 7] }, { overwrite: true });
    expect(await filesOf(place)).toMatchObject({ "/notes.txt": "mine", "/other/1.txt": "mine" });
  });

  it("removes what an earlier run left of its own when it is overwritten", async () => {
    const place = newPlace();
    await runToy({ place, costs: [1, 1, 1, 1] });
    await runToy({ place, costs: [1, 1] }, { overwrite: true });
    const files = await filesOf(place);
    expect(Object.keys(files).filter((key) => key.startsWith("/parts"))).toEqual([
      "/parts/1.txt",
      "/parts/2.txt",
    ]);
    expect(files["/whole.txt"]).toBe("31,62");
  });

  it("stops with the reason of its signal, and keeps nothing reserved or locked", async () => {
    const place = newPlace();
    const enough = new Error("enough");
    for (const pattern of [/compare/, /times 1, sum/, /times 1, count/, /times 3/]) {
      await expect(runToy({ place }, stopAt(pattern, enough))).rejects.toBe(enough);
      expect(gpu().ledger.reserved).toEqual(FREE);
    }
    const store = await openStore(place, { mode: "write" });
    await (await store.lock("/lock"))();
    await store.close();
    expect(await runToy({ place })).toEqual(SUMS);
    // before it is begun
    const signal = AbortSignal.abort(enough);
    await expect(runToy({ place: newPlace() }, { signal })).rejects.toBe(enough);
    expect(await filesOf(places.at(-1)!)).toEqual({});
  });

  it("refuses a part that does not fit before any work, with both numbers", async () => {
    const small = await lendGpu({ budget: { gpu: "64 KiB", host: "10 KiB" } });
    try {
      const done: string[] = [];
      const place = newPlace();
      const make = (toy: Partial<Toy>) => () =>
        seriesOf({ place, did: (what) => done.push(what), ...toy }, small);
      const errorOf = (toy: Partial<Toy>): BudgetError => {
        try {
          make(toy)();
        } catch (error) {
          return error as BudgetError;
        }
        throw new Error("It was not refused");
      };
      const held = errorOf({ held: 10_241 });
      expect(held).toBeInstanceOf(BudgetError);
      expect(held).toMatchObject({ projectedBytes: 10_241, budgetBytes: 10_240 });
      expect(held.message).toMatch(/10\.0 KiB of host memory, 10\.0 KiB of the budget/);
      // what is held all the while leaves less for the rest
      const counting = errorOf({ held: 2048, counting: 8193 });
      expect(counting).toMatchObject({
        projectedBytes: 8193,
        budgetBytes: 10_240,
        smallestBudgetBytes: 10_241,
      });
      expect(make({ held: 2048, counting: 8192 })).not.toThrow();
      // nor does it fit beside what others have taken since
      const series = make({})();
      const other = small.ledger.open("other", { gpu: 0, host: 8000, disk: 0 });
      await expect(series.run()).rejects.toThrow(BudgetError);
      other.close();
      expect(done).toEqual([]);
      expect(await filesOf(place)).toEqual({});
      expect(small.ledger.reserved).toEqual(FREE);
      expect(await series.run()).toEqual(SUMS);
    } finally {
      small.close();
    }
  });

  it("lets a work say what would fit in its place", () => {
    const spec = specOf(gpu(), { place: newPlace() });
    const huge = { name: "count", projected: { gpu: 0, host: 2 ** 50 } };
    const refusal = ({ projectedBytes }: BudgetError) =>
      new RangeError(`half of ${projectedBytes} B would fit`);
    const parts = spec.parts.map((part) => ({
      ...part,
      memory: () => ({ held: [], work: [{ ...huge, refusal }] }),
    }));
    expect(() => new Series(gpu(), { ...spec, parts })).toThrow(
      `half of ${2 ** 50} B would fit`,
    );
  });

  it("explains what parts hold, which adds up and is never exceeded", async () => {
    const place = newPlace();
    const series = seriesOf({ place, held: 512, counting: 3072 });
    const table = series.explain();
    expect(table).toMatch(/^Series "sums": 3 parts on .*, budget 256 MiB of GPU memory/);
    const rowOf = (name: string, from = table) =>
      from.split("\n").find((line) => line.trimStart().startsWith(name))!;
    const sizes = (row: string) =>
      [...row.matchAll(/\d+(?:\.\d+)? [KM]?i?B/g)].map(([size]) => parseBytes(size));
    expect(rowOf("times")).toMatch(/^times +3$/);
    expect(sizes(rowOf("sums, all"))).toEqual([512]);
    expect(sizes(rowOf("count"))).toEqual([3072]);
    const [planGpu, planHost] = sizes(rowOf("sum  ")) as [number, number];
    expect(planGpu).toBeGreaterThanOrEqual(TABLE_BYTES);
    // one work after the other, beside what is held
    const ofPart = table.slice(table.indexOf("\ntimes"));
    expect(sizes(rowOf("at most", ofPart))).toEqual([
      planGpu,
      512 + Math.max(planHost, 3072),
    ]);
    expect(sizes(rowOf("the largest"))).toEqual([planGpu, 512 + Math.max(planHost, 3072)]);
    expect(Math.abs(series.projected.gpu - planGpu)).toBeLessThan(16);
    expect(series.projected.host).toBe(512 + Math.max(planHost, 3072));
    const most = { gpu: 0, host: 0 };
    await series.run({
      onProgress: () => {
        const { reserved } = gpu().ledger;
        most.gpu = Math.max(most.gpu, reserved.gpu);
        most.host = Math.max(most.host, reserved.host);
      },
    });
    expect(most).toEqual(series.projected);
  });

  it("takes the most that parts of a kind have", () => {
    const spec = specOf(gpu(), { place: newPlace() });
    const parts = spec.parts.map((part, i) => ({
      ...part,
      memory: () => ({
        held: [{ what: "sums", bytes: [100, 300, 200][i]! }],
        work: [{ name: "sum", projected: { gpu: [7, 5, 9][i]!, host: [20, 40, 30][i]! } }],
      }),
    }));
    expect(new Series(gpu(), { ...spec, parts }).projected).toEqual({ gpu: 9, host: 340 });
  });

  it("runs no plan that takes more than was promised of it", async () => {
    const place = newPlace();
    const refusal = runToy({ place, more: 4096 });
    await expect(refusal).rejects.toThrow(LedgerError);
    await expect(refusal).rejects.toThrow(/"times" promised \d+ B of gpu memory for "sum"/);
    expect(gpu().ledger.reserved).toEqual(FREE);
  });

  it("stops where no more parts are wanted, and knows that when it is run again", async () => {
    const place = newPlace();
    const done: string[] = [];
    const toy = {
      place,
      costs: [1, 1, 1, 1, 1, 1],
      isDone: (sums: readonly number[]) => sums.at(-1)! > 50,
      did: (what: string) => done.push(what),
    };
    const fractions: number[] = [];
    const onProgress = ({ fraction }: Progress) => fractions.push(fraction);
    expect(await runToy(toy, { onProgress })).toEqual([SUM, 2 * SUM]);
    expect(fractions.at(-1)).toBe(1);
    expect(done).toEqual(["prepare", "part 1", "part 2", "close"]);
    done.length = 0;
    expect(await runToy(toy)).toEqual([SUM, 2 * SUM]);
    expect(done).toEqual(["close"]);
  });

  it("stores nothing of an input that has changed while it was read", async () => {
    const place = newPlace();
    let looks = 0;
    const changed = new Error("it changed");
    const checkUnchanged = () => ++looks === 2 ? Promise.reject(changed) : Promise.resolve();
    await expect(runToy({ place, checkUnchanged })).rejects.toBe(changed);
    expect(Object.keys(await filesOf(place)).sort()).toEqual(["/parts/1.txt", "/sums.json"]);
  });

  it("names a result that cannot be read", async () => {
    const place = newPlace();
    await runToy({ place });
    await put(place, "/parts/2.txt", "sixty");
    const refusal = runToy({ place });
    await expect(refusal).rejects.toThrow(ChunkError);
    await expect(refusal).rejects.toThrow(`${place}/parts/2.txt`);
  });
});
