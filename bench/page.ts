/** What `chromium.ts` runs in the page. */

import { openGpu } from "../src/gpu/device.ts";
import { openCeilings } from "./ceilings.ts";
import type { KernelTiming } from "./harness.ts";
import { problemScale, runBench } from "./harness.ts";
import { kernelBenches } from "./kernels.ts";

export async function runPage(names: readonly string[]) {
  const gpu = await openGpu();
  const meter = await openCeilings(gpu);
  const rows: KernelTiming[] = [];
  for (const bench of kernelBenches) {
    if (names.length > 0 && !names.includes(bench.name)) continue;
    rows.push(...await runBench(gpu, bench, meter, problemScale(gpu)));
  }
  meter.close();
  gpu.close();
  return { adapter: gpu.adapter, rows };
}
