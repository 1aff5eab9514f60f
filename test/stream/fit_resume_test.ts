import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { ChunkError, OutputConflictError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { PlanChoices } from "../../src/stream/choices.ts";
import type { Plan } from "../../src/stream/plan.ts";
import type { Measured } from "../../src/stream/task.ts";
import { blobs } from "../support/blobs.ts";
import { useGpu } from "../support/gpu.ts";
import type { Where } from "../support/kept_states.ts";
import {
  onStates,
  paceStates,
  removeAfterAll,
  useEveryState,
  usualPace,
} from "../support/kept_states.ts";
import { runtime } from "../support/runtime.ts";
import { contents } from "../support/small_decode.ts";

const gpu = useGpu();
useEveryState();

const [ROWS, FEATURES] = [400, 5];
const { points: values } = blobs({ rows: ROWS, features: FEATURES, blobs: 4, spread: 0.4 });
const points = fromTypedArray(values, [ROWS, FEATURES]);

type Options = PlanChoices & { out: string; overwrite?: boolean };
type Fit = (options: Options) => Plan<Measured>;

const kmeans = (device = gpu()): Fit => (options) =>
  new KMeans({ k: 3, seed: 3, inits: 2, maxIterations: 3 }).fit(device, points, options);
const other: Fit = (options) => new KMeans({ k: 2, inits: 1 }).fit(gpu(), points, options);
const FITS: Record<string, Fit> = {
  "k-means": (options) => kmeans()(options),
  "k-means from given centroids": (options) =>
    new KMeans({ k: 4, init: values.slice(0, 4 * FEATURES), spherical: true })
      .fit(gpu(), points, options),
};

/** In browsers where tabs are closed, in memory elsewhere: the command line is killed over files. */
const FOLDER = `${runtime === "chromium" ? "opfs" : "memory"}:fit-resume-test`;
let places = 0;
const place = () => `${FOLDER}/${places++}`;
removeAfterAll(FOLDER);

const SMALL = { tileRows: 128 };

/** Cancels a fit once it has stored so many states, if it ever does. */
async function interrupted(
  fit: Fit,
  out: string,
  states: number,
  choices: Partial<Options> = {},
) {
  const cancel = new AbortController();
  await onStates(
    (_, count) => count === states && cancel.abort(new Error("interrupted")),
    () =>
      expect(fit({ out, ...choices }).run({ signal: cancel.signal })).rejects.toThrow(
        "interrupted",
      ),
  );
}

describe("a finished fit with a hole", () => {
  it("is not returned, and computed again where overwriting is allowed", async () => {
    const out = place();
    const finished = await kmeans()({ out }).run();
    await (finished as { close?(): Promise<void> }).close?.();
    const wanted = await contents(out);
    const store = await openStore(out, { mode: "write" });
    for (const key of ["/ids/c/0", "/ids/zarr.json"]) {
      await store.delete(key);
      const again = kmeans()({ out }).run();
      await expect(again).rejects.toThrow(ChunkError);
      await expect(again).rejects.toThrow(
        `${key}" is missing; allow overwriting to compute it again`,
      );
      const replaced = await kmeans()({ out, overwrite: true }).run();
      await (replaced as { close?(): Promise<void> }).close?.();
      expect(await contents(out)).toEqual(wanted);
    }
    await store.close();
  });
});

/** A result without what differs from run to run, its arrays read, and what is stored of it. */
async function outcome(out: string, { seconds: _, resumed: __, ...result }: Measured) {
  const { peakBytes, projectedBytes, place: ___, close, model: ____, ...fit } = result as
    & typeof result
    & { place?: string; close?(): Promise<void>; model?: unknown };
  expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
  expect(peakBytes.disk).toBeLessThanOrEqual(projectedBytes.disk);
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fit) as [string, unknown][]) {
    const isArray = typeof (value as ChunkedArray | undefined)?.read === "function";
    values[name] = isArray ? await readAll(value as ChunkedArray) : value;
  }
  await close?.();
  return { fit: values, stored: await contents(out) };
}

async function uninterrupted(fit: Fit, choices: PlanChoices = {}) {
  const out = place();
  const states: Where[] = [];
  const result = await onStates(
    (where) => states.push(where),
    () => fit({ out, ...choices }).run(),
  );
  return { states, wanted: await outcome(out, result) };
}

