/**
 * What this package set itself to reach, and what it reaches here: a table in Markdown, every number of
 * which was measured in this run. It takes minutes on a software adapter.
 */

import fc from "fast-check";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { existsSync } from "node:fs";
import { fromTypedArray } from "../src/array/array.ts";
import { KMeans } from "../src/cluster/kmeans.ts";
import { PCA } from "../src/decompose/pca.ts";
import { BudgetError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/gpu/device.ts";
import type { KernelSpec } from "../src/gpu/kernel.ts";
import { formatBytes } from "../src/math/format.ts";
import type { Pass } from "../src/stream/pass.ts";
import type { PlanChoices } from "../src/stream/choices.ts";
import { Plan } from "../src/stream/plan.ts";
import type { PlanSpec } from "../test/stream/random_plan.ts";
import { planSpec, randomPlan } from "../test/stream/random_plan.ts";
import { taskOf } from "../test/support/task.ts";
import { NOTHING_KEPT, runProcess, writeRecording } from "../test/support/cli_process.ts";
import { smallRecording } from "../test/support/recordings.ts";
import type { CeilingMeter } from "./ceilings.ts";
import multiplyAdd from "./multiply_add.wgsl?raw" with { type: "text" };
import { median, problemScale, timeCase } from "./harness.ts";
import { kernelBenches } from "./kernels.ts";
import { linearTrackBench } from "./linear_track_bench.ts";
import type { PeerRow } from "./peers/peers.ts";
import { runPeers } from "./peers/peers.ts";
import type { PipelineRow } from "./pipelines.ts";
import {
  clouds,
  runBatches,
  runDecode,
  runKMeans,
  runPca,
  runPosteriorWrite,
  simulatedDecoder,
} from "./pipelines.ts";
import type { RunOptions } from "../src/stream/choices.ts";
import { windows } from "../src/windows/windows.ts";
import type { ResultRow } from "./results.ts";
import { transitionStepBench } from "./transition_step_bench.ts";

const MIB = 2 ** 20;

/** A row of the table; `passed` is undefined where nothing could be measured. */
interface Target {
  row: number;
  what: string;
  target: string;
  measured: string;
  passed: boolean | undefined;
}

const notRun = (row: number, what: string, target: string, reason: string): Target => ({
  row,
  what,
  target,
  measured: reason,
  passed: undefined,
});

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
  await add(5, "HMM step", async () => {
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
  });
  await add(
    6,
    "HMM lanes",
    async () =>
      software
        ? [notRun(6, "HMM lanes on a GPU", ">= 20x lanes: 1", "needs a GPU")]
        : [await lanesTarget(gpu)],
  );
  await add(7, "HMM end to end, writing the posterior", async () => {
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
  });
  await add(8, "HMM beside scipy", async () => {
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
        `${(1000 * scipySecondsPerRow).toFixed(2)}, numpy ${
          (1000 * numpySecondsPerRow).toFixed(2)
        }`,
      passed: secondsPerRow < scipySecondsPerRow,
    }];
  });
  await add(9, "overlap", async () => await overlap(gpu, await pipelines()));
  await add(10, "windows", async () => {
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
  });
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

// ---------------------------------------------------------------- 1, 2: memory

const PLANS = 10_000;
const RUNS = 40;

/** Plans made up at random under budgets near what they take: the promise never exceeds the budget. */
async function memoryPromise(pipelines: readonly PipelineRow[]): Promise<Target[]> {
  // a device whose budget nothing else holds a part of
  const gpu = await openGpu();
  const specs = fc.sample(
    fc.record({
      spec: planSpec(fc.integer({ min: 1, max: 200 })),
      share: fc.double({ min: 0.2, max: 2, noNaN: true }),
    }),
    { seed: 7, numRuns: PLANS },
  );
  const budget = gpu.budgetBytes;
  let [accepted, over] = [0, 0];
  const ratios: number[] = [];
  const withBudget = (bytes: { gpu: number; host: number }, spec: PlanSpec) => {
    Object.assign(budget, bytes);
    return randomPlan(gpu, spec);
  };
  try {
    for (const [i, { spec, share }] of specs.entries()) {
      const { projected } = withBudget({ gpu: Infinity, host: Infinity }, spec);
      const limits = {
        gpu: Math.floor(share * projected.gpu),
        host: Math.floor(share * projected.host) + 1,
      };
      try {
        const plan = withBudget(limits, spec);
        accepted++;
        if (plan.projected.gpu > limits.gpu || plan.projected.host > limits.host) over++;
        // plans of few tiles alone: a tile is a submit
        if (ratios.length < RUNS && i % 16 === 0 && spec.rows / plan.tileRows < 8) {
          const { peakBytes, projectedBytes } = await plan.run();
          ratios.push(peakBytes.gpu / projectedBytes.gpu);
          if (peakBytes.gpu > limits.gpu || peakBytes.host > limits.host) over++;
        }
      } catch (error) {
        if (!(error instanceof BudgetError)) throw error;
      }
    }
  } finally {
    gpu.close();
  }
  ratios.push(...pipelines.map(({ gpuOfProjected }) => gpuOfProjected));
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return [{
    row: 1,
    what: "GPU peak / promised",
    target: "<= 1.00, >= 0.9; no budget exceeded in 10,000 plans",
    measured: `${least.toFixed(3)} to ${most.toFixed(3)} in ${ratios.length} runs; ${over} of ` +
      `${PLANS} plans over budget (${accepted} accepted)`,
    passed: most <= 1 && median(ratios) >= 0.9 && over === 0,
  }];
}

