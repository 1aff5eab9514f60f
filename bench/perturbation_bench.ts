/**
 * What the perturbation model learns of two sets of cells, beside predictions that need no model:
 *
 * - simulated cells with combinations, of which A+C and E+F are additive and C+D is not, all three never seen;
 * - slices of glioblastomas, of which one patient's treated cells are never seen, beside the original's published figures and
 *   the same model in torch, by the same schedule on the same cells, where a python3 has it.
 *
 * Wants the recordings (`SLUICE_DATA`, or `../shared`). SLUICE_PERTURBATION_SEEDS says how many seeds, 3 by default.
 */

import { readFile } from "node:fs/promises";
import process from "node:process";
import { encodeNpy } from "../src/array/npy.ts";
import { fillSlots } from "../src/cpa/cell_table.ts";
import * as cpa from "../src/cpa/cpa.ts";
import { GroupSums } from "../src/cpa/group_sums.ts";
import { originalR2 } from "../src/cpa/profile_metrics.ts";
import { trainOptions } from "../src/cpa/train_options.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import type { Gpu } from "../src/mod.ts";
import { openAnnData } from "../src/mod.ts";
import { askPython } from "./python.ts";
import type { ResultRow } from "./results.ts";

const DATA = `${process.env.SLUICE_DATA || "../shared"}/data/perturbation`;
const SEEDS = Array.from(
  { length: Number(process.env.SLUICE_PERTURBATION_SEEDS ?? 3) },
  (_, seed) => seed,
);
/** Cells whose predictions are looked at together. */
const STEP = 1024;
/** As the original's runs had it. */
const BATCH = 128;

type Matrix = Awaited<ReturnType<Awaited<ReturnType<typeof openAnnData>>["matrix"]>>;

interface Cells {
  matrix: Matrix;
  held: cpa.HeldCells;
  genes: readonly string[];
  table: cpa.CellTable;
}

async function openCells(file: string, options: cpa.SetupOptions): Promise<Cells> {
  const adata = await openAnnData(`${DATA}/${file}`);
  const matrix = await adata.matrix("X");
  const held = await cpa.HeldCells.read(matrix, { counts: true, mostBytes: 2 ** 30 });
  const table = await cpa.setup(adata, options);
  return { matrix, held, table, genes: await adata.var.names() };
}

/** What a model predicts of every condition that was never seen, from training cells that are control. */
async function predictorOf(
  gpu: Gpu,
  name: string,
  model: cpa.TrainedCpa,
  { matrix, table }: Cells,
  { placed }: cpa.EvaluationSums,
): Promise<cpa.Predictor> {
  const own = await model.predictor(gpu, matrix, table, { ...placed && { placed } });
  return { ...own, name };
}

/** Tables of delta Pearson, with its interval over cells, and L2, and of distances between cells; all scores as rows of results. */
function tell(bench: string, { rows, headlines }: cpa.Evaluation): ResultRow[] {
  const columns = [...new Set(rows.map(({ condition, context }) => `${condition}, ${context}`))];
  const names = [...new Set(rows.map(({ predictor }) => predictor))];
  const rowOf = (name: string, column: string) =>
    rows.find(({ predictor, condition, context }) =>
      predictor === name && `${condition}, ${context}` === column
    )!;
  const table = names.map((name) => [
    name,
    ...columns.map((column) => {
      const own = rowOf(name, column);
      if (!own.scores) return own.missing ?? "";
      const [low, high] = own.deltaPearsonOverCells ?? [];
      const over = low === undefined || own.isConstant
        ? ""
        : ` (${low.toFixed(2)} to ${high!.toFixed(2)})`;
      return `${own.scores.deltaPearson.toFixed(2)}${over}, ${own.scores.l2.toFixed(2)}`;
    }),
  ]);
  console.log(
    `${bench}: delta Pearson (95 % over cells of the truth), L2\n${
      formatTable([["", ...columns], ...table])
    }\n`,
  );
  const ofCells = names.filter((name) =>
    columns.some((column) => Number.isFinite(rowOf(name, column).scores?.energyDistance))
  );
  const distances = ofCells.map((name) => [
    name,
    ...columns.map((column) => {
      const { scores } = rowOf(name, column);
      return scores ? `${scores.energyDistance.toFixed(2)}, ${scores.squaredMmd.toFixed(3)}` : "";
    }),
  ]);
  console.log(`energy distance, MMD^2\n${formatTable([["", ...columns], ...distances])}\n`);
  for (const headline of headlines) console.log(headline);
  console.log();
  return rows.map(({ predictor, condition, context, scores, missing, deltaPearsonOverCells }) => ({
    ...{ bench, case: `${condition}, context ${context}, ${predictor}` },
    ...scores ?? { missing },
    ...deltaPearsonOverCells && { deltaPearsonOverCells },
  }));
}

