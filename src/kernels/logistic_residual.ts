/**
 * How far probabilities move where logits move. See `shaders/logistic_residual.wgsl`.
 *
 * @module
 */

import code from "../../shaders/logistic_residual.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { GROUP, projectedRows } from "./project_rows.ts";

export const logisticResidual: KernelSpec = {
  name: "logistic_residual",
  code,
  bindings: {
    params: "uniform",
    anchors: "read",
    projected: "read",
    offsets: "read",
    residuals: "read_write",
  },
};

export function logisticResidualConstants(tileRows: number): Record<string, number> {
  return { TILE_ROWS8: projectedRows(tileRows) / 8 };
}

export function logisticResidualParams(
  from: number,
  to: number,
  columns: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, columns, 0);
}

/** A thread 8 rows of a column; whole groups, whose last columns are 0. */
export function logisticResidualWorkgroups(rows: number, columns: number): [number, number] {
  return [Math.ceil((rows + 7) / 512), Math.ceil(columns / GROUP) * GROUP];
}
