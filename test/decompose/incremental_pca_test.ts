import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { IncrementalPCA } from "../../src/decompose/incremental_pca.ts";
import { useGpu } from "../support/gpu.ts";
import { decode, largestAngle, sklearn } from "../support/sklearn.ts";

const gpu = useGpu();

describe("IncrementalPCA", () => {
  for (const problem of sklearn.incremental) {
    const [rows, features] = problem.points.shape as [number, number];
    const components = problem.components.shape[0]!;
    const values = decode(problem.points);
    const points = fromTypedArray(values, [rows, features]);

    it(`agrees with scikit-learn on ${problem.name}`, async () => {
      const pca = new IncrementalPCA({ components });
      const plan = pca.fit(gpu(), points, { batchRows: problem.batch });
      const got = await plan.run();
      expect(largestAngle(decode(problem.components), got.components, features)).toBeLessThan(1e-3);
      decode(problem.components).forEach((value, i) =>
        expect(Math.abs(got.components[i]! - value)).toBeLessThan(1e-3)
      );
      decode(problem.explained_variance_ratio).forEach((ratio, i) =>
        expect(Math.abs(got.explainedVarianceRatio[i]! - ratio)).toBeLessThan(1e-5)
      );
      decode(problem.singular_values).forEach((value, i) =>
        expect(Math.abs(got.singularValues[i]! / value - 1)).toBeLessThan(1e-5)
      );
      decode(problem.mean).forEach((mean, d) =>
        expect(Math.abs(got.mean[d]! - mean)).toBeLessThan(1e-12)
      );
      expect(got.peakBytes.gpu).toBe(got.projectedBytes.gpu);
    });
  }

  it("comes to the same batch by batch", async () => {
    const problem = sklearn.incremental[1]!;
    const [rows, features] = problem.points.shape as [number, number];
    const values = decode(problem.points) as Float64Array;
    const whole = new IncrementalPCA({ components: 4 });
    const wanted = await whole.fit(gpu(), fromTypedArray(values, [rows, features]), {
      batchRows: 20,
    }).run();
    const parts = new IncrementalPCA({ components: 4 });
    let got = wanted;
    for (let row = 0; row < rows; row += 20) {
      const batch = values.slice(row * features, (row + 20) * features);
      got = await parts.partialFit(gpu(), fromTypedArray(batch, [20, features])).run();
    }
    got.explainedVariance.forEach((variance, i) =>
      expect(Math.abs(variance / wanted.explainedVariance[i]! - 1)).toBeLessThan(1e-6)
    );
    expect(largestAngle(wanted.components, got.components, features)).toBeLessThan(1e-5);
    const points = fromTypedArray(values, [rows, features]);
    const scores = await whole.transform(gpu(), points).run();
    expect(scores.length).toBe(4 * rows);
    // six hidden directions and little noise: four of them say most
    const back = whole.inverseTransform(scores);
    const missed = back.reduce((sum, value, i) => sum + (value - values[i]!) ** 2, 0);
    const ratio = wanted.explainedVarianceRatio.reduce((sum, share) => sum + share, 0);
    const total = wanted.explainedVariance[0]! / wanted.explainedVarianceRatio[0]! * (rows - 1);
    // what was lost on the way from batch to batch is a little of the rest
    expect(Math.abs(missed / total - (1 - ratio))).toBeLessThan(0.05);
  });

  it("refuses batches it can do nothing with", () => {
    const points = fromTypedArray(new Float32Array(60), [20, 3]);
    const fit = (components: number, batchRows: number) =>
      new IncrementalPCA({ components }).fit(gpu(), points, { batchRows });
    expect(() => fit(3, 2)).toThrow("batches have 2 rows, wanted at least as many as components");
    expect(() => fit(4, 10)).toThrow("20 rows and 3 features, wanted at most 3 components");
    expect(() => fit(2, 0)).toThrow("batchRows is 0, wanted a whole number from 1");
    expect(() => new IncrementalPCA({ components: 2 }).transform(gpu(), points))
      .toThrow("no components are fitted");
  });
});
