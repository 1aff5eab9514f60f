/**
 * Likelihoods of rows for states that differ in what they expect. See `shaders/state_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/state_rows.wgsl?raw" with { type: "text" };
import largest from "../../shaders/shared/largest_exponent.wgsl?raw" with { type: "text" };
import power from "../../shaders/shared/power_of_two.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";
import { FIXED_ONE } from "./spike_rows.ts";

export const stateRows: KernelSpec = {
  name: "state_rows",
  code: [code, power, wide, largest].join("\n"),
  bindings: {
    params: "uniform",
    sources: "read",
    spatial: "read",
    bias: "read",
    own: "read",
    likelihood: "read_write",
    row_maximum: "read_write",
  },
};

/** What stands for the bias of a cell that has none, and for that of a bin that is ruled out. */
export const NO_BIAS = 0xffffffff;
export const RULED_OUT = -16384;

/** How a row is made up; cells are of 4 bins. */
export interface StateRowShape {
  /** Of each cell of bins: where it lies in a row of `spatial`, and in one of `bias` or {@link NO_BIAS}. */
  sources: readonly (readonly [spatial: number, bias: number])[];
  /** Cells of a row of `spatial`, and of `bias`. */
  spatialCells: number;
  biasCells: number;
  /** States of one bin. */
  ones: number;
  /** Of a whole row of likelihoods. */
  cells: number;
}

export function stateRowsConstants(shape: StateRowShape): Record<string, number> {
  const { sources, spatialCells, biasCells, ones, cells } = shape;
  return {
    ...{ WORKGROUP: 64, PLACED: sources.length, SPATIAL: spatialCells, BIASES: biasCells },
    ...{ ONES: ones, CELLS: cells },
  };
}

export function stateRowsParams(from: number, to: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, 0, 0);
}

/** A workgroup a row. */
export function stateRowsWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}

/** Whole part and 2^-24 above it, to base 2, of a natural logarithm; one that is too small is 2^-2^29. */
export function toFixed(log: number): [whole: number, fraction: number] {
  const scaled = Math.round(Math.max(-(2 ** 29), log / Math.LN2) * FIXED_ONE);
  const whole = Math.floor(scaled / FIXED_ONE);
  return [whole, scaled - whole * FIXED_ONE];
}
