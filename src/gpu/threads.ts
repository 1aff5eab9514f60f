/**
 * How many threads a workgroup should have that walks through time with barriers: measured, once per adapter.
 *
 * Software adapters run a workgroup on one core, a few threads to a vector, and pay for every vector that
 * comes to a barrier. A GPU has a core's worth of threads at hand.
 *
 * @module
 */

import code from "../../shaders/barrier_rounds.wgsl?raw" with { type: "text" };
import type { KernelDevice, KernelSpec } from "./kernel.ts";
import { oncePerAdapter, timeWays } from "./time_ways.ts";

const barrierRounds: KernelSpec = {
  name: "barrier_rounds",
  code,
  bindings: { params: "uniform", numbers: "read", sums: "read_write" },
};

/** Those that give the same bits, most first. */
export const THREADS = [32, 16, 8, 4];
/** A millisecond or two of a software adapter. */
const ROUNDS = 64;
const NUMBERS = 128;
const SUMS = 512;
/** Fewer have to gain so much. */
const LEAST_GAIN = 1.1;

/** Threads of kernels with {@link KernelSpec.anyThreads}. */
export const fastestThreads: (gpu: KernelDevice) => Promise<number> = oncePerAdapter(
  async (gpu) => {
    const kernels = await Promise.all(
      THREADS.map((threads) => gpu.kernel(barrierRounds, { WORKGROUP: threads })),
    );
    const times = await timeWays(
      gpu,
      "barrier_rounds",
      kernels.map((kernel) => ({ kernel, params: [ROUNDS] })),
      Float32Array.from({ length: NUMBERS }, (_, i) => i),
      SUMS,
      (i) => i % NUMBERS + ROUNDS - 1,
    );
    return chooseThreads(times);
  },
);

/** The fewest that are worth it, by the milliseconds of {@link THREADS}. */
export function chooseThreads(times: readonly number[]): number {
  let chosen = 0;
  for (let way = 1; way < times.length; way++) {
    if (times[way]! * LEAST_GAIN <= times[chosen]!) chosen = way;
  }
  return THREADS[chosen]!;
}