/** Held-out combinations. */
export async function runSimulatedCells(gpu: Gpu): Promise<ResultRow[]> {
  const cells = await openCells("sim_combo.h5ad", {
    ...{ perturbationKey: "perturbation", controlGroup: "control", dosageKey: "dose" },
    categoricalCovariates: ["cell_type"],
    split: { key: "split" },
  });
  const { matrix, held, table, genes } = cells;
  const sums = await cpa.sumCells(matrix, table);
  const small = { layers: 2, width: 128 };
  const predictors: cpa.Predictor[] = [];
  const results: ResultRow[] = [];
  for (const seed of SEEDS) {
    const began = process.cpuUsage();
    const model = await cpa.train(gpu, held, table, {
      ...{ latent: 32, encoder: small, decoder: small, batchSize: BATCH, epochs: 60, seed },
      ...{ adversarySteps: 0, adversaryWeight: 0.5 },
    }).run();
    const { user, system } = process.cpuUsage(began);
    const { epochsRun, bestEpoch } = model.facts;
    results.push({
      ...{ bench: "perturbation_simulated", case: `training, seed ${seed}` },
      ...{ epochsRun, bestEpoch, processorSeconds: (user + system) / 1e6 },
      training: model.history.training_loss[bestEpoch - 1],
      validation: model.history.validation_loss[bestEpoch - 1],
    });
    predictors.push(await predictorOf(gpu, `the model, seed ${seed}`, model, cells, sums));
  }
  console.log(
    formatTable([
      ["", "training", "validation", "best of epochs"],
      ...results.map((own) => [
        own.case,
        `${(own.training as number).toFixed(1)}`,
        `${(own.validation as number).toFixed(1)}`,
        `${own.bestEpoch} of ${own.epochsRun}`,
      ]),
    ]),
  );
  const evaluation = cpa.evaluate(sums, predictors, genes);
  return [...results, ...tell("perturbation_simulated", evaluation)];
}

/** What is held out of the glioblastomas. */
const HELD = { covariate: "patient", level: "PW040" };
const EPOCHS = 12;
const SCHEDULE = { adversarySteps: 3, pretraining: 8 };

const GLIOBLASTOMA: cpa.TrainOptions = {
  ...{ ...SCHEDULE, doser: "linear", batchSize: BATCH, epochs: EPOCHS },
};

/** @param seed By which a tenth of the cells validate. */
async function openGlioblastoma(seed: number): Promise<Cells> {
  const all = await openCells("glioblastoma.h5ad", {
    ...{ perturbationKey: "perturbation", controlGroup: "control", dosageKey: "dose" },
    categoricalCovariates: [HELD.covariate],
    split: { validShare: 0.1, seed },
  });
  return { ...all, table: withUnseen(all.table) };
}

