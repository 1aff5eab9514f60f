/**
 * Reads a path off the best next bins. See `shaders/viterbi_trace.wgsl`.
 *
 * @module
 */

import code from "../../shaders/viterbi_trace.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const viterbiTrace: KernelSpec = {
  name: "viterbi_trace",
  code,
  bindings: { params: "uniform", next: "read", path_bin: "read_write", path: "read_write" },
};

export const viterbiTraceConstants = {};

/** @param stride From one row of `next` to the following one. */
export function viterbiTraceParams(
  from: number,
  to: number,
  stride: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, stride, 0);
}
