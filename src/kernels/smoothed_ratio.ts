/**
 * What all rows say of the bins of a row, over what the rows before it let expect. See
 * `shaders/smoothed_ratio.wgsl`.
 *
 * @module
 */

import largest from "../../shaders/shared/largest_exponent.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import code from "../../shaders/smoothed_ratio.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const smoothedRatio: KernelSpec = {
  name: "smoothed_ratio",
  code: [code, wide, largest].join("\n"),
  bindings: {
    params: "uniform",
    places: "read",
    smoothed: "read",
    smoothed_next: "read",
    ratio: "read_write",
    shifts: "read_write",
  },
};

export const smoothedRatioConstants: Record<string, number> = { WORKGROUP: 64 };

/** @param stride Elements of a row. */
export function smoothedRatioParams(
  from: number,
  to: number,
  tileRows: number,
  stride: number,
  bins: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, tileRows, stride, bins, 0, 0, 0);
}

/** A workgroup a row. */
export function smoothedRatioWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
