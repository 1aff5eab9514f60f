import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { IncrementalPCA } from "../../src/decompose/incremental_pca.ts";
import type { StoredPca } from "../../src/decompose/pca.ts";
import { openPca, PCA } from "../../src/decompose/pca.ts";
import { symmetricEigen } from "../../src/math/eigen.ts";
import { Random } from "../../src/math/random.ts";
import type { Plan } from "../../src/stream/plan.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";
import { decode, largestAngle, sklearn } from "../support/sklearn.ts";

const gpu = useGpu();

/** Rows of `rank` hidden directions and noise, f32. */
function rowsOf(rows: number, features: number, { rank = 5, offset = 0, noise = 0.1 } = {}) {
  const random = new Random(3);
  const directions = Float64Array.from({ length: rank * features }, () => random.normal());
  const values = new Float32Array(rows * features);
  for (let row = 0; row < rows; row++) {
    const hidden = Array.from({ length: rank }, (_, i) => random.normal() / (i + 1));
    for (let d = 0; d < features; d++) {
      let sum = offset + noise * random.normal();
      hidden.forEach((x, i) => sum += x * directions[i * features + d]!);
      values[row * features + d] = sum;
    }
  }
  return values;
}

/** Eigenvalues of the covariance, in plain loops. */
function variances(values: Float32Array, features: number): Float64Array {
  const rows = values.length / features;
  const mean = new Float64Array(features);
  values.forEach((value, i) => mean[i % features]! += value / rows);
  const covariance = new Float64Array(features * features);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < features; j++) {
        covariance[i * features + j]! += (values[row * features + i]! - mean[i]!) *
          (values[row * features + j]! - mean[j]!) / (rows - 1);
      }
    }
  }
  return symmetricEigen(covariance, features).values;
}

