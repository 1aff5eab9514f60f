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
import { PARAMS_STRIDE } from "./kernel.ts";
import { Ledger } from "./ledger.ts";
import { BufferUsage, MapMode } from "./usage.ts";

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
const REPEATS = 3;
/** Where quads gain less they are not worth it: on GPUs, which do either in no time. */
const LEAST_GAIN = 1.2;

const measured = new Map<string, Promise<boolean>>();

/** Whether kernels that have {@link KernelSpec.quadCode} should run it. Results are the same bits. */
export function quadsPay(gpu: KernelDevice): Promise<boolean> {
  if (!gpu.device.features.has("subgroups")) return Promise.resolve(false);
  const key = `${gpu.adapter.runtime} ${gpu.adapter.name}`;
  let pays = measured.get(key);
  if (!pays) {
    pays = measure(gpu);
    measured.set(key, pays);
    pays.catch(() => measured.delete(key));
  }
  return pays;
}

async function measure(gpu: KernelDevice): Promise<boolean> {
  const numbers = Float32Array.from({ length: RUNS * RUN }, (_, i) => i);
  const bytes = 4 * THREADS * RUN;
  const projected = { gpu: 2 * PARAMS_STRIDE + numbers.byteLength + 2 * bytes, host: 0, disk: 0 };
  // not of the caller's budget, as the self-test
  const unbounded = { gpu: Infinity, host: Infinity };
  const ledger = new Ledger(() => gpu.device, unbounded, () => gpu.throwIfFailed());
  const account = ledger.open("quad_runs", projected);
  try {
    const kernel = await gpu.kernel(quadRuns, {});
    const buffers = await account.createBuffers([
      {
        label: "params",
        bytes: 2 * PARAMS_STRIDE,
        usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST,
      },
      {
        label: "numbers",
        bytes: numbers.byteLength,
        usage: BufferUsage.STORAGE | BufferUsage.COPY_DST,
      },
      { label: "sums", bytes, usage: BufferUsage.STORAGE | BufferUsage.COPY_SRC },
      { label: "staging", bytes, usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST },
    ]);
    const [params, numberBuffer, sums, staging] = buffers as [
      GPUBuffer,
      GPUBuffer,
      GPUBuffer,
      GPUBuffer,
    ];
    const ways = new Uint32Array(2 * PARAMS_STRIDE / 4);
    ways.set([ROUNDS, 0]);
    ways.set([ROUNDS, 1], PARAMS_STRIDE / 4);
    gpu.device.queue.writeBuffer(params, 0, ways);
    gpu.device.queue.writeBuffer(numberBuffer, 0, numbers);
    const group = kernel.bind({ params, numbers: numberBuffer, sums });
    const wanted = Float32Array.from(
      { length: RUN },
      (_, i) => ROUNDS / RUNS * numbers.reduce((sum, x, at) => at % RUN === i ? sum + x : sum, 0),
    );
    /** Milliseconds; Infinity when the answer is wrong. */
    const time = async (way: number): Promise<number> => {
      const began = performance.now();
      await gpu.submit("quad_runs", (encoder) => {
        const pass = encoder.beginComputePass({ label: "quad_runs" });
        kernel.encode(pass, group, [1], way);
        pass.end();
        encoder.copyBufferToBuffer(sums, 0, staging, 0, bytes);
      });
      const took = performance.now() - began;
      await staging.mapAsync(MapMode.READ);
      const got = new Float32Array(staging.getMappedRange().slice(0));
      staging.unmap();
      return got.every((value, i) => value === wanted[i % RUN]) ? took : Infinity;
    };
    let [each, byQuad] = [Infinity, Infinity];
    // the first is not counted
    await time(0);
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      each = Math.min(each, await time(0));
      byQuad = Math.min(byQuad, await time(1));
    }
    for (const buffer of buffers) account.destroyBuffer(buffer);
    account.close();
    return byQuad * LEAST_GAIN <= each;
  } catch (error) {
    account.abandon();
    // an adapter that offers subgroups and cannot compile them does without
    if (error instanceof ShaderError) return false;
    throw error;
  }
}
