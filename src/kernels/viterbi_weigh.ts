/**
 * A row of the search for the likeliest path, before the transition. See `shaders/viterbi_weigh.wgsl`.
 *
 * @module
 */

import score from "../../shaders/shared/log_score.wgsl?raw" with { type: "text" };
import code from "../../shaders/viterbi_weigh.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const viterbiWeigh: KernelSpec = {
  name: "viterbi_weigh",
  code: [code, score].join("\n"),
  bindings: {
    params: "uniform",
    states: "read",
    log_likelihood: "read",
    message: "read",
    weighted: "read_write",
    best: "read_write",
    row_best: "read_write",
  },
};

/** @param columns Scores in a row of log-likelihoods. */
export function viterbiWeighConstants(states: number, columns: number): Record<string, number> {
  return { WORKGROUP: 128, STATES: states, COLUMNS: columns };
}

export function viterbiWeighParams(row: number, perState: boolean): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(row, perState ? 1 : 0, 0, 0);
}
