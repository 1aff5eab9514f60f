import { describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import type { RowEntries } from "../../src/array/anndata/matrix.ts";
import { Baselines } from "../../src/cpa/baselines.ts";
import type { CellTable } from "../../src/cpa/cell_table.ts";
import {
  drawCount,
  energyDistance,
  kernelWidth,
  principalAxes,
  project,
  squaredMmd,
} from "../../src/cpa/cell_distributions.ts";
import { compareOverCells } from "../../src/cpa/cell_comparisons.ts";
import { chosenOf } from "../../src/cpa/cell_space.ts";
import { evaluate, intervalOf, sumCells } from "../../src/cpa/evaluation.ts";
import { GroupSums } from "../../src/cpa/group_sums.ts";
import type { Seen } from "../../src/cpa/profile_metrics.ts";
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
import { setup } from "../../src/cpa/setup.ts";
import { Random } from "../../src/math/random.ts";
import { categoriesOf, csr, putAnnData } from "../support/anndata_store.ts";
import { goldenCase } from "../support/perturbation_goldens.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

/** Numbers that numpy was given, too. */
const some = (length: number, shift: number) =>
  Float64Array.from({ length }, (_, i) => ((i + shift) * (7 * (i + shift) + 3) % 23) / 10);

function entriesOf(rows: readonly (readonly number[])[], start = 0): RowEntries {
  const { data, indices, indptr } = csr(rows);
  return {
    ...{ start, end: start + rows.length, starts: Uint32Array.from(indptr as Int32Array) },
    genes: Uint32Array.from(indices as Int32Array),
    values: Float64Array.from(data as Float32Array),
    wholeBelow: 2 ** 24,
  };
}

const momentsOf = (values: Float64Array, genes: number) => {
  const cells = values.length / genes;
  const mean = new Float64Array(genes);
  values.forEach((value, i) => mean[i % genes]! += value / cells);
  const variance = new Float64Array(genes);
  values.forEach((value, i) =>
    variance[i % genes]! += (value - mean[i % genes]!) ** 2 / (cells - 1)
  );
  return { cells, mean, variance };
};

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

/** Conditions by the names of their perturbations; a dose of 1 each. */
function tableOf(perturbations: readonly string[], conditions: readonly number[][]): CellTable {
  return {
    ...{ cells: 0, genes: 9, separator: "+", notes: [], covariates: [] },
    perturbations,
    conditions: conditions.map((own, combination) => ({
      ...{ perturbations: own, combination },
      doses: own.map(() => 1),
    })),
    combinations: conditions,
    conditionIds: new Uint32Array(),
    splits: new Uint8Array(),
  };
}

describe("Baselines", () => {
  const table = tableOf(["", "ctrl", "g1", "g4", "g6", "g7", "drug"], [
    ...[[1], [2], [3], [4], [2, 3], [5], [2, 5], [2, 6]],
  ]);
  const genes = Array.from({ length: 9 }, (_, gene) => `g${gene}`);
  const columns = some(27, 1);
  const control = some(9, 5);
  const seen: Seen = {
    conditions: [1, 2, 3],
    contexts: [0, 1],
    control: (context) => context === 0 ? control : control.map((value) => value + 1),
    mean: (condition, context) =>
      context === 0 && condition >= 1 && condition <= 3
        ? columns.subarray(9 * (condition - 1), 9 * condition)
        : undefined,
  };
  const baselines = new Baselines(table, seen, genes);
  const of = (condition: number, context = 0) =>
    Object.fromEntries(
      baselines.of(condition, context).map(({ name, profile, missing }) => [
        name,
        profile ? [...profile] : missing,
      ]),
    );
  const [one, two, three] = [0, 1, 2].map((i) => columns.subarray(9 * i, 9 * i + 9));
  const expectNear = (own: unknown, exact: ArrayLike<number>) => {
    expect(own).toHaveLength(exact.length);
    (own as number[]).forEach((value, gene) => expect(value).toBeCloseTo(exact[gene]!, 11));
  };

  it("add changes, and take means", () => {
    const found = of(4);
    expect(found["no-change"]).toEqual([...control]);
    expectNear(
      found["perturbed mean"],
      control.map((_, g) => (one![g]! + two![g]! + three![g]!) / 3),
    );
    expectNear(found["matching mean"], control.map((_, g) => (one![g]! + two![g]!) / 2));
    expectNear(found.additive, control.map((own, g) => one![g]! + two![g]! - own));
  });

  it("stand in for what is unseen, or say what that is", () => {
    const found = of(6);
    const mean = control.map((_, g) => (one![g]! + two![g]! + three![g]!) / 3);
    expectNear(found["matching mean"], mean.map((own, g) => (own + one![g]!) / 2));
    expect(found.additive).toBe("g7 (1) unseen");
    expect(of(7).additive).toBe("drug (1) unseen");
    expect(found["additive over contexts"]).toBe("unseen in other contexts");
  });

  it("carry changes over from other contexts", () => {
    const found = of(2, 1);
    expectNear(found["additive over contexts"], two!.map((own) => own + 1));
    // no condition was seen in this context: the mean of those elsewhere
    expectNear(
      found["perturbed mean"],
      control.map((_, g) => (one![g]! + two![g]! + three![g]!) / 3),
    );
    expect(of(2, 1).additive).toBe("g4 (1) unseen");
  });

  it("have a bilinear form of genes and perturbed genes, as numpy solves it", () => {
    expectNear(of(5)["linear PCA-ridge"], [
      ...[1.320243033167091, 0.8143024401485824, 1.720928249878809, 0.4585479908315956],
      ...[0.6154072672897479, 1.1027935415146084, 0.690179815739469, 0.4470390921976214],
      1.5972252358991426,
    ]);
    expectNear(of(6)["linear PCA-ridge"], [
      ...[1.1575258921725566, 0.8344660408389691, 1.098360031461311, 0.5377845126837141],
      ...[0.563765654947511, 1.241102984528459, 1.0184403141094065, 0.6444214563732036],
      1.670799779551536,
    ]);
    expect(of(7)["linear PCA-ridge"]).toBe("drug no gene of var");
    expect(of(5, 1)["linear PCA-ridge"]).toBe("fewer than 2 perturbed genes in training");
  });

  it("know no perturbed gene by a name that several have", () => {
    const twice = genes.with(0, "g4");
    const linear = (names: readonly string[], condition: number) =>
      new Baselines(table, seen, names).of(condition, 0).at(-1)!.missing;
    expect(linear(twice, 4)).toBe('"g4" is the name of 2 genes of var (0, 4)');
    // of one that is learned from nothing can be told
    expect(linear(twice, 5)).toBe('"g4" is the name of 2 genes of var (0, 4)');
    expect(linear(genes.with(0, "g7"), 5)).toBe('"g7" is the name of 2 genes of var (0, 7)');
    expect(linear(genes.with(0, "g8"), 5)).toBeUndefined();
  });
});

describe("sumCells()", () => {
  it("refuses what are no counts, of which there is no pseudobulk", async () => {
    const x = csr([[1, 0.5], [1, 2]]);
    const obs = { p: categoriesOf(["ctrl", "A"]) };
    const adata = await openAnnData(await putAnnData("fractions", { x, obs }));
    const table = await setup(adata, { perturbationKey: "p", controlGroup: "ctrl" });
    await expect(sumCells(await adata.matrix(), table)).rejects.toThrow(
      "cell 0 has 0.5 of gene 1, wanted whole numbers",
    );
  });

  it("refuses counts of other cells or genes than those that are set up", async () => {
    const obs = { p: categoriesOf(["ctrl", "A"]) };
    const adata = await openAnnData(await putAnnData("counted", { x: csr([[1, 2], [1, 2]]), obs }));
    const table = await setup(adata, { perturbationKey: "p", controlGroup: "ctrl" });
    const more = { p: categoriesOf(["ctrl", "A", "A"]) };
    const rows = [[1, 2, 3], [1, 2, 3], [4, 5, 6]];
    const other = await openAnnData(await putAnnData("others", { x: csr(rows), obs: more }));
    await expect(sumCells(await other.matrix(), { ...table, place: other.place })).rejects.toThrow(
      "counts are of 3 x 3, wanted 2 cells x 2 genes",
    );
    // of as many cells another order would go unseen
    await expect(sumCells(await other.matrix(), table)).rejects.toThrow(
      'cells are those of "memory:others", "memory:counted" was set up',
    );
  });
});

describe("evaluate()", () => {
  /** Cells of three perturbations, their pairs and control in four contexts; pairs add up and are held out. */
  async function world(contexts: number) {
    const random = new Random(8);
    const genes = 40;
    const names = ["A", "B", "C"];
    const effect = names.map(() =>
      Float64Array.from({ length: genes }, () => 0.8 * random.normal())
    );
    const base = Float64Array.from({ length: genes }, () => 1 + 1.5 * random.uniform());
    const meansOf = (label: string, context: number) =>
      base.map((own, gene) =>
        Math.exp(
          label.split("+").reduce(
            (sum, name) => sum + (effect[names.indexOf(name)]?.[gene] ?? 0),
            own + 0.1 * context * (gene % 3),
          ),
        )
      );
    const [rows, labels, types, splits]: [number[][], string[], string[], string[]] = [
      ...[[], [], [], []] as [[], [], [], []],
    ];
    for (let context = 0; context < contexts; context++) {
      for (const label of ["ctrl", "A", "B", "C", "A+B", "B+C"]) {
        const means = meansOf(label, context);
        for (let cell = 0; cell < 30; cell++) {
          rows.push(Array.from(means, (mean) => drawCount(mean, 5, random)));
          labels.push(label);
          types.push(`t${context}`);
          splits.push(label.includes("+") ? "ood" : "train");
        }
      }
    }
    const obs = { p: categoriesOf(labels), t: categoriesOf(types), s: categoriesOf(splits) };
    const adata = await openAnnData(await putAnnData(`world${contexts}`, { x: csr(rows), obs }));
    const table = await setup(adata, {
      ...{ perturbationKey: "p", controlGroup: "ctrl", categoricalCovariates: ["t"] },
      split: { key: "s" },
    });
    const sums = await sumCells(await adata.matrix(), table);
    const oracle = {
      name: "oracle",
      profile(condition: number, context: number) {
        const own = table.conditions[condition]!.perturbations;
        const label = own.map((one) => table.perturbations[one]).join("+");
        const means = meansOf(label, context);
        const library = means.reduce((sum, mean) => sum + mean, 0);
        return means.map((mean) => Math.log1p(1e4 * mean / library));
      },
    };
    const silent = { name: "silent", profile: () => undefined };
    return evaluate(sums, [oracle, silent], await adata.var.names());
  }

  it("says what beats what, with intervals over conditions", async () => {
    const { rows, means, comparisons, headlines } = await world(3);
    const scores = Object.fromEntries(means.map(({ predictor, scores }) => [predictor, scores]));
    expect(scores.oracle!.deltaPearson.mean).toBeGreaterThan(0.95);
    expect(scores.oracle!.deltaPearson.conditions).toBe(6);
    expect(scores.additive!.deltaPearson.mean).toBeGreaterThan(0.8);
    expect(scores["no-change"]!.deltaPearson.mean).toBe(0);
    expect(scores["half-split ceiling"]!.topSignAgreement.mean).toBeGreaterThan(0.9);
    expect(scores.oracle!.rank.mean).toBe(0);
    expect(scores.oracle!.centroidAccuracy.mean).toBe(1);
    expect(comparisons.find(({ baseline }) => baseline === "no-change")).toMatchObject({
      ...{ predictor: "oracle", beats: true },
    });
    expect(headlines[0]).toMatch(
      /^oracle: it beats no-change over 6 of 6 conditions: delta Pearson differs by 0\.9\d\d \(/,
    );
    expect(headlines[1]).toContain("cannot be told from 0 conditions");
    const constant = rows.filter(({ isConstant }) => isConstant);
    expect(new Set(constant.map(({ predictor }) => predictor))).toEqual(new Set(["no-change"]));
    // other cells would not have changed much
    const sure = rows.filter(({ predictor }) => predictor === "oracle");
    for (const { scores, deltaPearsonOverCells } of sure) {
      const [low, high] = deltaPearsonOverCells!;
      expect((low + high) / 2).toBeCloseTo(scores!.deltaPearson, 12);
      expect([low > 0.9, high - low > 0.001, high - low < 0.1]).toEqual([true, true, true]);
    }
    const ownR2 = rows.find(({ predictor }) => predictor === "no-change")!.scores!.originalR2Mean;
    expect(ownR2).toBeGreaterThan(0);
    expect(
      rows.filter(({ predictor }) => predictor === "silent").every(({ missing }) =>
        missing === "not predicted"
      ),
    ).toBe(true);
  });

  /** Of counts, labels with doses, and splits, cell by cell. */
  async function evaluated(
    name: string,
    cells: readonly (readonly [counts: number[], label: string, dose: number, split: string])[],
    { profile, split }: { profile?: number[]; split: "valid" | "ood" },
  ) {
    const obs = {
      p: categoriesOf(cells.map(([, label]) => label)),
      d: Float64Array.from(cells, ([, , dose]) => dose),
      s: categoriesOf(cells.map(([, , , own]) => own)),
    };
    const x = csr(cells.map(([counts]) => counts));
    const adata = await openAnnData(await putAnnData(name, { x, obs }));
    const table = await setup(adata, {
      ...{ perturbationKey: "p", controlGroup: "ctrl", dosageKey: "d", split: { key: "s" } },
    });
    const total = profile?.reduce((sum, own) => sum + own, 0);
    const predicted = profile &&
      Float64Array.from(profile, (own) => Math.log1p(1e4 * own / total!));
    const sums = await sumCells(await adata.matrix(), table, { split });
    const predictors = [{ name: "told", profile: () => predicted }];
    return evaluate(sums, predictors, await adata.var.names(), { split, topGenes: 2 });
  }

  it("takes distances between cells, of samples, along axes that span what they differ in", async () => {
    const random = new Random(12);
    const told = Array.from({ length: 130 }, (_, cell) => {
      const [label, split] = cell < 60
        ? ["ctrl", "train"]
        : cell < 70
        ? ["B", "train"]
        : ["A", "ood"];
      const counts = Array.from(
        { length: 6 },
        (_, gene) => random.poisson(label === "ctrl" ? 4 : 3 + gene),
      );
      return { label, split, counts };
    });
    const obs = {
      p: categoriesOf(told.map(({ label }) => label)),
      s: categoriesOf(told.map(({ split }) => split)),
    };
    const x = csr(told.map(({ counts }) => counts));
    const adata = await openAnnData(await putAnnData("distances of cells", { x, obs }));
    const table = await setup(adata, {
      ...{ perturbationKey: "p", controlGroup: "ctrl", split: { key: "s" } },
    });
    const spreads = async (options: { sampledCells?: number; seed?: number }) => {
      const sums = await sumCells(await adata.matrix(), table, options);
      const same = {
        name: "cells of control",
        profile: () => some(6, 2),
        points: () => sums.placed?.points(0),
        drawnMoments: () => sums.sums.shareMoments(0),
      };
      const { rows, means } = evaluate(sums, [same], await adata.var.names(), options);
      expect(means.find(({ predictor }) => predictor === "additive")).toBeDefined();
      return Object.fromEntries(
        rows.flatMap(({ predictor, scores }) =>
          scores
            ? [[
              predictor,
              [scores.energyDistance, scores.squaredMmd, scores.varianceRSquared],
            ]]
            : []
        ),
      );
    };
    const all = await spreads({});
    const pointsOf = (label: string) => ({
      dim: 6,
      values: Float64Array.from(
        told.filter((own) => own.label === label).flatMap(({ counts }) => {
          const library = counts.reduce((sum, own) => sum + own, 0);
          return counts.map((own) => Math.log1p(1e4 * own / library));
        }),
      ),
    });
    const [control, truth] = [pointsOf("ctrl"), pointsOf("A")];
    const exact = [
      energyDistance(control, truth),
      squaredMmd(control, truth, kernelWidth(truth, control)),
      rSquared(momentsOf(control.values, 6).variance, momentsOf(truth.values, 6).variance),
    ];
    for (const name of ["no-change", "cells of control"]) {
      all[name]!.forEach((own, i) => expect(own).toBeCloseTo(exact[i]!, 9));
    }
    // cells of one distribution; of profiles alone there is none
    const [energy, discrepancy, variances] = all["half-split ceiling"]!;
    expect(Math.abs(energy!)).toBeLessThan(exact[0]! / 3);
    expect(Math.abs(discrepancy!)).toBeLessThan(exact[1]! / 3);
    // of few cells, and of few genes that are much alike, variances say little
    expect(variances).toBeLessThan(1);
    expect(all["perturbed mean"]).toEqual([NaN, NaN, NaN]);
    const few = await spreads({ sampledCells: 40 });
    expect(few).toEqual(await spreads({ sampledCells: 40 }));
    expect(few["no-change"]).not.toEqual(all["no-change"]);
    expect(few["no-change"]).not.toEqual(
      (await spreads({ sampledCells: 40, seed: 1 }))["no-change"],
    );
    few["no-change"]!.slice(0, 2).forEach((own, i) =>
      expect(Math.abs(own / exact[i]! - 1)).toBeLessThan(0.6)
    );
    expect((await spreads({ sampledCells: 0 }))["no-change"]!.slice(0, 2)).toEqual([NaN, NaN]);
  });

  it("refuses what it would mix up: names, genes, splits, and what is no number", async () => {
    const obs = {
      p: categoriesOf(["ctrl", "A", "ctrl", "A"]),
      s: categoriesOf(["train", "train", "ood", "ood"]),
    };
    const x = csr([[1, 2], [1, 2], [2, 2], [1, 5]]);
    const adata = await openAnnData(await putAnnData("mixed up", { x, obs }));
    const table = await setup(adata, {
      ...{ perturbationKey: "p", controlGroup: "ctrl", split: { key: "s" } },
    });
    const sums = await sumCells(await adata.matrix(), table);
    const predictor = (name: string, ...values: number[]) => ({
      name,
      profile: () => Float64Array.from(values),
    });
    const [one, two] = [predictor("one", 1, 2), predictor("two", 2, 1)];
    const names = ["g0", "g1"];
    expect(evaluate(sums, [one, two], names).headlines.length).toBe(2);
    const refused = (...told: Parameters<typeof evaluate>) => (message: string) =>
      expect(() => evaluate(...told)).toThrow(message);
    refused(sums, [one, predictor("one", 2, 1)], names)('two predictors are called "one"');
    refused(sums, [predictor("additive", 1, 2)], names)('two predictors are called "additive"');
    refused(sums, [one], ["g0"])("there are names of 1 genes, cells have 2");
    refused(sums, [one], names, { split: "valid" })(
      'split "valid" is asked for, cells of "ood" were summed up',
    );
    refused(sums, [{ ...one, label: () => "B (1)" }], names)(
      '"one" is of other cells, for which A (1) is B (1)',
    );
    refused(sums, [predictor("one", 1)], names)('"one" predicts 1 genes, wanted 2, for A (1)');
    refused(sums, [predictor("one", 1, NaN)], names)(
      '"one" predicts NaN of gene 1 ("g1") for A (1)',
    );
  });

  it("takes all control cells for control, whatever their doses", async () => {
    const random = new Random(4);
    const cells = (dose: (cell: number) => number) =>
      Array.from({ length: 60 }, (_, cell) => {
        const isControl = cell % 3 > 0;
        // drift along the cells: some of control are not like all of it
        const counts = Array.from(
          { length: 6 },
          (_, gene) => random.poisson(4 + (isControl ? gene * cell / 10 : 2 * gene)),
        );
        const split = isControl && cell > 1 ? "train" : "ood";
        return [counts, isControl ? "ctrl" : "A", isControl ? dose(cell) : 1, split] as const;
      });
    const several = cells((cell) => cell === 1 ? 2 : cell < 8 ? 0 : 1);
    const one = several.map(([counts, label, , split]) => [counts, label, 1, split] as const);
    const [found, wanted] = [
      await evaluated("doses of control", several, { split: "ood" }),
      await evaluated("a dose of control", one, { split: "ood" }),
    ];
    const rounded = (rows: unknown) =>
      JSON.stringify(rows, (_, own) => typeof own === "number" ? own.toPrecision(10) : own);
    expect(rounded(found.rows)).toBe(rounded(wanted.rows));
    expect(found.rows.some(({ scores }) => scores && scores.topRSquared < 0)).toBe(true);
  });

  it("ranks among every other condition once, where it is learned from and held out", async () => {
    const { rows } = await evaluated("held within", [
      [[10, 10, 10], "ctrl", 1, "train"],
      [[20, 10, 10], "A", 1, "train"],
      [[10, 30, 10], "B", 1, "train"],
      [[20, 10, 10], "A", 1, "test"],
      [[10, 10, 40], "B", 1, "test"],
    ], { profile: [10, 30, 10], split: "valid" });
    const told = rows.find(({ predictor, condition }) =>
      predictor === "told" && condition === "A (1)"
    );
    expect(told!.scores).toMatchObject({ rank: 0, centroidAccuracy: 1 });
  });

  it("claims nothing of few conditions", async () => {
    const { comparisons, headlines } = await world(1);
    expect(comparisons.some(({ beats }) => beats)).toBe(false);
    expect(headlines[0]).toContain(
      "whether it beats no-change cannot be told from 2 conditions, wanted 6 at least",
    );
  });

  it("has intervals that shrink with the number of conditions, and do not depend on more than the seed", () => {
    const random = new Random(3);
    const values = Array.from({ length: 100 }, () => random.normal());
    const { mean, interval } = intervalOf(values, 1000, 0);
    expect(intervalOf(values, 1000, 0).interval).toEqual(interval);
    const sd = Math.sqrt(values.reduce((sum, own) => sum + (own - mean) ** 2, 0) / values.length);
    const half = 1.96 * sd / Math.sqrt(values.length);
    expect(interval![0]).toBeGreaterThan(mean - 1.2 * half);
    expect(interval![0]).toBeLessThan(mean - 0.8 * half);
    expect(intervalOf(values.slice(0, 5), 1000, 0).interval).toBeUndefined();
  });

  it("has the numbers of numpy for a whole data set", async (context) => {
    const missing = runtime === "chromium" ? "browsers read no files" : sharedDataMissing();
    if (missing) context.skip(missing);
    const adata = await openAnnData(`${await sharedFile("data/perturbation/sim_combo.h5ad")}`);
    const table = await setup(adata, {
      ...{ perturbationKey: "perturbation", controlGroup: "control", dosageKey: "dose" },
      ...{ categoricalCovariates: ["cell_type"], split: { key: "split" } },
    });
    const sums = await sumCells(await adata.matrix(), table);
    const { rows } = evaluate(sums, [], await adata.var.names());
    const found = (name: string) =>
      rows.find(({ predictor, condition, context }) =>
        predictor === name && condition === "A+C (1+1)" && context === 0
      )!.scores!;
    expect(found("no-change").l2).toBeCloseTo(6.876480551690184, 10);
    expect(found("additive").deltaPearson).toBeCloseTo(0.6574218123712308, 12);
    expect(found("additive").deltaPearsonPerturbed).toBeCloseTo(0.409573358303738, 12);
    expect(found("matching mean").l2).toBeCloseTo(5.214274058437922, 10);
    expect(found("perturbed mean").rank).toBeCloseTo(0.2222222222222222, 12);
    await adata.close();
  });
});

describe("compareOverCells()", () => {
  const [genes, cells, parts] = [30, 200, 20];
  const random = new Random(9);
  const base = Float64Array.from({ length: genes }, () => 1 + 9 * random.uniform());
  const means = base.map((mean) => mean * Math.exp(0.6 * random.normal()));
  const profileOf = (values: Float64Array) => {
    const sum = values.reduce((all, value) => all + value, 0);
    return values.map((value) => Math.log1p(1e4 * value / sum));
  };
  const [control, whole] = [profileOf(base), profileOf(means)];
  const half = control.map((value, gene) => (value + whole[gene]!) / 2);
  const expressed = Uint32Array.from({ length: genes }, (_, gene) => gene);
  const groups = Array.from({ length: parts }, (_, part) => part);
  /** Of new cells. */
  const compare = () => {
    const sums = new GroupSums(genes, { onlyCounts: true });
    const counts = Float64Array.from(
      { length: cells * genes },
      (_, i) => random.poisson(means[i % genes]! / 10),
    );
    sums.addDense(counts, Array.from({ length: cells }, (_, cell) => cell % parts));
    const without = (part: number) => sums.pseudobulk(...groups.filter((own) => own !== part))!;
    return compareOverCells({
      predictions: [{ name: "half", profile: half }, { name: "none", profile: control }],
      baselines: [{ name: "no-change", profile: control }],
      ...{ truth: sums.pseudobulk(...groups)!, reduced: groups.map(without), control, expressed },
    });
  };

  it("is as sure as differences of other cells are near", () => {
    const all = Array.from({ length: 60 }, () => compare()[0]!);
    for (const key of ["deltaPearson", "l2"] as const) {
      const found = all.map((own) => own[key]);
      const mean = found.reduce((sum, { difference }) => sum + difference, 0) / found.length;
      const squares = found.reduce((sum, { difference }) => sum + (difference - mean) ** 2, 0);
      const spread = Math.sqrt(squares / (found.length - 1));
      // half of 95 % by Student's t of 19 degrees of freedom
      const margins = found.map(({ interval: [low, high] }) => (high - low) / 2 / 2.093);
      const told = margins.reduce((sum, margin) => sum + margin, 0) / found.length;
      expect(told / spread).toBeGreaterThan(0.7);
      expect(told / spread).toBeLessThan(1.4);
    }
    expect(all.every(({ beats }) => beats)).toBe(true);
  });

  it("says that nothing beats itself", () => {
    const [, none] = compare();
    expect(none).toMatchObject({
      ...{ predictor: "none", baseline: "no-change", beats: false },
      l2: { difference: 0, interval: [0, 0] },
    });
  });
});