/** A patient's treated cells, beside the original. */
export async function runGlioblastoma(gpu: Gpu): Promise<ResultRow[]> {
  const original: Record<string, number>[] = JSON.parse(
    await readFile(`${DATA}/train_glio.json`, "utf8"),
  );
  const told = [["", "training", "validation", "r2_mean", "r2_var"]];
  const results: ResultRow[] = [];
  const note = (name: string, values: Record<string, number>) => {
    const { training, recon, r2Mean, r2Var } = values;
    told.push([
      name,
      ...[training!, recon!].map((own) => own.toFixed(1)),
      ...[r2Mean!, r2Var!].map((own) => own.toFixed(3)),
    ]);
    results.push({ bench: "perturbation_glioblastoma", case: name, ...values });
  };
  const predictors: cpa.Predictor[] = [];
  let sums: cpa.EvaluationSums | undefined;
  let genes: readonly string[] = [];
  for (const seed of SEEDS) {
    const cells = await openGlioblastoma(seed);
    const { table } = cells;
    sums ??= await cpa.sumCells(cells.matrix, table);
    genes = cells.genes;
    const model = await cpa.train(gpu, cells.held, table, { ...GLIOBLASTOMA, seed }).run();
    const { bestEpoch, epochsRun } = model.facts;
    note(`sluice, seed ${seed}`, {
      training: model.history.training_loss[epochsRun - 1]!,
      recon: model.history.validation_loss[bestEpoch - 1]!,
      ...await originalScores(gpu, model, cells),
    });
    const torch = await learnInTorch(cells, seed);
    if (torch) note(`torch on the same cells, seed ${seed}`, torch);
    predictors.push(await predictorOf(gpu, `the model, seed ${seed}`, model, cells, sums));
  }
  original.forEach((own, seed) =>
    note(`the original, other validation cells, seed ${seed}`, {
      ...{ training: own.train_recon_last!, recon: own.val_recon! },
      ...{ r2Mean: own.val_r2_mean!, r2Var: own.val_r2_var! },
    })
  );
  console.log(`${formatTable(told)}\n`);
  const evaluation = cpa.evaluate(sums!, predictors, genes);
  return [...results, ...tell("perturbation_glioblastoma", evaluation)];
}

/**
 * Whether options that save memory change what is learned: those that there are, each beside none. What changes rounding alone
 * leads, after some hundred steps, to another model that is as good.
 */
export async function runMemoryOptions(gpu: Gpu): Promise<ResultRow[]> {
  const has = (name: string) => name in trainOptions.options;
  const ways: Record<string, Record<string, unknown>> = {
    "none of them": {},
    "a slot, a batch a tile": { slots: 1, tileRows: 1 },
    ...has("partSize") && { "parts of 32 cells": { partSize: 32 } },
    ...has("checkpointing") && { "layers made again": { checkpointing: true } },
  };
  const all = await openGlioblastoma(0);
  const table = [["", "GPU, as promised", "validation", "r2_mean", "r2_var", "same bits"]];
  const results: ResultRow[] = [];
  let first: { model: cpa.TrainedCpa; r2Mean: number; r2Var: number } | undefined;
  for (const [name, options] of Object.entries(ways)) {
    const plan = cpa.train(gpu, all.held, all.table, { ...GLIOBLASTOMA, seed: 0, ...options });
    const model = await plan.run();
    const scores = await originalScores(gpu, model, all);
    first ??= { model, ...scores };
    const same = Object.entries(first.model.parameters).every(([net, values]) =>
      values.every((value, i) => Object.is(value, model.parameters[net]![i]))
    );
    const recon = model.history.validation_loss[model.facts.bestEpoch - 1]!;
    const apart = Math.max(
      Math.abs(scores.r2Mean - first.r2Mean),
      Math.abs(scores.r2Var - first.r2Var),
    );
    table.push([
      name,
      formatBytes(plan.projected.gpu),
      recon.toFixed(2),
      ...[scores.r2Mean, scores.r2Var].map((own) => own.toFixed(4)),
      same ? "yes" : "no",
    ]);
    results.push({
      ...{ bench: "perturbation_options", case: name, ...scores, recon, apart, sameBits: same },
      gpu: plan.projected.gpu,
    });
  }
  console.log(`options that save memory, glioblastoma, seed 0\n${formatTable(table)}\n`);
  return results;
}

