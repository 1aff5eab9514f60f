import { describe, expect, it } from "vitest";
import type { DegMasks } from "../../src/cpa/deg_masks.ts";
import { originalR2 } from "../../src/cpa/profile_metrics.ts";
import { train } from "../../src/cpa/train.ts";
import {
  categoryRanges,
  nearestNeighbours,
  neighbourPurity,
  rSquaredByCategory,
  scoresOf,
} from "../../src/cpa/validation_scores.ts";
import { madeCells } from "../support/cpa_cells.ts";
import { trainedTwin } from "../support/trained_twin.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

describe("the original's score", () => {
  it("takes r2 by category, where one cell has no variance and genes alike say nothing", () => {
    const errors = [1, 4, 3, 6, 2, 8, 5, 5, 1, 0, 1, 0];
    const { r2Mean, r2Var } = rSquaredByCategory(errors, [3, 1, 2], false);
    expect(r2Mean).toBeCloseTo((0.75 + 0.75 + 0) / 3, 12);
    expect(r2Var).toBeCloseTo((0.5 + 0 + 0) / 3, 12);
    // the original makes it minus infinity, and that the lowest number there is
    expect(rSquaredByCategory(errors, [3, 1, 2], true).r2Mean).toBeLessThan(-1e38);
    const whole = scoresOf({ r2Mean: 0.5, r2Var: 0.2 }, { basal: 1, after: 1.5 });
    expect(whole.metric).toBeCloseTo(0.6 + Math.exp(0.5), 12);
  });

  it("finds cells of a category where they lie", () => {
    const categories = Uint32Array.of(9, 9, 4, 0, 9, 1, 9, 0);
    const batches = [
      { cells: Uint32Array.of(7, 2), validates: false },
      { cells: Uint32Array.of(3, 7, 5), validates: true },
      { cells: Uint32Array.of(2), validates: true },
    ];
    const lists = Uint32Array.from(categories, (own) => 2 * own);
    const none = [0, 0, 0, 0];
    expect([...categoryRanges(batches, categories, lists)]).toEqual(
      [...none, ...none, ...[0, 2, 0, 0], ...[2, 1, 2, 0], ...none, ...[0, 1, 8, 0]],
    );
  });

  it("counts neighbours as scikit-learn's do", () => {
    // knn_purity of the original, by scikit-learn 1.2: of 30 of 39 neighbours, and of all 7
    const latents = Float32Array.from(
      { length: 80 },
      (_, i) => Math.fround(Math.sin(3 * i) + (i >> 4) % 2),
    );
    const labels = Array.from({ length: 40 }, (_, cell) => (cell >> 3) % 3);
    expect(neighbourPurity(nearestNeighbours(latents, 2, 40), labels)).toBeCloseTo(
      0.38055555555555554,
      12,
    );
    expect(
      neighbourPurity(nearestNeighbours(latents.subarray(0, 16), 2, 8), [0, 0, 1, 1, 1, 0, 2, 1]),
    ).toBeCloseTo(
      0.23809523809523805,
      12,
    );
  });

  for (
    const [head, genes, compat] of [
      ["nb", "all genes", false],
      ["zinb", "all genes", false],
      ["nb", "lists of genes", false],
      ["nb", "lists of genes", true],
    ] as const
  ) {
    const as = compat ? ", as the original takes them" : "";
    it(`of ${head}, ${genes}${as}, is that of the state that is kept, from f64`, async () => {
      const { table: made, held, counts } = madeCells(120, 9);
      // control has none; B has no gene but those
      const lists = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8],
        [1, 3, 8],
        [0, 2, 4, 5],
      ];
      const degs: DegMasks = {
        ...{ genes: 9, names: ["A", "B"], notes: [] },
        rows: Uint8Array.from({ length: 27 }, (_, i) => +lists[Math.floor(i / 9)]!.includes(i % 9)),
        rowOf: made.conditionIds.map((own) => own % 3),
      };
      const table = genes === "all genes" ? made : { ...made, degs };
      const trained = await train(gpu(), await held(), table, {
        ...{ head, latent: 6, batchSize: 64, epochs: 1, validateEvery: 1, judge: "cpaMetric" },
        ...{ encoder: { layers: 1, width: 8 }, decoder: { layers: 1, width: 8 }, seed: 3, compat },
        adversary: { layers: 1, width: 4 },
      }).run();
      const cells = Uint32Array.from({ length: table.cells }, (_, cell) => cell)
        .filter((cell) => table.splits[cell] === 1);
      const { means, zBasal, z } = trainedTwin(trained, table, counts, cells);
      const codes = [
        Array.from(cells, (cell) => table.conditions[table.conditionIds[cell]!]!.combination),
        ...table.covariates.map((own) => Array.from(cells, (cell) => own.codes[cell]!)),
      ];
      const groups = new Map<string, number[]>();
      cells.forEach((_, i) => {
        const key = codes.map((own) => own[i]).join();
        groups.set(key, [...groups.get(key) ?? [], i]);
      });
      const momentsOf = (rows: number[][]) => ({
        cells: rows.length,
        mean: Float64Array.from(
          rows[0]!,
          (_, gene) => rows.reduce((sum, row) => sum + row[gene]!, 0) / rows.length,
        ),
        variance: Float64Array.from(rows[0]!, (_, gene) => {
          const mean = rows.reduce((sum, row) => sum + row[gene]!, 0) / rows.length;
          return rows.reduce((sum, row) => sum + (row[gene]! - mean) ** 2, 0) / (rows.length - 1);
        }),
      });
      let [r2Mean, r2Var] = [0, 0];
      for (const own of groups.values()) {
        const listed = genes === "all genes"
          ? lists[0]!
          : lists[table.conditionIds[cells[own[0]!]!]! % 3]!;
        const rows = (of: (i: number, gene: number) => number) =>
          own.map((i) => {
            const all = lists[0]!.map((gene) => Math.log1p(of(i, gene)));
            return compat
              ? all.map((value, gene) => listed.includes(gene) ? value : 0)
              : listed.map((gene) => all[gene]!);
          });
        const r2 = originalR2(
          momentsOf(rows((i, gene) => means[9 * i + gene]!)),
          momentsOf(rows((i, gene) => counts[9 * cells[i]! + gene]!)),
        );
        r2Mean += r2.originalR2Mean / groups.size;
        r2Var += r2.originalR2Var / groups.size;
      }
      const purity = (latents: Float64Array) =>
        codes.reduce((sum, own) => sum + purityOf(latents, 6, own), 0);
      const { history } = trained;
      const [basal, after] = [purity(zBasal), purity(z)];
      expect(history.r2_mean[0]).toBeCloseTo(r2Mean, 4);
      expect(history.r2_var[0]).toBeCloseTo(r2Var, 4);
      expect(history.purity_basal[0]).toBeCloseTo(basal, 6);
      expect(history.purity_after[0]).toBeCloseTo(after, 6);
      expect(history.cpa_metric[0]).toBeCloseTo(r2Mean + r2Var / 2 + Math.exp(after - basal), 3);
    });
  }

  it("looks at lists of genes, which the likelihood does not", async () => {
    const { table, held } = madeCells(60, 6);
    const degs = {
      ...{ genes: 6, names: [], notes: [], rows: new Uint8Array(6).fill(1) },
      rowOf: new Uint32Array(60),
    };
    const cells = await held();
    expect(() => train(gpu(), cells, { ...table, degs })).toThrow(
      'lists of genes, which judge "likelihood" does not look at, wanted "cpaMetric"',
    );
    const judge = "cpaMetric";
    const others = { ...table, degs: { ...degs, genes: 5 } };
    expect(() => train(gpu(), cells, others, { judge }))
      .toThrow("lists are of 5 genes and 60 cells, wanted 6 genes and 60 cells");
  });

  it("is refused where a cell that validates would be alone", async () => {
    const { table, held } = madeCells(60, 6);
    const cells = await held();
    expect(() => train(gpu(), cells, table, { judge: "cpaMetric", partSize: 2, batchSize: 16 }))
      .toThrow("of 9 cells that validate, in batches of at most 2, one would be alone, wanted 2");
  });

  it("decides when training stops, and which state is kept", async () => {
    const { table, held } = madeCells(60, 6);
    const run = await train(gpu(), await held(), table, {
      ...{ latent: 4, batchSize: 16, epochs: 12, validateEvery: 1, patience: 2, seed: 11 },
      ...{ encoder: { layers: 1, width: 8 }, decoder: { layers: 1, width: 8 } },
      ...{ adversary: { layers: 1, width: 4 }, judge: "cpaMetric" },
      autoencoderRates: { rate: 0.3 },
    }).run();
    const { epochsRun, bestEpoch } = run.facts;
    const scores = Array.from(run.history.cpa_metric.subarray(0, epochsRun));
    expect(epochsRun).toBe(bestEpoch + 2);
    expect(scores.indexOf(Math.max(...scores)) + 1).toBe(bestEpoch);
  });
});

/** From the definition: for every cell the others by distance. */
function purityOf(latents: Float64Array, width: number, labels: readonly number[]): number {
  const shares = new Map<number, number[]>();
  labels.forEach((label, cell) => {
    const others = labels.map((other, i) => ({
      other,
      away: i === cell ? Infinity : Math.hypot(...Array.from(
        { length: width },
        (_, k) => latents[cell * width + k]! - latents[i * width + k]!,
      )),
    })).sort((a, b) => a.away - b.away).slice(0, Math.min(30, labels.length - 1));
    const share = others.filter(({ other }) => other === label).length / others.length;
    shares.set(label, [...shares.get(label) ?? [], share]);
  });
  const means = [...shares.values()].map((own) =>
    own.reduce((sum, share) => sum + share, 0) / own.length
  );
  return means.reduce((sum, mean) => sum + mean, 0) / means.length;
}
