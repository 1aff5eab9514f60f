import { describe, expect, it } from "vitest";
import { cellFacts } from "../../src/cpa/cell_uploads.ts";
import { initialParameters } from "../../src/cpa/initial.ts";
import { CpaModel } from "../../src/cpa/model.ts";
import type { ModelShape } from "../../src/cpa/model_shape.ts";
import { Schedule } from "../../src/cpa/schedule.ts";
import { classifierWeights, train } from "../../src/cpa/train.ts";
import type { TrainOptions } from "../../src/cpa/train_options.ts";
import { trainOptions } from "../../src/cpa/train_options.ts";
import type { CellBatch, State } from "../reference/cpa_model.ts";
import { CpaTwin, stepGradient } from "../reference/cpa_model.ts";
import { constant } from "../reference/differentiate.ts";
import type { MadeCells } from "../support/cpa_cells.ts";
import { madeCells } from "../support/cpa_cells.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

const SMALL: TrainOptions = {
  ...{ latent: 5, batchSize: 64, epochs: 1, adversarySteps: 0, mixupAlpha: 0.4, seed: 21 },
  encoder: { layers: 2, width: 8 },
  decoder: { layers: 1, width: 8, dropout: 0.4 },
  adversary: { layers: 1, width: 6, dropout: 0 },
  variational: true,
};

/** What a model begins with. */
function beginning(shape: ModelShape, { table }: MadeCells, seed: number): State {
  const { slots } = cellFacts(table);
  const weights = classifierWeights(table, cellFacts(table), shape, false);
  const model = new CpaModel(shape, {
    ...{ cells: 64, slots, form: "narrow", seed },
    adversary: { weights, penalty: 1, mixesCovariates: true },
  });
  return new Map(model.nets.flatMap((net, index) => {
    const values = net.unpack(initialParameters(net, seed, index));
    let at = 0;
    return net.parameters.map(({ name, shape: [rows = 1, columns] }) => {
      const [high, wide] = columns === undefined ? [1, rows] : [rows, columns];
      const own = values.subarray(at, at += high * wide);
      return [name, constant(high, wide, own)] as const;
    });
  }));
}

/** A batch of a schedule, as the twin takes it. */
function batchOf({ table, counts }: MadeCells, options: TrainOptions): CellBatch {
  const training = Uint32Array.from(table.splits.keys()).filter((cell) => table.splits[cell] === 0);
  const settings = trainOptions.check(options);
  const { cells, partners, share } = new Schedule(training, { ...settings, batchSize: 64 }).at(
    0,
    0,
  );
  expect(cells.length).toBe(training.length);
  expect(share).toBeLessThan(1);
  const { slots, ids, doses, combinations } = cellFacts(table);
  const ofCells = (values: ArrayLike<number>, each: number) =>
    Array.from(cells).flatMap((cell) =>
      Array.from({ length: each }, (_, i) => values[cell * each + i]!)
    );
  return {
    x: ofCells(counts, table.genes),
    ids: ofCells(ids, slots),
    doses: ofCells(doses, slots),
    combinations: ofCells(combinations, 1),
    covariates: Object.fromEntries(
      table.covariates.map(({ name, codes }) => [name, ofCells(codes, 1)]),
    ),
    ...{ partners, lambda: share },
  };
}

describe("the first batch of a training", () => {
  for (const compat of [false, true]) {
    it(`loses what its twin loses${compat ? ", with the original's slips" : ""}`, async () => {
      const made = madeCells(60, 7);
      const { table } = made;
      // more of what is not learned from than of anything else
      const options = { ...SMALL, compat, focal: compat };
      const trained = await train(gpu(), await made.held(), table, options).run();
      const { shape } = trained.facts;
      expect(shape.decoder.dropout).toBe(compat ? 0 : 0.4);
      const facts = cellFacts(table);
      const classWeights = classifierWeights(table, facts, shape, compat);
      const twin = new CpaTwin(shape, beginning(shape, made, 21), batchOf(made, options), {
        ...{ train: true, classWeights, unmixedCovariates: compat, focal: compat },
        ...{ seed: 21, step: 1, draw: 1 },
      });
      const { recon, entropy, made: latents } = stepGradient(twin, false, {
        ...{ adversary: 1, penalty: 1 },
      });
      const near = (got: number, wanted: number) =>
        expect(Math.abs(got - wanted)).toBeLessThan(1e-5 * Math.abs(wanted));
      const { history } = trained;
      near(history.training_loss[0]!, recon);
      near(history.divergence[0]!, latents.divergence!.data[0]!);
      // of classifiers that have not learned, by latents as they were encoded
      near(history.adversary_loss[0]!, entropy);
    });
  }

  it("weighs classes by what is learned from; the original by all cells, and covariates not at all", () => {
    const { table } = madeCells(60, 7);
    const facts = cellFacts(table);
    const shape = {
      combinations: table.combinations.length,
      covariates: table.covariates.map(({ name, levels }) => ({ name, levels: levels.length })),
    } as unknown as ModelShape;
    const own = classifierWeights(table, facts, shape, false);
    const theirs = classifierWeights(table, facts, shape, true);
    const count = (is: (cell: number) => boolean) =>
      Array.from(table.splits.keys()).filter(is).length;
    const isLearned = (cell: number) => table.splits[cell] === 0;
    for (let code = 0; code < 4; code++) {
      const all = count((cell) => facts.combinations[cell] === code);
      const learned = count((cell) => isLearned(cell) && facts.combinations[cell] === code);
      const wanted = learned === 0 ? 0 : count(isLearned) / learned - 1;
      expect(own.perturbations![code]).toBeCloseTo(wanted, 12);
      expect(theirs.perturbations![code]).toBeCloseTo(60 / all - 1, 12);
    }
    expect(own["covariate cell"]).not.toEqual(Float64Array.of(1, 1));
    expect(theirs["covariate cell"]).toEqual(Float64Array.of(1, 1));
  });
});
