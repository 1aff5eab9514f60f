/**
 * A row of the search for the likeliest path, through the transition. See `shaders/viterbi_step.wgsl`.
 *
 * @module
 */

import score from "../../shaders/shared/log_score.wgsl?raw" with { type: "text" };
import code from "../../shaders/viterbi_step.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const viterbiStep: KernelSpec = {
  name: "viterbi_step",
  code: [code, score].join("\n"),
  bindings: {
    params: "uniform",
    sources: "read",
    entries: "read",
    spread: "read",
    weighted: "read",
    best: "read",
    row_best: "read",
    message: "read_write",
    next: "read_write",
  },
};

const WORKGROUP = 64;

export function viterbiStepConstants(states: number): Record<string, number> {
  return { WORKGROUP, STATES: states };
}

/**
 * @param sources Bins to look at, and one more where the start is one.
 * @param nextAt Where the row begins in `next`.
 */
export function viterbiStepParams(
  row: number,
  sources: number,
  nextAt: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(row, sources, nextAt, 0);
}

export function viterbiStepWorkgroups(bins: number): [number] {
  return [Math.ceil((bins + 1) / WORKGROUP)];
}
