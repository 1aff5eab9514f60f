import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { IncrementalPCA } from "../../src/decompose/incremental_pca.ts";
import { PCA } from "../../src/decompose/pca.ts";
import type { NumericArray } from "../../src/types.ts";
import { principalComponents } from "../reference/principal_components.ts";
import { useGpu } from "../support/gpu.ts";
import { leadingAngle, rowsAlong, stored } from "../support/unkind_rows.ts";

const gpu = useGpu();

/** The faintest component that is promised, by its deviation over the first one's. */
const FAINTEST = 1e-4;
/** Rows in f32 turn it by some 1e-5 rad, and change its variance by some 1e-5 of it. */
const [ANGLE, VARIANCE] = [1e-4, 1e-4];

type Model = (components: number, whiten?: boolean) => PCA | IncrementalPCA;
const MODELS: Record<string, Model> = {
  PCA: (components, whiten = false) => new PCA({ components, whiten }),
  IncrementalPCA: (components, whiten = false) => new IncrementalPCA({ components, whiten }),
};

/** Fits by several batches, where there are any. */
function fit(model: PCA | IncrementalPCA, points: ChunkedArray) {
  const options = { scores: true };
  return model instanceof PCA ? model.fit(gpu(), points, options).run() : model.fit(gpu(), points, {
    ...options,
    batchRows: Math.max(2, Math.min(points.shape[0]!, Math.max(30, points.shape[1]!))),
  }).run();
}

/** A deviation from the identity of the products of rows with each other. */
function skew(rows: Float64Array, length: number): number {
  const count = rows.length / length;
  let most = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      let sum = 0;
      for (let d = 0; d < length; d++) sum += rows[i * length + d]! * rows[j * length + d]!;
      most = Math.max(most, Math.abs(sum - (i === j ? 1 : 0)));
    }
  }
  return most;
}

interface Case {
  name: string;
  type: new (values: ArrayLike<number>) => NumericArray;
  deviation: number;
  offset: number;
}

const CASES: Case[] = [
  { name: "f64 of size 1", type: Float64Array, deviation: 1, offset: 0 },
  { name: "f64 of size 1e-30", type: Float64Array, deviation: 1e-30, offset: 0 },
  {
    name: "f64 of size 1e30, 1e6 deviations from 0",
    type: Float64Array,
    deviation: 1e30,
    offset: 1e36,
  },
  { name: "f64 at 1e9", type: Float64Array, deviation: 1, offset: 1e9 },
  { name: "f32 of size 1e-30, far from 0", type: Float32Array, deviation: 1e-30, offset: -1e-27 },
  { name: "f32 of size 1e30", type: Float32Array, deviation: 1e30, offset: 0 },
  { name: "f32 at 1e6, on a coarse grid", type: Float32Array, deviation: 1, offset: 1e6 },
  { name: "i32 at 1e9", type: Int32Array, deviation: 1e5, offset: 1e9 },
  { name: "u8", type: Uint8Array, deviation: 30, offset: 128 },
];

