/** Rows 1 and 2 of the targets: memory, promised and held. */

import fc from "fast-check";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BudgetError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { formatBytes } from "../../src/math/format.ts";
import type { PlanSpec } from "../../test/stream/random_plan.ts";
import { planSpec, randomPlan } from "../../test/stream/random_plan.ts";
import { NOTHING_KEPT, runProcess, writeRecording } from "../../test/support/cli_process.ts";
import { smallRecording } from "../../test/support/recordings.ts";
import { median } from "../harness.ts";
import type { PipelineRow } from "../pipelines.ts";
import type { Target } from "./target.ts";

const MIB = 2 ** 20;
const PLANS = 10_000;
const RUNS = 40;

/** Plans made up at random under budgets near what they take: the promise never exceeds the budget. */
export async function memoryPromise(pipelines: readonly PipelineRow[]): Promise<Target[]> {
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
export async function hostPeak(): Promise<Target[]> {
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
