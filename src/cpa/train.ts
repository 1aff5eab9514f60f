/**
 * Trains a perturbation model on cells that are set up and held.
 *
 * @module
 */

import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { storedOf } from "../options.ts";
import type { PlanChoices } from "../stream/choices.ts";
import { Plan } from "../stream/plan.ts";
import type { CellTable } from "./cell_table.ts";
import { classWeights, SPLITS } from "./cell_table.ts";
import type { CellFacts } from "./cell_uploads.ts";
import { cellFacts } from "./cell_uploads.ts";
import { MOST_PARTS } from "./gene_layers.ts";
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
import { unlearnedOf } from "./unlearned.ts";

/** Epochs of the original: fewer where there are many cells. */
const MOST_EPOCHS = 400;
const CELLS_FOR_MOST = 20_000;
/** Cells of a batch that are tried first where the budget is to say. */
const MOST_BATCH = 4096;
const LEAST_BATCH = 16;
/** Share of numbers that are not 0, up to which it is faster to leave zeros out. */
const MOST_SPARSE = 0.15;

/**
 * Plans the training of a model. The best state by the likelihood of the cells that validate is what it gives, or by the original's
 * score; the last where none do.
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
  const { tileRows, slots, ...checked } = trainOptions.check(options);
  check(cells, table, checked);
  const choices: PlanChoices = {
    ...tileRows !== undefined && { tileRows },
    ...slots !== undefined && { slots },
  };
  const training = cellsOf(table, "train");
  const parts: Parts = { gpu, cells, table, training, facts: cellFacts(table) };
  const { batchSize, partSize } = checked;
  const partsOf = (batch: number) =>
    partSize === "auto" ? [undefined, ...halves(batch / 2, batch / MOST_PARTS)] : [partSize];
  const batches = batchSize === "auto"
    ? halves(Math.max(LEAST_BATCH, Math.min(MOST_BATCH, training.length)), LEAST_BATCH)
    : [batchSize];
  const sizes = batches.flatMap((batch) =>
    partsOf(batch).map((part): Sizes => ({ batchSize: batch, partSize: part }))
  );
  const planOf = (own: Sizes) => new Plan(gpu, taskOf(parts, checked, own), choices);
  for (const own of sizes.slice(0, -1)) {
    try {
      return planOf(own);
    } catch (error) {
      // a buffer may be larger than the adapter allows
      if (!(error instanceof BudgetError || error instanceof RangeError)) throw error;
    }
  }
  return planOf(sizes.at(-1)!);
}

type Checked = Omit<ReturnType<typeof trainOptions.check>, "tileRows" | "slots">;

interface Parts {
  gpu: Gpu;
  cells: HeldCells;
  table: CellTable;
  training: Uint32Array;
  facts: CellFacts;
}

/** Sizes that callers may leave to the budget. */
interface Sizes {
  batchSize: number;
  partSize: number | undefined;
}

function check(cells: HeldCells, table: CellTable, { head, judge, precision }: Checked): void {
  if (precision === "float16") {
    throw new RangeError(
      'Cannot train: precision is "float16", wanted "float32", with checkpointing (the same bits) or partSize: ' +
        "these save more memory than halves between layers would",
    );
  }
  cells.checkMatrix(table);
  if (cells.cells !== table.cells) {
    throw new RangeError(`Cannot train: ${cells.cells} cells are held, ${table.cells} are set up`);
  }
  if (cells.genes !== table.genes) {
    throw new RangeError(
      `Cannot train: cells are held with ${cells.genes} genes, they are set up with ${table.genes}`,
    );
  }
  const { degs } = table;
  if (degs && judge !== "cpaMetric") {
    throw new RangeError(
      `Cannot train: cells are set up with lists of genes, which judge "${judge}" does not look at, wanted "cpaMetric"`,
    );
  }
  if (degs && (degs.genes !== table.genes || degs.rowOf.length !== table.cells)) {
    throw new RangeError(
      `Cannot train: lists are of ${degs.genes} genes and ${degs.rowOf.length} cells, wanted ` +
        `${table.genes} genes and ${table.cells} cells`,
    );
  }
  if ((head === "gauss") !== (cells.form === "float")) {
    const [is, wanted] = head === "gauss" ? ["counts", "numbers"] : ["numbers", "counts"];
    throw new RangeError(
      `Cannot train: cells are held as ${is}, a model of "${head}" wants ${wanted}`,
    );
  }
}

