/**
 * Times ways to do the same on an adapter, to choose by: see quads.ts and threads.ts.
 *
 * @module
 */

import type { Kernel, KernelDevice } from "./kernel.ts";
import { PARAMS_STRIDE } from "./kernel.ts";
import { Ledger } from "./ledger.ts";
import { BufferUsage, MapMode } from "./usage.ts";

/** A kernel that binds `params`, `numbers` and `sums`, and how it is run. */
export interface Way {
  kernel: Kernel;
  params: readonly number[];
}

const REPEATS = 5;

/**
 * Milliseconds of each way, the shortest of a few turns; Infinity where its answer is wrong.
 *
 * @param wanted What `sums` has to hold, of element `i`.
 */
export async function timeWays(
  gpu: KernelDevice,
  name: string,
  ways: readonly Way[],
  numbers: Float32Array<ArrayBuffer>,
  sums: number,
  wanted: (i: number) => number,
): Promise<number[]> {
  const bytes = 4 * sums;
  const table = new Uint32Array(ways.length * PARAMS_STRIDE / 4);
  ways.forEach(({ params }, way) => table.set(params, way * PARAMS_STRIDE / 4));
  const { byteLength } = numbers;
  const projected = { gpu: table.byteLength + byteLength + 2 * bytes, host: 0, disk: 0 };
  // not of the caller's budget, as the self-test
  const unbounded = { gpu: Infinity, host: Infinity };
  const ledger = new Ledger(() => gpu.device, unbounded, () => gpu.throwIfFailed());
  const account = ledger.open(name, projected);
  try {
    const { UNIFORM, STORAGE, COPY_DST, COPY_SRC, MAP_READ } = BufferUsage;
    const buffers = await account.createBuffers([
      { label: "params", bytes: table.byteLength, usage: UNIFORM | COPY_DST },
      { label: "numbers", bytes: byteLength, usage: STORAGE | COPY_DST },
      { label: "sums", bytes, usage: STORAGE | COPY_SRC },
      { label: "staging", bytes, usage: MAP_READ | COPY_DST },
    ]);
    const [params, numberBuffer, sumBuffer, staging] = buffers as [
      GPUBuffer,
      GPUBuffer,
      GPUBuffer,
      GPUBuffer,
    ];
    gpu.device.queue.writeBuffer(params, 0, table);
    gpu.device.queue.writeBuffer(numberBuffer, 0, numbers);
    const time = async ({ kernel }: Way, way: number): Promise<number> => {
      const group = kernel.bind({ params, numbers: numberBuffer, sums: sumBuffer });
      const began = performance.now();
      await gpu.submit(name, (encoder) => {
        const pass = encoder.beginComputePass({ label: name });
        kernel.encode(pass, group, [1], way);
        pass.end();
        encoder.copyBufferToBuffer(sumBuffer, 0, staging, 0, bytes);
      });
      const took = performance.now() - began;
      await staging.mapAsync(MapMode.READ);
      const got = new Float32Array(staging.getMappedRange().slice(0));
      staging.unmap();
      return got.every((value, i) => value === wanted(i)) ? took : Infinity;
    };
    // the first is not counted
    await time(ways[0]!, 0);
    const fastest = ways.map(() => Infinity);
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      for (const [i, way] of ways.entries()) {
        fastest[i] = Math.min(fastest[i]!, await time(way, i));
      }
    }
    for (const buffer of buffers) account.destroyBuffer(buffer);
    account.close();
    return fastest;
  } catch (error) {
    account.abandon();
    throw error;
  }
}

/** What is measured of an adapter, once: a failure is that of the device it was measured on, and others measure again. */
export function oncePerAdapter<T>(
  measure: (gpu: KernelDevice) => Promise<T>,
): (gpu: KernelDevice) => Promise<T> {
  const measured = new Map<string, Promise<T>>();
  return async (gpu) => {
    const key = `${gpu.adapter.runtime} ${gpu.adapter.name}`;
    for (let others = measured.get(key); others; others = measured.get(key)) {
      try {
        return await others;
      } catch {
        // of another device, perhaps: it is measured again
        gpu.throwIfFailed();
      }
    }
    const result = measure(gpu);
    measured.set(key, result);
    result.catch(() => measured.delete(key));
    return await result;
  };
}
