/**
 * Largest element of every row. See `shaders/find_peaks.wgsl`.
 *
 * @module
 */

import code from "../../shaders/find_peaks.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const findPeaks: KernelSpec = {
  name: "find_peaks",
  code,
  bindings: { params: "uniform", packed: "read", row_peaks: "read_write" },
};

export const findPeaksConstants: Record<string, number> = { WORKGROUP: 64 };

export function findPeaksParams(from: number, to: number, width: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, width, 0);
}

/** A workgroup a row. */
export function findPeaksWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
