import { beforeAll, describe, expect, it } from "vitest";
import { contextsOf, strataOf } from "../../src/cpa/cell_table.ts";
import { GroupSums } from "../../src/cpa/group_sums.ts";
import { distancesOf } from "../../src/cpa/embeddings.ts";
import { sumCells } from "../../src/cpa/evaluation_sums.ts";
import { train } from "../../src/cpa/train.ts";
import type { TrainedCpa } from "../../src/cpa/trained.ts";
import { madeCells } from "../support/cpa_cells.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();
const { table, matrix, held } = madeCells(400, 7);
let model: TrainedCpa;
let latents: Record<string, Float32Array>;

beforeAll(async () => {
  model = await train(gpu(), await held(), table, {
    ...{ latent: 5, epochs: 2, batchSize: 64, doserRates: { rate: 0.1 } },
    encoder: { layers: 1, width: 8 },
    decoder: { layers: 1, width: 8 },
    adversary: { layers: 1, width: 4 },
  }).run();
  const found = await model.latents(gpu(), matrix, table, {
    which: ["basal", "after", "corrected", "noPert"],
  }).run();
  latents = {};
  for (const [name, array] of Object.entries(found.arrays)) {
    latents[name] = await array.read(0, table.cells) as Float32Array;
  }
});

/** A row of the difference of two latents. */
function difference(a: string, b: string, cell: number): number[] {
  return Array.from(
    { length: 5 },
    (_, i) => latents[a]![5 * cell + i]! - latents[b]![5 * cell + i]!,
  );
}

const near = (got: ArrayLike<number>, wanted: ArrayLike<number>) =>
  Array.from(got).forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 4));

