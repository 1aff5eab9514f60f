/**
 * What activations are made of: axes, types of elements, and what is known of where they came from.
 *
 * @module
 */

import { decodeBfloat16, encodeBfloat16 } from "../math/bfloat16.ts";
import { decodeFloat16, encodeFloat16 } from "../math/half.ts";
import type { NumericType } from "../zarr/data_types.ts";

/** Axes: samples (b), layers (l), tokens (s), channels (h). */
export type Dims = "bh" | "bsh" | "blh" | "blsh";

export const ALL_DIMS: readonly Dims[] = ["bh", "bsh", "blh", "blsh"];

/** Element types of activations. */
export type ActsType = "bfloat16" | "float16" | "float32" | "float64";

/** Types that results may have. */
export type CastType = Exclude<ActsType, "float64">;

export const CAST_TYPES: readonly CastType[] = ["bfloat16", "float16", "float32"];

/** Elements as they are stored: halves of both kinds as their bits. */
export type StoredValues = Uint16Array | Float32Array | Float64Array;

export const TYPE_BYTES: Record<ActsType, number> = {
  bfloat16: 2,
  float16: 2,
  float32: 4,
  float64: 8,
};

/** What zarr calls the stored elements; it has no floats of the brain kind, so those are their bits. */
export function storedTypeOf(dtype: ActsType): NumericType {
  return dtype === "bfloat16" ? "uint16" : dtype;
}

/** What is known of activations besides their values. */
export interface ActsFacts {
  /** The model, or whoever made them. */
  producer?: string;
  /** Where in the model they were taken, as `resid_post`. */
  hookPoint?: string;
  /** How they were collected, in words. */
  collected?: string;
  /** Layers whose entries come after the final norm, which those of others do not. */
  afterFinalNorm?: readonly number[];
}

/** Layer id of the embeddings; others are the outputs of blocks, from 0. */
export const EMBEDDINGS = -1;

/** As f32; f64 is rounded to it. */
export function toFloat32(values: StoredValues, dtype: ActsType): Float32Array {
  if (dtype === "bfloat16") return decodeBfloat16(values as Uint16Array);
  if (dtype === "float16") return decodeFloat16(values as Uint16Array);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/** Elements of another type, each rounded to the nearest. */
export function fromFloat32(values: Float32Array, dtype: CastType): StoredValues {
  if (dtype === "bfloat16") return encodeBfloat16(values);
  return dtype === "float16" ? encodeFloat16(values) : values;
}

/** Whether each value of a type is one of the other, too. */
export function isExact(from: ActsType, to: ActsType): boolean {
  return from === to || to === "float64" || (to === "float32" && from !== "float64");
}

export function createValues(dtype: ActsType, length: number): StoredValues {
  if (dtype === "float64") return new Float64Array(length);
  return dtype === "float32" ? new Float32Array(length) : new Uint16Array(length);
}

/** Position of the first element that is NaN, or infinite where those are looked for too; -1 if there is none. */
export function findUnsound(
  values: StoredValues,
  dtype: ActsType,
  { infinite }: { infinite: boolean },
): number {
  if (!(values instanceof Uint16Array)) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (infinite ? !Number.isFinite(value) : value !== value) return i;
    }
    return -1;
  }
  const top = dtype === "float16" ? 0x7c00 : 0x7f80;
  for (let i = 0; i < values.length; i++) {
    const magnitude = values[i]! & 0x7fff;
    if (infinite ? magnitude >= top : magnitude > top) return i;
  }
  return -1;
}