function withUnseen(table: cpa.CellTable): cpa.CellTable {
  const { levels, codes } = table.covariates.find(({ name }) => name === HELD.covariate)!;
  const level = levels.indexOf(HELD.level);
  const control = table.perturbations[1];
  const isHeld = (cell: number) => {
    const { perturbations } = table.conditions[table.conditionIds[cell]!]!;
    return codes[cell] === level && table.perturbations[perturbations[0]!] !== control;
  };
  return { ...table, splits: table.splits.map((own, cell) => isHeld(cell) ? 2 : own) };
}

/**
 * The original's r2_mean and r2_var of validation cells, which it takes of reconstructions: of every condition and covariate, then
 * their mean. It does so batch by batch; here all validation cells are one, so that nothing depends on how they are cut.
 */
async function originalScores(gpu: Gpu, model: cpa.TrainedCpa, { matrix, table }: Cells) {
  const { arrays } = await model.reconstruct(gpu, matrix, table).run();
  const [counted, predicted] = [new GroupSums(table.genes), new GroupSums(table.genes)];
  const { ids, strata } = cpa.strataOf(table);
  const groupOf = (cell: number) => table.splits[cell] === 1 ? ids[cell]! : -1;
  for (let start = 0; start < table.cells; start += STEP) {
    const end = Math.min(table.cells, start + STEP);
    counted.add(await matrix.rows(start, end), groupOf);
    const groups = Int32Array.from({ length: end - start }, (_, i) => groupOf(start + i));
    predicted.addDense(await arrays.reconstruction!.read(start, end) as Float32Array, groups);
  }
  const scores = strata.flatMap((_, group) => {
    const [own, truth] = [predicted.logMoments(group), counted.logMoments(group)];
    return own && truth ? [originalR2(own, truth)] : [];
  });
  const mean = (of: (own: typeof scores[number]) => number) =>
    scores.reduce((sum, own) => sum + of(own), 0) / scores.length;
  return { r2Mean: mean((own) => own.originalR2Mean), r2Var: mean((own) => own.originalR2Var) };
}

async function learnInTorch(
  { matrix, table }: Cells,
  seed: number,
): Promise<Record<string, number> | undefined> {
  const { cells, genes, covariates } = table;
  const counts = new Float32Array(cells * genes);
  const rows = await matrix.rows(0, cells);
  for (let cell = 0; cell < cells; cell++) {
    for (let i = rows.starts[cell]!; i < rows.starts[cell + 1]!; i++) {
      counts[cell * genes + rows.genes[i]!]! += rows.values[i]!;
    }
  }
  const all = Uint32Array.from({ length: cells }, (_, cell) => cell);
  const { ids, doses } = fillSlots(table, all);
  const slots = ids.length / cells;
  const codes = Int32Array.from(
    { length: cells * covariates.length },
    (_, i) => covariates[i % covariates.length]!.codes[Math.floor(i / covariates.length)]!,
  );
  const combinations = Int32Array.from(
    table.conditionIds,
    (condition) => table.conditions[condition]!.combination,
  );
  const options = {
    ...{ ...SCHEDULE, coupling: 1, penalty: 1, latent: 128, width: 256, layers: 3 },
    ...{ epochs: EPOCHS, batchSize: BATCH, seed },
  };
  return askPython("peers/perturbation.py", ["learn", JSON.stringify(options)], {
    counts: encodeNpy(counts, [cells, genes]),
    ids: encodeNpy(Int32Array.from(ids), [cells, slots]),
    doses: encodeNpy(doses, [cells, slots]),
    covariates: encodeNpy(codes, [cells, covariates.length]),
    combinations: encodeNpy(combinations, [cells]),
    splits: encodeNpy(Int32Array.from(table.splits), [cells]),
  }) as Record<string, number> | undefined;
}
