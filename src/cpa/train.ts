/**
 * Trains a perturbation model on cells that are set up and held.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import { storedOf } from "../options.ts";
import { Plan } from "../stream/plan.ts";
import type { CellTable } from "./cell_table.ts";
import { classWeights, SPLITS } from "./cell_table.ts";
import { cellFacts } from "./cell_uploads.ts";
import type { HeldCells } from "./held_cells.ts";
import { CpaModel } from "./model.ts";
import type { ModelShape, Stack } from "./model_shape.ts";
import { classifiersOf } from "./model_shape.ts";
import { cpaOptimizers } from "./optimizers.ts";
import { Schedule } from "./schedule.ts";
import type { TrainOptions } from "./train_options.ts";
import { trainOptions } from "./train_options.ts";
import type { TrainedCpa } from "./trained.ts";
import { MODEL_FORMAT, readTrained, storedFacts } from "./trained.ts";
import { CpaTrainingTask } from "./training_task.ts";

/** Epochs of the original: fewer where there are many cells. */
const MOST_EPOCHS = 400;
const CELLS_FOR_MOST = 20_000;

/**
 * Plans the training of a model. The best state by the likelihood of the cells that validate is what it gives; the last where
 * none do.
 *
 * @param cells Of the same rows as the table: see `holdCells()`.
 * @throws {RangeError} If cells and table do not belong together, or fewer than two cells are learned from.
 */
export function train(
  gpu: Gpu,
  cells: HeldCells,
  table: CellTable,
  options: TrainOptions = {},
): Plan<TrainedCpa> {
  const { out, overwrite, tileRows, slots, ...settings } = trainOptions.check(options);
  if (cells.cells !== table.cells) {
    throw new RangeError(`Cannot train: ${cells.cells} cells are held, ${table.cells} are set up`);
  }
  if ((settings.head === "gauss") !== (cells.form === "float")) {
    const [is, wanted] = settings.head === "gauss" ? ["counts", "numbers"] : ["numbers", "counts"];
    throw new RangeError(
      `Cannot train: cells are held as ${is}, a model of "${settings.head}" wants ${wanted}`,
    );
  }
  const splitOf = (name: typeof SPLITS[number]) =>
    Uint32Array.from({ length: table.cells }, (_, cell) => cell)
      .filter((cell) => table.splits[cell] === SPLITS.indexOf(name));
  const training = splitOf("train");
  const facts = cellFacts(table);
  const shape = shapeOf(table, settings);
  const schedule = new Schedule(training, settings);
  const epochs = settings.epochs ??
    Math.max(1, Math.min(MOST_EPOCHS, Math.round(CELLS_FOR_MOST / training.length * MOST_EPOCHS)));
  const weights = Object.fromEntries(
    classifiersOf(shape).map(({ name, classes }) => {
      const covariate = table.covariates.find((own) => name === `covariate ${own.name}`);
      return [name, classWeights(covariate?.codes ?? facts.combinations, classes, table.splits)];
    }),
  );
  const model = new CpaModel(shape, {
    ...{ cells: schedule.most, slots: facts.slots, form: cells.form, seed: settings.seed },
    adversary: {
      weights,
      penalty: settings.penaltyWeight,
      mixesCovariates: !settings.compat,
    },
  });
  const optimizers = cpaOptimizers(model, {
    autoencoder: whole(settings.autoencoderRates),
    doser: whole(settings.doserRates),
    adversary: whole(settings.adversaryRates),
  });
  const told = { ...settings, epochs };
  const task = new CpaTrainingTask<TrainedCpa>({
    ...{ model, optimizers, schedule, cells, facts, epochs },
    validation: splitOf("valid"),
    validateEvery: settings.validateEvery,
    patience: settings.patience,
    seed: settings.seed,
    identity: {
      facts: [told, shape, facts.slots],
      arrays: [
        table.splits,
        facts.ids,
        Float64Array.from(facts.doses),
        Uint32Array.from(facts.combinations),
        ...table.covariates.map(({ codes }) => codes),
      ],
    },
    output: {
      ...{ ...MODEL_FORMAT, place: out, overwrite },
      adapter: gpu.adapter.name,
      attributes: {
        options: storedOf(trainOptions.options, told),
        ...storedFacts({
          ...{ shape, slots: facts.slots, perturbations: table.perturbations },
          covariates: table.covariates.map(({ name, levels }) => ({ name, levels })),
        }),
      },
    },
    result: readTrained,
  });
  return new Plan(gpu, task, {
    ...tileRows !== undefined && { tileRows },
    ...slots !== undefined && { slots },
  });
}

/** What was checked has its defaults. */
const whole = <Given extends object>(given: Given) => given as Required<Given>;

type Checked = ReturnType<typeof trainOptions.check>;

function shapeOf(table: CellTable, settings: Omit<Checked, "overwrite">): ModelShape {
  const { head, doser, latent } = settings;
  const adversary = whole(settings.adversary);
  const stack = (own: Checked["encoder"]): Stack => {
    const { layers, width, ...others } = whole(own);
    return { widths: Array<number>(layers).fill(width), ...others };
  };
  return {
    ...{ genes: table.genes, latent, head, doser },
    encoder: stack(settings.encoder),
    decoder: stack(settings.decoder),
    perturbations: table.perturbations.length,
    combinations: table.combinations.length,
    covariates: table.covariates.map(({ name, levels, isBatch }) => ({
      ...{ name, levels: levels.length, isBatch },
    })),
    adversary: {
      widths: Array<number>(adversary.layers).fill(adversary.width),
      dropout: adversary.dropout,
    },
  };
}
