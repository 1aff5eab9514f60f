/**
 * What the perturbation model holds in memory, phase by phase: 20,000 cells of 2,000 genes in an h5ad of compressed rows, made by a
 * seed in a temporary folder, each phase in a process of its own, as the system saw it; whether prediction takes more for more
 * cells; what plans promise for 100,000 cells of 5,000 genes; and whether options that save memory change what is learned.
 *
 * What a software adapter holds for itself is in a process, too: buffers by the ledger are said beside. Linux alone tells peaks.
 * SLUICE_PERTURBATION_CELLS and SLUICE_PERTURBATION_GENES make it smaller.
 */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { RowEntries } from "../src/array/anndata/matrix.ts";
import { peakResidentBytes } from "../src/cli/resident.ts";
import type { TrainOptions } from "../src/cpa/cpa.ts";
import * as cpa from "../src/cpa/cpa.ts";
import { trainOptions } from "../src/cpa/train_options.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import { Random } from "../src/math/random.ts";
import type { Gpu } from "../src/mod.ts";
import { openAnnData, openGpu } from "../src/mod.ts";
import type { ResultRow } from "./results.ts";

const CELLS = Number(process.env.SLUICE_PERTURBATION_CELLS ?? 20_000);
const GENES = Number(process.env.SLUICE_PERTURBATION_GENES ?? 2000);
const DENSITY = 0.1;
const DRUGS = 40;
const LARGE = { cells: 100_000, genes: 5000 };
/** Sizes at which prediction is to take as much. */
const SIZES = [5000, 10_000, 20_000, 40_000];
/** Draws that the original adds to a list, each of all cells and genes. */
const DRAWS = 20;
const BUDGET = "1 GiB";

/** Counts of a cell, by a seed: genes ascending. */
function cellOf(cell: number, genes: number): { genes: number[]; values: number[] } {
  const random = new Random(9, cell);
  const found: number[] = [];
  const values: number[] = [];
  // steps between genes that are there
  for (let gene = -1;;) {
    gene += 1 + Math.floor(Math.log(1 - random.uniform()) / Math.log(1 - DENSITY));
    if (gene >= genes) return { genes: found, values };
    found.push(gene);
    values.push(1 + random.integer(6));
  }
}

const DRUG_NAMES = ["ctrl", ...Array.from({ length: DRUGS }, (_, i) => `drug${i}`)];
const labelOf = (cell: number) => {
  const [one, other] = [cell % (DRUGS + 1), Math.floor(cell / 7) % (DRUGS + 1)];
  const pair = one > 0 && other > 0 && one !== other && cell % 3 === 0;
  return pair ? `${DRUG_NAMES[one]}+${DRUG_NAMES[other]}` : DRUG_NAMES[one]!;
};

/** An h5ad as anndata writes it. */
async function writeH5ad(file: string, cells: number, genes: number): Promise<void> {
  const h5wasm = await import("h5wasm/node");
  await h5wasm.ready;
  const h5 = new h5wasm.File(file, "w");
  const attributes = (
    on: { create_attribute(name: string, data: unknown, shape?: null, dtype?: string): void },
    values: Record<string, string>,
  ) => {
    for (const [name, value] of Object.entries(values)) on.create_attribute(name, value);
  };
  attributes(h5, { "encoding-type": "anndata", "encoding-version": "0.1.0" });
  const starts = new Int32Array(cells + 1);
  const indices: number[][] = [];
  const values: number[][] = [];
  for (let cell = 0; cell < cells; cell++) {
    const own = cellOf(cell, genes);
    indices.push(own.genes);
    values.push(own.values);
    starts[cell + 1] = starts[cell]! + own.genes.length;
  }
  const count = starts[cells]!;
  const flat = <T extends Int32Array | Float32Array>(into: T, from: number[][]) => {
    from.forEach((own, cell) => into.set(own, starts[cell]!));
    return into;
  };
  const x = h5.create_group("X");
  attributes(x, { "encoding-type": "csr_matrix", "encoding-version": "0.1.0" });
  x.create_attribute("shape", new BigInt64Array([BigInt(cells), BigInt(genes)]));
  const packed = {
    chunks: [Math.min(count, 65536)],
    ...{ compression: "gzip", compression_opts: 4 } as const,
  };
  x.create_dataset({ name: "data", data: flat(new Float32Array(count), values), ...packed });
  x.create_dataset({ name: "indices", data: flat(new Int32Array(count), indices), ...packed });
  x.create_dataset({ name: "indptr", data: starts });
  const frame = (name: string, prefix: string, length: number, order: string[]) => {
    const group = h5.create_group(name);
    attributes(group, {
      ...{ "encoding-type": "dataframe", "encoding-version": "0.2.0", _index: "_index" },
    });
    group.create_attribute("column-order", order);
    group.create_dataset({
      name: "_index",
      data: Array.from({ length }, (_, i) => `${prefix}${i}`),
    });
    return group;
  };
  const obs = frame("obs", "c", cells, ["condition", "cell_type"]);
  const column = (name: string, labels: string[]) => {
    const group = obs.create_group(name);
    attributes(group, { "encoding-type": "categorical", "encoding-version": "0.2.0" });
    const categories = [...new Set(labels)].sort();
    const codes = new Map(categories.map((label, code) => [label, code]));
    group.create_dataset({ name: "categories", data: categories });
    group.create_dataset({
      name: "codes",
      data: Int16Array.from(labels, (label) => codes.get(label)!),
    });
  };
  column("condition", Array.from({ length: cells }, (_, cell) => labelOf(cell)));
  column("cell_type", Array.from({ length: cells }, (_, cell) => `type${cell % 4}`));
  frame("var", "g", genes, []);
  h5.close();
}

