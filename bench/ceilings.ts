/**
 * What an adapter can do at most, measured in the same run as the kernels: a loop of multiply-adds
 * and a large copy, both as shaders.
 */

import type { Gpu } from "../src/gpu/device.ts";
import { foldWorkgroups } from "../src/gpu/kernel.ts";
import { runKernel } from "../test/support/run_kernel.ts";
import copyCells from "./copy_cells.wgsl?raw" with { type: "text" };
import multiplyAdd from "./multiply_add.wgsl?raw" with { type: "text" };

export interface Ceilings {
  /** Operations a second, 2 a multiply-add. */
  gflops: number;
  /** Bytes a second, read and written. */
  gigabytes: number;
}

const WORKGROUP = 64;
const REPEATS = 7;

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

/** Measures both, on sizes that take long enough to be measured, and prints them. */
export async function measureCeilings(gpu: Gpu): Promise<Ceilings> {
  const { software } = gpu.adapter;
  const threads = software ? 2 ** 11 : 2 ** 18;
  const iterations = software ? 1024 : 4096;
  const arithmetic = await runKernel(gpu, {
    spec: {
      name: "multiply_add",
      code: multiplyAdd,
      bindings: { params: "uniform", values: "read_write" },
    },
    constants: { WORKGROUP },
    buffers: { params: Uint32Array.of(iterations, 0, 0, 0), values: 16 * threads },
    workgroups: [threads / WORKGROUP],
    outputs: ["values"],
    repeats: REPEATS,
  });
  const cells = software ? 2 ** 21 : 2 ** 23;
  const copy = await runKernel(gpu, {
    spec: {
      name: "copy_cells",
      code: copyCells,
      bindings: { original: "read", copied: "read_write" },
    },
    constants: { WORKGROUP },
    buffers: { original: 16 * cells, copied: 16 * cells },
    workgroups: foldWorkgroups(cells / WORKGROUP),
    outputs: [],
    repeats: REPEATS,
  });
  const ceilings = {
    gflops: 2 * 8 * 4 * threads * iterations / median(arithmetic.milliseconds) / 1e6,
    gigabytes: 2 * 16 * cells / median(copy.milliseconds) / 1e6,
  };
  console.log(
    `ceilings of ${gpu.adapter.name}: ${ceilings.gflops.toFixed(1)} GFLOP/s of multiply-adds, ` +
      `${ceilings.gigabytes.toFixed(1)} GB/s copied by a shader\n`,
  );
  return ceilings;
}