describe("PCA", () => {
  for (const problem of sklearn.pca) {
    it(`agrees with scikit-learn on ${problem.name}`, async () => {
      const [rows, features] = problem.points.shape as [number, number];
      const components = problem.components.shape[0]!;
      const points = fromTypedArray(decode(problem.points), [rows, features]);
      const got = await new PCA({ components }).fit(gpu(), points).run();
      const wanted = decode(problem.components);
      const sigma = decode(problem.singular_values);
      const sound = sigma.filter((value) => value > 1e-3 * sigma[0]!).length;
      const angle = largestAngle(
        wanted.subarray(0, sound * features),
        got.components.subarray(0, sound * features),
        features,
      );
      expect(angle).toBeLessThan(1e-3);
      decode(problem.explained_variance_ratio).forEach((ratio, i) =>
        expect(Math.abs(got.explainedVarianceRatio[i]! - ratio)).toBeLessThan(1e-5)
      );
      decode(problem.mean).forEach((mean, d) =>
        expect(Math.abs(got.mean[d]! - mean)).toBeLessThan(1e-12 * (1 + Math.abs(mean)))
      );
      for (let i = 0; i < sound; i++) {
        expect(Math.abs(got.singularValues[i]! / sigma[i]! - 1)).toBeLessThan(1e-4);
      }
    });
  }

  it("does not depend on the tile or slots", async () => {
    const features = 70;
    const points = fromTypedArray(rowsOf(300, features), [300, features]);
    const fit = (choices: { tileRows?: number; slots?: number }) =>
      new PCA({ components: 6 }).fit(gpu(), points, { ...choices, scores: true }).run();
    const whole = await fit({});
    for (const choices of [{ tileRows: 300, slots: 1 }, { tileRows: 37 }]) {
      const other = await fit(choices);
      expect(other.components).toEqual(whole.components);
      expect(other.explainedVariance).toEqual(whole.explainedVariance);
      expect(other.scores).toEqual(whole.scores);
    }
    expect(whole.peakBytes.gpu).toBe(whole.projectedBytes.gpu);
    expect(whole.peakBytes.host).toBeLessThanOrEqual(whole.projectedBytes.host);
    await recordNumbers("pca_rows", [...whole.explainedVarianceRatio, ...whole.components]);
  });

  it("keeps its digits far from the origin", async () => {
    const [rows, features] = [300, 7];
    const values = rowsOf(rows, features, { offset: 1e4 });
    const points = fromTypedArray(values, [rows, features]);
    const got = await new PCA({ components: 7 }).fit(gpu(), points).run();
    variances(values, features).forEach((variance, i) =>
      expect(Math.abs(got.explainedVariance[i]! / variance - 1)).toBeLessThan(1e-5)
    );
  });

  it("projects, whitens and inverts", async () => {
    const [rows, features] = [300, 7];
    const values = rowsOf(rows, features, { offset: 3 });
    const points = fromTypedArray(values, [rows, features]);
    const pca = new PCA({ components: features });
    const { scores } = await pca.fit(gpu(), points, { scores: true }).run();
    expect(await pca.transform(gpu(), points).run()).toEqual(scores);
    pca.inverseTransform(scores!).forEach((value, i) =>
      expect(Math.abs(value - values[i]!)).toBeLessThan(1e-5)
    );
    const white = new PCA({ components: 4, whiten: true });
    const plan = white.fit(gpu(), points, { scores: true });
    const whitened = (await plan.run()).scores!;
    for (let i = 0; i < 4; i++) {
      let squares = 0;
      for (let row = 0; row < rows; row++) squares += whitened[row * 4 + i]! ** 2;
      expect(Math.abs(squares / (rows - 1) - 1)).toBeLessThan(1e-5);
    }
    const partly = white.inverseTransform(whitened);
    const unwhitened = new PCA({ components: 4 });
    const flat = (await unwhitened.fit(gpu(), points, { scores: true }).run()).scores!;
    unwhitened.inverseTransform(flat).forEach((value, i) =>
      expect(Math.abs(value - partly[i]!)).toBeLessThan(1e-5)
    );
  });

  it("finds few components of many features as it finds all of them", async () => {
    // so many components that all are found, none so faint that rows are read again
    const [rows, features, most] = [135, 520, 131];
    const values = rowsOf(rows, features, { rank: 8, noise: 0.5 });
    const points = fromTypedArray(values, [rows, features]);
    const few = await new PCA({ components: 4 }).fit(gpu(), points).run();
    const many = await new PCA({ components: most }).fit(gpu(), points).run();
    expect(many.residual).toBe(0);
    expect(few.residual).toBeLessThan(1e-9);
    few.explainedVariance.forEach((variance, i) =>
      expect(Math.abs(variance / many.explainedVariance[i]! - 1)).toBeLessThan(1e-9)
    );
    const first = many.components.subarray(0, 4 * features);
    expect(largestAngle(first, few.components, features)).toBeLessThan(1e-6);
  });

  it("takes constant features, and refuses what has no components", async () => {
    const values = new Float32Array(100 * 3).fill(2);
    for (let row = 0; row < 100; row++) values[3 * row] = row;
    const points = fromTypedArray(values, [100, 3]);
    const got = await new PCA({ components: 3 }).fit(gpu(), points).run();
    expect(got.explainedVarianceRatio[0]).toBeCloseTo(1, 14);
    expect([...got.explainedVarianceRatio.subarray(1)]).toEqual([0, 0]);
    expect([...got.components.subarray(0, 3)]).toEqual([1, 0, 0]);
    const constant = fromTypedArray(new Float32Array(300).fill(7), [100, 3]);
    const flat = await new PCA({ components: 2 }).fit(gpu(), constant).run();
    expect([...flat.explainedVarianceRatio]).toEqual([0, 0]);
    const fit = (components: number, rows: number) =>
      new PCA({ components }).fit(gpu(), fromTypedArray(new Float32Array(3 * rows), [rows, 3]));
    expect(() => fit(4, 100)).toThrow("100 rows and 3 features, wanted at most 3 components");
    expect(() => fit(3, 2)).toThrow("2 rows and 3 features, wanted at most 2 components");
    expect(() => fit(1, 1)).toThrow("points have 1 row, wanted at least 2");
    expect(() => new PCA({ components: 0 })).toThrow("components is 0, wanted a whole number");
    expect(() => new PCA({ components: 1.5 })).toThrow("components is 1.5, wanted a whole number");
    expect(() => new PCA({ components: "2" as never })).toThrow(
      'components is "2", wanted a whole',
    );
    expect(() => new PCA({ components: 2, svdSolver: "full" } as never))
      .toThrow('there is no option "svdSolver", wanted one of components, whiten');
    expect(() => new PCA({ components: 2, whiten: 1 as never }))
      .toThrow("whiten is 1, wanted true or false");
    expect(() => new PCA({ components: 2, whitn: true } as never))
      .toThrow(
        'there is no option "whitn", "whiten" may be meant, wanted one of components, whiten',
      );
    const plan = (options: object) => new PCA({ components: 2 }).fit(gpu(), points, options);
    expect(() => plan({ batchRows: 8 })).toThrow(
      'there is no option "batchRows", wanted one of tileRows',
    );
    expect(() => plan({ tileRows: 0 })).toThrow("tileRows is 0, wanted a whole number from 1");
    expect(() => plan({ out: 7 })).toThrow("out is 7, wanted a place, as text");
    expect(() => plan({ scores: "no" })).toThrow('scores is "no", wanted true or false');
    values[3 * 57 + 2] = NaN;
    await expect(new PCA({ components: 2 }).fit(gpu(), points).run())
      .rejects.toThrow("row 57, feature 2 is NaN, wanted finite numbers");
  });

  it("is stored, returned when it is there, and refused to another fit", async () => {
    const points = fromTypedArray(rowsOf(300, 7), [300, 7]);
    const out = "memory:pca_test.zarr";
    const pca = new PCA({ components: 2 });
    const returned = await pca.fit(gpu(), points, { scores: true }).run();
    const first = await pca.fit(gpu(), points, { scores: true, out }).run();
    const stored = await openPca(out);
    for (const fit of [first, stored]) {
      expect(fit.components).toEqual(returned.components);
      expect(fit.mean).toEqual(returned.mean);
      expect(fit.explainedVarianceRatio).toEqual(returned.explainedVarianceRatio);
      expect(await readAll(fit.scores!)).toEqual(returned.scores);
      expect(fit.place).toBe(out);
    }
    expect(first.peakBytes.disk).toBeLessThanOrEqual(first.projectedBytes.disk);
    const again = await new PCA({ components: 2 }).fit(gpu(), points, { scores: true, out }).run();
    expect(again.seconds).toEqual({});
    expect(again.explainedVariance).toEqual(first.explainedVariance);
    for (const fit of [first, stored, again]) await fit.close();
    const other = new PCA({ components: 3 });
    await expect(other.fit(gpu(), points, { scores: true, out }).run())
      .rejects.toThrow("the result of another plan");
    const plan = other.fit(gpu(), points, { scores: false, out, overwrite: true });
    expect((await plan.run()).components.length).toBe(21);
    expect((await openPca(out)).scores).toBeUndefined();
  });

  it("is opened as a model that projects as the fitted one does", async () => {
    const points = fromTypedArray(rowsOf(300, 7), [300, 7]);
    const opensAlike = async (
      pca: Pick<PCA, "transform" | "inverseTransform">,
      fit: (options: { out: string }) => Plan<StoredPca>,
    ) => {
      const out = `memory:pca_test_models/${models++}`;
      await fit({ out }).run();
      const { model } = await openPca(out);
      const scores = await pca.transform(gpu(), points).run();
      expect(await model.transform(gpu(), points).run()).toEqual(scores);
      expect(model.inverseTransform(scores)).toEqual(pca.inverseTransform(scores));
    };
    let models = 0;
    for (const whiten of [false, true]) {
      const pca = new PCA({ components: 3, whiten });
      await opensAlike(pca, (options) => pca.fit(gpu(), points, options));
      const batches = new IncrementalPCA({ components: 3, whiten });
      await opensAlike(batches, (options) => batches.fit(gpu(), points, options));
    }
    await expect(openPca("memory:nothing there")).rejects.toThrow("no result is stored there");
  });
});
