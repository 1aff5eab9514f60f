import { describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import {
  drawCount,
  energyDistance,
  kernelWidth,
  squaredMmd,
} from "../../src/cpa/cell_distributions.ts";
import { compareOverCells } from "../../src/cpa/cell_comparisons.ts";
import { evaluate } from "../../src/cpa/evaluation.ts";
import { intervalOf } from "../../src/cpa/evaluation_summary.ts";
import { sumCells } from "../../src/cpa/evaluation_sums.ts";
import { GroupSums } from "../../src/cpa/group_sums.ts";
import { rSquared } from "../../src/cpa/profile_metrics.ts";
import { setup } from "../../src/cpa/setup.ts";
import { Random } from "../../src/math/random.ts";
import { categoriesOf, csr, putAnnData } from "../support/anndata_store.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";
import { momentsOf, some } from "../support/cell_numbers.ts";

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