/** The command line decodes a recording, and one ten times as long, in processes of their own. */
async function hostPeak(): Promise<Target[]> {
  const what = "host peak of a process, recording 10x as long";
  const target = "flat; <= slots + 64 MiB over an idle process";
  const folder = await mkdtemp(join(tmpdir(), "sluice-targets-"));
  try {
    // the first may have to build what the second runs
    await runProcess(["info", "--json"]);
    const idle = await runProcess(["info", "--json"]);
    const idleBytes = JSON.parse(idle.stdout).memory.peakResidentBytes as number;
    const decode = async (seconds: number, env: Record<string, string> = NOTHING_KEPT) => {
      const options = await writeRecording(folder, smallRecording({ seconds, dimensions: 2 }));
      const out = ["--out", join(folder, "out.zarr"), "--overwrite", "--lanes", "1"];
      const sizes = ["--budget", "8MiB", "--chunk-rows", "500", "--bin-size", "1.5"];
      const args = ["decode", ...options, ...sizes, ...out, "--json", "--quiet"];
      const { stdout } = await runProcess(args, { env });
      const { peakResidentBytes, peakBytes, rows, states } = JSON.parse(stdout);
      return {
        resident: peakResidentBytes as number,
        // software adapters keep GPU buffers in the process
        slots: peakBytes.gpu + peakBytes.host as number,
        posterior: 4 * rows * states,
      };
    };
    // a second is over at once: what it takes are kernels, which software adapters compile in the process
    const second = await decode(1);
    const once = await decode(40);
    const tenfold = await decode(400);
    const untold = await decode(400, {});
    const over = tenfold.resident - idleBytes;
    return [{
      row: 2,
      what,
      target,
      measured:
        `${formatBytes(once.resident)}, then ${formatBytes(tenfold.resident)} (posteriors ` +
        `of ${formatBytes(once.posterior)} and ${formatBytes(tenfold.posterior)}); ` +
        `${formatBytes(over)} over idle, ${formatBytes(second.resident - idleBytes)} of it for a ` +
        `second of recording; slots ${formatBytes(tenfold.slots)}; with what V8 and malloc keep ` +
        `${formatBytes(untold.resident - idleBytes)} over idle`,
      passed: over <= tenfold.slots + 64 * MIB &&
        tenfold.resident - once.resident <= (tenfold.posterior - once.posterior) / 2,
    }];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// ------------------------------------------------- 3, 4: products, beside others

/** Least ratio to the better peer, and least share of the adapter's multiply-adds. */
function reach({ adapter }: Gpu): { times: number; share: number } {
  if (!adapter.software) return { times: 3, share: 0.4 };
  return { times: 2, share: /llvmpipe|lavapipe/i.test(adapter.name) ? 0.2 : 0.3 };
}

/** The peers of a case that run on the same adapter: of those, the best. */
function bestPeer(peers: readonly PeerRow[], name: string): PeerRow | undefined {
  return peers
    .filter(({ bench, library }) => bench === `peers ${name}` && /jax-js|tfjs/.test(library))
    .sort((a, b) => a.ratio - b.ratio)[0];
}

async function productTarget(
  gpu: Gpu,
  meter: CeilingMeter,
  results: ResultRow[],
  peers: readonly PeerRow[],
  { row, what, kernels }: { row: number; what: string; kernels: string[] },
): Promise<Target> {
  const { times, share } = reach(gpu);
  let [ofFma, ofFloor] = [Infinity, Infinity];
  for (const { name, cases } of kernelBenches.filter(({ name }) => kernels.includes(name))) {
    const timing = await timeCase(gpu, name, cases(problemScale(gpu))[0]!, meter);
    results.push(timing);
    [ofFma, ofFloor] = [Math.min(ofFma, timing.ofFma), Math.min(ofFloor, timing.ofFloor)];
  }
  const peer = bestPeer(peers, what);
  return {
    row,
    what: `${what}, beside the better of jax-js and tfjs; share of the multiply-adds`,
    target: `>= ${times}x, >= ${share}`,
    measured: `${against(peer)}, ${ofFma.toFixed(2)} (${ofFloor.toFixed(2)} of its floor)`,
    passed: peer && peer.ratio >= times && Math.max(ofFma, ofFloor) >= share,
  };
}

const against = (peer: PeerRow | undefined) =>
  peer
    ? `${peer.ratio.toFixed(2)}x ${peer.library} (${peer.cpuRatio.toFixed(2)}x by processor time)`
    : "peers not installed";

function peerTarget(gpu: Gpu, peers: readonly PeerRow[], row: number, what: string): Target {
  const { times, share } = reach(gpu);
  const peer = bestPeer(peers, what);
  const own = peers.find(({ bench, library }) => bench === `peers ${what}` && library === "sluice");
  return {
    row,
    what: `${what}, call to answer, beside the better of jax-js and tfjs`,
    target: `>= ${times}x, >= ${share}`,
    measured: `${against(peer)}, ${own?.ofFma.toFixed(2)}`,
    passed: peer && own && peer.ratio >= times && own.ofFma >= share,
  };
}

function broadcastTarget(peers: readonly PeerRow[]): Target {
  const worst = peers
    .filter(({ bench, library }) =>
      bench === "peers assign by broadcasting" && library !== "sluice"
    );
  return {
    row: 3,
    what: "assign, beside broadcasting all differences",
    target: ">= 20x",
    measured: worst.map(({ library, ratio }) => `${ratio.toFixed(1)}x ${library}`).join(", ") ||
      "peers not installed",
    passed: worst.length > 0 ? worst.some(({ ratio }) => ratio >= 20) : undefined,
  };
}

function flatTarget(peers: readonly PeerRow[]): Target {
  const peer = bestPeer(peers, "flat contexts");
  return {
    row: 4,
    what: "covariance of flat contexts (lag products), call to answer, beside the better of both",
    target: ">= 5x",
    measured: against(peer),
    passed: peer && peer.ratio >= 5,
  };
}

/** Host and GPU bytes that k-means promises for one more row of 64 features. */
function bytesPerRow(gpu: Gpu, init: Float32Array | undefined) {
  const projected = (rows: number) =>
    new KMeans({ k: 64, seed: 1, ...(init && { init }) })
      .fit(gpu, fromTypedArray(new Float32Array(rows * 64), [rows, 64])).projected;
  const rows = 65536;
  const [once, twice] = [projected(rows), projected(2 * rows)];
  return { host: (twice.host - once.host) / rows, gpu: (twice.gpu - once.gpu) / rows };
}

function memoryPerRow(gpu: Gpu): Target {
  const assigned = bytesPerRow(gpu, new Float32Array(64 * 64));
  const seeded = bytesPerRow(gpu, undefined);
  return {
    row: 3,
    what: "k-means: extra memory a row, for ids and distances; seeding's beside",
    target: "<= 8 B",
    measured:
      `${assigned.host.toFixed(1)} B on the host (with seeding ${seeded.host.toFixed(1)}), ` +
      `${assigned.gpu.toFixed(1)} B on the GPU, of rows of 256 B that stay there`,
    passed: assigned.host <= 8 && assigned.gpu <= 256 + 8,
  };
}

function flatMemory(gpu: Gpu): Target {
  const projected = (rows: number) =>
    new PCA({ components: 8 })
      .fit(gpu, fromTypedArray(new Float32Array(rows * 64), [rows, 64])).projected;
  const [once, tenfold] = [projected(20_000), projected(200_000)];
  return {
    row: 4,
    what: "PCA: promised memory, 20,000 and 200,000 rows",
    target: "flat",
    measured: `GPU ${formatBytes(once.gpu)} and ${formatBytes(tenfold.gpu)}, host ` +
      `${formatBytes(once.host)} and ${formatBytes(tenfold.host)}`,
    passed: once.gpu === tenfold.gpu && once.host === tenfold.host,
  };
}

// ---------------------------------------------------------------------- 6: lanes

async function lanesTarget(gpu: Gpu): Promise<Target> {
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

// -------------------------------------------------------------------- 9: overlap

// enough for filling and emptying the pipeline to be small
const TILES = 60;
const STAGE_MS = 50;

/** A pass whose three stages take about as long: two of them wait, the third computes. */
async function overlap(gpu: Gpu, pipelines: readonly PipelineRow[]): Promise<Target[]> {
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

// ----------------------------------------------------------------- 13: cold start

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
async function coldStart(): Promise<Target[]> {
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

// --------------------------------------------------------------------- 14: cancel

/** Milliseconds after which a run is cancelled: while it compiles, when it begins, and later. */
const CANCEL_AFTER = [100, 500, 1000, 1400, 1800, 2600];

/** From the call of `abort()` to the rejection of `run()`. */
async function cancelling(): Promise<Target[]> {
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
