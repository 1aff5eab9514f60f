/**
 * Benches of the kernels: `npm run bench [-- name ...]`, `deno task bench`.
 */

import process from "node:process";
import { openGpu } from "../src/mod.ts";
import { runBench } from "./harness.ts";
import { hmmFilterBench } from "./hmm_filter_bench.ts";
import { hmmSmoothBench } from "./hmm_smooth_bench.ts";
import { packRowsBench } from "./pack_rows_bench.ts";
import { measureCeilings } from "./ceilings.ts";
import { poissonLikelihoodBench } from "./poisson_likelihood_bench.ts";
import { projectRowsBench } from "./project_rows_bench.ts";
import { secondMomentsBench } from "./second_moments_bench.ts";
import { vqAssignBench } from "./vq_assign_bench.ts";
import { vqSumsBench } from "./vq_sums_bench.ts";

const benches = [
  hmmFilterBench,
  hmmSmoothBench,
  poissonLikelihoodBench,
  packRowsBench,
  vqAssignBench,
  vqSumsBench,
  secondMomentsBench,
  projectRowsBench,
];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(
    `Cannot run "${unknown.join(", ")}": wanted one of ${
      benches.map(({ name }) => name).join(", ")
    }`,
  );
  process.exit(2);
}
const gpu = await openGpu({ budget: "1 GiB" });
const ceilings = await measureCeilings(gpu);
console.log(
  `${gpu.adapter.name}: ${ceilings.fma.toFixed(1)} GFLOP/s of multiply-adds in registers, ` +
    `${ceilings.copy.toFixed(1)} GB/s of copies\n`,
);
for (const bench of benches) {
  if (wanted.length === 0 || wanted.includes(bench.name)) await runBench(gpu, bench, ceilings);
}
gpu.close();
process.exit(0);
