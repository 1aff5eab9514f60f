/** Rows 5 to 8 of the targets: hidden Markov models. */

import { existsSync } from "node:fs";
import process from "node:process";
import type { Gpu } from "../../src/gpu/device.ts";
import { formatBytes } from "../../src/math/format.ts";
import type { CeilingMeter } from "../ceilings.ts";
import { linearTrackBench } from "../linear_track_bench.ts";
import { runPosteriorWrite, simulatedDecoder } from "../pipelines.ts";
import type { ResultRow } from "../results.ts";
import { transitionStepBench } from "../transition_step_bench.ts";
import type { Target } from "./target.ts";
import { notRun } from "./target.ts";

export async function stepTarget(
  gpu: Gpu,
  meter: CeilingMeter,
  results: ResultRow[],
): Promise<Target[]> {
  const [step] = await transitionStepBench.run(gpu, meter) as [
    ResultRow & { denseOverStructured: number; denseOfFloor: number },
  ];
  results.push(step);
  return [{
    row: 5,
    what: "HMM step, structured beside own dense, 10,658 states",
    target: ">= 50x, dense >= 0.3 of its floor",
    measured: `${step.denseOverStructured.toFixed(0)}x, dense at ${step.denseOfFloor.toFixed(2)}`,
    passed: step.denseOverStructured >= 50 && step.denseOfFloor >= 0.3,
  }];
}

export async function lanesTarget(gpu: Gpu): Promise<Target> {
  const decoder = simulatedDecoder(3600);
  const seconds: number[] = [];
  for (const lanes of [1, 128]) {
    const plan = decoder.smooth(gpu, {
      time: { step: 0.02 },
      out: `memory:lanes-${lanes}`,
      posterior: false,
      lanes,
    });
    const result = await plan.run();
    seconds.push(result.seconds.total!);
    await result.close();
  }
  const times = seconds[0]! / seconds[1]!;
  return {
    row: 6,
    what: "HMM, 128 lanes beside one, 180,000 rows",
    target: ">= 20x",
    measured: `${times.toFixed(1)}x`,
    passed: times >= 20,
  };
}

export async function posteriorTarget(gpu: Gpu, results: ResultRow[]): Promise<Target[]> {
  const { software } = gpu.adapter;
  const row = await runPosteriorWrite(gpu);
  results.push(row);
  const reached = row.ofRawRate as number;
  return [{
    row: 7,
    what: "HMM end to end, writing the posterior, beside writes of its bytes in order",
    target: ">= 0.8 of the store's write rate, on a GPU",
    measured: `${reached.toFixed(3)} of ${formatBytes(row.rawBytesPerSecond as number)}/s ` +
      `(${formatBytes(row.bytes as number)})${software ? ", judged on a GPU alone" : ""}`,
    passed: software ? undefined : reached >= 0.8,
  }];
}

export async function scipyTarget(gpu: Gpu, results: ResultRow[]): Promise<Target[]> {
  const data = `${process.env.SLUICE_DATA || "../shared"}/data/linear-track`;
  if (!existsSync(data)) {
    return [notRun(8, "HMM beside scipy, sparse", "faster", `the recording is not at ${data}`)];
  }
  const [track] = await linearTrackBench.run(gpu, 4000, [1]) as (ResultRow & {
    secondsPerRow: number;
    scipySecondsPerRow: number;
    numpySecondsPerRow: number;
  })[];
  results.push(track!);
  const { secondsPerRow, scipySecondsPerRow, numpySecondsPerRow } = track!;
  return [{
    row: 8,
    what: "HMM beside scipy, sparse, f64 (and numpy, dense)",
    target: "faster than sparse",
    measured: `${(1000 * secondsPerRow).toFixed(2)} ms a row, scipy ` +
      `${(1000 * scipySecondsPerRow).toFixed(2)}, numpy ${(1000 * numpySecondsPerRow).toFixed(2)}`,
    passed: secondsPerRow < scipySecondsPerRow,
  }];
}
