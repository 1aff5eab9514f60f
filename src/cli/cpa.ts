/**
 * `sluice cpa`.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import type { AnnData } from "../array/anndata/anndata.ts";
import { annDataOptions, openAnnData } from "../array/anndata/anndata.ts";
import type { CellMatrix } from "../array/anndata/matrix.ts";
import type { CellTable } from "../cpa/cell_table.ts";
import { SPLITS } from "../cpa/cell_table.ts";
import { evaluate } from "../cpa/evaluation.ts";
import { evaluationOptions, sumCells } from "../cpa/evaluation_sums.ts";
import { HeldCells } from "../cpa/held_cells.ts";
import type { CpaPrediction } from "../cpa/prediction.ts";
import { counterfactualOptions, latentOptions } from "../cpa/predict_options.ts";
import type { ModelFacts } from "../cpa/model_facts.ts";
import { setup } from "../cpa/setup.ts";
import type { SetupOptions } from "../cpa/setup_options.ts";
import { setupOptions } from "../cpa/setup_options.ts";
import { train as planTraining } from "../cpa/train.ts";
import type { TrainOptions } from "../cpa/train_options.ts";
import { trainOptions } from "../cpa/train_options.ts";
import type { TrainedCpa } from "../cpa/trained.ts";
import { openTrained } from "../cpa/trained.ts";
import { OutputConflictError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { gpuOptions } from "../gpu/device.ts";
import { printable, printableJson } from "../math/format.ts";
import type { Option, Options } from "../options.ts";
import { bytes, flag, list, place, text } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Plan } from "../stream/plan.ts";
import { drawReport, headlinesOf } from "./cpa_page.ts";
import { openGpu } from "./open_gpu.ts";
import { ProgressPrinter } from "./progress.ts";
import { runPlan, tell } from "./run_plan.ts";
import type { CommandContext } from "./usage.ts";
import {
  actionOf,
  CommandLine,
  common,
  flagOf,
  gpuChoices,
  helpOf,
  inputChoices,
  UsageError,
} from "./usage.ts";

const ACTIONS = ["train", "predict", "latents", "report"] as const;
const ofModel = "as the model was trained";

/** Options by flags that no other has: members begin with the name of what they are of; what is usual, with `no`. */
function flagged(options: Options): Options {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      option.members ? { ...option, members: within(name, option.members) } : negated(name, option),
    ]),
  );
}

function within(name: string, members: Options): Options {
  return Object.fromEntries(
    Object.entries(members).map(([own, option]) => [
      own,
      negated(own, {
        ...option,
        // a group may be left out as a whole
        ...option.required && { required: false, otherwise: "needed with others of its kind" },
        flag: flagOf(`${name}-${flagOf(own, option)}`, {} as Option),
      }),
    ]),
  );
}

function negated(name: string, option: Option): Option {
  if (!option.isFlag || option.default !== true) return option;
  return { ...option, flag: `no-${flagOf(name, option)}`, helps: `do not ${option.says}` };
}

const { tileRows: _, slots: __, out: ___, overwrite: ____, ...ownTraining } = trainOptions.options;
const { perturbationKey, controlGroup, ...otherColumns } = setupOptions.options;
const needed = { required: false, otherwise: `needed for train; else ${ofModel}` } as const;

