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

/** Sources that a dispatch looks at, and the first of their entries. */
export interface PathSources {
  first: number;
  end: number;
  firstEntry: number;
}

/** @param nextAt Where the row begins in `next`. */
export function viterbiStepParams(
  row: number,
  nextAt: number,
  { first, end, firstEntry }: PathSources,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(row, nextAt, first, end, firstEntry, 0, 0, 0);
}

export function viterbiStepWorkgroups({ first, end }: PathSources): [number] {
  return [Math.max(1, Math.ceil((end - first) / WORKGROUP))];
}
