/**
 * What metadata calls element types, and their fill values.
 *
 * @module
 */

import { float16BitsToFloat32, float32ToFloat16Bits } from "../math/half.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "./data_types.ts";
import { show } from "./json.ts";
import { decodeElements, elementBytes, isFloat } from "./data_types.ts";

/** Elements as they lie in bytes. */
export interface StoredType {
  dtype: NumericType;
  isBigEndian: boolean;
}

/** What numpy calls numbers, by kind and bytes. */
export const NUMPY_NAMES: Record<string, NumericType> = {
  b1: "bool",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  f2: "float16",
  f4: "float32",
  f8: "float64",
};

/** The numbers that numpy means by a name such as `<f4`; `undefined` if it means something else. */
export function storedType(name: unknown): StoredType | undefined {
  const [, order, type] = /^([<>|])([biuf][1248])$/.exec(String(name)) ?? [];
  const dtype = type === undefined ? undefined : NUMPY_NAMES[type];
  if (dtype === undefined || typeof name !== "string") return undefined;
  const isOrdered = elementBytes(dtype) > 1;
  if (isOrdered && order === "|") return undefined;
  return { dtype, isBigEndian: isOrdered && order === ">" };
}

/** The numbers that zarr v3 means by a name; `undefined` if it means something else. */
export function numericType(name: unknown): NumericType | undefined {
  return Object.values(NUMPY_NAMES).find((dtype) => dtype === name);
}

/** Elements as the typed array that stores them; `float16` as its bits. */
export function elementsOf({ dtype, isBigEndian }: StoredType, bytes: Uint8Array): NumericArray {
  const size = elementBytes(dtype);
  const own = isBigEndian || bytes.byteOffset % size !== 0 ? bytes.slice() : bytes;
  if (isBigEndian) {
    for (let at = 0; at < own.length; at += size) own.subarray(at, at + size).reverse();
  }
  if (dtype === "bool" && own.some((byte) => byte > 1)) {
    throw new RangeError(`it holds ${own.find((byte) => byte > 1)} where bool has 0 and 1 alone`);
  }
  return decodeElements(dtype === "float16" ? "uint16" : dtype, own);
}

const NAMED_FLOATS: Record<string, number> = { NaN, Infinity, "-Infinity": -Infinity };

/**
 * The value of elements that are not stored; of `float16` its bits. Nothing, as version 2 allows, is 0.
 *
 * @throws {RangeError} If it is not a value of that type.
 */
export function fillOf(dtype: NumericType, value: unknown, zarrFormat: 2 | 3): number | bigint {
  const found = isFloat(dtype)
    ? floatFill(dtype, value, zarrFormat)
    : dtype === "bool"
    ? boolFill(value, zarrFormat)
    : wholeFill(dtype, value);
  if (found === undefined) {
    throw new RangeError(`its fill value ${show(value)} is no ${dtype}`);
  }
  return found;
}

function boolFill(value: unknown, zarrFormat: 2 | 3): number | undefined {
  if (typeof value === "boolean" || value === null) return Number(value);
  return zarrFormat === 2 && (value === 0 || value === 1) ? value : undefined;
}

function wholeFill(dtype: NumericType, value: unknown): number | bigint | undefined {
  if (value === null) value = 0;
  const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!isWhole) return undefined;
  const wide = BigInt(value as bigint | number);
  const bits = 8 * elementBytes(dtype);
  const fitted = dtype.startsWith("uint") ? BigInt.asUintN(bits, wide) : BigInt.asIntN(bits, wide);
  if (fitted !== wide) return undefined;
  return bits === 64 ? wide : Number(wide);
}

function floatFill(dtype: NumericType, value: unknown, zarrFormat: 2 | 3): number | undefined {
  const digits = 2 * elementBytes(dtype);
  if (zarrFormat === 3 && typeof value === "string" && /^0x[0-9a-f]+$/i.test(value)) {
    return value.length === digits + 2 ? floatOfBits(dtype, value) : undefined;
  }
  const number = value === null
    ? 0
    : typeof value === "string"
    ? NAMED_FLOATS[value]
    : typeof value === "number" || typeof value === "bigint"
    ? Number(value)
    : undefined;
  return number !== undefined && dtype === "float16" ? nearestHalf(number) : number;
}

/** The float of hexadecimal bits; a half stays its bits. */
function floatOfBits(dtype: NumericType, hexadecimal: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(hexadecimal));
  switch (dtype) {
    case "float16":
      return view.getUint16(6);
    case "float32":
      return view.getFloat32(4);
    default:
      return view.getFloat64(0);
  }
}

/** Bits of the half next to a double: rounding to f32 in between may end in the one beside it. */
function nearestHalf(value: number): number {
  const bits = float32ToFloat16Bits(value);
  const distance = (half: number) => Math.abs(float16BitsToFloat32(half) - value);
  const beside = [bits - 1, bits + 1].find((half) =>
    (half & 0x7fff) < 0x7c00 && distance(half) < distance(bits)
  );
  return beside ?? bits;
}
