/**
 * Filters of numcodecs that make elements of elements, undone as numpy does.
 *
 * @module
 */

import { decodeFloat16, encodeFloat16 } from "../math/half.ts";
import type { NumericArray } from "../types.ts";
import { createElements, elementBytes, isFloat } from "./data_types.ts";
import type { Codec, Options } from "./codec.ts";
import { show } from "./json.ts";
import type { StoredType } from "./stored_types.ts";
import { elementsOf, storedType } from "./stored_types.ts";

const type = (value: unknown) => storedType(value) !== undefined;
const whole = (value: unknown) => Number.isSafeInteger(value);
const number = (value: unknown) => typeof value === "number" && Number.isFinite(value);

export const delta: Codec = elementwise({}, undoDelta, (decoded, encoded) => {
  // numpy sums floats of two types, or signed and unsigned numbers, in a third one
  const kind = (dtype: string) => isFloat(decoded) ? dtype : dtype.replace(/\d+/, "");
  return decoded !== "bool" && kind(decoded) === kind(encoded);
});

export const quantize: Codec = elementwise(
  { digits: whole },
  convert,
  (decoded, encoded) =>
    isFloat(decoded) && isFloat(encoded) &&
    // halves of doubles would be rounded twice here
    !(decoded === "float16" && encoded === "float64"),
);

export const fixedscaleoffset: Codec = elementwise(
  { offset: number, scale: number },
  undoScaleOffset,
  (decoded, encoded, { scale, offset }) => {
    const isWide = decoded === "float32" || decoded === "float64";
    const fits = [scale, offset].every((value) => Number.isFinite(Math.fround(value as number)));
    return isWide && encoded !== "bool" && encoded !== "float16" && fits;
  },
);

/** A codec of numcodecs that makes elements of type `astype` of elements of type `dtype`. */
function elementwise(
  options: Codec["options"],
  undo: (encoded: NumericArray, types: Types, options: Options) => NumericArray,
  isKnown: (decoded: Types["decoded"], encoded: Types["encoded"], options: Options) => boolean,
): Codec {
  return {
    options: { dtype: type, astype: type, ...options },
    required: ["dtype", ...Object.keys(options)],
    create: (own, name) => {
      const decoded = storedType(own.dtype)!;
      const encoded = storedType(own.astype ?? own.dtype)!;
      if (!isKnown(decoded.dtype, encoded.dtype, own)) {
        throw new RangeError(
          `its codec ${show(name)} takes ${decoded.dtype} to ${encoded.dtype}, by ${show(own)}`,
        );
      }
      const [wide, narrow] = [elementBytes(decoded.dtype), elementBytes(encoded.dtype)];
      return {
        types: { decoded, encoded },
        encodedSize: ({ exact, most }) => ({
          exact: exact === undefined ? undefined : exact / wide * narrow,
          most: most / wide * narrow,
        }),
        decode: (bytes) => {
          if (bytes.length % narrow !== 0) {
            throw new RangeError(`it holds ${bytes.length} bytes of ${encoded.dtype}`);
          }
          const types = { decoded: decoded.dtype, encoded: encoded.dtype };
          return storedBytes(decoded, undo(elementsOf(encoded, bytes), types, own));
        },
      };
    },
  };
}

interface Types {
  decoded: StoredType["dtype"];
  encoded: StoredType["dtype"];
}

/** Elements as bytes of a type; halves are given as their bits. */
function storedBytes({ dtype, isBigEndian }: StoredType, values: NumericArray): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const size = elementBytes(dtype);
  if (!isBigEndian) return bytes;
  const swapped = bytes.slice();
  for (let at = 0; at < swapped.length; at += size) swapped.subarray(at, at + size).reverse();
  return swapped;
}

/** Sums of all elements up to each one, rounded or wrapped as elements of their type are. */
function undoDelta(differences: NumericArray, { decoded }: Types): NumericArray {
  const sums = createElements(decoded, differences.length);
  if (sums instanceof BigInt64Array || sums instanceof BigUint64Array) {
    let sum = 0n;
    for (let i = 0; i < sums.length; i++) {
      sum = sums[i] = BigInt.asIntN(64, sum + BigInt(differences[i]!));
    }
    return sums;
  }
  if (!isFloat(decoded)) {
    let sum = 0;
    const isWide = differences instanceof BigInt64Array || differences instanceof BigUint64Array;
    for (let i = 0; i < sums.length; i++) {
      const step = isWide ? Number(BigInt.asIntN(32, differences[i] as bigint)) : differences[i]!;
      sum = (sum + Number(step)) | 0;
      sums[i] = sum;
    }
    return sums;
  }
  if (decoded === "float16") return sumHalves(differences as Uint16Array);
  let sum = -0;
  for (let i = 0; i < sums.length; i++) {
    // a typed array rounds to its type
    sums[i] = sum + (differences[i] as number);
    sum = sums[i] as number;
  }
  return sums;
}

function sumHalves(bits: Uint16Array): Uint16Array {
  const steps = decodeFloat16(bits);
  const rounded = new Float32Array(1);
  const sums = new Uint16Array(bits.length);
  let sum = -0;
  for (let i = 0; i < sums.length; i++) {
    // two halves have a sum that f32 holds
    rounded[0] = sum + steps[i]!;
    sums.set(encodeFloat16(rounded), i);
    sum = decodeFloat16(sums.subarray(i, i + 1))[0]!;
  }
  return sums;
}

/** Floats as floats of another type. */
function convert(values: NumericArray, { decoded, encoded }: Types): NumericArray {
  if (decoded === encoded) return values;
  const floats = encoded === "float16" ? decodeFloat16(values as Uint16Array) : values;
  if (decoded === "float16") return encodeFloat16(floats as Float32Array);
  const converted = createElements(decoded, values.length) as Float64Array;
  converted.set(floats as Float64Array);
  return converted;
}

/** Values as numcodecs has them of numpy: whole numbers in f64, floats in their own type. */
function undoScaleOffset(
  values: NumericArray,
  { decoded, encoded }: Types,
  options: Options,
): NumericArray {
  const round = encoded === "float32" ? Math.fround : (value: number) => value;
  const scale = round(options.scale as number);
  const offset = round(options.offset as number);
  const result = createElements(decoded, values.length);
  for (let i = 0; i < values.length; i++) {
    result[i] = round(round(Number(values[i]) / scale) + offset);
  }
  return result;
}
