/**
 * Benches of the kernels: `npm run bench [-- name ...]`, `deno task bench`.
 */

import process from "node:process";
import { openGpu } from "../src/mod.ts";
import { runBench } from "./harness.ts";
import { gatherWindowsBench } from "./gather_windows_bench.ts";
import { hmmFilterBench } from "./hmm_filter_bench.ts";
import { hmmSmoothBench } from "./hmm_smooth_bench.ts";
import { packRowsBench } from "./pack_rows_bench.ts";
import { poissonLikelihoodBench } from "./poisson_likelihood_bench.ts";

const benches = [
  hmmFilterBench,
  hmmSmoothBench,
  poissonLikelihoodBench,
  packRowsBench,
  gatherWindowsBench,
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
for (const bench of benches) {
  if (wanted.length === 0 || wanted.includes(bench.name)) await runBench(gpu, bench);
}
gpu.close();
process.exit(0);
