import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { contexts } from "../../src/array/contexts.ts";
import type { KMeansOptions } from "../../src/cluster/kmeans.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { PCA } from "../../src/decompose/pca.ts";
import type { Plan } from "../../src/stream/plan.ts";
import { useGpu } from "../support/gpu.ts";
import { filesAt, PartsAt } from "../support/parts.ts";
import { seeded } from "../support/random.ts";

const gpu = useGpu();
let opened = 0;
const somewhere = () => `memory:parts_fits_test/${opened++}`;

/** Eight sections of 4096 rows or fewer. */
const ROWS = 30_001;
const FEATURES = 5;
const random = seeded(3);
/** Features of which each is a hundredth as wide as the one before: f32 sums are too coarse for the last. */
const values = Float32Array.from(
  { length: ROWS * FEATURES },
  (_, i) => (random() + random() - 1) * 10 ** (-2 * (i % FEATURES)) + 3,
);
const points = () => fromTypedArray(values, [ROWS, FEATURES]);

type PlanAt = (out: string) => Plan<unknown>;
const kmeans = (options: KMeansOptions): PlanAt => (out) =>
  new KMeans(options).fit(gpu(), points(), { out });
const pca = (components: number): PlanAt => (out) =>
  new PCA({ components }).fit(gpu(), points(), { out });

async function expectSame(plan: PlanAt, counts: readonly number[]): Promise<void> {
  const first = somewhere();
  await plan(first).run();
  const alone = await filesAt(first);
  for (const count of counts) {
    const place = somewhere();
    const parts = await PartsAt.submit(place, count, () => plan(place));
    await parts.runAll();
    expect(await filesAt(place), `${count} parts`).toEqual(alone);
    expect(await parts.store.list("/results")).toEqual([]);
  }
}

describe("fits in parts", () => {
  it("of k-means", async () => {
    await expectSame(kmeans({ k: 4, inits: 2, maxIterations: 8, seed: 2 }), [1, 2, 3, 7]);
  });
  it("of pca", async () => {
    await expectSame(pca(2), [1, 2, 3, 7]);
    await expectSame(pca(5), [3]);
  });
  it("of contexts", async () => {
    const plan: PlanAt = (out) =>
      new PCA({ components: 3 }).fit(gpu(), contexts(points(), { width: 3, mode: "flat" }), {
        out,
      });
    await expectSame(plan, [3]);
  });
});
