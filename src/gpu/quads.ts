/**
 * Whether the four threads of a quad should share what they load: measured, once per adapter.
 *
 * Software adapters load every component for every thread by itself, and hand values from one to another
 * in a register. A GPU loads for a whole subgroup at once.
 *
 * @module
 */

import code from "../../shaders/quad_runs.wgsl?raw" with { type: "text" };
import runByQuad from "../../shaders/shared/run_by_quad.wgsl?raw" with { type: "text" };
import { ShaderError } from "../errors.ts";
import type { KernelDevice, KernelSpec } from "./kernel.ts";
import { oncePerAdapter, timeWays } from "./time_ways.ts";

const quadRuns: KernelSpec = {
  name: "quad_runs",
  code: [code, runByQuad].join("\n"),
  bindings: { params: "uniform", numbers: "read", sums: "read_write" },
};

const THREADS = 64;
const RUN = 8;
const RUNS = 16;
/** Some milliseconds of a software adapter, beside which a submit is short. */
const ROUNDS = 8192;
/** Where quads gain less they are not worth it: on GPUs, which do either in no time. */
const LEAST_GAIN = 1.2;

/** Whether kernels that have {@link KernelSpec.quadCode} should run it. Results are the same bits. */
export function quadsPay(gpu: KernelDevice): Promise<boolean> {
  if (!gpu.device.features.has("subgroups")) return Promise.resolve(false);
  return measured(gpu);
}

const measured = oncePerAdapter(async (gpu) => {
  const numbers = Float32Array.from({ length: RUNS * RUN }, (_, i) => i);
  const wanted = Float32Array.from(
    { length: RUN },
    (_, i) => ROUNDS / RUNS * numbers.reduce((sum, x, at) => at % RUN === i ? sum + x : sum, 0),
  );
  try {
    const kernel = await gpu.kernel(quadRuns, {});
    const ways = [0, 1].map((byQuad) => ({ kernel, params: [ROUNDS, byQuad] }));
    const [each, byQuad] = await timeWays(
      gpu,
      "quad_runs",
      ways,
      numbers,
      THREADS * RUN,
      (i) => wanted[i % RUN]!,
    );
    return byQuad! * LEAST_GAIN <= each!;
  } catch (error) {
    // an adapter that offers subgroups and cannot compile them does without
    if (error instanceof ShaderError) return false;
    throw error;
  }
});
