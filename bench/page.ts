/** What `chromium.ts` runs in the page. */

import { openGpu } from "../src/gpu/device.ts";
import { openCeilings } from "./ceilings.ts";
import { problemScale, runBench } from "./harness.ts";
import { kernelBenches } from "./kernels.ts";
import { pipelineBenches } from "./pipelines.ts";
import type { ResultRow } from "./results.ts";
import { transitionStepBench } from "./transition_step_bench.ts";

/** Runs benches by their names; all kernels where none is named. */
export async function runPage(names: readonly string[]) {
  const analyses = [transitionStepBench, ...pipelineBenches];
  const known = [...kernelBenches, ...analyses].map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new RangeError(
      `Cannot run "${unknown.join(", ")}" in a page: wanted some of ${known.join(", ")}`,
    );
  }
  const gpu = await openGpu();
  const meter = await openCeilings(gpu);
  const rows: ResultRow[] = [];
  for (const bench of kernelBenches) {
    if (names.length > 0 && !names.includes(bench.name)) continue;
    rows.push(...await runBench(gpu, bench, meter, problemScale(gpu)));
  }
  for (const { name, run } of analyses) {
    if (names.includes(name)) rows.push(...await run(gpu, meter));
  }
  meter.close();
  gpu.close();
  return { adapter: gpu.adapter, rows };
}
