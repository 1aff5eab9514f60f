import { describe, expect, it } from "vitest";
import type { RowEntries } from "../../src/array/anndata/matrix.ts";
import {
  drawCount,
  energyDistance,
  kernelWidth,
  principalAxes,
  project,
  squaredMmd,
} from "../../src/cpa/cell_distributions.ts";
import { chosenOf } from "../../src/cpa/cell_space.ts";
import { GroupSums } from "../../src/cpa/group_sums.ts";
import {
  changesOf,
  deltaPearson,
  distance,
  largestGenes,
  originalR2,
  pearson,
  retrieval,
  rSquared,
  welchT,
} from "../../src/cpa/profile_metrics.ts";
import { Random } from "../../src/math/random.ts";
import { csr } from "../support/anndata_store.ts";
import { goldenCase } from "../support/perturbation_goldens.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import { momentsOf, some } from "../support/cell_numbers.ts";

function entriesOf(rows: readonly (readonly number[])[], start = 0): RowEntries {
  const { data, indices, indptr } = csr(rows);
  return {
    ...{ start, end: start + rows.length, starts: Uint32Array.from(indptr as Int32Array) },
    genes: Uint32Array.from(indices as Int32Array),
    values: Float64Array.from(data as Float32Array),
    wholeBelow: 2 ** 24,
  };
}

describe("GroupSums", () => {
  it("has the profiles and variances of the cells of each group, read in parts and in any order", () => {
    const rows = [[1, 0, 3], [0, 0, 2], [4, 1, 0], [2, 2, 2]];
    const groups = [0, 1, 0, -1];
    const sums = new GroupSums(3);
    sums.add(entriesOf(rows.slice(2), 2), (cell) => groups[cell]!);
    sums.add(entriesOf(rows.slice(0, 2)), (cell) => groups[cell]!);
    const profile = (counts: number[], library: number) =>
      counts.map((count) => Math.log1p(1e4 * count / library));
    expect([...sums.pseudobulk(0)!]).toEqual(profile([5, 1, 3], 9));
    expect([...sums.pseudobulk(0, 1)!]).toEqual(profile([5, 1, 5], 11));
    expect([sums.cells(0), sums.cells(1), sums.cells(2)]).toEqual([2, 1, 0]);
    expect(sums.pseudobulk(2)).toBeUndefined();
    const logs = momentsOf(Float64Array.of(1, 0, 3, 4, 1, 0).map(Math.log1p), 3);
    const own = sums.logMoments(0)!;
    own.mean.forEach((mean, gene) => expect(mean).toBeCloseTo(logs.mean[gene]!, 14));
    own.variance.forEach((one, gene) => expect(one).toBeCloseTo(logs.variance[gene]!, 14));
    const shares = momentsOf(
      Float64Array.of(1 / 4, 0, 3 / 4, 4 / 5, 1 / 5, 0).map((share) => Math.log1p(1e4 * share)),
      3,
    );
    sums.shareMoments(0)!.variance.forEach((one, gene) =>
      expect(one).toBeCloseTo(shares.variance[gene]!, 10)
    );
  });

  it("takes predicted means as it takes counts", () => {
    const [sparse, dense] = [new GroupSums(3), new GroupSums(3)];
    sparse.add(entriesOf([[1, 0, 3], [4, 1, 0]]), (cell) => cell);
    dense.addDense(Float64Array.of(1, 0, 3, 4, 1, 0), [0, 1]);
    expect(dense.pseudobulk(0, 1)).toEqual(sparse.pseudobulk(0, 1));
    expect(dense.logMoments(1)).toEqual(sparse.logMoments(1));
  });
});

