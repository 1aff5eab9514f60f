/**
 * How often spikes with such features occur in every bin. See `shaders/mark_intensity.wgsl`.
 *
 * @module
 */

import code from "../../shaders/mark_intensity.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const markIntensity: KernelSpec = {
  name: "mark_intensity",
  code,
  bindings: {
    params: "uniform",
    electrodes: "read",
    features: "read",
    electrode_starts: "read",
    encoding: "read",
    places: "read",
    intensity: "read_write",
  },
};

const WORKGROUP = 64;

/** Numbers of an encoding spike: its features, its place and its weight. */
export function markEntry(features: number): number {
  return features + 3;
}

/** What stands for the logarithm of the time spent where none was. */
export const NO_TIME = 1e30;

/** `cells` of 4 bins. */
export function markIntensityConstants(features: number, cells: number): Record<string, number> {
  return { WORKGROUP, FEATURES: features, ENTRY: markEntry(features), CELLS: cells };
}

/** A block of encoding spikes among others, and what the last of them brings in: natural logarithms. */
export interface MarkBlock {
  isFirst: boolean;
  isLast: boolean;
  /** Least logarithm. */
  floor: number;
  /** Added to logarithms of sums. */
  constant: number;
  /** Cells that it is for, the last one exclusive. */
  firstCell: number;
  endCell: number;
}

export function markIntensityParams(
  from: number,
  to: number,
  { isFirst, isLast, floor, constant, firstCell, endCell }: MarkBlock,
): Uint32Array<ArrayBuffer> {
  const flags = [isFirst, isLast].map(Number);
  const params = Uint32Array.of(from, to, 0, 0, ...flags, firstCell, endCell);
  new Float32Array(params.buffer).set([floor, constant], 2);
  return params;
}

/** @param cells That the block is for. */
export function markIntensityWorkgroups(spikes: number, cells: number): number[] {
  return [Math.ceil(cells / WORKGROUP), ...foldWorkgroups(Math.max(1, spikes))];
}
