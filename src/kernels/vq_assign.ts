/**
 * The best codes of every row, a stretch of codes each; vq_pick.ts chooses among them. See
 * `shaders/vq_assign.wgsl`.
 *
 * @module
 */

import assignCode from "../../shaders/vq_assign.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { withProducts } from "./outer_product.ts";

export const vqAssign: KernelSpec = {
  name: "vq_assign",
  ...withProducts(assignCode),
  bindings: {
    params: "uniform",
    points: "read",
    codebooks: "read",
    code_norms: "read",
    candidates: "read_write",
  },
};

/** Norm of the codes that fill a codebook up: larger than any score, and finite. */
const NO_CODE_NORM = 3e38;
/** Codes a thread takes at a time. */
const CODES = 8;
/** Rows of a workgroup. */
const ROWS = 512;
// enough threads for a large GPU from tiles of some thousand rows
const MOST_SPLITS = 8;

/** Codes of a codebook as it is stored. */
export function paddedCodes(codes: number): number {
  return Math.ceil(codes / CODES) * CODES;
}

/** Stretches that the codes are cut into. They change speed, never results. */
export function codeSplits(codes: number): number {
  return Math.min(MOST_SPLITS, paddedCodes(codes) / CODES);
}

/**
 * Constants of `vq_assign`.
 *
 * @param parts Of a point: 2 where what f32 leaves over comes with it.
 */
export function vqAssignConstants(
  features: number,
  codes: number,
  parts = 1,
): Record<string, number> {
  return {
    DIM: features,
    CODES4: paddedCodes(codes) / 4,
    SPLITS: codeSplits(codes),
    PARTS: parts,
  };
}

/**
 * @param tileRows Rows of the largest tile, for which `candidates` and what `vq_pick` writes have room.
 * @param baseRow Row of `points` at which the tile begins, a multiple of 64.
 */
export function vqAssignParams(
  tileRows: number,
  from: number,
  to: number,
  baseRow: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, baseRow, tileRows);
}

/** A thread 8 rows; one more where the first row is not a multiple of 8. */
export function vqAssignWorkgroups(
  rows: number,
  codes: number,
  books: number,
): [number, number, number] {
  return [Math.ceil((rows + 7) / ROWS), codeSplits(codes), books];
}

/** Bytes of what one kernel leaves the other. */
export function candidateBytes(tileRows: number, codes: number, books: number): number {
  return 16 * tileRows * codeSplits(codes) * books;
}

/** Numbers of codebooks in the form the kernels read. */
export function codebookElements(codes: number, features: number, books: number): number {
  return 2 * books * features * paddedCodes(codes);
}

/**
 * Puts codebooks into the form the kernels read: f32, and what that leaves over.
 *
 * @param books Each `[codes, features]`, in the coordinates of `points`.
 * @param coarse The f32 numbers to take for them, as near as any or nearly; the nearest when not given.
 */
export function packCodebooks(
  books: readonly ArrayLike<number>[],
  features: number,
  coarse: readonly Float32Array[] = books.map((book) => Float32Array.from(book)),
): { codebooks: Float32Array<ArrayBuffer>; norms: Float32Array<ArrayBuffer> } {
  const codes = books[0]!.length / features;
  const padded = paddedCodes(codes);
  const codebooks = new Float32Array(codebookElements(codes, features, books.length));
  const norms = new Float32Array(books.length * padded).fill(NO_CODE_NORM);
  for (const [book, values] of books.entries()) {
    for (let code = 0; code < codes; code++) {
      let norm = 0;
      for (let d = 0; d < features; d++) {
        // of the code as the device sees it
        const value = coarse[book]![code * features + d]!;
        const at = (2 * book * features + d) * padded + code;
        codebooks[at] = value;
        codebooks[at + features * padded] = values[code * features + d]! - value;
        norm += value * value;
      }
      norms[book * padded + code] = norm;
    }
  }
  return { codebooks, norms };
}
