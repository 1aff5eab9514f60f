/**
 * Element types as bytes, little endian as every machine that runs WebGPU is.
 *
 * @module
 */

import { decodeFloat16, encodeFloat16 } from "../math/half.ts";
import type { DataType, NumericArray } from "../types.ts";

/** Element types that are not strings. */
export type NumericType = Exclude<DataType, "string">;

const CONSTRUCTORS = {
  bool: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

/** Bytes of one stored element. */
export function elementBytes(dtype: NumericType): number {
  return CONSTRUCTORS[dtype].BYTES_PER_ELEMENT;
}

export function isFloat(dtype: DataType): boolean {
  return dtype.startsWith("float");
}

/** The element type whose stored form a typed array is. */
export function dataTypeOf(values: NumericArray): NumericType {
  const types = Object.keys(CONSTRUCTORS) as NumericType[];
  const found = types.find((dtype) =>
    dtype !== "bool" && dtype !== "float16" && values instanceof CONSTRUCTORS[dtype]
  );
  if (found === undefined) {
    throw new TypeError(`Cannot use a ${kindOf(values)}: wanted a typed array of numbers`);
  }
  return found;
}

/** An array of zeros for stored elements; `float16` as its bits. */
export function createElements(dtype: NumericType, length: number): NumericArray {
  return new CONSTRUCTORS[dtype](length);
}

/** The elements that stored bytes hold: a view where alignment allows; `float16` is decoded. */
export function decodeElements(dtype: NumericType, bytes: Uint8Array): NumericArray {
  const Constructor = CONSTRUCTORS[dtype];
  const aligned = bytes.byteOffset % Constructor.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const length = bytes.byteLength / Constructor.BYTES_PER_ELEMENT;
  const values = new Constructor(aligned.buffer as ArrayBuffer, aligned.byteOffset, length);
  return dtype === "float16" ? decodeFloat16(values as Uint16Array) : values;
}

/**
 * The bytes to be stored: a view of `values`. `float16` takes its bits as `Uint16Array`, or a
 * `Float32Array` to be rounded.
 *
 * @throws {TypeError} If the array is of another kind; `action` begins its message.
 */
export function encodeElements(
  dtype: NumericType,
  values: NumericArray,
  action: string,
): Uint8Array {
  const bits = dtype === "float16" && values instanceof Float32Array
    ? encodeFloat16(values)
    : values;
  if (!(bits instanceof CONSTRUCTORS[dtype])) {
    throw new TypeError(
      `Cannot ${action}: got a ${kindOf(values)}, ${dtype} wants a ${CONSTRUCTORS[dtype].name}`,
    );
  }
  const wrong = dtype === "bool" ? (bits as Uint8Array).findIndex((value) => value > 1) : -1;
  if (wrong >= 0) {
    throw new RangeError(
      `Cannot ${action}: element ${wrong} is ${bits[wrong]}, bool has 0 and 1 alone`,
    );
  }
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

/** Stored bytes of `length` elements that all are `value`. */
export function filledBytes(
  dtype: NumericType,
  value: number | boolean,
  length: number,
): Uint8Array {
  const values = new CONSTRUCTORS[dtype](length);
  if (dtype === "float16") {
    (values as Uint16Array).fill(encodeFloat16(Float32Array.of(Number(value)))[0]!);
  } else if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    values.fill(BigInt(value));
  } else values.fill(Number(value));
  return new Uint8Array(values.buffer);
}

/** Elements of an array of this shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

function kindOf(value: unknown): string {
  return (value as object | undefined)?.constructor?.name ?? String(value);
}
