/**
 * Second half of a row of the backward smoother. See `shaders/hmm_rescale.wgsl`.
 *
 * @module
 */

import code from "../../shaders/hmm_rescale.wgsl?raw" with { type: "text" };
import totals from "../../shaders/shared/state_totals.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import type { SmoothStarts } from "./hmm_smooth.ts";
import { NOWHERE } from "./hmm_smooth.ts";

export const hmmRescale: KernelSpec = {
  name: "hmm_rescale",
  code: [code, totals, wide].join("\n"),
  bindings: {
    params: "uniform",
    states: "read",
    back: "read",
    filtered: "read_write",
    smoothed_carry: "read_write",
    smooth_sums: "read_write",
  },
};

/** @param laneRows Rows from one lane to the next in `filtered` and `smooth_sums`. */
export function hmmRescaleParams(
  bins: number,
  row: number,
  laneRows: number,
  { firstEnd, laneLength, burnInEnd = NOWHERE }: SmoothStarts,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(row, laneRows, firstEnd, laneLength, burnInEnd, bins, 0, 0);
}