/** The same without a file. */
function madeMatrix(cells: number, genes: number): Parameters<typeof cpa.sumCells>[0] {
  return {
    ...{ path: "made", shape: [cells, genes] as const, layout: "csr", chunkRows: 256 },
    rows(start, end): Promise<RowEntries> {
      const all = Array.from({ length: end - start }, (_, i) => cellOf(start + i, genes));
      const starts = new Uint32Array(all.length + 1);
      all.forEach((own, i) => starts[i + 1] = starts[i]! + own.genes.length);
      const found = {
        genes: new Uint32Array(starts.at(-1)!),
        values: new Float64Array(starts.at(-1)!),
      };
      all.forEach((own, i) => {
        found.genes.set(own.genes, starts[i]!);
        found.values.set(own.values, starts[i]!);
      });
      return Promise.resolve({ start, end, starts, ...found, wholeBelow: 2 ** 24 });
    },
  };
}

const SETUP: cpa.SetupOptions = {
  ...{ perturbationKey: "condition", controlGroup: "ctrl" },
  categoricalCovariates: ["cell_type"],
  split: { validShare: 0.05 },
};

/** What a phase took. */
interface Taken {
  /** Most that the process had more than before it. */
  grown: number;
  /** Of the adapter's buffers, by the ledger, and of the host, as promised. */
  gpu: number;
  host: number;
  seconds: number;
  notes?: Record<string, number>;
}

export async function runPerturbationPart(): Promise<ResultRow[]> {
  const { phase, file, folder } = JSON.parse(process.env.SLUICE_PERTURBATION_PART ?? "{}");
  const taken = await PHASES[phase as keyof typeof PHASES](file, folder);
  writeFileSync(join(folder, `${phase}.json`), JSON.stringify(taken));
  return [];
}

/** From now on the process's peak is that of what comes. */
function beginPeak(): () => number {
  const gc = (globalThis as { gc?: () => void }).gc;
  gc?.();
  writeFileSync("/proc/self/clear_refs", "5");
  const [, kilobytes] = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))!;
  return () => peakResidentBytes() - 1024 * Number(kilobytes);
}

async function openCells(file: string) {
  const adata = await openAnnData(file);
  const table = await cpa.setup(adata, SETUP);
  return { adata, table, matrix: await adata.matrix("X") };
}

/** The least that kernels of both ways can be asked, so that the adapter has compiled them. */
async function warmed(run: (gpu: Gpu, file: string) => Promise<unknown>, folder: string) {
  const gpu = await openGpu({ budget: BUDGET });
  const file = join(folder, "warm.h5ad");
  await run(gpu, file);
  return gpu;
}

const TRAINING: TrainOptions = { epochs: 1, seed: 1 };

async function trained(gpu: Gpu, file: string, options: TrainOptions = {}) {
  const { table, matrix } = await openCells(file);
  const cells = await cpa.HeldCells.read(matrix, { counts: true, mostBytes: 2 ** 30 });
  const plan = cpa.train(gpu, cells, table, { ...TRAINING, ...options });
  return { plan, table, matrix, cells };
}

const PHASES = {
  async setup(file: string): Promise<Taken> {
    const grown = beginPeak();
    const began = performance.now();
    const { table } = await openCells(file);
    const seconds = (performance.now() - began) / 1000;
    const bytes = table.conditionIds.byteLength + table.splits.byteLength +
      table.covariates.reduce((sum, { codes }) => sum + codes.byteLength, 0);
    const notes = { bytesOfCells: bytes, conditions: table.conditions.length };
    return { grown: grown(), gpu: 0, host: 0, seconds, notes };
  },
  async train(file: string, folder: string): Promise<Taken> {
    const gpu = await warmed(
      async (gpu, own) => await (await trained(gpu, own)).plan.run(),
      folder,
    );
    const grown = beginPeak();
    const began = performance.now();
    const { plan, cells } = await trained(gpu, file);
    const model = await plan.run();
    const seconds = (performance.now() - began) / 1000;
    const { gpu: ofGpu, host } = model.measured.peakBytes;
    return { grown: grown(), gpu: ofGpu, host, seconds, notes: { packedCells: cells.bytes } };
  },
  latents: (file: string, folder: string) => predicted(file, folder, "latents"),
  reconstruct: (file: string, folder: string) => predicted(file, folder, "reconstruct"),
  counterfactual: (file: string, folder: string) => predicted(file, folder, "counterfactual"),
};

