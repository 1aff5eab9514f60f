/**
 * Runs kernels for their speed, in turns with the adapter's ceilings, so that what else a machine does
 * slows both. A bench checks its answer against the f64 twin first; one whose answer is wrong prints
 * nothing but that.
 */

import type { Gpu } from "../src/gpu/device.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import type { KernelCase } from "../test/support/run_kernel.ts";
import { openKernel } from "../test/support/run_kernel.ts";
import type { CeilingMeter, Ceilings } from "./ceilings.ts";
import type { ResultRow } from "./results.ts";

export interface BenchCase extends KernelCase {
  /** Shape, for people. */
  shape: string;
  /** Rows the dispatch handles: times are given per row too. */
  rows: number;
  /** Useful operations and bytes moved of one dispatch. */
  flops: number;
  bytes: number;
  /** Throws when the outputs are not what the twin says. */
  check(outputs: Record<string, Float32Array>): void;
}

export interface Bench {
  name: string;
  /** @param scale How much larger than for a software adapter the problems may be. */
  cases(scale?: number): BenchCase[];
}

/** What every bench is given, and what it gives: rows of the results file. */
export type RunBench = (gpu: Gpu, ceilings: CeilingMeter) => Promise<ResultRow[]>;

/** How a kernel's time lies to its floor: medians of several dispatches, as the ceilings'. */
export interface KernelTiming extends ResultRow {
  medianMs: number;
  gflops: number;
  gigabytes: number;
  /** Share of the rate of multiply-adds. */
  ofFma: number;
  /** The floor's time over the kernel's. */
  ofFloor: number;
}

const REPEATS = 7;
/** What is timed at once takes at least so long, ms: browsers' and Dawn's timestamps come in steps of up to 0.1. */
const LEAST_MS = 2;
const MOST_DISPATCHES = 256;

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Checks a case, then times it. */
export async function timeCase(
  gpu: Gpu,
  name: string,
  test: BenchCase,
  meter: CeilingMeter,
): Promise<KernelTiming> {
  const kernel = await openKernel(gpu, test);
  try {
    test.check(kernel.outputs);
    const first = await kernel.time();
    const dispatches = Math.min(MOST_DISPATCHES, Math.ceil(LEAST_MS / Math.max(first, 1e-3)));
    const milliseconds: number[] = [];
    const ceilings: Pick<Ceilings, "gflops" | "gigabytes">[] = [];
    for (let i = 0; i < REPEATS; i++) {
      ceilings.push(await meter.measure());
      milliseconds.push(await kernel.time(dispatches));
    }
    const medianMs = median(milliseconds);
    const ceiling = {
      gflops: median(ceilings.map(({ gflops }) => gflops)),
      gigabytes: median(ceilings.map(({ gigabytes }) => gigabytes)),
    };
    const gflops = test.flops / medianMs / 1e6;
    return {
      bench: name,
      case: test.shape,
      rows: test.rows,
      bytes: test.bytes,
      flops: test.flops,
      minMs: Math.min(...milliseconds),
      medianMs,
      clock: kernel.deviceTime ? "device timestamps" : "submit to done",
      gflops,
      gigabytes: test.bytes / medianMs / 1e6,
      fmaGflops: ceiling.gflops,
      copyGigabytes: ceiling.gigabytes,
      ofFma: gflops / ceiling.gflops,
      ofFloor: floorMs(test, ceiling) / medianMs,
    };
  } finally {
    kernel.close();
  }
}

/** Runs every case of a bench: a table, then one JSON line a case. */
export async function runBench(
  gpu: Gpu,
  { name, cases }: Bench,
  ceilings: CeilingMeter,
  scale = 1,
): Promise<KernelTiming[]> {
  const table = [["case", "bytes", "median ms", "us/row", "GFLOP/s", "GB/s", "of FMA", "of floor"]];
  const timings: KernelTiming[] = [];
  for (const test of cases(scale)) {
    const timing = await timeCase(gpu, name, test, ceilings);
    const { medianMs, gflops, gigabytes, ofFma, ofFloor } = timing;
    table.push([
      test.shape,
      formatBytes(test.bytes),
      medianMs.toFixed(2),
      (1000 * medianMs / test.rows).toFixed(1),
      gflops.toFixed(2),
      gigabytes.toFixed(2),
      ofFma.toFixed(2),
      ofFloor.toFixed(2),
    ]);
    timings.push(timing);
  }
  console.log(`${name} on ${gpu.adapter.name}\n${formatTable(table)}\n`);
  return timings;
}

/** Time of a case that only its operations or only its bytes would take, the longer of the two. */
export function floorMs(
  { flops, bytes }: Pick<BenchCase, "flops" | "bytes">,
  { gflops, gigabytes }: Pick<Ceilings, "gflops" | "gigabytes">,
): number {
  return Math.max(flops / gflops, bytes / gigabytes) / 1e6;
}

/** Refuses an answer that is further off than `tolerance`. */
export function checkWithin(what: string, difference: number, tolerance: number): void {
  if (!(difference <= tolerance)) {
    throw new Error(`${what} is off by ${difference}, at most ${tolerance} was expected`);
  }
}

/** How much larger problems may be than for a software adapter: 512 MiB a buffer, or what it allows. */
export function problemScale({ adapter, device }: Gpu): number {
  if (adapter.software) return 1;
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize, 2 ** 29);
  // 64 MiB are the largest buffer of the smallest problems
  return 2 ** Math.floor(Math.log2(most / 2 ** 26));
}
