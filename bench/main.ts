/**
 * Benches of the kernels, and of what is stored: `npm run bench [-- name ...]`, `deno task bench`.
 */

import process from "node:process";
import type { Gpu } from "../src/mod.ts";
import { openGpu } from "../src/mod.ts";
import { runBench } from "./harness.ts";
import { hmmFilterBench } from "./hmm_filter_bench.ts";
import { hmmSmoothBench } from "./hmm_smooth_bench.ts";
import { packRowsBench } from "./pack_rows_bench.ts";
import { poissonLikelihoodBench } from "./poisson_likelihood_bench.ts";
import { posteriorTypesBench } from "./posterior_types_bench.ts";

const kernels = [hmmFilterBench, hmmSmoothBench, poissonLikelihoodBench, packRowsBench];
const benches = [
  ...kernels.map((bench) => ({ name: bench.name, run: (gpu: Gpu) => runBench(gpu, bench) })),
  posteriorTypesBench,
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
  if (wanted.length === 0 || wanted.includes(bench.name)) await bench.run(gpu);
}
gpu.close();
process.exit(0);
