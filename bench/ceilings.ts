/**
 * What an adapter can do at most: a loop of multiply-adds and a large copy, both as shaders. They are
 * measured again and again between the kernels, since a machine is not as fast at one time as at another.
 */

import type { Gpu } from "../src/gpu/device.ts";
import { foldWorkgroups } from "../src/gpu/kernel.ts";
import { openKernel } from "../test/support/run_kernel.ts";
import copyCells from "./copy_cells.wgsl?raw" with { type: "text" };
import multiplyAdd from "./multiply_add.wgsl?raw" with { type: "text" };

export interface Ceilings {
  /** Operations a second, 2 a multiply-add. */
  gflops: number;
  /** Operations a second of processor time, where the adapter is software. */
  processorGflops: number;
  /** Bytes a second, read and written. */
  gigabytes: number;
}

/** ms; NaN where a page asks. */
const processorMs = () => {
  const used = globalThis.process?.cpuUsage?.();
  return used ? (used.user + used.system) / 1000 : NaN;
};

export interface CeilingMeter {
  /** Both, as they are now. */
  measure(): Promise<Ceilings>;
  close(): void;
}

const WORKGROUP = 64;

/** What a measurement of arithmetic takes, in milliseconds: long enough to be disturbed as kernels are. */
const ARITHMETIC_MS = 25;

export async function openCeilings(gpu: Gpu): Promise<CeilingMeter> {
  const { software } = gpu.adapter;
  const threads = software ? 2 ** 11 : 2 ** 18;
  const openLoop = (iterations: number) =>
    openKernel(gpu, {
      spec: {
        name: "multiply_add",
        code: multiplyAdd,
        bindings: { params: "uniform", values: "read_write" },
      },
      constants: { WORKGROUP },
      buffers: { params: Uint32Array.of(iterations, 0, 0, 0), values: 16 * threads },
      workgroups: [threads / WORKGROUP],
      outputs: ["values"],
    });
  const tried = await openLoop(1024);
  const times = ARITHMETIC_MS / Math.min(await tried.time(), await tried.time());
  tried.close();
  const iterations = Math.round(1024 * Math.min(64, Math.max(1, times)));
  const arithmetic = await openLoop(iterations);
  const cells = software ? 2 ** 20 : 2 ** 23;
  const copy = await openKernel(gpu, {
    spec: {
      name: "copy_cells",
      code: copyCells,
      bindings: { original: "read", copied: "read_write" },
    },
    constants: { WORKGROUP },
    buffers: { original: 16 * cells, copied: 16 * cells },
    workgroups: foldWorkgroups(cells / WORKGROUP),
    outputs: [],
  });
  return {
    async measure() {
      const operations = 2 * 8 * 4 * threads * iterations;
      const began = processorMs();
      const ms = await arithmetic.time();
      const processor = processorMs() - began;
      return {
        gflops: operations / ms / 1e6,
        processorGflops: operations / processor / 1e6,
        gigabytes: 2 * 16 * cells / await copy.time() / 1e6,
      };
    },
    close() {
      arithmetic.close();
      copy.close();
    },
  };
}
