/**
 * Benches of the kernels, and of whole analyses: `npm run bench [-- name ...]`, `deno task bench`.
 */

import process from "node:process";
import { openGpu } from "../src/mod.ts";
import { runBench } from "./harness.ts";
import { gatherWindowsBench } from "./gather_windows_bench.ts";
import { hmmFilterBench } from "./hmm_filter_bench.ts";
import { hmmSmoothBench } from "./hmm_smooth_bench.ts";
import { packRowsBench } from "./pack_rows_bench.ts";
import { poissonLikelihoodBench } from "./poisson_likelihood_bench.ts";
import { runWindowsBench } from "./windows_bench.ts";

const benches = [
  hmmFilterBench,
  hmmSmoothBench,
  poissonLikelihoodBench,
  packRowsBench,
  gatherWindowsBench,
];
const analyses = { windows: runWindowsBench };
const names = [...benches.map(({ name }) => name), ...Object.keys(analyses)];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(
    `Cannot run "${unknown.join(", ")}": wanted one of ${names.join(", ")}`,
  );
  process.exit(2);
}
const gpu = await openGpu({ budget: "1 GiB" });
for (const bench of benches) {
  if (wanted.length === 0 || wanted.includes(bench.name)) await runBench(gpu, bench);
}
for (const [name, run] of Object.entries(analyses)) {
  if (wanted.length === 0 || wanted.includes(name)) await run(gpu);
}
gpu.close();
process.exit(0);