describe("what a model knows without cells", () => {
  it("are the embeddings that it adds to latents, by their doses", () => {
    const { perturbations, covariates } = model.embeddings();
    expect(Object.keys(perturbations)).toEqual(["ctrl", "A", "B"]);
    for (const cell of [0, 1, 2, 3, 9]) {
      const { perturbations: given, doses } = table.conditions[table.conditionIds[cell]!]!;
      const sum = new Array<number>(5).fill(0);
      given.forEach((id, slot) => {
        const name = table.perturbations[id]!;
        const [factor] = model.doseResponse(name, [doses[slot]!]).factors;
        perturbations[name]!.forEach((value, i) => sum[i]! += factor! * value);
      });
      near(difference("latent_after", "latent_no_pert", cell), sum);
      const plate = table.covariates[1]!;
      near(
        difference("latent_after", "latent_corrected", cell),
        covariates.plate![plate.levels[plate.codes[cell]!]!]!,
      );
    }
    expect(model.doseResponse("A", [0, 1]).factors[0]).toBe(0);
    expect(() => model.doseResponse("C", [1])).toThrow('the model was not shown "C"');
  });

  it("is how far a condition is from those of more than 30 training cells", () => {
    const { ids, strata } = strataOf(table);
    const points = strata.map((_, stratum) =>
      difference("latent_corrected", "latent_basal", ids.indexOf(stratum))
    );
    const seen = strata.map((_, stratum) =>
      ids.filter((own, cell) => own === stratum && table.splits[cell] === 0).length > 30
    );
    expect(seen).toContain(false);
    const found = model.uncertainty(table);
    const wanted = strata.flatMap(({ condition }, stratum) => {
      if (condition === 0) return [];
      const distances = points.filter((_, other) => seen[other])
        .map((other) => Math.hypot(...other.map((value, i) => value - points[stratum]![i]!)));
      return [Math.min(...distances)];
    });
    near(found.map(({ euclidean }) => euclidean), wanted);
    // what was seen is where it is
    expect(found[0]).toMatchObject({ condition: "A (1)", nearest: "A (1), x" });
    expect(found[0]!.cosine).toBeCloseTo(0, 10);
    expect(found.filter(({ condition }) => condition === "A+B (1+1)").length).toBe(2);
  });

  it("is far from what a dose of 0 leaves, which points nowhere", () => {
    const { facts, parameters } = model;
    const shape = { ...facts.shape, covariates: [] };
    const [control, ...others] = table.conditions;
    const found = distancesOf({ facts: { ...facts, shape, covariates: [] }, parameters }, {
      ...{ ...table, covariates: [], splits: new Uint8Array(table.cells) },
      conditions: [{ ...control!, doses: [0] }, ...others],
    });
    expect(found.map(({ condition }) => condition)).toEqual(["A (1)", "B (1)", "A+B (1+1)"]);
    near(found.map(({ cosine }) => cosine), [0, 0, 0]);
  });

  it("is nothing of what no training cell had", async () => {
    const unlearned = { perturbations: ["B"], covariates: [{ name: "cell", levels: ["y"] }] };
    const own = Object.assign(Object.create(Object.getPrototypeOf(model)), model, {
      facts: { ...model.facts, unlearned },
    }) as TrainedCpa;
    const asked = (perturbations: string[], cell?: string) => () =>
      own.counterfactual(gpu(), matrix, table, {
        ...{ perturbations, ...cell && { covariates: { cell } } },
      });
    expect(asked(["A", "B"], "x")).toThrow('no cell that the model was trained on had "B"');
    expect(asked(["A"])).toThrow('no cell that the model was trained on had "y" of "cell"');
    expect(asked(["A"], "x")).not.toThrow();
    expect(() => own.doseResponse("B", [1])).toThrow('no training cell had "B"');
    const { perturbations, covariates } = own.embeddings();
    expect([Object.keys(perturbations), Object.keys(covariates.cell!)]).toEqual([
      ...[["ctrl", "A"], ["x"]],
    ]);
    expect(own.uncertainty(table).map(({ condition, context }) => `${condition} ${context}`))
      .toEqual(["A (1) x"]);
    const predictor = await own.predictor(gpu(), matrix, table);
    expect([predictor.profile(3, 0), predictor.missing!(3, 0)]).toEqual([
      ...[undefined, "no training cell had B"],
    ]);
    // training itself sees to it
    const splits = table.splits.map((split, cell) => table.conditionIds[cell]! > 1 ? 2 : split);
    const unseen = await train(gpu(), await held(), { ...table, splits }, {
      ...{ latent: 2, epochs: 1, batchSize: 64 },
      encoder: { layers: 1, width: 4 },
      decoder: { layers: 1, width: 4 },
      adversary: { layers: 1, width: 4 },
    }).run();
    expect(unseen.facts.unlearned).toEqual({ perturbations: ["B"], covariates: [] });
  });

  it("predicts profiles from training cells that are control, summed up as they come", async () => {
    const predictor = await model.predictor(gpu(), matrix, table);
    const strata = strataOf(table);
    const contexts = contextsOf(strata);
    const all = await model.counterfactual(gpu(), matrix, table, {
      ...{ perturbations: ["A", "B"], covariates: { cell: "y" } },
    }).run();
    const rows = await all.arrays.counterfactual!.read(0, all.cells.length) as Float32Array;
    const sums = new GroupSums(7);
    sums.addDense(rows, Array.from(all.cells, (cell) => table.splits[cell] === 0 ? 0 : -1));
    const context = contexts[strata.ids[all.cells[0]!]!]!;
    expect(predictor.profile(3, context)).toEqual(sums.pseudobulk(0));
    expect(predictor.moments!(3, context)).toEqual(sums.logMoments(0));
    // several things are asked of each control cell, which is read once
    let read = 0;
    const counted = {
      ...matrix,
      rows: (start: number, end: number) => {
        read += end - start;
        return matrix.rows(start, end);
      },
    };
    const valid = await model.predictor(gpu(), counted, table, { split: "valid" });
    for (const [condition, name] of [[1, "A"], [2, "B"]] as const) {
      const one = { perturbations: [name], covariates: { cell: "y" } };
      const { arrays, cells } = await model.counterfactual(gpu(), matrix, table, one).run();
      const own = new GroupSums(7);
      own.addDense(
        await arrays.counterfactual!.read(0, cells.length) as Float32Array,
        Array.from(cells, (cell) => table.splits[cell] === 0 ? 0 : -1),
      );
      expect(valid.profile(condition, context)).toEqual(own.pseudobulk(0));
      expect(valid.moments!(condition, context)).toEqual(own.logMoments(0));
    }
    expect(read).toBeLessThanOrEqual(2 * table.cells);
    // and cells are drawn, by the seed and not by tiles
    const { placed } = await sumCells(matrix, table, { sampledCells: 40 });
    const draw = async () => {
      const drawn = await model.predictor(gpu(), matrix, table, { placed: placed! });
      return { ...drawn.points!(3, context)!, moments: drawn.drawnMoments!(3, context)! };
    };
    const points = await draw();
    expect([points.values.length, points.values.every(Number.isFinite)]).toEqual([
      ...[40 * points.dim, true],
    ]);
    expect(await draw()).toEqual(points);
    expect(points.moments.cells).toBe(40);
    // drawn counts have the variance of counts: more than what is expected of control cells differs by
    expect(points.moments.variance.every((own) => own > 0)).toBe(true);
    expect(predictor.points!(3, context)).toBeUndefined();
    // of what is not held out there is none
    expect(predictor.profile(1, context)).toBeUndefined();
    const numbers = { ...model.facts, shape: { ...model.facts.shape, head: "gauss" as const } };
    const gauss = Object.assign(Object.create(Object.getPrototypeOf(model)), model, {
      facts: numbers,
    }) as TrainedCpa;
    await expect(gauss.predictor(gpu(), matrix, table)).rejects.toThrow("profiles are of counts");
  });
});
