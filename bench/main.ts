/**
 * Benches of the kernels, of whole analyses, beside other libraries, and of what this package sets itself:
 * `npm run bench [-- name ...]`, `deno task bench`; `--runtime chromium` runs kernels, and analyses that are named, in a headless browser,
 * `targets --rows 9,14` some rows of that table.
 */

import process from "node:process";
import { parseArgs } from "node:util";
import type { Gpu } from "../src/mod.ts";
import { openGpu } from "../src/mod.ts";
import type { CeilingMeter } from "./ceilings.ts";
import { openCeilings } from "./ceilings.ts";
import { runConditioningBench } from "./conditioning_bench.ts";
import { runGlmFit } from "./glm_fit_bench.ts";
import { runGrowthBench } from "./growth_bench.ts";
import { problemScale, runBench } from "./harness.ts";
import { kernelBenches } from "./kernels.ts";
import { kmeansAccuracyBench } from "./kmeans_accuracy_bench.ts";
import { lagProductsBench } from "./lag_products_bench.ts";
import { linearTrackBench } from "./linear_track_bench.ts";
import { runNetStep } from "./net_step_bench.ts";
import { runLogisticBench } from "./logistic_bench.ts";
import { runProbeSweep } from "./probe_sweep_bench.ts";
import { runGlioblastoma, runMemoryOptions, runSimulatedCells } from "./perturbation_bench.ts";
import { runPerturbationSpeed } from "./perturbation_speed_bench.ts";
import { runPerturbationMemory, runPerturbationPart } from "./perturbation_memory_bench.ts";
import { runPcaAccuracy } from "./pca_accuracy_bench.ts";
import { runPeers } from "./peers/peers.ts";
import { pipelineBenches } from "./pipelines.ts";
import { posteriorTypesBench } from "./posterior_types_bench.ts";
import type { ResultRow } from "./results.ts";
import { saveResults } from "./results.ts";
import { seedScaleBench, seedScalePartBench } from "./seed_scale_bench.ts";
import { runTargets } from "./targets_bench.ts";
import { transitionStepBench } from "./transition_step_bench.ts";
import { runTokenLevel } from "./token_level_bench.ts";
import { runActsBench } from "./acts_bench.ts";
import { runWindowDraws } from "./window_draws_bench.ts";
import { runWindowsBench, runWindowsEpoch } from "./windows_bench.ts";

const { values: { runtime, rows }, positionals: wanted } = parseArgs({
  options: { runtime: { type: "string" }, rows: { type: "string" } },
  allowPositionals: true,
});
/** Rows of the table of targets; all when none are named. */
const targetRows = rows?.split(",").map(Number);

interface NamedBench {
  name: string;
  run(gpu: Gpu, ceilings: CeilingMeter): Promise<ResultRow[]>;
}

const kernels = kernelBenches.map((bench): NamedBench => ({
  name: bench.name,
  run: (gpu, ceilings) => runBench(gpu, bench, ceilings, problemScale(gpu)),
}));
const benches: NamedBench[] = [
  ...kernels,
  transitionStepBench,
  ...pipelineBenches,
  posteriorTypesBench,
  { name: "linear_track", run: (gpu) => linearTrackBench.run(gpu) },
  { name: "glm_fit", run: runGlmFit },
  lagProductsBench,
  { name: "conditioning", run: runConditioningBench },
  { name: "growth", run: runGrowthBench },
  { name: "windows", run: runWindowsBench },
  { name: "window_draws", run: runWindowDraws },
  { name: "net_step", run: runNetStep },
  { name: "logistic", run: runLogisticBench },
  { name: "acts_layer_sweep", run: runActsBench },
  { name: "probe_sweep", run: runProbeSweep },
  { name: "token_level", run: runTokenLevel },
];
const peersBench: NamedBench = {
  name: "peers",
  run: (gpu, ceilings) => runPeers(gpu, ceilings, problemScale(gpu)),
};
/** They take long, or want something installed: run when they are named. */
const named: NamedBench[] = [
  seedScaleBench,
  seedScalePartBench,
  { name: "pca_accuracy", run: runPcaAccuracy },
  { name: "perturbation_memory", run: runPerturbationMemory },
  { name: "perturbation_part", run: runPerturbationPart },
  { name: "perturbation_speed", run: runPerturbationSpeed },
  { name: "perturbation_simulated", run: runSimulatedCells },
  { name: "perturbation_glioblastoma", run: runGlioblastoma },
  { name: "perturbation_options", run: runMemoryOptions },
  peersBench,
  { name: "windows_epoch", run: runWindowsEpoch },
  kmeansAccuracyBench,
  { name: "targets", run: (gpu, ceilings) => runTargets(gpu, ceilings, targetRows) },
];
/** Names of several. */
const groups: Record<string, NamedBench[]> = {
  // the order of a machine that is lent for minutes: answers and kernels, analyses, then the others
  gpu: [...kernels, transitionStepBench, ...pipelineBenches, peersBench],
  kernels,
};

if (runtime === "chromium") {
  const { runInChromium } = await import("./chromium.ts");
  const names = wanted.filter((name) => name !== "kernels");
  const { adapter, rows, version } = await runInChromium(names);
  saveResults(adapter, rows, version);
  process.exit(0);
}
const all = [...benches, ...named];
const known = [...Object.keys(groups), ...all.map(({ name }) => name)];
const unknown = wanted.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`Cannot run "${unknown.join(", ")}": wanted one of ${known.join(", ")}`);
  process.exit(2);
}
const chosen = wanted.length === 0
  ? benches
  : wanted.flatMap((name) => groups[name] ?? all.filter((bench) => bench.name === name));
const gpu = await openGpu({ budget: "4 GiB" });
const ceilings = await openCeilings(gpu);
let failed = 0;
for (const bench of chosen) {
  const began = performance.now();
  try {
    saveResults(gpu.adapter, await bench.run(gpu, ceilings));
    console.log(`${bench.name} took ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  } catch (error) {
    // the others are worth having
    console.error(`${bench.name} failed: ${(error as Error).stack}`);
    failed++;
  }
}
ceilings.close();
gpu.close();
if (failed > 0) console.error(`${failed} of ${chosen.length} benches failed`);
process.exit(failed > 0 ? 1 : 0);
