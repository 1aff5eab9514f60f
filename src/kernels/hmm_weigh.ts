/**
 * A row of the forward filter between two products. See `shaders/hmm_weigh.wgsl`.
 *
 * @module
 */

import code from "../../shaders/hmm_weigh.wgsl?raw" with { type: "text" };
import totals from "../../shaders/shared/state_totals.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const hmmWeigh: KernelSpec = {
  name: "hmm_weigh",
  code: [code, totals, wide].join("\n"),
  bindings: {
    params: "uniform",
    states: "read",
    likelihood: "read",
    predicted: "read",
    filtered: "read_write",
    filter_sums: "read_write",
    state_sums: "read_write",
  },
};

/**
 * Threads of the row kernels, which have one workgroup a lane: enough to keep a row of 10,000 bins
 * short, few enough for software adapters, where every thread of a barrier costs.
 */
export const ROW_WORKGROUP = 128;

/** Discrete states whose sums have room in 16 KiB of a workgroup, 8 bytes a thread each. */
export const MAX_ROW_STATES = 15;

/** Size of `state_sums`, which go from a row kernel to a product: levels and sums of a lane's vector. */
export function stateSumsBytes(lanes: number, states: number): number {
  return 4 * lanes * (1 + states);
}

/** Values of the `override` constants of the row kernels. */
export function rowConstants(states: number): Record<string, number> {
  return { WORKGROUP: ROW_WORKGROUP, STATES: states };
}

/**
 * @param likelihoods Entries of a row of likelihoods, padding included.
 * @param laneRows Rows from one lane to the next in `likelihood`, `filtered` and `filter_sums`.
 * @param predictedAt Element where lane 0 starts, and elements from one lane to the next.
 */
export function hmmWeighParams(
  { bins, likelihoods }: { bins: number; likelihoods: number },
  row: number,
  laneRows: number,
  predictedAt: number,
  predictedStride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(row, laneRows, predictedAt, predictedStride, bins, likelihoods, 0, 0);
}
