/**
 * Sums of rows of probabilities over discrete states. See `shaders/sum_states.wgsl`.
 *
 * @module
 */

import code from "../../shaders/sum_states.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const sumStates: KernelSpec = {
  name: "sum_states",
  code,
  bindings: { params: "uniform", state_starts: "read", packed: "read", state_shares: "read_write" },
};

const WORKGROUP = 64;

export function sumStatesConstants(states: number): Record<string, number> {
  return { WORKGROUP, STATES: states };
}

export function sumStatesParams(
  from: number,
  to: number,
  width: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, width, 0);
}

/** A workgroup a row. */
export function sumStatesWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