export const cpaSections = {
  Cells: {
    adata: place({ otherwise: "needed", says: "AnnData: .h5ad, or zarr" }),
    ...flagged({
      perturbationKey: { ...perturbationKey, ...needed },
      controlGroup: { ...controlGroup, ...needed },
      ...otherColumns,
    }),
    transposeBytes: annDataOptions.options.transposeBytes,
  },
  "Model (train)": flagged(ownTraining),
  "What is asked (predict, latents)": {
    perturbations: {
      ...counterfactualOptions.options.perturbations,
      required: false,
      otherwise: "needed without --reconstruct",
      helps: "what control cells are to be given: counterfactual cells",
    },
    doses: counterfactualOptions.options.doses,
    covariates: list(text({ takes: "NAME=LEVEL" }), {
      takes: "NAME=LEVEL[,...]",
      otherwise: "all control cells",
      says: "levels of covariates that the control cells have",
    }),
    reconstruct: flag({
      default: false,
      says: "what is expected of cells that were given what they were given: no prediction",
    }),
    which: latentOptions.options.which,
    nSamples: counterfactualOptions.options.nSamples,
  },
  Scores: {
    split: evaluationOptions.options.split,
    topGenes: evaluationOptions.options.topGenes,
    expressedGenes: evaluationOptions.options.expressedGenes,
    bootstraps: evaluationOptions.options.bootstraps,
    sampledCells: evaluationOptions.options.sampledCells,
    scoreSeed: evaluationOptions.options.seed,
  },
  "Output and memory": {
    out: place({
      otherwise: "needed",
      says: "train: zarr group of the model; predict, latents: AnnData in zarr; report: .html",
    }),
    overwrite: outputChoices.overwrite,
    budget: gpuOptions.options.budget,
    hostBudget: bytes({
      otherwise: "2 GiB",
      says: "host memory allowed, cells that are learned from too",
    }),
    tileRows: planChoices.tileRows,
  },
};

export const cpaHelp =
  `Usage: sluice cpa train --adata A --perturbation-key P --control-group C --out MODEL [options]
       sluice cpa predict MODEL --adata A --perturbations A,B [--doses 1,0.5] --out PLACE [options]
       sluice cpa predict MODEL --adata A --reconstruct --out PLACE [options]
       sluice cpa latents MODEL --adata A --out PLACE [options]
       sluice cpa report MODEL --adata A --out report.html [options]

A model of perturbed cells: how it is trained, what it expects of control cells had they been given something,
latents of cells, and whether it beats what needs no model. A model knows how its cells were set up: the other
commands need no columns, unless these have other names now.

${helpOf(cpaSections)}`;

export async function cpa({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, cpaSections, { positionals: 2 });
  const action = actionOf(
    line,
    ACTIONS,
    "sluice cpa train --adata A --perturbation-key P --control-group C --out MODEL",
  );
  const [, from] = line.positionals;
  if ((action === "train") !== (from === undefined)) {
    throw new UsageError(
      from === undefined
        ? `Cannot run: MODEL is missing, wanted sluice cpa ${action} MODEL --adata A --out PLACE`
        : `Cannot run: "${from}" is one argument too many`,
    );
  }
  line.need(["adata", ...action === "train" ? ["perturbation-key", "control-group"] : [], "out"]);
  refuseStrays(line, action);
  const ask = action === "predict" ? askOf(line) : undefined;
  if (action === "train") return await train(line, signal);
  const model = await openTrained(from!);
  if (action === "report") await report(line, signal, model, from!);
  else await predict(line, signal, model, ask);
}

/** What only another action takes says nothing here. */
function refuseStrays(line: CommandLine, action: string): void {
  const { "Model (train)": training, Scores, ...sections } = cpaSections;
  const { which, ...asked } = sections["What is asked (predict, latents)"];
  const { degs } = sections.Cells as Options;
  const others: [string, Options][] = [
    ["train", { ...training, degs: degs! }],
    ["predict", asked],
    ["latents", { which }],
    ["report", Scores],
  ];
  for (const [owner, options] of others) {
    const [stray] = action === owner ? [] : line.given(options);
    if (stray !== undefined) {
      throw new UsageError(`Cannot run: --${stray} is given, which is for sluice cpa ${owner}`);
    }
  }
}

interface Ask {
  perturbations: readonly string[];
  doses?: readonly number[];
  covariates?: Record<string, string>;
}

