/**
 * Likelihood of rows of spikes with features. See `shaders/marked_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/marked_rows.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";
import { withSpikeRows } from "./spike_rows.ts";

export const markedRows: KernelSpec = {
  name: "marked_rows",
  code: withSpikeRows(code),
  bindings: {
    params: "uniform",
    spike_starts: "read",
    intensity: "read",
    ground: "read",
    likelihood: "read_write",
    row_maximum: "read_write",
  },
};

/** `cells` of 4 bins. */
export function markedRowsConstants(cells: number): Record<string, number> {
  return { WORKGROUP: 64, CELLS: cells };
}

export function markedRowsParams(from: number, to: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, 0, 0);
}

/** A workgroup a row. */
export function markedRowsWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
