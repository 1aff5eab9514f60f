import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { KMeans, openKMeans } from "../../src/cluster/kmeans.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Journal } from "../../src/store/journal.ts";
import type { Checkpoint } from "../../src/stream/checkpoints.ts";
import type { PlanChoices } from "../../src/stream/choices.ts";
import type { Plan } from "../../src/stream/plan.ts";
import type { Measured } from "../../src/stream/task.ts";
import type { NumericArray } from "../../src/types.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { blobs } from "../support/blobs.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { useEveryState } from "../support/kept_states.ts";
import { runtime } from "../support/runtime.ts";
import { contents } from "../support/small_decode.ts";

const gpu = useGpu();
useEveryState();

/** Distances to 64 centroids are in chunks of 16,384 rows, those of f64 rows in chunks of 8,192. */
const [ROWS, FEATURES, K] = [20_000, 2, 64];
const { points: values } = blobs({ rows: ROWS, features: FEATURES, blobs: K, spread: 0.3 });
const points = fromTypedArray(values, [ROWS, FEATURES]);
const init = values.slice(0, K * FEATURES);
const model = () => KMeans.from(init, { k: K });

let places = 0;
const place = () => `memory:kmeans-stored-test/${places++}`;

type Stored = Measured & { close(): Promise<void> };
type Options = PlanChoices & { out: string };
type Run = (options: Options, device?: Gpu) => Plan<Stored>;
const soft = { topK: K, temperature: 0.5 };
const predict: Run = (options, device = gpu()) => model().predict(device, points, options);
const predictSoft: Run = (options, device = gpu()) =>
  model().predict(device, points, { ...options, ...soft });
const transform: Run = (options, device = gpu()) => model().transform(device, points, options);
const fit: Run = (options, device = gpu()) =>
  new KMeans({ k: K, init, maxIterations: 1 }).fit(device, points, options);

/** Runs until a pass has a checkpoint at a row or past it, then cancels; rows that were stored by then. */
async function interrupted(run: Run, options: Options, pass: string, row: number): Promise<number> {
  const cancel = new AbortController();
  const append = Journal.prototype.append;
  let storedTo = 0;
  Journal.prototype.append = async function (entry) {
    await append.call(this, entry);
    const line = entry as Checkpoint;
    if (line.pass !== pass || line.row < row) return;
    if (!cancel.signal.aborted) storedTo = line.storedTo;
    cancel.abort(new Error("interrupted"));
  };
  try {
    await expect(run(options).run({ signal: cancel.signal })).rejects.toThrow("interrupted");
  } finally {
    Journal.prototype.append = append;
  }
  return storedTo;
}

/** What a run leaves that goes on after an interruption, under another budget. */
async function goneOn(run: Run, options: Options, pass: string, budget: string) {
  const device = await lendGpu({ budget });
  try {
    const { resumed, peakBytes, projectedBytes, close } = await run(
      { out: options.out },
      device,
    ).run();
    await close();
    if (resumed) expect(resumed.pass).toBe(pass);
    expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
    expect(peakBytes.disk).toBeLessThanOrEqual(projectedBytes.disk);
    return { row: resumed?.row ?? 0, stored: await contents(options.out) };
  } finally {
    device.close();
  }
}

/** Every number, as bits; of so many that a list of them is of no use. */
async function expectSame(stored: ChunkedArray, returned: NumericArray) {
  const read = await readAll(stored);
  expect(read.constructor).toBe(returned.constructor);
  expect(read.length).toBe(returned.length);
  expect(returned.findIndex((value, i) => !Object.is(value, read[i]))).toBe(-1);
}

async function uninterrupted(run: Run) {
  const out = place();
  await (await run({ out }).run()).close();
  return await contents(out);
}

