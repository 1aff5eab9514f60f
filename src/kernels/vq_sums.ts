/**
 * Sums of the rows of every code less that code. See `shaders/vq_sums.wgsl`.
 *
 * @module
 */

import code from "../../shaders/vq_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { paddedCodes } from "./vq_assign.ts";

export const vqSums: KernelSpec = {
  name: "vq_sums",
  code,
  bindings: {
    params: "uniform",
    points: "read",
    codebooks: "read",
    ids: "read",
    sums: "read_write",
  },
};

export interface SumsShape {
  features: number;
  codes: number;
  tileRows: number;
  /** Of a point: 2 where what f32 leaves over comes with it. Default 1. */
  parts?: number;
}

/**
 * Rows of a block: fixed for a shape, so that sums are the same whatever the tile. Its sums are an
 * eighth of its rows.
 */
export function sumBlockRows(codes: number): number {
  const rows = 2 ** Math.ceil(Math.log2(8 * codes));
  return Math.min(4096, Math.max(256, rows));
}

/** Blocks that a tile may touch: those that end in it, and one that goes on. */
export function sumRing({ codes, tileRows }: SumsShape): number {
  return Math.ceil(tileRows / sumBlockRows(codes)) + 1;
}

export function vqSumsConstants(shape: SumsShape): Record<string, number> {
  return {
    DIM: shape.features,
    PARTS: shape.parts ?? 1,
    CODES: shape.codes,
    CODES4: paddedCodes(shape.codes) / 4,
    TILE_ROWS: shape.tileRows,
    BLOCK_ROWS: sumBlockRows(shape.codes),
    RING: sumRing(shape),
  };
}

/** @param arrayRow Row of the array at which the tile begins. */
export function vqSumsParams(
  from: number,
  to: number,
  baseRow: number,
  arrayRow: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, baseRow, arrayRow);
}

/** A thread a feature, block and codebook. */
export function vqSumsWorkgroups(
  rows: number,
  { features, codes }: SumsShape,
  books: number,
): [number, number, number] {
  return [Math.ceil(features / 64), Math.ceil(rows / sumBlockRows(codes)) + 1, books];
}

/** Bytes of the sums of all blocks that a tile may touch. */
export function sumBytes(shape: SumsShape, books: number): number {
  return 4 * sumRing(shape) * books * shape.codes * shape.features;
}