for (const [name, make] of Object.entries(MODELS)) {
  describe(`${name} where data are not kind`, () => {
    for (const { name: what, type, deviation, offset } of CASES) {
      it(`is right on ${what}`, async () => {
        const [rows, features, count] = [120, 6, 5];
        const values = rowsAlong(rows, features, [1, 0.3, 0.05, 1e-2, 1e-3, FAINTEST])
          .map((value) => deviation * value + offset);
        const { points, exact } = stored(values, features, type);
        const wanted = principalComponents(exact, features);
        const got = await fit(make(count + 1), points);
        expect(leadingAngle(got.components, wanted, features, FAINTEST / 2)).toBeLessThan(ANGLE);
        const total = wanted.variances.reduce((sum, value) => sum + value, 0);
        const size = Math.sqrt(wanted.variances[0]!);
        wanted.variances.forEach((variance, i) => {
          if (variance < (FAINTEST / 2) ** 2 * wanted.variances[0]!) return;
          expect(Math.abs(got.explainedVariance[i]! / variance - 1)).toBeLessThan(VARIANCE);
          expect(Math.abs(got.explainedVarianceRatio[i]! / (variance / total) - 1))
            .toBeLessThan(VARIANCE);
          const sigma = Math.sqrt(variance * (rows - 1));
          expect(Math.abs(got.singularValues[i]! / sigma - 1)).toBeLessThan(VARIANCE);
        });
        wanted.mean.forEach((mean, d) =>
          expect(Math.abs(got.mean[d]! - mean)).toBeLessThanOrEqual(
            1e-12 * size + 4 * Number.EPSILON * Math.abs(mean),
          )
        );
        // the element of largest magnitude is positive, as scikit-learn has it
        for (let i = 0; i <= count; i++) {
          const own = got.components.subarray(i * features, (i + 1) * features);
          expect(own.reduce((most, x) => Math.abs(x) > Math.abs(most) ? x : most, 0))
            .toBeGreaterThan(0);
        }
        expect(skew(got.components, features)).toBeLessThan(1e-12);
        // scores are of the components that were found; what the mean loses far from 0 is in all of them
        got.scores!.forEach((score, at) => {
          const [row, i] = [Math.floor(at / (count + 1)), at % (count + 1)];
          let sum = 0;
          for (let d = 0; d < features; d++) {
            sum += wanted.centered[row * features + d]! * got.components[i * features + d]!;
          }
          expect(Math.abs(score - sum)).toBeLessThan(
            1e-5 * Math.sqrt(got.explainedVariance[i]!) + 8 * Number.EPSILON * Math.abs(offset),
          );
        });
        expect(got.peakBytes.gpu).toBe(got.projectedBytes.gpu);
        expect(got.peakBytes.host).toBeLessThanOrEqual(got.projectedBytes.host);
      });
    }

    it("is right on features of very different scale", async () => {
      const [rows, features] = [100, 6];
      const scales = [1, 1e-5, 1e-2, 1e3, 1e-3, 10];
      const values = rowsAlong(rows, features, [1, 0.9, 0.8, 0.7, 0.6, 0.5])
        .map((value, i) => scales[i % features]! * (value + 100));
      const { points, exact } = stored(values, features, Float64Array);
      const wanted = principalComponents(exact, features);
      const got = await fit(make(features), points);
      wanted.variances.forEach((variance, i) => {
        // down to 1e-8 of the first deviation: each is nearly a feature of its own
        expect(Math.abs(got.explainedVariance[i]! / variance - 1)).toBeLessThan(1e-3);
      });
      expect(leadingAngle(got.components, wanted, features, 1e-8)).toBeLessThan(ANGLE);
    });

    it("finds what there is of rows of too low a rank, and orthonormal directions beside", async () => {
      const [rows, features] = [64, 7];
      const values = rowsAlong(rows, features, [1, 0.5, 0.2]).map((value) => value + 5);
      // a feature that is constant, and one that is there twice
      for (let row = 0; row < rows; row++) {
        values[row * features + 2] = -3;
        values[row * features + 5] = values[row * features + 4]!;
      }
      const { points, exact } = stored(values, features, Float64Array);
      const wanted = principalComponents(exact, features);
      const got = await fit(make(features), points);
      expect(leadingAngle(got.components, wanted, features, 1e-3)).toBeLessThan(ANGLE);
      expect(skew(got.components, features)).toBeLessThan(1e-12);
      wanted.variances.forEach((variance, i) =>
        expect(Math.abs(got.explainedVariance[i]! - variance)).toBeLessThan(
          1e-7 * variance + 1e-12 * wanted.variances[0]!,
        )
      );
      got.scores!.forEach((score) => expect(Number.isFinite(score)).toBe(true));
      const whitened = await fit(make(features, true), points);
      whitened.scores!.forEach((score) => expect(Math.abs(score)).toBeLessThan(20));
    });

    it("takes fewer rows than features, all components of them, and two rows that are one", async () => {
      const [rows, features] = [5, 9];
      const values = rowsAlong(rows, features, [3, 2, 1, 0.5]).map((value) => value - 40);
      const { points, exact } = stored(values, features, Float64Array);
      const wanted = principalComponents(exact, features);
      const model = make(rows);
      const got = await fit(model, points);
      expect(leadingAngle(got.components, wanted, features, 1e-3)).toBeLessThan(ANGLE);
      expect(skew(got.components, features)).toBeLessThan(1e-12);
      expect(got.explainedVariance[4]).toBeLessThan(1e-11 * got.explainedVariance[0]!);
      // nothing is lost
      model.inverseTransform(got.scores!).forEach((value, i) =>
        expect(Math.abs(value - values[i]!)).toBeLessThan(1e-5)
      );
      const same = fromTypedArray(Float32Array.of(0.1, 7e8, 0.1, 7e8), [2, 2]);
      const nothing = await fit(make(2), same);
      expect([...nothing.explainedVariance]).toEqual([0, 0]);
      expect([...nothing.explainedVarianceRatio]).toEqual([0, 0]);
      expect([...nothing.scores!].map(Math.abs)).toEqual([0, 0, 0, 0]);
      expect([...nothing.mean]).toEqual([Math.fround(0.1), 7e8]);
      expect(skew(nothing.components, 2)).toBeLessThan(1e-12);
      const apart = fromTypedArray(Float32Array.of(1, 5, 4, 9), [2, 2]);
      const two = await fit(make(1), apart);
      expect(two.explainedVariance[0]).toBeCloseTo(12.5, 12);
      expect(two.components[0]).toBeCloseTo(0.6, 12);
    });

    it("takes one row that is unlike all others, wherever it is", async () => {
      // far from what rows at regular places would tell
      const [rows, features] = [500, 3];
      const values = rowsAlong(rows, features, [1e-3, 1e-4, 1e-4]);
      for (let d = 0; d < features; d++) values[337 * features + d]! += 1e6 * (d + 1);
      const { points, exact } = stored(values, features, Float64Array);
      const wanted = principalComponents(exact, features);
      const got = await fit(make(1), points);
      expect(leadingAngle(got.components, wanted, features, 1)).toBeLessThan(1e-6);
      expect(Math.abs(got.explainedVariance[0]! / wanted.variances[0]! - 1)).toBeLessThan(1e-6);
    });

    it("whitens faint components, others' rows too, and takes them back", async () => {
      const [rows, features] = [100, 5];
      const values = rowsAlong(rows, features, [1, 0.1, 1e-2, 1e-3, FAINTEST])
        .map((value) => value + 1e3);
      const { points, exact } = stored(values, features, Float64Array);
      const wanted = principalComponents(exact, features);
      const model = make(features, true);
      const got = await fit(model, points);
      expect(await model.transform(gpu(), points).run()).toEqual(got.scores);
      const white = new Float64Array(rows * features);
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < features; i++) {
          let sum = 0;
          for (let d = 0; d < features; d++) {
            sum += wanted.centered[row * features + d]! * wanted.vectors[i * features + d]!;
          }
          white[row * features + i] = sum / Math.sqrt(wanted.variances[i]!);
        }
      }
      // up to the sign; as scikit-learn's test of it asks
      white.forEach((score, at) =>
        expect(Math.abs(Math.abs(got.scores![at]!) - Math.abs(score))).toBeLessThan(1e-3)
      );
      model.inverseTransform(got.scores!).forEach((value, at) =>
        // f32 has as many digits of 1,000
        expect(Math.abs(value - exact[at]!)).toBeLessThan(1e-4)
      );
      // a row's scores are its own, whatever is beside it
      const others = fromTypedArray(exact.slice(7 * features, 9 * features), [2, features]);
      const some = await model.transform(gpu(), others).run();
      expect(some).toEqual(got.scores!.slice(7 * features, 9 * features));
      const broken = fromTypedArray(Float64Array.from(exact, (x, i) => i === 12 ? NaN : x), [
        rows,
        features,
      ]);
      await expect(model.transform(gpu(), broken).run())
        .rejects.toThrow("row 2, feature 2 is NaN, wanted finite numbers");
    });

    it("refuses rows of a size whose variances or scores their types do not hold", async () => {
      const [rows, features] = [40, 3];
      const values = rowsAlong(rows, features, [1, 0.5, 0.2]);
      const sized = (size: number) =>
        fromTypedArray(values.map((value) => size * value), [rows, features]);
      for (const size of [1e-60, 1e40]) {
        await expect(fit(make(2), sized(size))).rejects.toThrow(
          `e${size < 1 ? "-60" : "+40"} from their mean, wanted 8e-31 to 1e+36, as scores are f32`,
        );
        // nothing else is too much for f64, and whitened scores have no size
        const white = make(2, true);
        const got = await fit(white, sized(size));
        const wanted = principalComponents(values, features);
        const deviation = Math.sqrt(wanted.variances[0]! * (rows - 1));
        expect(Math.abs(got.singularValues[0]! / size / deviation - 1)).toBeLessThan(1e-4);
        expect(leadingAngle(got.components, wanted, features, 0.3)).toBeLessThan(ANGLE);
        const squares = got.scores!.reduce((sum, score) => sum + score * score, 0);
        expect(Math.abs(squares / (2 * (rows - 1)) - 1)).toBeLessThan(1e-4);
      }
      for (const size of [1e-170, 1e170]) {
        await expect(fit(make(2, true), sized(size))).rejects.toThrow("as variances are f64");
      }
      const model = make(2);
      const { scores } = await fit(model, sized(1e34));
      expect(scores!.every(Number.isFinite)).toBe(true);
      await expect(model.transform(gpu(), sized(1e40)).run())
        .rejects.toThrow(/row \d+ has a score of .*, wanted up to 3.4e\+38, as scores are f32/);
      expect(() => model.inverseTransform([1e300, 0])).toThrow("feature 0 would be");
    });

    it("sees that a feature is constant, however small the others are", async () => {
      const [rows, features] = [53, 3];
      const values = rowsAlong(rows, features, [1, 0.5, 0.2]);
      // sums of it are rounded by far more than the others are
      for (let row = 0; row < rows; row++) values[row * features + 1] = 0;
      const wanted = principalComponents(values, features);
      const small = values.map((value, at) => at % features === 1 ? 0.7 : 1e-140 * value);
      const got = await fit(make(2, true), fromTypedArray(small, [rows, features]));
      expect(leadingAngle(got.components, wanted, features, 0.1)).toBeLessThan(ANGLE);
      expect(got.mean[1]).toBe(0.7);
      expect(Math.abs(got.components[1]!)).toBeLessThan(1e-15);
    });
  });
}

