/** Rows 9, 13 and 14 of the targets: stages side by side, the first moments of a run, and its cancel. */

import { fromTypedArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { PCA } from "../../src/decompose/pca.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import type { PlanChoices, RunOptions } from "../../src/stream/choices.ts";
import type { Pass } from "../../src/stream/pass.ts";
import { Plan } from "../../src/stream/plan.ts";
import { taskOf } from "../../test/support/task.ts";
import multiplyAdd from "../multiply_add.wgsl?raw" with { type: "text" };
import type { PipelineRow } from "../pipelines.ts";
import { clouds, simulatedDecoder } from "../pipelines.ts";
import type { Target } from "./target.ts";

// enough for filling and emptying the pipeline to be small
const TILES = 60;
const STAGE_MS = 50;

/** A pass whose three stages take about as long: two of them wait, the third computes. */
export async function overlap(gpu: Gpu, pipelines: readonly PipelineRow[]): Promise<Target[]> {
  const spec: KernelSpec = {
    name: "multiply_add",
    code: multiplyAdd,
    bindings: { params: "uniform", values: "read_write" },
  };
  const wait = () => new Promise((resolve) => setTimeout(resolve, STAGE_MS));
  const threads = 2048;
  let iterations = 256;
  const run = async (injected: boolean, choices: PlanChoices = {}) => {
    const pass: Pass = {
      name: "stages",
      direction: "forward",
      cost: 1,
      slotBuffers: [
        { name: "input", bytes: 4096, role: "upload" },
        { name: "values", bytes: 16 * threads, role: "download" },
      ],
      steps: [{
        kernel: spec,
        constants: { WORKGROUP: 64 },
        order: "ascending",
        params: () => Uint32Array.of(iterations, 0, 0, 0),
        workgroups: () => [threads / 64],
      }],
      async read() {
        if (injected) await wait();
        return { input: new Float32Array(1024) };
      },
      async write() {
        if (injected) await wait();
      },
    };
    const task = taskOf({
      name: "stages",
      layout: () => ({ rows: TILES, shared: [], passes: [pass] }),
    });
    const plan = new Plan(gpu, task, { tileRows: 1, ...choices });
    const { seconds } = await plan.run();
    const spent = (stage: string) => seconds[`stages.${stage}`]!;
    return {
      slots: plan.slots,
      read: spent("read"),
      compute: spent("compute"),
      write: spent("write"),
      total: spent("total"),
    };
  };
  // as many iterations as take as long as the others wait
  for (let i = 0; i < 3; i++) {
    const { compute } = await run(false, { slots: 1 });
    iterations = Math.max(1, Math.round(iterations * STAGE_MS / (1000 * compute / TILES)));
  }
  const { slots, read, compute, write, total } = await run(true);
  const ratio = total / Math.max(read, compute, write);
  const targets: Target[] = [{
    row: 9,
    what: `overlap with ${STAGE_MS} ms in each of three stages, as planned by default`,
    target: "wall <= 1.15 x the slowest stage",
    measured: `${ratio.toFixed(2)} with ${slots} slots (read ${read.toFixed(2)}, compute ` +
      `${compute.toFixed(2)}, write ${write.toFixed(2)}, wall ${total.toFixed(2)} s)`,
    passed: ratio <= 1.15,
  }];
  for (const { bench, overlap } of pipelines) {
    targets.push({
      row: 9,
      what: `overlap of ${bench}`,
      target: "wall <= 1.15 x the slowest stage",
      measured: overlap.toFixed(2),
      passed: overlap <= 1.15,
    });
  }
  return targets;
}

type Runnable = { run(options: RunOptions): Promise<unknown> };

/** Analyses of two shapes each. */
const coldRuns = (): Record<string, ((gpu: Gpu) => Runnable)[]> => ({
  decode: [40, 200].map((edge) => {
    const decoder = simulatedDecoder(60, edge);
    return (gpu) =>
      decoder.smooth(gpu, {
        time: { step: 0.02 },
        out: `memory:cold-${edge}`,
        dtype: "u16",
        summaries: ["map", "entropy", "hpd"],
        overwrite: true,
      });
  }),
  "k-means": [[64, 128], [200, 24]].map(([k, features]) => {
    const points = fromTypedArray(clouds(1000, features!), [1000, features!]);
    return (gpu) => new KMeans({ k: k! }).fit(gpu, points);
  }),
  PCA: [128, 24].map((features) => {
    const points = fromTypedArray(clouds(1000, features), [1000, features]);
    return (gpu) => new PCA({ components: 8 }).fit(gpu, points);
  }),
});

/**
 * Runs analyses on devices that have compiled nothing, until the first tile is read: from the first kernel
 * that is asked for to the last that is there. Runs them again, where nothing may be left to compile.
 */
export async function coldStart(): Promise<Target[]> {
  const parts: string[] = [];
  let [slowest, again] = [0, 0];
  for (const [analysis, shapes] of Object.entries(coldRuns())) {
    const cold: number[] = [];
    for (const plan of shapes) {
      const gpu = await openGpu();
      const compile = gpu.kernel.bind(gpu);
      const times: number[] = [];
      gpu.kernel = async (spec, constants) => {
        times.push(performance.now());
        const kernel = await compile(spec, constants);
        times.push(performance.now());
        return kernel;
      };
      const compileSeconds = async () => {
        times.length = 0;
        const enough = new AbortController();
        await plan(gpu).run({ signal: enough.signal, onProgress: () => enough.abort() })
          .catch((error) => {
            if (!enough.signal.aborted) throw error;
          });
        return (Math.max(...times) - Math.min(...times)) / 1000;
      };
      cold.push(await compileSeconds());
      again = Math.max(again, await compileSeconds());
      gpu.close();
    }
    slowest = Math.max(slowest, ...cold);
    parts.push(`${analysis} ${cold.map((seconds) => seconds.toFixed(2)).join(" and ")} s`);
  }
  return [{
    row: 13,
    what: "cold start: all kernels of a run, on a fresh device, two shapes",
    target: "<= 1 s; 0 in a second run",
    measured: `${parts.join(", ")}; at most ${(1000 * again).toFixed(0)} ms in a second run`,
    passed: slowest <= 1 && again <= 0.05,
  }];
}

/** Milliseconds after which a run is cancelled: while it compiles, when it begins, and later. */
const CANCEL_AFTER = [100, 500, 1000, 1400, 1800, 2600];

/** From the call of `abort()` to the rejection of `run()`. */
export async function cancelling(): Promise<Target[]> {
  const gpu = await openGpu();
  const decoder = simulatedDecoder(1200, 200);
  const waits: number[] = [];
  for (const afterMs of CANCEL_AFTER) {
    const cancel = new AbortController();
    const plan = decoder.smooth(gpu, {
      time: { step: 0.02 },
      out: `memory:cancel-${afterMs}`,
      dtype: "u16",
    });
    const timer = setTimeout(() => cancel.abort(), afterMs);
    let aborted = 0;
    cancel.signal.addEventListener("abort", () => aborted = performance.now());
    try {
      const result = await plan.run({ signal: cancel.signal });
      await result.close();
    } catch (error) {
      if (!cancel.signal.aborted) throw error;
    }
    clearTimeout(timer);
    if (aborted > 0) waits.push(performance.now() - aborted);
  }
  gpu.close();
  return [{
    row: 14,
    what: "cancel a decode, from its first moments on",
    target: "<= 250 ms",
    measured: waits.length === 0
      ? "it was done before"
      : `${waits.map((ms) => ms.toFixed(0)).join(", ")} ms`,
    passed: waits.length === 0 ? undefined : Math.max(...waits) <= 250,
  }];
}