async function predicted(
  file: string,
  folder: string,
  what: "latents" | "reconstruct" | "counterfactual",
): Promise<Taken> {
  const plan = (
    gpu: Gpu,
    model: cpa.TrainedCpa,
    cells: Awaited<ReturnType<typeof openCells>>,
    out: string,
  ) => {
    const given = [gpu, cells.matrix, cells.table] as const;
    if (what === "latents") return model.latents(...given, { out });
    if (what === "reconstruct") return model.reconstruct(...given, { out });
    return model.counterfactual(...given, { perturbations: ["drug1", "drug2"], out });
  };
  // a model that was warmed is as large as any
  let model: cpa.TrainedCpa | undefined;
  const gpu = await warmed(async (gpu, own) => {
    const { plan: training, ...cells } = await trained(gpu, own);
    model = await training.run();
    const opened = { ...cells, adata: await openAnnData(own) };
    await plan(gpu, model, opened, join(folder, `warm-${what}.zarr`)).run();
  }, folder);
  const grown = beginPeak();
  const began = performance.now();
  const cells = await openCells(file);
  const { peakBytes } = await plan(gpu, model!, cells, join(folder, `${what}.zarr`)).run();
  const seconds = (performance.now() - began) / 1000;
  return { grown: grown(), gpu: peakBytes.gpu, host: peakBytes.host, seconds };
}

