/**
 * Squared distances of every row to a few points. See `shaders/vq_seed.wgsl`.
 *
 * @module
 */

import code from "../../shaders/vq_seed.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { packVectors } from "./project_rows.ts";

export const vqSeed: KernelSpec = {
  name: "vq_seed",
  code,
  bindings: { params: "uniform", points: "read", seeds: "read", seed_distances: "read_write" },
};

/** Points of a group. */
export const SEEDS = 8;

/** Rows of `seed_distances` for a tile: 4 to a vec4. */
export function seedRows(tileRows: number): number {
  return Math.ceil(tileRows / 4) * 4;
}

export function vqSeedConstants(features: number, tileRows: number): Record<string, number> {
  return { DIM: features, TILE_ROWS4: seedRows(tileRows) / 4 };
}

/** @param baseRow Row of `points` at which the tile begins, a multiple of 64. */
export function vqSeedParams(from: number, to: number, baseRow: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, baseRow, 0);
}

/** A thread 4 rows; one more where the first row is not a multiple of 4. */
export function vqSeedWorkgroups(rows: number, groups: number): [number, number, number] {
  return [Math.ceil((rows + 3) / 256), 1, groups];
}

/** Puts `[points, features]` values into the form the kernel reads; 0 past the last point. */
export const packSeeds = packVectors;
