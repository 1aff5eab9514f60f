/**
 * The nearest code of every row, of those that `vq_assign` left, whose parameters it has. See `shaders/vq_pick.wgsl`.
 *
 * @module
 */

import code from "../../shaders/vq_pick.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { vqAssignConstants } from "./vq_assign.ts";

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

/** @param parts Of a point: 2 where what f32 leaves over comes with it. */
export function vqPickConstants(
  features: number,
  codes: number,
  parts = 1,
): Record<string, number> {
  return { ...vqAssignConstants(features, codes, parts), CODES: codes };
}

/** A thread a row. */
export function vqPickWorkgroups(rows: number, books: number): [number, number, number] {
  return [Math.ceil(rows / ROWS), 1, books];
}