describe("what k-means stores row by row", () => {
  it("is what it returns without a place: nearest centroids", async () => {
    const returned = await model().predict(gpu(), points).run();
    const stored = await model().predict(gpu(), points, { out: place(), tileRows: 3000 }).run();
    await expectSame(stored.ids, returned.ids);
    await expectSame(stored.distances, returned.distances);
    expect(stored).toMatchObject({ inertia: returned.inertia, nearTies: returned.nearTies });
    await stored.close();
  });

  it("is what it returns without a place: several centroids by weight", async () => {
    const options = { topK: 3, temperature: 0.5 };
    const returned = await model().predict(gpu(), points, options).run();
    const stored = await model()
      .predict(gpu(), points, { ...options, out: place(), tileRows: 3000 }).run();
    expect(stored.ids.shape).toEqual([ROWS, 3]);
    await expectSame(stored.ids, returned.ids);
    await expectSame(stored.weights, returned.weights);
    await stored.close();
  });

  it("is what it returns without a place: distances, of f32 and of f64", async () => {
    for (const typed of [values, Float64Array.from(values)]) {
      const rows = fromTypedArray(typed, [ROWS, FEATURES]);
      const returned = await model().transform(gpu(), rows).run();
      const stored = await model().transform(gpu(), rows, { out: place(), tileRows: 3000 }).run();
      expect(stored.distances.shape).toEqual([ROWS, K]);
      await expectSame(stored.distances, returned);
      await stored.close();
    }
  });

  it("is found again for the same rows, centroids and question, and for no others", async () => {
    const out = place();
    const options = { out, topK: 2, temperature: 0.5 };
    const first = await model().predict(gpu(), points, options).run();
    const again = await model().predict(gpu(), points, options).run();
    expect(again.seconds).toEqual({});
    await expectSame(again.weights, await readAll(first.weights));
    expect((await checkStore(out)).state).toBe("whole");
    const refused = (plan: Plan<unknown>, message = "the result of another plan") =>
      expect(plan.run()).rejects.toThrow(message);
    await refused(model().predict(gpu(), points, { ...options, topK: 3 }));
    await refused(model().predict(gpu(), points, { ...options, temperature: 1 }));
    await refused(model().predict(gpu(), points, { out }));
    await refused(KMeans.from(init.map((x) => x + 1), { k: K }).predict(gpu(), points, options));
    const other = values.slice();
    other[4321]! += 2 ** -20;
    const rows = fromTypedArray(other, [ROWS, FEATURES]);
    await refused(model().predict(gpu(), rows, options));
    await refused(model().transform(gpu(), points, { out }), "another zarr store");
    const replaced = await model().predict(gpu(), rows, { ...options, overwrite: true }).run();
    expect(replaced.seconds).not.toEqual({});
  });

  it("takes no more host memory for more rows", async () => {
    const wide = Float64Array.from(values);
    const run = async (rows: number) => {
      const some = fromTypedArray(wide.subarray(0, rows * FEATURES), [rows, FEATURES]);
      const stored = await model().transform(gpu(), some, { out: place(), tileRows: 1024 }).run();
      await stored.close();
      return stored;
    };
    const [few, many] = [await run(9000), await run(ROWS)];
    expect(many.projectedBytes.host).toBe(few.projectedBytes.host);
    expect(many.peakBytes.host).toBeLessThanOrEqual(few.projectedBytes.host);
    // chunks of ids have a million rows
    const ofRows = (rows: number): ChunkedArray => ({
      ...points,
      shape: [rows, FEATURES],
      read: () => Promise.reject(new Error("is not read")),
    });
    const out = "memory:kmeans-stored-test/never-run";
    const planned = (rows: number) =>
      [
        model().predict(gpu(), ofRows(rows), { out, tileRows: 1024 }),
        model().predict(gpu(), ofRows(rows), { ...soft, out, tileRows: 1024 }),
        new KMeans({ k: K, init }).fit(gpu(), ofRows(rows), { out, tileRows: 1024 }),
      ].map(({ projected }) => projected.host);
    expect(planned(2 ** 30)).toEqual(planned(2 ** 29));
  });
});

