import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import type { ContextOptions } from "../../src/array/contexts.ts";
import { contexts } from "../../src/array/contexts.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { IncrementalPCA } from "../../src/decompose/incremental_pca.ts";
import { openPca, PCA } from "../../src/decompose/pca.ts";
import { symmetricEigen } from "../../src/math/eigen.ts";
import { Random } from "../../src/math/random.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";
import { largestAngle } from "../support/sklearn.ts";

const gpu = useGpu();

/** Frames that depend on those before: hidden directions that fade and turn, noise, an offset. */
function framesOf(frames: number, features: number, { decades = 0, offset = 0 } = {}) {
  const random = new Random(5);
  const count = Math.min(features, 6);
  const directions = Float64Array.from({ length: count * features }, () => random.normal());
  const hidden = new Float64Array(count);
  const values = new Float32Array(frames * features);
  for (let t = 0; t < frames; t++) {
    for (let i = 0; i < count; i++) hidden[i] = 0.8 * hidden[i]! + random.normal();
    for (let d = 0; d < features; d++) {
      let sum = offset;
      hidden.forEach((x, i) =>
        sum += x * directions[i * features + d]! * 10 ** (-decades * i / count)
      );
      values[t * features + d] = sum + 10 ** (-decades - 1) * random.normal();
    }
  }
  return values;
}

/** The same rows as an array that knows nothing of frames. */
async function built(view: ReturnType<typeof contexts>): Promise<ChunkedArray> {
  return fromTypedArray(await view.read(0, view.shape[0]), view.shape);
}

/** Components by the definition, all of them, in f64. */
async function bruteForce(rows: ChunkedArray) {
  const [count, features] = rows.shape as [number, number];
  const values = Float64Array.from(await rows.read(0, count) as Float32Array);
  const mean = new Float64Array(features);
  values.forEach((value, i) => mean[i % features]! += value / count);
  values.forEach((_, i) => values[i]! -= mean[i % features]!);
  const covariance = new Float64Array(features * features);
  for (let at = 0; at < values.length; at += features) {
    for (let i = 0; i < features; i++) {
      for (let j = i; j < features; j++) {
        covariance[i * features + j]! += values[at + i]! * values[at + j]! / (count - 1);
      }
    }
  }
  for (let i = 0; i < features; i++) {
    for (let j = 0; j < i; j++) covariance[i * features + j] = covariance[j * features + i]!;
  }
  const { values: variances, vectors } = symmetricEigen(covariance, features);
  const total = variances.reduce((a, b) => a + b, 0);
  return { mean, centered: values, variances, vectors, total };
}

interface Problem {
  name: string;
  frames: number;
  features: number;
  options: Omit<ContextOptions, "mode">;
  kind?: { decades?: number; offset?: number };
  /** Whether f32 sums would turn the faintest component that is asked for. */
  exact?: boolean;
}

const every = (frames: number, count: number) =>
  Array.from({ length: count }, (_, i) => frames * i);

const PROBLEMS: Problem[] = [
  {
    name: "segments of any length, some too short",
    frames: 230,
    features: 3,
    options: { width: 3, lag: 2, segments: [0, 2, 90, 95, 99, 100, 160] },
  },
  {
    name: "segments of one row each",
    frames: 160,
    features: 2,
    options: { width: 7, lag: 1, segments: every(8, 20) },
  },
  {
    name: "more segments than a block of their ends, far from the origin",
    frames: 280,
    features: 4,
    options: { width: 2, lag: 0, firstTarget: 2, segments: every(4, 70) },
    kind: { offset: 1000 },
  },
  {
    name: "segments that leave frames out",
    frames: 230,
    features: 3,
    options: {
      width: 3,
      lag: 1,
      segments: [{ start: 4, end: 30 }, { start: 33, end: 90 }, { start: 200, end: 229 }],
    },
  },
  {
    name: "single frames",
    frames: 120,
    features: 6,
    options: { width: 1, lag: 1, segments: [0, 50] },
  },
  {
    name: "more features than a square",
    frames: 100,
    features: 67,
    options: { width: 2, lag: 1, segments: [0, 40] },
  },
  {
    name: "three decades of deviations",
    frames: 300,
    features: 5,
    options: { width: 3, lag: 1, segments: [0, 130] },
    kind: { decades: 3 },
    exact: true,
  },
];

