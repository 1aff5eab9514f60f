/**
 * How probabilities of bins are stored.
 *
 * @module
 */

import type { Packing } from "../array/unpack.ts";

/** Element types of a stored posterior. */
export type PosteriorType = "f32" | "f16" | "u16" | "u16-linear";

export const POSTERIOR_TYPES: readonly PosteriorType[] = ["f32", "f16", "u16", "u16-linear"];

/** What `encode_rows` calls them. */
export const ENCODING_OF = { f16: "half", u16: "root", "u16-linear": "linear" } as const;

/** What readers have to undo. */
export const PACKING_OF: Record<PosteriorType, Packing | undefined> = {
  f32: undefined,
  f16: undefined,
  u16: "root",
  "u16-linear": "linear",
};

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
