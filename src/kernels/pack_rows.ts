/**
 * Gathers interior bins into dense rows. See `shaders/pack_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/pack_rows.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const packRows: KernelSpec = {
  name: "pack_rows",
  code,
  bindings: { params: "uniform", pack_table: "read", unpacked: "read", packed: "read_write" },
};

const WORKGROUP = 256;

export const packRowsConstants: Record<string, number> = { WORKGROUP };

/**
 * `sourceStride` and `width` are in elements.
 *
 * @param laneRows After how many rows the source has one that is left out; 0 where it has none.
 */
export function packRowsParams(
  from: number,
  to: number,
  sourceStride: number,
  width: number,
  laneRows = 0,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, sourceStride, width, laneRows, 0, 0, 0);
}

/** A thread an element. */
export function packRowsWorkgroups(rows: number, width: number): [number, number] {
  return foldWorkgroups(Math.ceil(rows * width / WORKGROUP));
}
