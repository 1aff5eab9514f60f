/**
 * Likelihood of rows of spikes with features. See `shaders/marked_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/marked_rows.wgsl?raw" with { type: "text" };
import power from "../../shaders/shared/power_of_two.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const markedRows: KernelSpec = {
  name: "marked_rows",
  code: [code, power, wide].join("\n"),
  bindings: {
    params: "uniform",
    spike_starts: "read",
    intensity: "read",
    ground: "read",
    likelihood: "read_write",
    row_maximum: "read_write",
  },
};

/** Of `ground` where there is no bin. */
export const NO_GROUND = -1e30;

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
