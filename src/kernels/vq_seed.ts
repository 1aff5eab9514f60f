/**
 * Squared distances of every row to a few points. See `shaders/vq_seed.wgsl`.
 *
 * @module
 */

import code from "../../shaders/vq_seed.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { twoParts } from "../math/panels.ts";
import { packVectors, vectorBytes } from "./project_rows.ts";

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

/**
 * @param parts Of a row: 2 where what f32 leaves over comes with it.
 * @param seedParts Of a point: 2 where what f32 leaves over counts.
 */
export function vqSeedConstants(
  features: number,
  tileRows: number,
  parts = 1,
  seedParts = parts,
): Record<string, number> {
  return {
    DIM: features,
    TILE_ROWS4: seedRows(tileRows) / 4,
    PARTS: parts,
    SEED_PARTS: seedParts,
  };
}

/** @param baseRow Row of `points` at which the tile begins, a multiple of 64. */
export function vqSeedParams(from: number, to: number, baseRow: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, baseRow, 0);
}

/** A thread 4 rows; one more where the first row is not a multiple of 4. */
export function vqSeedWorkgroups(rows: number, groups: number): [number, number, number] {
  return [Math.ceil((rows + 3) / 256), 1, groups];
}

/** Bytes of {@link packSeeds}. */
export function seedBytes(points: number, features: number): number {
  return vectorBytes(points, 2 * features);
}

/**
 * Puts `[points, features]` values into the form the kernel reads, f32 and what that leaves over; 0 past the
 * last point.
 */
export function packSeeds(
  values: ArrayLike<number>,
  features: number,
): Float32Array<ArrayBuffer> {
  return packVectors(twoParts(values, features), 2 * features);
}
