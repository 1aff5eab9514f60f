/**
 * Rounds rows of probabilities to 16 bits. See `shaders/encode_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/encode_rows.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const encodeRows: KernelSpec = {
  name: "encode_rows",
  code,
  bindings: { params: "uniform", packed: "read", row_peaks: "read", encoded: "read_write" },
};

/** Values of the shader's `ENCODING`. */
export const ENCODINGS = { half: 0, linear: 1, root: 2 } as const;

const WORKGROUP = 256;

export function encodeRowsConstants(encoding: keyof typeof ENCODINGS): Record<string, number> {
  return { WORKGROUP, ENCODING: ENCODINGS[encoding] };
}

/** `tileRows` are the rows of the tile, of which `packed` holds at least so many. */
export function encodeRowsParams(
  from: number,
  to: number,
  width: number,
  tileRows: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, width, tileRows * width);
}

/** A thread a word, and one more for a row that begins in the middle of one. */
export function encodeRowsWorkgroups(rows: number, width: number): [number, number] {
  return foldWorkgroups(Math.ceil((rows * width / 2 + 1) / WORKGROUP));
}

/** Bytes of the encoded rows: whole words. */
export function encodedBytes(rows: number, width: number): number {
  return 4 * Math.ceil(rows * width / 2);
}
