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
import { ROW_WORKGROUP } from "./hmm_weigh.ts";

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

export function hmmRescaleConstants(states: number, bins: number): Record<string, number> {
  return { WORKGROUP: ROW_WORKGROUP, STATES: states, BINS: bins };
}

/** @param laneRows Rows from one lane to the next in `filtered` and `smooth_sums`. */
export function hmmRescaleParams(
  row: number,
  laneRows: number,
  { firstEnd, laneLength, burnInEnd = NOWHERE }: SmoothStarts,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(row, laneRows, firstEnd, laneLength, burnInEnd, 0, 0, 0);
}