describe("metrics of profiles", () => {
  const control = Float64Array.of(1, 2, 3, 4);

  it("correlate changes, not profiles", () => {
    const truth = Float64Array.of(2, 2, 3, 5);
    const twice = Float64Array.of(3, 2, 3, 6);
    expect(deltaPearson(twice, truth, control).value).toBeCloseTo(1, 15);
    expect(deltaPearson(Float64Array.of(0, 2, 3, 3), truth, control).value).toBeCloseTo(-1, 15);
    expect(deltaPearson(twice, truth, control, [1, 3]).value).toBeCloseTo(1, 15);
  });

  it("flag a change that does not vary, whose correlation says nothing", () => {
    const truth = Float64Array.of(2, 2, 3, 5);
    expect(deltaPearson(control, truth, control)).toEqual({ value: 0, isConstant: true });
    const moved = control.map((value) => value + 0.1);
    expect(deltaPearson(moved, truth, control)).toEqual({ value: 0, isConstant: true });
    expect(pearson([1, 1, 1], [1, 2, 3]).isConstant).toBe(true);
  });

  it("take distances over the genes that count", () => {
    expect(distance(control, Float64Array.of(4, 2, 7, 4))).toBe(5);
    expect(distance(control, Float64Array.of(4, 2, 7, 4), [2])).toBe(4);
    expect(largestGenes([1, 5, 5, 2], 3)).toEqual(Uint32Array.of(1, 2, 3));
  });

  it("tell genes by Welch's t, as scipy has it", () => {
    const [a, b] = [some(24, 0), some(15, 4).map((value) => value + 0.5)];
    const t = welchT(momentsOf(a, 3), momentsOf(b, 3));
    [0.385563121448527, 1.438100020928337, 4.495046353782768].forEach((exact, gene) =>
      expect(t[gene]).toBeCloseTo(exact, 12)
    );
  });

  it("rank a prediction among the truths of others", () => {
    const truth = Float64Array.of(0, 0);
    const others = [[1, 0], [3, 0], [0, 5]].map((own) => Float64Array.from(own));
    expect(retrieval(Float64Array.of(0, 0), truth, others)).toEqual({
      ...{ rank: 0, centroidAccuracy: 1 },
    });
    expect(retrieval(Float64Array.of(2, 0), truth, others)).toEqual({
      ...{ rank: 2 / 3, centroidAccuracy: 1 / 3 },
    });
    // between both: as far from one as from the other
    expect(retrieval(Float64Array.of(0.5, 0), truth, [others[0]!])).toEqual({
      ...{ rank: 0, centroidAccuracy: 0 },
    });
  });

  it("say how changes of some genes are met", () => {
    const truth = Float64Array.of(2, 1, 3, 6);
    const prediction = Float64Array.of(1.5, 1, 9, 3);
    const { rSquared: own, signAgreement } = changesOf(prediction, truth, control, [0, 1, 3]);
    // changes 0.5 -1 -1 against 1 -1 2
    expect(own).toBeCloseTo(1 - (0.25 + 9) / (1 / 9 + 25 / 9 + 16 / 9), 14);
    expect(signAgreement).toBe(2 / 3);
  });

  it("have an R2 of 1 where all is met, and -Infinity where a constant is not", () => {
    expect([rSquared([1, 2], [1, 2]), rSquared([1, 1], [1, 1])]).toEqual([1, 1]);
    expect(rSquared([1, 2], [1, 1])).toBe(-Infinity);
  });

  for (const name of ["nb_bn_linear", "zinb_bn_sigm", "nb_bn_mixup_default_shape"]) {
    it(`have the original's r2 under their own name, as it computed them of ${name}`, async (context) => {
      const missing = sharedDataMissing();
      if (missing) context.skip(missing);
      const golden = await goldenCase(name);
      const { values: x, shape } = golden.get("forward", "mixed_x");
      const mean = golden.get("forward", "px_mu").values;
      const categories = golden.get("inputs", "CPA_cat").values;
      const masks = golden.has("inputs", "deg_mask_r2")
        ? golden.get("inputs", "deg_mask_r2").values
        : undefined;
      const genes = shape[1]!;
      const [predicted, counted] = [new GroupSums(genes), new GroupSums(genes)];
      predicted.addDense(mean, categories);
      counted.addDense(x, categories);
      const distinct = [...new Set(categories)];
      const all = distinct.map((category) => {
        const first = categories.indexOf(category) * genes;
        const mask = masks && Uint8Array.from(masks.subarray(first, first + genes));
        return originalR2(predicted.logMoments(category)!, counted.logMoments(category)!, mask);
      });
      const meanOf = (values: number[]) =>
        values.reduce((sum, own) => sum + own, 0) / values.length;
      const { r2_mean, r2_var } = golden.scalars;
      expect(meanOf(all.map((own) => own.originalR2Mean))).toBeCloseTo(r2_mean!, 9);
      expect(meanOf(all.map((own) => own.originalR2Var))).toBeCloseTo(r2_var!, 9);
    });
  }
});

