/**
 * Products of every row with a few vectors. See `shaders/project_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/project_rows.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { withProducts } from "./outer_product.ts";

export const projectRows: KernelSpec = {
  name: "project_rows",
  ...withProducts(code),
  bindings: { params: "uniform", points: "read", vectors: "read", projected: "read_write" },
};

/** Vectors of a group. */
export const GROUP = 8;

/** Elements of a vector's products with a tile: a thread takes 8 rows. */
export function projectedRows(tileRows: number): number {
  return Math.ceil(tileRows / 8) * 8;
}

/** Bytes of the products with a tile. */
export function projectedBytes(tileRows: number, vectors: number): number {
  return 4 * Math.ceil(vectors / GROUP) * GROUP * projectedRows(tileRows);
}

export function projectRowsConstants(features: number, tileRows: number): Record<string, number> {
  return { DIM: features, TILE_ROWS8: projectedRows(tileRows) / 8 };
}

/** @param baseRow Row of `points` at which the tile begins, a multiple of 64. */
export function projectRowsParams(
  from: number,
  to: number,
  baseRow: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, baseRow, 0);
}

/** A thread 8 rows and a group; one more where the first row is not a multiple of 8. */
export function projectRowsWorkgroups(rows: number, vectors: number): [number, number, number] {
  return [Math.ceil((rows + 7) / 512), 1, Math.ceil(vectors / GROUP)];
}

/** Bytes of {@link packVectors}. */
export function vectorBytes(vectors: number, features: number): number {
  return 4 * Math.ceil(vectors / GROUP) * GROUP * features;
}

/** Puts `[vectors, features]` values into the form the kernel reads; 0 past the last vector. */
export function packVectors(
  values: ArrayLike<number>,
  features: number,
): Float32Array<ArrayBuffer> {
  const vectors = values.length / features;
  const packed = new Float32Array(vectorBytes(vectors, features) / 4);
  for (let vector = 0; vector < vectors; vector++) {
    const group = Math.floor(vector / GROUP);
    for (let d = 0; d < features; d++) {
      packed[(group * features + d) * GROUP + vector % GROUP] = values[vector * features + d]!;
    }
  }
  return packed;
}
