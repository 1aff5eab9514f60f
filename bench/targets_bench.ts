/**
 * What this package set itself to reach, and what it reaches here: a table in Markdown, every number of
 * which was measured in this run. It takes minutes on a software adapter.
 */

import type { Gpu } from "../src/gpu/device.ts";
import type { CeilingMeter } from "./ceilings.ts";
import { problemScale } from "./harness.ts";
import { runPeers } from "./peers/peers.ts";
import type { PipelineRow } from "./pipelines.ts";
import { runDecode, runKMeans, runPca } from "./pipelines.ts";
import type { ResultRow } from "./results.ts";
import { lanesTarget, posteriorTarget, scipyTarget, stepTarget } from "./targets/decode.ts";
import { hostPeak, memoryPromise } from "./targets/memory.ts";
import {
  broadcastTarget,
  flatMemory,
  flatTarget,
  memoryPerRow,
  peerTarget,
  productTarget,
} from "./targets/products.ts";
import { cancelling, coldStart, overlap } from "./targets/schedule.ts";
import type { Target } from "./targets/target.ts";
import { notRun } from "./targets/target.ts";
import { windowTargets } from "./targets/windows.ts";

/**
 * Runs all that can be run here.
 *
 * @param rows The rows of the table that are wanted; all when not given.
 */
export async function runTargets(
  gpu: Gpu,
  meter: CeilingMeter,
  rows?: readonly number[],
): Promise<ResultRow[]> {
  const { software } = gpu.adapter;
  const results: ResultRow[] = [];
  const targets: Target[] = [];
  const wanted = (row: number) => rows === undefined || rows.includes(row);
  const add = async (row: number, what: string, measure: () => Promise<Target[]>) => {
    if (!wanted(row)) return;
    const began = performance.now();
    try {
      targets.push(...await measure());
    } catch (error) {
      console.error(`target ${row} failed: ${(error as Error).stack}`);
      targets.push(notRun(row, what, "", `failed: ${(error as Error).message}`));
    }
    console.log(`target ${row} took ${((performance.now() - began) / 1000).toFixed(0)} s`);
  };

  // before anything else has compiled a kernel here
  await add(13, "cold start", () => coldStart());
  const pipelines = once(async () => {
    const rows: PipelineRow[] = [];
    for (const run of [runDecode, runKMeans, runPca]) rows.push(await run(gpu));
    results.push(...rows);
    return rows;
  });
  await add(1, "GPU peak", async () => await memoryPromise(await pipelines()));
  await add(2, "host peak", hostPeak);
  const peers = once(async () => {
    const rows = await runPeers(gpu, meter, problemScale(gpu));
    results.push(...rows);
    return rows;
  });
  await add(3, "assign, k-means step", async () => [
    await productTarget(gpu, meter, results, await peers(), {
      row: 3,
      what: "assign",
      kernels: ["vq_assign"],
    }),
    peerTarget(gpu, await peers(), 3, "k-means step"),
    broadcastTarget(await peers()),
    memoryPerRow(gpu),
  ]);
  await add(4, "covariance, projection", async () => [
    await productTarget(gpu, meter, results, await peers(), {
      row: 4,
      what: "covariance",
      kernels: ["second_moments"],
    }),
    await productTarget(gpu, meter, results, await peers(), {
      row: 4,
      what: "projection",
      kernels: ["project_rows"],
    }),
    flatMemory(gpu),
    flatTarget(await peers()),
  ]);
  await add(5, "HMM step", () => stepTarget(gpu, meter, results));
  await add(
    6,
    "HMM lanes",
    async () =>
      software
        ? [notRun(6, "HMM lanes on a GPU", ">= 20x lanes: 1", "needs a GPU")]
        : [await lanesTarget(gpu)],
  );
  await add(7, "HMM end to end, writing the posterior", () => posteriorTarget(gpu, results));
  await add(8, "HMM beside scipy", () => scipyTarget(gpu, results));
  await add(9, "overlap", async () => await overlap(gpu, await pipelines()));
  await add(10, "windows", () => windowTargets(gpu, results));
  const elsewhere = [
    [11, "activations", "bytes read <= 1.05 of needed", "system not built"],
    [12, "perturbation predict", "peak <= 1/20", "by bench perturbation_memory"],
  ] as const;
  for (const [row, what, target, why] of elsewhere) {
    if (wanted(row)) targets.push(notRun(row, what, target, why));
  }
  await add(14, "cancel", () => cancelling());

  targets.sort((a, b) => a.row - b.row);
  const verdict = ({ passed }: Target) =>
    passed === undefined ? "not run" : passed ? "pass" : "**not**";
  const cells = [
    ["#", "what", "reach", "measured", ""],
    ["--", "--", "--", "--", "--"],
    ...targets.map((target) => [
      String(target.row),
      target.what,
      target.target,
      target.measured,
      verdict(target),
    ]),
  ];
  const { name, runtime } = gpu.adapter;
  console.log(
    `\nTargets on ${name}, ${runtime}\n\n${
      cells.map((row) => `| ${row.join(" | ")} |`).join("\n")
    }\n`,
  );
  return [
    ...results,
    ...targets.map((target): ResultRow => {
      const { row, what, target: reach, measured } = target;
      return {
        bench: "targets",
        case: `${row} ${what}`,
        reach,
        measured,
        verdict: verdict(target),
      };
    }),
  ];
}

/** Several rows of the table may want what takes long: it is run for the first of them. */
function once<Value>(run: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined;
  return () => value ??= run();
}