describe("PCA of flat contexts", () => {
  for (const { name, frames, features, options, kind, exact = false } of PROBLEMS) {
    it(`agrees with f64: ${name}`, async () => {
      const base = fromTypedArray(framesOf(frames, features, kind), [frames, features]);
      const view = contexts(base, { ...options, mode: "flat" });
      const [count, size] = view.shape;
      const wanted = await bruteForce(await built(view));
      const sound = wanted.variances.filter((x) => x > 1e-6 * wanted.variances[0]!).length;
      const components = Math.min(sound, count, exact ? size : 4);
      const plan = new PCA({ components }).fit(gpu(), view, { scores: true });
      const got = await plan.run();
      expect("exact moments.total" in got.seconds).toBe(exact);
      const first = wanted.vectors.subarray(0, components * size);
      expect(largestAngle(first, got.components, size)).toBeLessThan(1e-3);
      for (let i = 0; i < components; i++) {
        const ratio = wanted.variances[i]! / wanted.total;
        expect(Math.abs(got.explainedVarianceRatio[i]! - ratio)).toBeLessThan(1e-5);
        expect(Math.abs(got.explainedVariance[i]! / wanted.variances[i]! - 1)).toBeLessThan(1e-4);
      }
      wanted.mean.forEach((mean, i) =>
        expect(Math.abs(got.mean[i]! - mean)).toBeLessThan(1e-9 * (1 + Math.abs(mean)))
      );
      const deviation = Math.sqrt(wanted.variances[0]!);
      got.scores!.forEach((score, i) => {
        const [row, component] = [Math.floor(i / components), i % components];
        let sum = 0;
        for (let j = 0; j < size; j++) {
          sum += wanted.centered[row * size + j]! * got.components[component * size + j]!;
        }
        expect(Math.abs(score - sum)).toBeLessThan(1e-5 * deviation);
      });
      expect(got.peakBytes.gpu).toBe(got.projectedBytes.gpu);
      expect(got.peakBytes.host).toBeLessThanOrEqual(got.projectedBytes.host);
    });
  }

  it("does not depend on the tile, slots, or how frames are stored", async () => {
    const [frames, features] = [700, 20];
    const values = framesOf(frames, features);
    const options = { width: 5, lag: 1, mode: "flat", segments: [0, 130, 134, 400, 407] } as const;
    const chunked = (chunkRows: number) => ({
      ...fromTypedArray(values, [frames, features]),
      chunkRows,
    });
    const fit = (chunkRows: number, choices: { tileRows?: number; slots?: number }) =>
      new PCA({ components: 6 })
        .fit(gpu(), contexts(chunked(chunkRows), options), { ...choices, scores: true }).run();
    const whole = await fit(frames, {});
    for (const choices of [{ tileRows: 300, slots: 1 }, { tileRows: 37 }]) {
      const other = await fit(10, choices);
      expect(other.components).toEqual(whole.components);
      expect(other.mean).toEqual(whole.mean);
      expect(other.explainedVariance).toEqual(whole.explainedVariance);
      expect(other.scores).toEqual(whole.scores);
    }
    await recordNumbers("pca_contexts", [...whole.explainedVarianceRatio, ...whole.components]);
  });

  it("is what it is for rows that are built, by batches too, and projects others", async () => {
    const [frames, features] = [400, 4];
    const base = fromTypedArray(framesOf(frames, features), [frames, features]);
    const options = { width: 3, lag: 1, mode: "flat", segments: [0, 150, 153] } as const;
    const view = contexts(base, options);
    const rows = await built(view);
    const pca = new PCA({ components: 3 });
    const out = "memory:contexts_test.zarr";
    const got = await pca.fit(gpu(), view, { scores: true }).run();
    await new PCA({ components: 3 }).fit(gpu(), view, { scores: true, out }).run();
    const again = await new PCA({ components: 3 }).fit(gpu(), view, { scores: true, out }).run();
    expect(again.seconds).toEqual({});
    expect((await openPca(out)).components).toEqual(got.components);
    expect(await pca.transform(gpu(), view).run()).toEqual(got.scores);
    const scores = await pca.transform(gpu(), rows).run();
    const plain = await new PCA({ components: 3 }).fit(gpu(), rows).run();
    const size = view.shape[1];
    expect(largestAngle(plain.components, got.components, size)).toBeLessThan(1e-5);
    // rounding of f32, of scores up to some 20
    scores.forEach((score, i) => expect(Math.abs(score - got.scores![i]!)).toBeLessThan(1e-4));
    const later = contexts(base, { ...options, firstTarget: 10 });
    const others = await pca.transform(gpu(), later).run();
    const row = [...view.targets()].indexOf(10);
    expect(others.subarray(0, 3)).toEqual(got.scores!.subarray(3 * row, 3 * row + 3));
    // batches lose nothing as long as all components are kept
    const batches = await new IncrementalPCA({ components: size })
      .fit(gpu(), view, { batchRows: 100 }).run();
    const first = batches.components.subarray(0, 3 * size);
    expect(largestAngle(got.components, first, size)).toBeLessThan(1e-3);
    got.explainedVarianceRatio.forEach((ratio, i) =>
      expect(Math.abs(ratio - batches.explainedVarianceRatio[i]!)).toBeLessThan(1e-5)
    );
  });

  it("refuses frames that are no numbers, and says which", async () => {
    const values = framesOf(60, 2);
    values[2 * 41 + 1] = NaN;
    const view = contexts(fromTypedArray(values, [60, 2]), { width: 2, lag: 1, mode: "flat" });
    await expect(new PCA({ components: 2 }).fit(gpu(), view).run())
      .rejects.toThrow("frame 41, feature 1 is NaN, wanted finite numbers");
    const few = contexts(fromTypedArray(values, [60, 2]), { width: 59, lag: 1, mode: "flat" });
    expect(() => new PCA({ components: 2 }).fit(gpu(), few)).toThrow(
      "points have 1 rows and 118 features, wanted at most 1",
    );
  });
});

describe("KMeans of contexts", () => {
  it("clusters means and rows that are built when they are read", async () => {
    const base = fromTypedArray(framesOf(200, 3), [200, 3]);
    for (const mode of ["mean", "flat"] as const) {
      const view = contexts(base, { width: 4, lag: 2, mode, segments: [0, 90] });
      const fit = (points: ChunkedArray) =>
        new KMeans({ k: 3, inits: 1, maxIterations: 3 }).fit(gpu(), points).run();
      const [got, wanted] = [await fit(view), await fit(await built(view))];
      expect(got.ids).toEqual(wanted.ids);
      expect(got.centroids).toEqual(wanted.centroids);
    }
  });
});
