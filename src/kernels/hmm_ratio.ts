/**
 * First half of a row of the backward smoother. See `shaders/hmm_ratio.wgsl`.
 *
 * @module
 */

import code from "../../shaders/hmm_ratio.wgsl?raw" with { type: "text" };
import totals from "../../shaders/shared/state_totals.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const hmmRatio: KernelSpec = {
  name: "hmm_ratio",
  code: [code, totals, wide].join("\n"),
  bindings: {
    params: "uniform",
    states: "read",
    smoothed_carry: "read",
    predicted: "read",
    ratio: "read_write",
    state_sums: "read_write",
  },
};

/** Element of `predicted` where lane 0 starts, and elements from one lane to the next. */
export function hmmRatioParams(
  bins: number,
  predictedAt: number,
  predictedStride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(predictedAt, predictedStride, bins, 0);
}
