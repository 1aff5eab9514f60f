/** Row 10 of the targets: windows. */

import { fromTypedArray } from "../../src/array/array.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { formatBytes } from "../../src/math/format.ts";
import { windows } from "../../src/windows/windows.ts";
import { runBatches } from "../pipelines.ts";
import type { ResultRow } from "../results.ts";
import type { Target } from "./target.ts";

export async function windowTargets(gpu: Gpu, results: ResultRow[]): Promise<Target[]> {
  const row = await runBatches(gpu);
  results.push(row);
  const wait = row.waitOfStep as number;
  // as many as the smallest of GPUs takes in one binding
  const size = [100_000, 287] as const;
  const table = fromTypedArray(new Float32Array(size[0] * size[1]), size);
  const view = windows(table, { size: 30 });
  const { projected } = view.batches(gpu, { size: 256, shuffle: 7, framesIn: "device" });
  const eager = 4 * view.shape.reduce((product, size) => product * size, 1);
  const times = eager / (projected.gpu + projected.host);
  return [{
    row: 10,
    what: "windows of 30: memory beside eager, 100,000 frames on the GPU, promised",
    target: "1/30, but for what batches take",
    measured: `1/${times.toFixed(1)} (${formatBytes(projected.gpu)} GPU, ` +
      `${formatBytes(projected.host)} host, eager ${formatBytes(eager)})`,
    passed: projected.gpu + projected.host <= eager / 30 + 8 * (row.batchBytes as number),
  }, {
    row: 10,
    what: "windows of 30: wait for a batch, of a training step of 140 ms",
    target: "<= 5 %",
    measured: `${(100 * wait).toFixed(1)} %`,
    passed: wait <= 0.05,
  }];
}
