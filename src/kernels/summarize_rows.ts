/**
 * What rows of probabilities say in a few numbers. See `shaders/summarize_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/summarize_rows.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const summarizeRows: KernelSpec = {
  name: "summarize_rows",
  code,
  bindings: { params: "uniform", packed: "read", positions: "read", summaries: "read_write" },
};

/** Numbers a row, by their place among those the kernel writes. */
export const SUMMARY = {
  mapBin: 0,
  peak: 1,
  entropy: 2,
  mean: [3, 4],
  variance: [5, 6],
  hpdThreshold: 7,
  hpdSize: 8,
} as const;
export const SUMMARY_LENGTH = 9;

/** @param coverage Mass of the highest-density region, above 0 and at most 1. */
export function summarizeRowsConstants(coverage: number): Record<string, number> {
  return { WORKGROUP: 64, COVERAGE: coverage };
}

export function summarizeRowsParams(
  from: number,
  to: number,
  width: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, width, 0);
}

/** A workgroup a row. */
export function summarizeRowsWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
