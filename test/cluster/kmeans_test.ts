import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { kmeans } from "../reference/kmeans.ts";
import { vqAssign } from "../reference/vq_assign.ts";
import { blobs } from "../support/blobs.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";

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
});