describe("a fit that was interrupted", () => {
  for (const [name, fit] of Object.entries(FITS)) {
    it(`goes on from any state it kept, with any tile, to the same bits: ${name}`, async (context) => {
      if (runtime !== "node" && name !== "k-means") {
        context.skip("what is kept is the same in every runtime");
      }
      const { wanted } = await uninterrupted(fit, { tileRows: 400 });
      const { states } = await uninterrupted(fit, SMALL);
      expect(states.length).toBeGreaterThan(1);
      const step = Math.ceil(states.length / (runtime === "node" ? 3 : 2));
      for (let i = states.length; i > 0; i -= step) {
        const out = place();
        await interrupted(fit, out, i, SMALL);
        expect((await checkStore(out)).state).toBe("unfinished");
        // k-means keeps its points on the device now
        const result = await fit({ out, ...(i % 2 === 0 && SMALL) }).run();
        const { stage, row } = states[i - 1]!;
        const [pass, sweep = "0"] = stage.split(" ");
        // rows that are stored as they come are all of one chunk, which is not complete
        const stored = pass === "assign" ? 0 : row;
        expect(result.resumed).toMatchObject({ pass, row: stored });
        expect(result.resumed!.sweeps ?? 0).toBe(Number(sweep));
        expect(await outcome(out, result)).toEqual(wanted);
        expect(await (await openStore(`${out}.journal`)).list("/")).toEqual([]);
      }
    });
  }

  it("draws the same centroids on from any of them", async () => {
    const fit: Fit = (options) =>
      new KMeans({ k: 5, seed: 8, inits: 1, maxIterations: 1 }).fit(gpu(), points, options);
    const { states, wanted } = await uninterrupted(fit);
    const seeding = states.filter(({ stage }) => /^seed( |$)/.test(stage)).length;
    expect(seeding).toBe(5);
    for (let i = 1; i <= seeding; i++) {
      const out = place();
      await interrupted(fit, out, i);
      expect(await outcome(out, await fit({ out }).run())).toEqual(wanted);
    }
  });

  it("goes on where it was when its device is lost", async () => {
    const { wanted } = await uninterrupted(kmeans());
    const device = await openGpu();
    const out = place();
    const run = () => kmeans(device)({ out }).run();
    const lose = (_: unknown, count: number) => count === 5 && device.device.destroy();
    const result = await onStates(lose, run);
    device.close();
    expect(result.resumed).toMatchObject({ pass: "seed", sweeps: 4 });
    expect(await outcome(out, result)).toEqual(wanted);
  });

  it("starts over where its state is damaged, or that is asked for", async () => {
    const { wanted } = await uninterrupted(kmeans());
    const out = place();
    await interrupted(kmeans(), out, 5);
    const journal = await openStore(`${out}.journal`);
    const states = await journal.list("/state");
    expect(states).toHaveLength(1);
    const state = (await journal.get(states[0]!))!.slice();
    state[state.length >> 1]! ^= 1;
    await journal.set(states[0]!, state);
    const damaged = await kmeans()({ out }).run();
    expect(damaged.resumed).toBeUndefined();
    expect(await outcome(out, damaged)).toEqual(wanted);
    // over the finished result, too
    await interrupted(kmeans(), out, 5, { overwrite: true });
    expect((await kmeans()({ out, overwrite: true }).run()).resumed).toBeUndefined();
  });

  it("goes on over the result it was allowed to replace", async () => {
    const { wanted } = await uninterrupted(kmeans());
    const out = place();
    await other({ out }).run();
    await interrupted(kmeans(), out, 5, { overwrite: true });
    const result = await kmeans()({ out }).run();
    expect(result.resumed).toBeDefined();
    expect(await outcome(out, result)).toEqual(wanted);
  });

  it("does not give way to another plan or adapter unless that is allowed", async () => {
    const { wanted } = await uninterrupted(kmeans());
    const out = place();
    await interrupted(kmeans(), out, 5);
    await expect(other({ out }).run()).rejects.toThrow(OutputConflictError);
    await expect(other({ out }).run()).rejects.toThrow("the result of another plan");
    const device = gpu() as { adapter: Gpu["adapter"] };
    const { adapter } = device;
    device.adapter = { ...adapter, name: "another adapter" };
    try {
      await expect(kmeans()({ out }).run()).rejects.toThrow("this plan on another adapter");
    } finally {
      device.adapter = adapter;
    }
    expect(await checkStore(out)).toMatchObject({
      state: "unfinished",
      journal: { pass: "seed", steps: 5 },
    });
    expect(await outcome(out, await kmeans()({ out }).run())).toEqual(wanted);
    await interrupted(kmeans(), out, 5, { overwrite: true });
    expect((await other({ out, overwrite: true }).run()).resumed).toBeUndefined();
  });
});

describe("a fit", () => {
  // more rows than any sample, of which one is another
  const many = Float32Array.from({ length: 2 * 2000 }, (_, i) => values[i % values.length]!);
  const rows = fromTypedArray(many, [2000, 2]);
  const fits: Record<string, Fit> = {
    KMeans: (options) =>
      new KMeans({ k: 2, seed: 3, inits: 1, maxIterations: 2 }).fit(gpu(), rows, options),
  };
  for (const [name, fit] of Object.entries(fits)) {
    it(`is only returned, or gone on with, for the very same rows: ${name}`, async () => {
      const [finished, unfinished] = [place(), place()];
      await fit({ out: finished }).run();
      await interrupted(fit, unfinished, 1, SMALL);
      expect((await fit({ out: finished }).run()).seconds).toEqual({});
      const at = 2 * 1037;
      const before = many[at]!;
      for (const value of [before + 2 ** -20, 30 * before]) {
        many[at] = value;
        await expect(fit({ out: finished }).run()).rejects.toThrow("the result of another plan");
        await expect(fit({ out: unfinished }).run()).rejects.toThrow("the result of another plan");
      }
      many[at] = before;
      expect((await fit({ out: finished }).run()).seconds).toEqual({});
      expect((await fit({ out: unfinished }).run()).resumed).toBeDefined();
      expect(await contents(unfinished)).toEqual(await contents(finished));
    });
  }

  it("keeps nothing without a place, nor more often than every two seconds", async () => {
    const count = async (run: () => Promise<unknown>) => {
      let states = 0;
      await onStates(() => states++, run);
      return states;
    };
    const model = new KMeans({ k: 4, maxIterations: 3 });
    const plan = model.fit(gpu(), points);
    expect(await count(() => plan.run())).toBe(0);
    expect(plan.projected.disk).toBe(0);
    const restore = paceStates(usualPace);
    try {
      const began = performance.now();
      const states = await count(() => kmeans()({ out: place() }).run());
      expect(states).toBeLessThanOrEqual((performance.now() - began) / 2000);
    } finally {
      restore();
    }
  });
});
