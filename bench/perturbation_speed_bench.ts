/**
 * How fast the perturbation model learns and predicts: cells a second of processor time, beside torch where a python3 has it,
 * and where that time goes, kernel by kernel, beside the adapter's rate of multiply-adds.
 *
 * Of the original's sizes: 2,000 genes, batches of 128, three layers of 256, a batch for the autoencoder and two for the
 * classifiers. SLUICE_PERTURBATION_GENES makes it smaller. Processor time counts what shaders take where the adapter is software; on
 * a GPU cells a second by the clock are what counts.
 */

import process from "node:process";
import { encodeNpy } from "../src/array/npy.ts";
import type { ModelShape } from "../src/cpa/model_shape.ts";
import { classifiersOf } from "../src/cpa/model_shape.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { formatTable } from "../src/math/format.ts";
import { Random } from "../src/math/random.ts";
import type { LoopKernel } from "../src/stream/pass.ts";
import type { CellBatch } from "../test/reference/cpa_model.ts";
import { CpaTwin } from "../test/reference/cpa_model.ts";
import { constant } from "../test/reference/differentiate.ts";
import { openCpa } from "../test/support/run_cpa.ts";
import { smallState, smallWeights } from "../test/support/small_cells.ts";
import type { CeilingMeter, Ceilings } from "./ceilings.ts";
import { checkWithin, median } from "./harness.ts";
import { askPython } from "./python.ts";
import { profileSteps } from "./profile.ts";
import type { ResultRow } from "./results.ts";

const GENES = Number(process.env.SLUICE_PERTURBATION_GENES ?? 2000);
const CELLS = 128;
const [LATENT, WIDTH, LAYERS, CLASSIFIER] = [128, 256, 3, 64];
/** Share of counts that are not 0. */
const SHARE = 0.1;
const REPEATS = 5;

function shapeOf(): ModelShape {
  const stack = {
    widths: Array<number>(LAYERS).fill(WIDTH),
    ...{ batchNorm: true, layerNorm: false, dropout: 0 },
  };
  return {
    ...{ genes: GENES, latent: LATENT, head: "nb", doser: "linear" },
    ...{ encoder: stack, decoder: stack, perturbations: 12, combinations: 20 },
    covariates: [{ name: "cell", levels: 3, isBatch: false }],
    adversary: { ...stack, widths: Array<number>(3).fill(CLASSIFIER), dropout: 0.1 },
  };
}

function batchOf(shape: ModelShape): CellBatch {
  const random = new Random(4);
  const all = Array.from({ length: CELLS }, (_, cell) => cell);
  return {
    x: Float32Array.from(
      { length: CELLS * shape.genes },
      () => random.uniform() < SHARE ? 1 + random.integer(8) : 0,
    ),
    ids: all.flatMap(() => [2 + random.integer(5), 7 + random.integer(5)]),
    doses: all.flatMap(() => [1, 0.5]),
    combinations: all.map(() => random.integer(shape.combinations)),
    covariates: { cell: all.map(() => random.integer(3)) },
    ...{ partners: all, lambda: 1 },
  };
}

/** Multiply-adds of layers, of a cell. */
function products(shape: ModelShape) {
  const sum = (widths: readonly number[]) =>
    widths.slice(1).reduce((all, to, i) => all + widths[i]! * to, 0);
  const { genes, latent, encoder, decoder, adversary } = shape;
  const first = genes * encoder.widths[0]!;
  const body = sum([genes, ...encoder.widths, latent]) + sum([latent, ...decoder.widths]);
  const head = decoder.widths.at(-1)! * genes;
  const classifiers = classifiersOf(shape)
    .reduce((all, { classes }) => all + sum([latent, ...adversary.widths, classes]), 0);
  return {
    // what is entered has no gradient
    autoencoder: 3 * (body + head) - first + 3 * classifiers,
    // slopes, changes, and their products, besides
    adversary: body + 6 * classifiers,
    predict: body + head,
  };
}

const processorMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

