/**
 * Draws paths from the posterior of all rows together. See `shaders/sample_paths.wgsl`.
 *
 * @module
 */

import code from "../../shaders/sample_paths.wgsl?raw" with { type: "text" };
import largest from "../../shaders/shared/largest_exponent.wgsl?raw" with { type: "text" };
import philox from "../../shaders/shared/philox.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const samplePaths: KernelSpec = {
  name: "sample_paths",
  code: [code, wide, philox, largest].join("\n"),
  bindings: {
    params: "uniform",
    tables: "read",
    entries: "read",
    filtered: "read",
    weights: "read_write",
    ahead: "read_write",
    drawn: "read_write",
  },
};

export function samplePathsConstants(states: number): Record<string, number> {
  return { WORKGROUP: 64, STATES: states };
}

export interface SampledRows {
  samples: number;
  /** Elements of a row. */
  stride: number;
  seed: number;
  /** The tile's first row in the recording. */
  tileStart: number;
  bins: number;
}

export function samplePathsParams(
  from: number,
  to: number,
  { samples, stride, seed, tileStart, bins }: SampledRows,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, samples, stride, seed, tileStart, bins, 0);
}
