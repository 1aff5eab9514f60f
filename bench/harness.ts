/**
 * Runs kernels for their speed. A bench checks its answer against the f64 twin first; one whose answer
 * is wrong prints nothing but that.
 */

import type { Gpu } from "../src/gpu/device.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import type { KernelCase } from "../test/support/run_kernel.ts";
import { runKernel } from "../test/support/run_kernel.ts";
import type { Ceilings } from "./ceilings.ts";

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
  cases(): BenchCase[];
}

const REPEATS = 7;

/** Runs every case of a bench: a table, then one JSON line a case. */
export async function runBench(
  gpu: Gpu,
  { name, cases }: Bench,
  ceilings: Ceilings,
): Promise<void> {
  const table = [["case", "bytes", "min ms", "median ms", "us/row", "GFLOP/s", "GB/s", "of floor"]];
  const lines: string[] = [];
  for (const test of cases()) {
    const { outputs, milliseconds, deviceTime } = await runKernel(gpu, {
      ...test,
      repeats: REPEATS,
    });
    test.check(outputs);
    const sorted = [...milliseconds].sort((a, b) => a - b);
    const [min, median] = [sorted[0]!, sorted[sorted.length >> 1]!];
    const row = {
      bench: name,
      shape: test.shape,
      rows: test.rows,
      bytes: test.bytes,
      flops: test.flops,
      minMs: min,
      medianMs: median,
      clock: deviceTime ? "device timestamps" : "submit to done",
      gflops: test.flops / median / 1e6,
      gigabytes: test.bytes / median / 1e6,
      ofFloor: floorMs(test, ceilings) / median,
      adapter: gpu.adapter.name,
      runtime: gpu.adapter.runtime,
    };
    table.push([
      test.shape,
      formatBytes(test.bytes),
      min.toFixed(2),
      median.toFixed(2),
      (1000 * median / test.rows).toFixed(1),
      row.gflops.toFixed(2),
      row.gigabytes.toFixed(2),
      row.ofFloor.toFixed(2),
    ]);
    lines.push(JSON.stringify(row));
  }
  console.log(`${name} on ${gpu.adapter.name}\n${formatTable(table)}\n${lines.join("\n")}\n`);
}

/** Time of a case that only its operations or only its bytes would take, the longer of the two. */
export function floorMs(
  { flops, bytes }: Pick<BenchCase, "flops" | "bytes">,
  { gflops, gigabytes }: Ceilings,
): number {
  return Math.max(flops / gflops, bytes / gigabytes) / 1e6;
}

/** Refuses an answer that is further off than `tolerance`. */
export function checkWithin(what: string, difference: number, tolerance: number): void {
  if (!(difference <= tolerance)) {
    throw new Error(`${what} is off by ${difference}, at most ${tolerance} was expected`);
  }
}