function inProcess(phase: keyof typeof PHASES, file: string, folder: string): Taken {
  const part = JSON.stringify({ phase, file, folder });
  execFileSync(process.execPath, [...process.execArgv, process.argv[1]!, "perturbation_part"], {
    env: { ...process.env, SLUICE_PERTURBATION_PART: part, OUT: folder },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return JSON.parse(readFileSync(join(folder, `${phase}.json`), "utf8"));
}

const LIMITS: Partial<Record<keyof typeof PHASES, number>> = {
  ...{ setup: 100e6, train: 0.8e9 },
  ...{ latents: 0.5e9, reconstruct: 0.5e9, counterfactual: 0.5e9 },
};

export async function runPerturbationMemory(gpu: Gpu): Promise<ResultRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-perturbation-memory-"));
  const results: ResultRow[] = [];
  try {
    const file = join(folder, "cells.h5ad");
    await writeH5ad(file, CELLS, GENES);
    await writeH5ad(join(folder, "warm.h5ad"), 600, GENES);
    const size = `${CELLS} cells x ${GENES} genes`;
    const table = [[size, "grown by", "of that buffers", "may", "", "seconds"]];
    for (const phase of Object.keys(PHASES) as (keyof typeof PHASES)[]) {
      const taken = inProcess(phase, file, folder);
      const { grown, gpu, seconds } = taken;
      const limit = LIMITS[phase]!;
      table.push([
        phase,
        ...[grown, gpu, limit].map(formatBytes),
        grown <= limit ? "holds" : "**does not hold**",
        seconds.toFixed(1),
      ]);
      results.push({ bench: "perturbation_memory", case: `${size}, ${phase}`, ...taken, limit });
      await rm(join(folder, `${phase}.zarr`), { recursive: true, force: true });
    }
    console.log(`memory on ${gpu.adapter.name}\n${formatTable(table)}\n`);

    const whole = 4 * DRAWS * CELLS * GENES;
    const sizes = [[
      "cells",
      "reconstruct grown by",
      "of that buffers",
      `${DRAWS} draws in a list`,
    ]];
    for (const cells of SIZES.map((own) => Math.round(own * CELLS / 20_000))) {
      const own = join(folder, "sized.h5ad");
      await writeH5ad(own, cells, GENES);
      const { grown, gpu } = inProcess("reconstruct", own, folder);
      await rm(join(folder, "reconstruct.zarr"), { recursive: true });
      const list = 4 * DRAWS * cells * GENES;
      sizes.push([
        `${cells}`,
        ...[grown, gpu].map(formatBytes),
        `${(list / grown).toFixed(0)} times`,
      ]);
      results.push({
        ...{ bench: "perturbation_predict_memory", case: `${cells} cells x ${GENES} genes` },
        ...{ grown, gpu, list, ratio: grown / list },
      });
    }
    console.log(
      `prediction beside a list of ${DRAWS} draws (${formatBytes(whole)} at ${size})\n${
        formatTable(sizes)
      }\n`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  results.push(...await promises(gpu));
  return results;
}

/** What cells were given, of as many conditions as a large screen has. */
function madeTable(cells: number, genes: number): cpa.CellTable {
  const conditions = Array.from({ length: 235 }, (_, i) => ({
    perturbations: i === 0 ? [1] : [2 + i % 100, 102 + i % 37],
    doses: i === 0 ? [1] : [1, 1],
    combination: i,
  }));
  return {
    ...{ cells, genes, separator: "+", conditions, notes: [] },
    perturbations: ["", "ctrl", ...Array.from({ length: 140 }, (_, i) => `gene${i}`)],
    combinations: conditions.map(({ perturbations }) => perturbations),
    conditionIds: Uint32Array.from({ length: cells }, (_, cell) => cell % conditions.length),
    covariates: [{
      ...{ name: "cell_type", levels: ["a", "b"], isBatch: false },
      codes: Uint16Array.from({ length: cells }, (_, cell) => cell % 2),
    }],
    splits: Uint8Array.from({ length: cells }, (_, cell) => Number(cell % 20 === 0)),
  };
}

/** Plans of a set that is too large to be stored here: what they would hold, each option apart. */
async function promises(gpu: Gpu): Promise<ResultRow[]> {
  const { cells, genes } = LARGE;
  const matrix = madeMatrix(cells, genes);
  const table = madeTable(cells, genes);
  const hold = (own: typeof matrix) =>
    cpa.HeldCells.read(own, { counts: true, mostBytes: 2 ** 30 });
  const held = await hold(matrix);
  const results: ResultRow[] = [];
  const lines = [["plan", "GPU", "host"]];
  const note = (what: string, plan: { projected: { gpu: number; host: number } }) => {
    const { gpu, host } = plan.projected;
    lines.push([what, formatBytes(gpu), formatBytes(host)]);
    results.push({
      ...{
        bench: "perturbation_plan",
        case: `${cells} cells x ${genes} genes, ${what}`,
        gpu,
        host,
      },
    });
  };
  const training = cpa.train(gpu, held, table, { seed: 1 });
  note("training", training);
  for (const [what, options] of memoryOptions(1024)) {
    note(`training, ${what}`, cpa.train(gpu, held, table, { seed: 1, ...options }));
  }
  const few = madeMatrix(470, genes);
  const model = await cpa.train(gpu, await hold(few), madeTable(470, genes), TRAINING).run();
  const which = ["basal", "after", "corrected", "noPert", "noPertCorrected"] as const;
  note(
    "latents, basal",
    model.latents(gpu, matrix, table, { which: ["basal"], out: "memory:never-run" }),
  );
  note(
    "latents, all five",
    model.latents(gpu, matrix, table, { which: [...which], out: "memory:never-run" }),
  );
  const reconstruction = model.reconstruct(gpu, matrix, table, { out: "memory:never-run" });
  note("reconstruct", reconstruction);
  if ("variational" in trainOptions.options) {
    const drawn: Record<string, unknown> = { variational: true };
    const options = { ...TRAINING, ...drawn };
    const own = await cpa.train(gpu, await hold(few), madeTable(470, genes), options).run();
    for (const nSamples of [1, DRAWS]) {
      const draws: Record<string, unknown> = { nSamples };
      const plan = own.reconstruct(gpu, matrix, table, { out: "memory:never-run", ...draws });
      note(`reconstruct, ${nSamples} draws`, plan);
    }
  }
  console.log(`${cells} cells x ${genes} genes, as promised\n${formatTable(lines)}\n`);
  for (const plan of [training, reconstruction]) console.log(`${plan.explain()}\n`);
  return results;
}

/** Options that change what a training holds, those that there are. */
function memoryOptions(batchSize: number): [string, Record<string, unknown>][] {
  const has = (name: string) => name in trainOptions.options;
  return [
    ["mixed in pairs", { mixupAlpha: 0.1 }],
    ["a slot", { slots: 1 }],
    ["a batch a tile", { tileRows: 1 }],
    [`batches of ${batchSize}`, { batchSize }],
    ...has("partSize")
      ? [[`batches of ${batchSize} in parts of 128`, { batchSize, partSize: 128 }]] as [
        string,
        Record<string, unknown>,
      ][]
      : [],
    ...has("checkpointing")
      ? [[`batches of ${batchSize}, layers made again`, { batchSize, checkpointing: true }]] as [
        string,
        Record<string, unknown>,
      ][]
      : [],
  ];
}