describe("what k-means stores row by row, interrupted", () => {
  const runs: Record<string, [Run, pass: string, tileRows: number]> = {
    "nearest centroids": [predict, "assign", 4096],
    "several centroids by weight": [predictSoft, "distances", 9000],
    distances: [transform, "distances", 3000],
    "a fit": [fit, "assign", 4096],
  };
  for (const [name, [run, pass, tileRows]] of Object.entries(runs)) {
    it(`goes on after any tile, under other budgets, to the same bytes: ${name}`, async (context) => {
      if (runtime !== "node") context.skip("what is kept is the same in every runtime");
      const wanted = await uninterrupted(run);
      for (let row = tileRows, i = 0; row < ROWS; row += tileRows, i++) {
        const options = { out: place(), tileRows };
        const storedTo = await interrupted(run, options, pass, row);
        const budget = ["3 MiB", "64 MiB", "7 MiB"][i % 3]!;
        const { row: from, stored } = await goneOn(run, options, pass, budget);
        expect(stored).toEqual(wanted);
        expect(from).toBeLessThanOrEqual(storedTo);
        // a checkpoint that waited for its chunk to be complete serves once it is
        if (storedTo > 0) expect(from).toBeGreaterThan(0);
      }
    });
  }

  it("goes on within a last assignment of more rows than a chunk has", async (context) => {
    if (runtime !== "node") context.skip("what is kept is the same in every runtime");
    const rows = 2 ** 20 + 50_000;
    const many = fromTypedArray(Uint8Array.from({ length: rows }, (_, i) => 7 * i % 251), [
      rows,
      1,
    ]);
    const long: Run = (options, device = gpu()) =>
      new KMeans({ k: 2, init: [50, 200], maxIterations: 0 }).fit(device, many, options);
    const wanted = await uninterrupted(long);
    const options = { out: place() };
    const storedTo = await interrupted(long, options, "assign", 2 ** 20 + 1);
    expect(storedTo).toBe(2 ** 20);
    const { row, stored } = await goneOn(long, options, "assign", "4 MiB");
    expect(row).toBeGreaterThan(0);
    expect(stored).toEqual(wanted);
  });
});

describe("a stored fit", () => {
  const options = { k: 5, seed: 3, inits: 2, maxIterations: 4, spherical: true };
  const some = fromTypedArray(values.subarray(0, 999 * FEATURES), [999, FEATURES]);
  const batch = fromTypedArray(values.subarray(4000, 4000 + 300 * FEATURES), [300, FEATURES]);

  it("has a model that predicts as the one that was fitted", async () => {
    const out = place();
    const fitted = new KMeans(options);
    const { model } = await fitted.fit(gpu(), some, { out }).run();
    const { model: opened } = await openKMeans(out);
    const wanted = await fitted.predict(gpu(), batch).run();
    for (const other of [model, opened]) {
      expect(other.centroids).toEqual(fitted.centroids);
      const got = await other.predict(gpu(), batch).run();
      expect(got.ids).toEqual(wanted.ids);
      expect(got.distances).toEqual(wanted.distances);
    }
  });

  it("counts its rows where batches follow, whether it was fitted, found or opened", async () => {
    const out = place();
    const inMemory = new KMeans(options);
    await inMemory.fit(gpu(), some).run();
    const wanted = await inMemory.partialFit(gpu(), batch).run();
    const [fitted, found] = [new KMeans(options), new KMeans(options)];
    const { model } = await fitted.fit(gpu(), some, { out }).run();
    await found.fit(gpu(), some, { out }).run();
    const { model: opened } = await openKMeans(out);
    for (const other of [fitted, found, model, opened]) {
      expect(await other.partialFit(gpu(), batch).run()).toEqual(wanted);
    }
    // and again, from what it has counted since
    const next = await inMemory.partialFit(gpu(), batch).run();
    expect(await opened.partialFit(gpu(), batch).run()).toEqual(next);
    const { model: late } = await openKMeans(out);
    await new KMeans({ ...options, seed: 4 }).fit(gpu(), some, { out, overwrite: true }).run();
    await expect(late.partialFit(gpu(), batch).run()).rejects.toThrow(
      "another one is there by now",
    );
  });
});