describe("metrics of cells", () => {
  const [a, b] = [
    { values: some(24, 0), dim: 3 },
    { values: some(15, 4).map((value) => value + 0.5), dim: 3 },
  ];

  it("are those that numpy and scipy have", () => {
    expect(energyDistance(a, b)).toBeCloseTo(0.805869217687982, 12);
    const gamma = kernelWidth(a, b);
    expect(gamma).toBeCloseTo(0.14493240704988136, 14);
    expect(squaredMmd(a, b, gamma)).toBeCloseTo(0.5833978657382253, 12);
  });

  it("are taken along the principal axes of some cells", () => {
    const axes = principalAxes(a, 2);
    const points = project(a, axes);
    const exact = [1.2496854917183384, 0.9093889494929818, 0.5805636333239604, 0.8163459900409911];
    exact.forEach((size, i) => expect(Math.abs(points.values[2 * i]!)).toBeCloseTo(size, 12));
    // distances are kept by as many axes as there are dimensions
    const all = project(a, principalAxes(a, 5));
    expect(all.dim).toBe(3);
    expect(energyDistance(all, project(b, principalAxes(a, 5)))).toBeCloseTo(0.8058692176, 9);
  });

  it("are of cells that the seed takes, whatever cells there are besides", () => {
    const all = Array.from({ length: 100 }, (_, cell) => cell);
    const chosen = chosenOf(all, 10, 3);
    expect(chosen).toEqual(chosen.slice().sort());
    expect(chosen.filter((cell) => cell >= 10).length).toBeGreaterThan(4);
    expect(chosenOf(all, 10, 4)).not.toEqual(chosen);
    const fewer = all.filter((cell) => cell % 2 > 0 || chosen.includes(cell));
    expect(chosenOf(fewer, 10, 3)).toEqual(chosen);
    expect(chosenOf([7, 9], 10, 3)).toEqual(Uint32Array.of(7, 9));
  });

  it("want two cells at least, of one dimension", () => {
    expect(() => energyDistance(a, { values: Float64Array.of(1, 2, 3), dim: 3 })).toThrow(
      "got 1 cells, wanted 2 at least",
    );
    expect(() => energyDistance(a, { values: some(4, 1), dim: 2 })).toThrow("3 and 2 coordinates");
  });

  it("are about 0 for counts of one distribution, which has its mean and variance", () => {
    const random = new Random(4);
    for (const [mean, dispersion] of [[0.3, 0.2], [4, 2], [60, 30]] as const) {
      const draws = Float64Array.from({ length: 6000 }, () => drawCount(mean, dispersion, random));
      const { mean: [own], variance: [spread] } = momentsOf(draws, 1);
      const variance = mean + mean * mean / dispersion;
      // four standard errors of a mean; of a variance, which long tails widen, a tenth
      expect(Math.abs(own! - mean)).toBeLessThan(4 * Math.sqrt(variance / draws.length));
      expect(Math.abs(spread! / variance - 1)).toBeLessThan(0.15);
      expect(draws.every(Number.isInteger)).toBe(true);
    }
    const points = () => ({
      values: Float64Array.from({ length: 400 }, () => Math.log1p(drawCount(5, 3, random))),
      dim: 2,
    });
    expect(Math.abs(energyDistance(points(), points()))).toBeLessThan(0.05);
  });
});
