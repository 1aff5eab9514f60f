/**
 * How likely each discrete state is followed by each, at every row. See `shaders/expected_transitions.wgsl`.
 *
 * @module
 */

import code from "../../shaders/expected_transitions.wgsl?raw" with { type: "text" };
import largest from "../../shaders/shared/largest_exponent.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const expectedTransitions: KernelSpec = {
  name: "expected_transitions",
  code: [code, wide, largest].join("\n"),
  bindings: {
    params: "uniform",
    tables: "read",
    entries: "read",
    filtered: "read",
    ratio: "read",
    shifts: "read",
    expected: "read_write",
  },
};

/** Where a block has no rows: its probabilities are all alike. */
export const ALIKE = 0xffffffff;

export function expectedTransitionsConstants(states: number): Record<string, number> {
  return { WORKGROUP: 64, STATES: states };
}

/** @param stride Elements of a row. */
export function expectedTransitionsParams(
  from: number,
  to: number,
  tileRows: number,
  stride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, tileRows, stride);
}

/** A workgroup for a row and a pair of states. */
export function expectedTransitionsWorkgroups(rows: number, states: number): [number, number] {
  return foldWorkgroups(rows * states * states);
}
