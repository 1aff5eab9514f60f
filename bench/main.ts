/**
 * Benches of the kernels, and of whole analyses: `npm run bench [-- name ...]`, `deno task bench`.
 */

import process from "node:process";
import type { Gpu } from "../src/mod.ts";
import { openGpu } from "../src/mod.ts";
import type { Ceilings } from "./ceilings.ts";
import { measureCeilings } from "./ceilings.ts";
import { encodeRowsBench } from "./encode_rows_bench.ts";
import { runBench } from "./harness.ts";
import { gatherWindowsBench } from "./gather_windows_bench.ts";
import { hmmFilterBench } from "./hmm_filter_bench.ts";
import { hmmRatioBench } from "./hmm_ratio_bench.ts";
import { hmmRescaleBench } from "./hmm_rescale_bench.ts";
import { hmmSmoothBench } from "./hmm_smooth_bench.ts";
import { hmmWeighBench } from "./hmm_weigh_bench.ts";
import { multiplyDenseBench } from "./multiply_dense_bench.ts";
import { multiplySparseBench } from "./multiply_sparse_bench.ts";
import { packRowsBench } from "./pack_rows_bench.ts";
import { poissonLikelihoodBench } from "./poisson_likelihood_bench.ts";
import { lagProductsBench } from "./lag_products_bench.ts";
import { linearTrackBench } from "./linear_track_bench.ts";
import { posteriorTypesBench } from "./posterior_types_bench.ts";
import { projectRowsBench } from "./project_rows_bench.ts";
import { secondMomentsBench } from "./second_moments_bench.ts";
import { seedScaleBench, seedScalePartBench } from "./seed_scale_bench.ts";
import { summarizeRowsBench } from "./summarize_rows_bench.ts";
import { transitionStepBench } from "./transition_step_bench.ts";
import { vqAssignBench } from "./vq_assign_bench.ts";
import { vqSumsBench } from "./vq_sums_bench.ts";
import { runWindowsBench } from "./windows_bench.ts";

const kernelBenches = [
  hmmFilterBench,
  hmmSmoothBench,
  hmmWeighBench,
  hmmRatioBench,
  hmmRescaleBench,
  poissonLikelihoodBench,
  packRowsBench,
  encodeRowsBench,
  summarizeRowsBench,
  gatherWindowsBench,
  multiplyDenseBench,
  multiplySparseBench,
  vqAssignBench,
  vqSumsBench,
  secondMomentsBench,
  projectRowsBench,
];
const benches = [
  ...kernelBenches.map((bench) => ({
    name: bench.name,
    run: (gpu: Gpu, ceilings: Ceilings) => runBench(gpu, bench, ceilings),
  })),
  transitionStepBench,
  posteriorTypesBench,
  linearTrackBench,
  lagProductsBench,
  { name: "windows", run: runWindowsBench },
];
/** They take long. */
const named = [seedScaleBench, seedScalePartBench];
const wanted = process.argv.slice(2);
const names = [...benches, ...named].map(({ name }) => name);
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(
    `Cannot run "${unknown.join(", ")}": wanted one of ${names.join(", ")}`,
  );
  process.exit(2);
}
const gpu = await openGpu({ budget: "1 GiB" });
const ceilings = await measureCeilings(gpu);
for (const bench of benches) {
  if (wanted.length === 0 || wanted.includes(bench.name)) await bench.run(gpu, ceilings);
}
for (const bench of named) {
  if (wanted.includes(bench.name)) await bench.run(gpu);
}
gpu.close();
process.exit(0);