/** What a counterfactual is of; `undefined` for a reconstruction. */
function askOf(line: CommandLine): Ask | undefined {
  const section = cpaSections["What is asked (predict, latents)"];
  const { perturbations, doses, reconstruct = false } = line.read(section);
  if (reconstruct === (perturbations !== undefined)) {
    throw new UsageError(
      `Cannot run: there ${
        reconstruct ? "are both --perturbations and" : "is neither --perturbations nor"
      } --reconstruct, wanted one of them`,
    );
  }
  const levels = line.read(section).covariates?.map((part) => {
    const at = part.indexOf("=");
    if (at > 0) return [part.slice(0, at), part.slice(at + 1)] as const;
    throw new UsageError(
      `Cannot read --covariates: got "${part}", wanted a covariate and its level, as cell_type=T`,
    );
  });
  if (!perturbations) {
    const stray = doses ? "doses" : levels ? "covariates" : undefined;
    if (stray === undefined) return undefined;
    throw new UsageError(`Cannot run: --${stray} is given with --reconstruct`);
  }
  const names = levels?.map(([name]) => name) ?? [];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`Cannot run: --covariates names "${twice}" twice`);
  return {
    perturbations,
    ...doses && { doses },
    ...levels && { covariates: Object.fromEntries(levels) },
  };
}

interface Cells {
  adata: AnnData;
  matrix: CellMatrix;
  table: CellTable;
  gpu: Gpu;
}

/** Opens cells and a device for as long as they are used. */
async function withCells(
  line: CommandLine,
  signal: AbortSignal,
  model: Pick<ModelFacts, "perturbations" | "covariates" | "setup"> | undefined,
  use: (cells: Cells) => Promise<void>,
): Promise<void> {
  const { adata: from, transposeBytes, ...columns } = line.read(cpaSections.Cells);
  const given = columns as Partial<SetupOptions>;
  const known: Partial<SetupOptions> = model?.setup ?? {};
  const options = { ...known, ...given, split: { ...known.split, ...given.split } };
  const { quiet = false } = line.read(common);
  const adata = await openAnnData(from as string, {
    ...inputChoices(line, signal),
    ...transposeBytes !== undefined && { transposeBytes: transposeBytes as string },
  });
  try {
    const table = await setup(adata, options as SetupOptions, model);
    if (!quiet) { for (const note of table.notes) process.stderr.write(`${printable(note)}\n`); }
    const matrix = await adata.matrix(table.setup!.matrix);
    const gpu = await openGpu(gpuChoices(line));
    try {
      await use({ adata, matrix, table, gpu });
    } finally {
      gpu.close();
    }
  } finally {
    await adata.close();
  }
}

async function train(line: CommandLine, signal: AbortSignal): Promise<void> {
  const options = line.read(cpaSections["Model (train)"]) as TrainOptions;
  await withCells(line, signal, undefined, async ({ matrix, table, gpu }) => {
    const cells = await HeldCells.read(matrix, {
      ...{ counts: options.head !== "gauss", mostBytes: gpu.budgetBytes.host, signal },
    });
    const { choices, out } = outputOf(line);
    const model = await runPlan(
      line,
      signal,
      planTraining(gpu, cells, table, { ...options, ...choices }),
    );
    const { epochsRun, bestEpoch } = model.facts;
    const validation = model.history.validation_loss[bestEpoch - 1];
    const counts = Object.fromEntries(
      SPLITS.map((
        name,
        i,
      ) => [name, table.splits.reduce((sum, own) => sum + Number(own === i), 0)]),
    );
    tell(line, model.measured, {
      ...{ out, cells: table.cells, genes: table.genes, splits: counts },
      perturbations: table.perturbations.slice(1),
      conditions: table.conditions.length,
      covariates: table.covariates.map(({ name, levels }) => ({ name, levels })),
      ...{ epochsRun, bestEpoch, validationLoss: validation ?? null, notes: table.notes },
      adapter: gpu.adapter.name,
    }, [
      `${out}: ${table.conditions.length} conditions, ${counts.train} cells to learn from, ` +
      `${counts.valid} to validate; ${epochsRun} epochs, the parameters of epoch ${bestEpoch}` +
      (Number.isFinite(validation) ? `, validation loss ${validation!.toPrecision(6)}` : ""),
    ]);
  });
}