describe("IncrementalPCA by batches of unlike sizes", () => {
  for (const [before, after] of [[1e100, 1e-100], [1e-100, 1e100], [1e100, 0], [1e-100, 0]]) {
    it(`keeps what there was of rows of ${before} when others of ${after} come`, async () => {
      const [rows, features] = [40, 4];
      const values = rowsAlong(rows, features, [1, 0.5, 0.2, 0.1]);
      const sized = [before!, after!].map((size) => values.map((value) => size * value));
      const unit = Math.max(before!, after!);
      const wanted = principalComponents(
        Float64Array.from(sized.flatMap((own) => [...own]), (value) => value / unit),
        features,
      );
      const model = new IncrementalPCA({ components: 2, whiten: true });
      let singularValues = new Float64Array(0);
      let components = singularValues;
      for (const own of sized) {
        const batch = fromTypedArray(own, [rows, features]);
        ({ singularValues, components } = await model.partialFit(gpu(), batch).run() as {
          singularValues: Float64Array<ArrayBuffer>;
          components: Float64Array<ArrayBuffer>;
        });
      }
      expect(leadingAngle(components, wanted, features, 0.3)).toBeLessThan(1e-9);
      singularValues.forEach((value, i) =>
        expect(Math.abs(value / unit / Math.sqrt(wanted.variances[i]! * (2 * rows - 1)) - 1))
          .toBeLessThan(1e-9)
      );
    });
  }
});
