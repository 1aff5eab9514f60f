/**
 * The nearest code of every row, of those that `vq_assign` left, whose constants and parameters it
 * has. See `shaders/vq_pick.wgsl`.
 *
 * @module
 */

import code from "../../shaders/vq_pick.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const vqPick: KernelSpec = {
  name: "vq_pick",
  code,
  bindings: {
    params: "uniform",
    points: "read",
    codebooks: "read",
    candidates: "read",
    ids: "read_write",
    nearness: "read_write",
  },
};

/** Rows of a workgroup. */
const ROWS = 64;

/** A thread a row. */
export function vqPickWorkgroups(rows: number, books: number): [number, number, number] {
  return [Math.ceil(rows / ROWS), 1, books];
}