async function predict(
  line: CommandLine,
  signal: AbortSignal,
  model: TrainedCpa,
  ask: Ask | undefined,
): Promise<void> {
  const isLatents = line.positionals[0] === "latents";
  const { which, nSamples } = line.read({
    which: latentOptions.options.which,
    nSamples: counterfactualOptions.options.nSamples,
  });
  const { setup: { split: _, ...columns } = {}, ...facts } = model.facts;
  // who is to learn and who to validate is not asked of a model that is there
  const known = { ...facts, setup: columns as SetupOptions };
  await withCells(line, signal, known, async ({ adata, matrix, table, gpu }) => {
    const { choices, out } = outputOf(line);
    const all = { ...choices, annData: adata };
    const draws = nSamples !== undefined && { nSamples };
    const plan = isLatents
      ? model.latents(gpu, matrix, table, { ...all, ...which && { which } })
      : ask
      ? model.counterfactual(gpu, matrix, table, { ...all, ...ask, ...draws })
      : model.reconstruct(gpu, matrix, table, { ...all, ...draws });
    const result = await runPlan(line, signal, plan as Plan<CpaPrediction>);
    const arrays = Object.keys(result.arrays);
    tell(line, result, {
      ...{ out, cells: result.cells.length, genes: table.genes, arrays, notes: table.notes },
      adapter: gpu.adapter.name,
    }, [`${out}: ${arrays.join(", ")} of ${result.cells.length} cells`]);
    for (const array of Object.values(result.arrays)) await array.close();
  });
}

async function report(
  line: CommandLine,
  signal: AbortSignal,
  model: TrainedCpa,
  from: string,
): Promise<void> {
  const { overwrite = false } = line.read(cpaSections["Output and memory"]);
  const out = line.text("out")!;
  if (existsSync(out) && !overwrite) {
    throw new OutputConflictError(
      `Cannot write to ${out}: there is something already, allow overwriting or name another place`,
      out,
    );
  }
  const { scoreSeed, ...choices } = line.read(cpaSections.Scores);
  const options = { ...choices, ...scoreSeed !== undefined && { seed: scoreSeed } };
  const { json, quiet = false } = line.read(common);
  const printer = new ProgressPrinter(quiet);
  await withCells(line, signal, model.facts, async ({ adata, matrix, table, gpu }) => {
    const sums = await sumCells(matrix, table, options);
    const predictor = await model.predictor(gpu, matrix, table, {
      ...{ split: sums.split, signal },
      ...sums.placed && { placed: sums.placed },
      onProgress: ({ done, conditions }) =>
        printer.print(`${done} of ${conditions} conditions`, { fraction: done / conditions }),
    }).finally(() => printer.end());
    const genes = table.setup?.matrix === "raw/X" ? await adata.rawVar() : adata.var;
    const evaluation = evaluate(sums, [predictor], await genes.names(), options);
    const { headlines, comparisons, overCells, means } = evaluation;
    const page = drawReport({ model, table, evaluation, sums, from, cells: line.text("adata")! });
    await writeFile(out, page);
    console.log(
      json
        ? printableJson({
          out,
          headlines,
          comparisons,
          overCells,
          means,
          adapter: gpu.adapter.name,
        })
        : printable([...headlinesOf(evaluation), `${out}: to look at`].join("\n")),
    );
  });
}

function outputOf(line: CommandLine) {
  const { out, overwrite = false, tileRows } = line.read(cpaSections["Output and memory"]);
  const choices = { out: out!, overwrite, ...(tileRows !== undefined && { tileRows }) };
  return { out: out!, choices };
}
