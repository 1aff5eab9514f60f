import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import type { KMeansOptions } from "../../src/cluster/kmeans.ts";
import { KMeans, openKMeans } from "../../src/cluster/kmeans.ts";
import { BudgetError } from "../../src/errors.ts";
import { kmeans } from "../reference/kmeans.ts";
import { vqAssign } from "../reference/vq_assign.ts";
import { blobs } from "../support/blobs.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";
import { decode, sklearn } from "../support/sklearn.ts";

const gpu = useGpu();

/** 1,000 rows of 6 features around 5 centres: more than two blocks of sums. */
const ROWS = 1000;
const FEATURES = 6;
const K = 5;
const problem = blobs({ rows: ROWS, features: FEATURES, blobs: K, spread: 0.4 });
const points = fromTypedArray(problem.points, [ROWS, FEATURES]);
const init = problem.points.slice(0, K * FEATURES);

describe("KMeans", () => {
  it("fits as the f64 twin does from the same centroids", async () => {
    const model = new KMeans({ k: K, init });
    const plan = model.fit(gpu(), points);
    const result = await plan.run();
    const twin = kmeans(problem.points, init, FEATURES);
    expect(result.iterations).toBe(twin.iterations);
    expect(result.converged).toBe(true);
    expect(Math.abs(result.inertia / twin.inertia - 1)).toBeLessThan(1e-6);
    expect([...result.ids]).toEqual([...twin.ids]);
    result.centroids.forEach((value, i) =>
      expect(Math.abs(value - twin.centroids[i]!)).toBeLessThan(1e-6)
    );
    expect(model.centroids).toEqual(result.centroids);
    expect(result.peakBytes.gpu).toBe(result.projectedBytes.gpu);
    expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
    await recordNumbers("kmeans_blobs", [result.inertia / 1000, ...result.centroids]);
  });

  it("does not depend on the tile, slots, or whether the points stay on the device", async () => {
    const fit = (choices: { tileRows?: number; slots?: number }) =>
      new KMeans({ k: K, seed: 3, inits: 2, maxIterations: 4 }).fit(gpu(), points, choices).run();
    const whole = await fit({});
    for (const choices of [{ tileRows: 1000, slots: 1 }, { tileRows: 320 }, { tileRows: 77 }]) {
      const other = await fit(choices);
      expect(other.centroids).toEqual(whole.centroids);
      expect(other.ids).toEqual(whole.ids);
      expect(other.distances).toEqual(whole.distances);
      expect(other.inertia).toBe(whole.inertia);
      expect(other.iterations).toBe(whole.iterations);
    }
  });

  it("hands out ids and distances of the centroids it hands out", async () => {
    const model = new KMeans({ k: K, seed: 5, inits: 1, maxIterations: 3 });
    const { centroids, ids, distances, inertia } = await model.fit(gpu(), points).run();
    const twin = vqAssign(problem.points, centroids, FEATURES);
    expect([...ids]).toEqual([...twin.ids]);
    distances.forEach((distance, row) =>
      expect(Math.abs(distance - Math.sqrt(twin.distances[row]!))).toBeLessThan(1e-6)
    );
    const sum = twin.distances.reduce((total, distance) => total + distance, 0);
    expect(Math.abs(inertia / sum - 1)).toBeLessThan(1e-6);
  });

  for (const problem of sklearn.kmeans) {
    it(`agrees with scikit-learn on ${problem.name}`, async () => {
      const [rows, features] = problem.points.shape as [number, number];
      const k = problem.init.shape[0]!;
      const values = fromTypedArray(decode(problem.points), [rows, features]);
      const model = new KMeans({ k, init: decode(problem.init) });
      const got = await model.fit(gpu(), values).run();
      expect(got.iterations).toBe(problem.iterations);
      expect(Math.abs(got.inertia / problem.inertia - 1)).toBeLessThan(1e-5);
      expect([...got.ids]).toEqual([...decode(problem.ids)]);
      const wanted = decode(problem.centroids);
      // in f32 at the offset
      const most = 2 ** -23 * Math.max(...wanted.map(Math.abs));
      got.centroids.forEach((value, i) =>
        expect(Math.abs(value - wanted[i]!)).toBeLessThan(most + 1e-6)
      );
    });
  }

  it("decides near ties in f64, the lowest of equals, and counts them", async () => {
    const [rows, features] = [130, 2];
    const values = new Float32Array(rows * features);
    // half way between the first two centroids, but for every third row, by less than f32 tells
    for (let row = 0; row < rows; row++) {
      values[2 * row] = row % 3 === 1 ? 2 ** -30 : row % 3 === 2 ? -(2 ** -30) : 0;
      values[2 * row + 1] = row % 7;
    }
    const model = KMeans.from([-1, 3, 1, 3, 1, 3, 500, 500], { k: 4 });
    const { ids, nearTies } = await model.predict(gpu(), fromTypedArray(values, [rows, 2])).run();
    expect(nearTies).toBe(rows);
    ids.forEach((id, row) => expect(id).toBe(row % 3 === 1 ? 1 : 0));
  });

  it("tells near-duplicate centroids apart where rows do", async () => {
    const codes = Float32Array.of(0.1, 0.2, 0.1 + 2 ** -20, 0.2, 5, 5, 5, 9);
    const model = KMeans.from(codes, { k: 4 });
    const values = Float32Array.from({ length: 2 * 130 }, (_, i) => codes[i % 8]!);
    const { ids, distances } = await model.predict(gpu(), fromTypedArray(values, [130, 2])).run();
    ids.forEach((id, row) => expect(id).toBe(row % 4));
    expect(distances.every((distance) => distance === 0)).toBe(true);
  });

  it("gives clusters without rows the rows that are farthest out", async () => {
    const values = Float32Array.of(0, 0.1, 0.2, 0.3, 9, 10);
    const model = new KMeans({ k: 3, init: [0.1, -50, -60] });
    const { ids, inertia } = await model.fit(gpu(), fromTypedArray(values, [6, 1])).run();
    expect(new Set(ids).size).toBe(3);
    expect(Math.abs(inertia - 0.05)).toBeLessThan(1e-6);
    // at once, and the cluster they were in is the mean of what is left of it
    const once = new KMeans({ k: 3, init: [0.1, -50, -60], maxIterations: 1 });
    const { centroids } = await once.fit(gpu(), fromTypedArray(values, [6, 1])).run();
    [0.15, 10, 9].forEach((wanted, code) =>
      expect(Math.abs(centroids[code]! - wanted)).toBeLessThan(1e-6)
    );
  });

  it("takes as many clusters as rows, one row, and rows that are all equal", async () => {
    const values = Float32Array.of(1, 2, 4, 8);
    const own = await new KMeans({ k: 4, inits: 2 }).fit(gpu(), fromTypedArray(values, [4, 1]))
      .run();
    expect(own.inertia).toBe(0);
    expect(new Set(own.ids).size).toBe(4);
    const one = await new KMeans({ k: 1 }).fit(gpu(), fromTypedArray(values, [1, 4])).run();
    expect([...one.centroids]).toEqual([...values]);
    const equal = fromTypedArray(new Float32Array(4).fill(3), [4, 1]);
    const flat = await new KMeans({ k: 4, inits: 1 }).fit(gpu(), equal).run();
    expect(flat.inertia).toBe(0);
    expect([...flat.ids]).toEqual(Array(4).fill(0));
    expect([...flat.centroids]).toEqual(Array(4).fill(3));
  });

  it("finds well separated blobs from its own seeds, the same with the same seed", async () => {
    const clear = blobs({ rows: 300, features: 3, blobs: 6, spread: 0.01, seed: 9 });
    const values = fromTypedArray(clear.points, [300, 3]);
    const fit = (seed: number) => new KMeans({ k: 6, seed, inits: 3 }).fit(gpu(), values).run();
    const first = await fit(1);
    const named = new Map<number, number>();
    clear.labels.forEach((label, row) => {
      if (!named.has(label)) named.set(label, first.ids[row]!);
      expect(first.ids[row]).toBe(named.get(label));
    });
    expect(new Set(named.values()).size).toBe(6);
    const again = await fit(1);
    expect(again.centroids).toEqual(first.centroids);
    expect((await fit(2)).centroids).not.toEqual(first.centroids);
  });

  it("runs from other first centroids every time, and keeps the best", async () => {
    const inertia = async (inits: number) =>
      (await new KMeans({ k: K, seed: 2, inits, maxIterations: 0 }).fit(gpu(), points).run())
        .inertia;
    const [one, two, many] = [await inertia(1), await inertia(2), await inertia(12)];
    expect(two).toBeLessThanOrEqual(one);
    expect(many).toBeLessThan(one);
  });

  it("predicts, and measures distances to every centroid", async () => {
    const model = new KMeans({ k: K, init, maxIterations: 2 });
    const { ids, distances, inertia } = await model.fit(gpu(), points).run();
    const predicted = await model.predict(gpu(), points, { tileRows: 77 }).run();
    expect(predicted.ids).toEqual(ids);
    expect(predicted.distances).toEqual(distances);
    expect(predicted.inertia).toBe(inertia);
    const all = await model.transform(gpu(), points, { tileRows: 77 }).run();
    expect(all.length).toBe(ROWS * K);
    ids.forEach((id, row) => {
      const own = all.subarray(row * K, (row + 1) * K);
      expect(own.indexOf(Math.min(...own))).toBe(id);
      expect(Math.abs(own[id]! - distances[row]!)).toBeLessThan(1e-6);
    });
  });

  it("assigns rows to several centroids, by softmax of their squared distances", async () => {
    const model = KMeans.from(init, { k: K });
    const [topK, temperature] = [3, 0.4];
    const soft = await model.predict(gpu(), points, { topK, temperature, tileRows: 77 }).run();
    const all = await model.transform(gpu(), points).run();
    for (let row = 0; row < ROWS; row++) {
      const own = [...all.subarray(row * K, (row + 1) * K)];
      const order = [...own.keys()].sort((a, b) => own[a]! - own[b]! || a - b).slice(0, topK);
      expect([...soft.ids.subarray(row * topK, (row + 1) * topK)]).toEqual(order);
      const parts = order.map((code) => Math.exp(-(own[code]! ** 2) / temperature));
      const sum = parts.reduce((total, part) => total + part, 0);
      parts.forEach((part, i) =>
        expect(Math.abs(soft.weights[row * topK + i]! - part / sum)).toBeLessThan(1e-5)
      );
    }
    // far rows do not run out of f64
    const far = fromTypedArray(new Float32Array(FEATURES).fill(1e4), [1, FEATURES]);
    const { weights } = await model.predict(gpu(), far, { topK: 1, temperature: 1e-3 }).run();
    expect([...weights]).toEqual([1]);
    expect(() => model.predict(gpu(), points, { topK: 6 })).toThrow(
      "topK is 6, wanted a whole number from 1 to 5",
    );
    expect(() => model.predict(gpu(), points, { topK: 2, temperature: 0 })).toThrow(
      "temperature is 0",
    );
  });

  it("moves centroids to the mean of all they have seen, batch by batch", async () => {
    const model = new KMeans({ k: 2, init: [0, 10] });
    const batch = (...values: number[]) =>
      fromTypedArray(Float32Array.from(values), [values.length, 1]);
    expect([...await model.partialFit(gpu(), batch(1, 3, 11)).run()]).toEqual([2, 11]);
    expect([...await model.partialFit(gpu(), batch(5, 5, 11)).run()]).toEqual([3.5, 11]);
    const drawn = new KMeans({ k: K, seed: 1 });
    const first = await drawn.partialFit(gpu(), points).run();
    const [before, after] = [
      vqAssign(problem.points, first, FEATURES),
      vqAssign(problem.points, await drawn.partialFit(gpu(), points).run(), FEATURES),
    ].map(({ distances }) => distances.reduce((sum, distance) => sum + distance, 0));
    expect(after).toBeLessThan(before!);
  });

  it("compares directions when it is spherical", async () => {
    // two directions, at lengths that would mislead
    const values = Float32Array.of(1, 0.1, 50, 1, 3, 0, 0.1, 1, 0, 40, 0.2, 3);
    const model = new KMeans({ k: 2, spherical: true, init: [1, 0, 0, 1] });
    const { ids, centroids } = await model.fit(gpu(), fromTypedArray(values, [6, 2])).run();
    expect([...ids]).toEqual([0, 0, 0, 1, 1, 1]);
    for (const at of [0, 2]) {
      expect(Math.abs(Math.hypot(centroids[at]!, centroids[at + 1]!) - 1)).toBeLessThan(1e-6);
    }
    values.fill(0, 4, 6);
    await expect(model.fit(gpu(), fromTypedArray(values, [6, 2])).run())
      .rejects.toThrow("row 2 has length 0, wanted rows that have a direction");
  });

  it("takes numbers of any type, and very large and very small ones", async () => {
    const integers = Int16Array.from(problem.points, (value) => Math.round(1000 * value));
    const whole = await new KMeans({ k: K, init: integers.slice(0, K * FEATURES) })
      .fit(gpu(), fromTypedArray(integers, [ROWS, FEATURES])).run();
    for (const factor of [2 ** -80, 2 ** 60]) {
      const scaled = Float64Array.from(integers, (value) => value * factor);
      const values = fromTypedArray(scaled, [ROWS, FEATURES]);
      const got = await new KMeans({ k: K, init: scaled.slice(0, K * FEATURES) })
        .fit(gpu(), values).run();
      expect(got.ids).toEqual(whole.ids);
      expect(Math.abs(got.inertia / factor ** 2 / whole.inertia - 1)).toBeLessThan(1e-6);
    }
  });

  it("refuses what it cannot cluster, before any work where it can", async () => {
    const fit = (shape: number[], options: Partial<KMeansOptions> = {}) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const values = fromTypedArray(new Float32Array(length), shape);
      return new KMeans({ k: 3, ...options }).fit(gpu(), values);
    };
    expect(() => fit([2, 4])).toThrow("points have 2 rows, wanted at least as many as clusters, 3");
    expect(() => fit([8])).toThrow("points have shape [8], wanted [rows, features]");
    expect(() => fit([8, 2], { init: [1, 2, 3] })).toThrow("2 features, init has 1");
    expect(() => fit([8, 2], { k: 0 })).toThrow("k is 0, wanted a whole number from 1");
    expect(() => fit([8, 2], { init: [1, 2, 3, 4] })).toThrow("4 numbers, wanted 3 rows");
    expect(() => fit([8, 1], { init: [1, NaN, 3] })).toThrow("number 1 of init is NaN");
    expect(() => fit([8, 1], { init: [1, 2, 3], inits: 2 })).toThrow("inits is 2, wanted 1");
    for (const seed of ["abc", -1, 0.5, 2 ** 32, NaN]) {
      expect(() => fit([8, 2], { seed: seed as number })).toThrow(
        `seed is ${JSON.stringify(seed).replace("null", "NaN")}, wanted a whole number from 0 to ` +
          "4294967295",
      );
    }
    const no = { spherical: "no" } as unknown as Partial<KMeansOptions>;
    expect(() => fit([8, 2], no)).toThrow('spherical is "no", wanted true or false');
    const text = { tolerance: "0.1" } as unknown as Partial<KMeansOptions>;
    expect(() => fit([8, 2], text)).toThrow('tolerance is "0.1", wanted a number');
    expect(() => new KMeans({ k: 2 }).predict(gpu(), points)).toThrow("not fitted");
    const values = Float32Array.from(problem.points);
    values[700 * FEATURES + 4] = NaN;
    const broken = fromTypedArray(values, [ROWS, FEATURES]);
    await expect(new KMeans({ k: K }).fit(gpu(), broken).run())
      .rejects.toThrow("row 700, feature 4 is NaN, wanted finite numbers");
    values[700 * FEATURES + 4] = -Infinity;
    await expect(new KMeans({ k: K }).fit(gpu(), broken).run())
      .rejects.toThrow("row 700, feature 4 is -Infinity");
  });

  it("is stored, returned when it is there, and refused to another fit", async () => {
    const out = "memory:kmeans_test.zarr";
    const fit = (options: Partial<KMeansOptions> = {}, overwrite = false) =>
      new KMeans({ k: K, seed: 4, inits: 1, ...options }).fit(gpu(), points, { out, overwrite });
    const first = await fit().run();
    const returned = await new KMeans({ k: K, seed: 4, inits: 1 }).fit(gpu(), points).run();
    const opened = await openKMeans(out);
    for (const stored of [first, opened]) {
      for (const name of ["centroids", "inertia", "nearTies", "iterations", "converged"] as const) {
        expect(stored[name]).toEqual(returned[name]);
      }
      for (const name of ["ids", "distances"] as const) {
        expect(await readAll(stored[name])).toEqual(returned[name]);
      }
      expect(stored.place).toBe(out);
      await stored.close();
    }
    expect(first.peakBytes.disk).toBeLessThanOrEqual(first.projectedBytes.disk);
    const again = await fit().run();
    expect(again.seconds).toEqual({});
    expect(again.inertia).toBe(first.inertia);
    await expect(fit({ seed: 5 }).run()).rejects.toThrow("the result of another plan");
    expect((await fit({ seed: 5 }, true).run()).seconds).not.toEqual({});
  });

  it("keeps to a budget too small for the points, and says what it needs", async () => {
    const small = await lendGpu({ budget: "48 KiB" });
    try {
      const model = () => new KMeans({ k: K, init, maxIterations: 3 });
      const plan = model().fit(small, points);
      expect(plan.projected.gpu).toBeLessThanOrEqual(48 * 1024);
      expect(plan.explain()).toMatch(/iterate \(forward, \d slots?s?, up to 4 sweeps\)/);
      const whole = await model().fit(gpu(), points).run();
      expect(await plan.run()).toMatchObject({ ids: whole.ids, centroids: whole.centroids });
      const wide = fromTypedArray(new Float32Array(1 << 16), [256, 256]);
      expect(() => new KMeans({ k: 64 }).fit(small, wide)).toThrow(BudgetError);
    } finally {
      small.close();
    }
  });

  it("stops when it is cancelled", async () => {
    const cancel = new AbortController();
    const run = new KMeans({ k: K, seed: 1 }).fit(gpu(), points).run({
      signal: cancel.signal,
      onProgress: ({ pass }) => pass === "seed" && cancel.abort(new Error("enough")),
    });
    await expect(run).rejects.toThrow("enough");
    expect(gpu().ledger.reserved.gpu).toBe(0);
  });
});
