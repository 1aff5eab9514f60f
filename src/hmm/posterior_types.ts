/**
 * How probabilities of bins are stored, and read again.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { fromRootScaled, fromUint16 } from "../math/quantize.ts";

/** Element types of a stored posterior. */
export type PosteriorType = "f32" | "f16" | "u16" | "u16-linear";

export const POSTERIOR_TYPES: readonly PosteriorType[] = ["f32", "f16", "u16", "u16-linear"];

/** What `encode_rows` calls them. */
export const ENCODING_OF = { f16: "half", u16: "root", "u16-linear": "linear" } as const;

/** The zarr element type each is stored as. */
export const STORED_TYPE = {
  f32: "float32",
  f16: "float16",
  u16: "uint16",
  "u16-linear": "uint16",
} as const;

export function elementBytesOf(dtype: PosteriorType): number {
  return dtype === "f32" ? 4 : 2;
}

/**
 * A stored posterior [rows, width] as f32 probabilities, undone as it is read.
 *
 * @param scales The scale of every row, [rows] f32, where `dtype` is `u16`.
 */
export function decodedPosterior(
  stored: ChunkedArray,
  dtype: PosteriorType,
  scales: ChunkedArray | undefined,
): ChunkedArray {
  if (dtype === "f32" || dtype === "f16") return stored;
  return {
    ...stored,
    dtype: "float32",
    async read(start, end, options) {
      const values = await stored.read(start, end, options) as Uint16Array;
      if (dtype === "u16-linear") return fromUint16(values);
      const rowScales = await scales!.read(start, end, options) as Float32Array;
      return fromRootScaled({ stored: values, scales: rowScales });
    },
    async close() {
      await stored.close();
      await scales?.close();
    },
  };
}