export async function runPerturbationSpeed(gpu: Gpu, meter: CeilingMeter): Promise<ResultRow[]> {
  const shape = shapeOf();
  const state = smallState(shape);
  for (const [name, { rows, columns, data }] of state) {
    if (rows === 1 || !name.endsWith(".weight")) continue;
    state.set(name, constant(rows, columns, data.map((value) => value / Math.sqrt(columns))));
  }
  const batch = batchOf(shape);
  const options = { penalty: 1, coupling: 1, classWeights: smallWeights(shape) };
  const { model, open, turn, optimizers, losses } = await openCpa(
    gpu,
    shape,
    state,
    batch,
    options,
  );
  try {
    const learning = { step: 1, autoencoder: 1, adversary: 1 };
    const on = turn(learning);
    const off = turn({});
    const ways = {
      autoencoder: [
        ...model.encode(on),
        ...model.decode(on),
        ...model.judge(on),
        ...model.improve(on),
        ...optimizers.improve(on),
      ],
      adversary: [...model.encode(on), ...model.oppose(on), ...optimizers.oppose(on)],
      predict: [...model.encode(off), ...model.decode(off)],
    };
    await open.run([...model.encode(on), ...model.decode(on), ...model.judge(on)]);
    const twin = new CpaTwin(shape, state, batch, { train: true, ...options, seed: 5, step: 1 });
    const wanted = twin.forward().recon.data[0]!;
    checkWithin("the loss", Math.abs((await losses()).recon / wanted - 1), 1e-5);

    const flops = products(shape);
    const times = await timeWays(open, ways, meter);
    const results: ResultRow[] = [];
    const table = [[
      "",
      "ms",
      "processor ms",
      "cells a processor s",
      "GFLOP/s",
      "of FMA",
      "by processor time",
    ]];
    const rates: Record<string, number> = {};
    for (const [name, { ms, cpuMs, gflops, processorGflops }] of Object.entries(times)) {
      const operations = 2 * CELLS * flops[name as keyof typeof flops];
      const own = operations / ms / 1e6;
      const share = operations / cpuMs / 1e6 / processorGflops;
      rates[name] = 1000 * CELLS / cpuMs;
      table.push([
        name,
        ...[ms, cpuMs, rates[name]].map((value) => value.toFixed(1)),
        ...[own, own / gflops, share].map((value) => value.toFixed(2)),
      ]);
      results.push({
        ...{ bench: "perturbation_speed", case: `${shape.genes} genes, ${name}` },
        ...{ medianMs: ms, cpuMs, cellsPerProcessorSecond: rates[name] },
        ...{ gflops: own, fmaGflops: gflops, ofFma: own / gflops },
        ...{ processorGflops, ofFmaByProcessorTime: share },
      });
    }
    rates.schedule = 3 / (1 / rates.autoencoder! + 2 / rates.adversary!);
    console.log(`a step of ${CELLS} cells on ${gpu.adapter.name}\n${formatTable(table)}\n`);

    console.log("where it goes");
    for (const own of await profileSteps(open, ways, processorMs)) {
      const { way, kernel, dispatches, ms: cpuMs, share } = own;
      results.push({
        ...{ bench: "perturbation_profile", case: `${GENES} genes, ${way}, ${kernel}` },
        ...{ dispatches, cpuMs, share },
      });
    }
    results.push(...besideTorch(shape, batch, rates));
    return results;
  } finally {
    open.close();
  }
}

type Open = Awaited<ReturnType<typeof openCpa>>["open"];

/** In turns: what else a machine does slows all. */
async function timeWays(open: Open, ways: Record<string, LoopKernel[]>, meter: CeilingMeter) {
  const found = Object.fromEntries(
    Object.keys(ways).map((name) => [name, { ms: [] as number[], cpu: [] as number[] }]),
  );
  const ceilings: Ceilings[] = [];
  for (const steps of Object.values(ways)) await open.run(steps);
  for (let i = 0; i < REPEATS; i++) {
    ceilings.push(await meter.measure());
    for (const [name, steps] of Object.entries(ways)) {
      const [began, cpu] = [performance.now(), processorMs()];
      await open.run(steps);
      found[name]!.ms.push(performance.now() - began);
      found[name]!.cpu.push(processorMs() - cpu);
    }
  }
  const ceiling = {
    gflops: median(ceilings.map(({ gflops }) => gflops)),
    processorGflops: median(ceilings.map(({ processorGflops }) => processorGflops)),
  };
  return Object.fromEntries(
    Object.entries(found).map(([name, { ms, cpu }]) =>
      [name, { ms: median(ms), cpuMs: median(cpu), ...ceiling }] as const
    ),
  );
}

/** The same by torch, on one thread. */
function besideTorch(
  shape: ModelShape,
  batch: CellBatch,
  rates: Record<string, number>,
): ResultRow[] {
  const options = {
    ...{ latent: LATENT, width: WIDTH, layers: LAYERS, penalty: 1, repeats: 2 * REPEATS + 1 },
  };
  const whole = (values: ArrayLike<number>) => Int32Array.from(values);
  const slots = batch.ids.length / CELLS;
  const found = askPython("peers/perturbation.py", ["speed", JSON.stringify(options)], {
    counts: encodeNpy(Float32Array.from(batch.x), [CELLS, shape.genes]),
    ids: encodeNpy(whole(batch.ids), [CELLS, slots]),
    doses: encodeNpy(Float32Array.from(batch.doses), [CELLS, slots]),
    covariates: encodeNpy(whole(batch.covariates.cell!), [CELLS, 1]),
    combinations: encodeNpy(whole(batch.combinations), [CELLS]),
    splits: encodeNpy(new Int32Array(CELLS), [CELLS]),
  }) as Record<string, number> | undefined;
  const table = [["cells a processor second", "sluice", "torch", "sluice over torch"]];
  const rows = Object.entries(rates).map(([name, rate]): ResultRow => {
    const torch = found?.[name];
    table.push([
      name,
      rate.toFixed(0),
      torch?.toFixed(0) ?? "",
      torch ? (rate / torch).toFixed(3) : "",
    ]);
    return {
      ...{ bench: "perturbation_beside_torch", case: `${shape.genes} genes, ${name}` },
      cellsPerProcessorSecond: rate,
      ...torch && { torch, ratio: rate / torch, version: found?.torch },
    };
  });
  console.log(`${formatTable(table)}\n`);
  return rows;
}