function taskOf(
  parts: Parts,
  checked: Checked,
  { batchSize, partSize }: Sizes,
): CpaTrainingTask<TrainedCpa> {
  const { gpu, cells, table, training, facts } = parts;
  const { out, overwrite, checkpointing, precision: _precision, ...given } = checked;
  const { partSize: _partSize, ...rest } = given;
  const settings = { ...rest, batchSize, ...partSize !== undefined && { partSize } };
  const schedule = new Schedule(training, settings);
  const shape = shapeOf(table, settings);
  const epochs = settings.epochs ??
    Math.max(1, Math.min(MOST_EPOCHS, Math.round(CELLS_FOR_MOST / training.length * MOST_EPOCHS)));
  const sparse = isSparse(cells, table, settings.mixupAlpha > 0);
  const model = new CpaModel(shape, {
    ...{ cells: schedule.most, slots: facts.slots, form: cells.form, seed: settings.seed },
    ...partSize !== undefined && { partCells: partSize },
    checkpointing,
    sparse,
    adversary: {
      weights: classifierWeights(table, facts, shape, settings.compat),
      penalty: settings.penaltyWeight,
      mixesCovariates: !settings.compat,
      focal: settings.focal,
    },
  });
  const optimizers = cpaOptimizers(
    model,
    {
      autoencoder: whole(settings.autoencoderRates),
      doser: whole(settings.doserRates),
      adversary: whole(settings.adversaryRates),
    },
    settings.mostNorm,
  );
  const told = { ...settings, epochs };
  const unlearned = unlearnedOf(table);
  const names = {
    perturbations: table.perturbations,
    covariates: table.covariates.map(({ name, levels }) => ({ name, levels })),
    ...unlearned && { unlearned },
    ...table.genesDigest !== undefined && { genesDigest: table.genesDigest },
    ...table.setup && { setup: table.setup },
  };
  const leavesSizes = given.batchSize === "auto" || given.partSize === "auto";
  return new CpaTrainingTask<TrainedCpa>({
    ...{ model, optimizers, schedule, cells, facts, epochs },
    validation: cellsOf(table, "valid"),
    validateEvery: settings.validateEvery,
    patience: settings.patience,
    judge: settings.judge,
    seed: settings.seed,
    compat: settings.compat,
    lists: table.degs,
    identity: {
      // parameters that are kept lie otherwise, and bits are others
      facts: [told, shape, facts.slots, names, sparse],
      arrays: [
        table.splits,
        facts.ids,
        Float64Array.from(facts.doses),
        Uint32Array.from(facts.combinations),
        ...table.covariates.map(({ codes }) => codes),
        ...table.degs ? [table.degs.rows, table.degs.rowOf] : [],
      ],
    },
    output: {
      ...{ ...MODEL_FORMAT, place: out, overwrite },
      adapter: gpu.adapter.name,
      attributes: {
        options: storedOf(trainOptions.options, told),
        ...storedFacts({ shape, slots: facts.slots, ...names }),
      },
    },
    ...leavesSizes && {
      adopt: (attributes) => {
        const stored = sizesOf(attributes);
        const begun = stored && {
          batchSize: given.batchSize === "auto" ? stored.batchSize : batchSize,
          partSize: given.partSize === "auto" ? stored.partSize : partSize,
        };
        const isSame = begun?.batchSize === batchSize && begun.partSize === partSize;
        return begun && !isSame ? taskOf(parts, checked, begun) : undefined;
      },
    },
    result: readTrained,
  });
}

function isSparse(cells: HeldCells, table: CellTable, mixes: boolean): boolean {
  const share = cells.entries / (cells.cells * table.genes);
  // what is mixed of two cells has the entries of both
  return (mixes ? 2 : 1) * share <= MOST_SPARSE;
}

/** Sizes that an output was begun with. */
function sizesOf({ options }: Record<string, unknown>): Sizes | undefined {
  const { batch_size: batchSize, part_size: partSize } = Object(options) as Record<string, unknown>;
  if (typeof batchSize !== "number") return undefined;
  return { batchSize, partSize: typeof partSize === "number" ? partSize : undefined };
}

/** From a size by halves to another. */
function halves(most: number, least: number): number[] {
  const sizes = [];
  for (let size = Math.floor(most); size >= least; size = Math.floor(size / 2)) sizes.push(size);
  return sizes;
}

/** Of classes, by classifier. */
export function classifierWeights(
  table: CellTable,
  facts: CellFacts,
  shape: ModelShape,
  compat: boolean,
): Record<string, Float64Array> {
  // the original counts cells that it is not to see, too
  const splits = compat ? new Uint8Array(table.cells) : table.splits;
  return Object.fromEntries(
    classifiersOf(shape).map(({ name, classes }) => {
      const covariate = table.covariates.find((own) => name === `covariate ${own.name}`);
      const codes = covariate?.codes ?? facts.combinations;
      const weights = compat && covariate
        ? new Float64Array(classes).fill(1)
        : classWeights(codes, classes, splits);
      return [name, weights];
    }),
  );
}

function cellsOf(table: CellTable, name: typeof SPLITS[number]): Uint32Array {
  return Uint32Array.from({ length: table.cells }, (_, cell) => cell)
    .filter((cell) => table.splits[cell] === SPLITS.indexOf(name));
}

/** What was checked has its defaults. */
const whole = <Given extends object>(given: Given) => given as Required<Given>;

function shapeOf(
  table: CellTable,
  settings: Pick<
    Checked,
    "head" | "doser" | "latent" | "encoder" | "decoder" | "adversary" | "variational" | "compat"
  >,
): ModelShape {
  const { head, doser, latent, variational, compat } = settings;
  const stack = (own: Checked["encoder"]): Stack => {
    const { layers, width, ...others } = whole(own);
    return { widths: Array<number>(layers).fill(width), ...others };
  };
  const decoder = stack(settings.decoder);
  return {
    ...{ genes: table.genes, latent, head, doser },
    ...variational && { variational },
    encoder: stack(settings.encoder),
    // decoders of counts have none in the original, whatever is asked for
    decoder: compat && head !== "gauss" ? { ...decoder, dropout: 0 } : decoder,
    perturbations: table.perturbations.length,
    combinations: table.combinations.length,
    covariates: table.covariates.map(({ name, levels, isBatch }) => ({
      ...{ name, levels: levels.length, isBatch },
    })),
    adversary: stack(settings.adversary),
  };
}
