/**
 * The codecs that are known, with the options they may have, and how their bytes are decoded. Whatever is not
 * listed here is refused: a codec that is misread gives wrong numbers.
 *
 * @module
 */

import { crc32c } from "../math/crc32c.ts";
import { decodeFloat16, encodeFloat16 } from "../math/half.ts";
import type { NumericArray } from "../types.ts";
import { decompressBlosc } from "./blosc.ts";
import { createElements, elementBytes, isFloat } from "./data_types.ts";
import type { Size } from "./decompress.ts";
import { checkSize, decompressZstd, inflate } from "./decompress.ts";
import { decodeLz4 } from "./lz4.ts";
import { unshuffle } from "./shuffle.ts";
import type { StoredType } from "./stored_types.ts";
import { elementsOf, storedType } from "./stored_types.ts";

/** Undoes what a codec did to bytes. */
export interface Decoder {
  /** Bytes that the codec made of so many. */
  encodedSize(size: Size): Size;
  /** The bytes it was given; `size` is what they should be. */
  decode(bytes: Uint8Array, size: Size): Uint8Array | Promise<Uint8Array>;
  /** Of what changes elements: before and after it. */
  types?: { decoded: StoredType; encoded: StoredType };
}

type Options = Record<string, unknown>;

interface Codec {
  /** Its options, by what is to be said of a wrong value. */
  options: Record<string, (value: unknown) => boolean>;
  required?: readonly string[];
  create(options: Options, name: string): Decoder;
}

const whole = (value: unknown) => Number.isSafeInteger(value);
const flag = (value: unknown) => typeof value === "boolean";
const number = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const text = (value: unknown) => typeof value === "string";
const type = (value: unknown) => storedType(value) !== undefined;

const CHECKSUM_BYTES = 4;

/** What cannot be compressed grows, by a little more than any codec needs. */
const compressedSize = ({ most }: Size): Size => ({
  exact: undefined,
  most: most + Math.ceil(most / 64) + 65_536,
});
const sameSize = (size: Size): Size => size;

const compression = (
  options: Codec["options"],
  decode: (bytes: Uint8Array, size: Size) => Uint8Array | Promise<Uint8Array>,
): Codec => ({ options, create: () => ({ encodedSize: compressedSize, decode }) });

const gzip = compression({ level: whole }, (bytes, size) => inflate("gzip", bytes, size));
const zlib = compression({ level: whole }, (bytes, size) => inflate("deflate", bytes, size));
const zstd = compression({ level: whole, checksum: flag }, decompressZstd);
const lz4 = compression({ acceleration: whole }, decompressLz4);
// all that decoding needs stands in the bytes
const blosc = compression({
  cname: text,
  clevel: whole,
  shuffle: (value) => whole(value) || text(value),
  typesize: (value) => whole(value) || value === null,
  blocksize: whole,
}, decompressBlosc);

const shuffle: Codec = {
  options: { elementsize: (value) => whole(value) && (value as number) >= 0 },
  create: ({ elementsize = 4 }) => ({
    encodedSize: sameSize,
    decode: (bytes) => {
      const size = elementsize as number;
      if (size > 1 && bytes.length % size !== 0) {
        throw new RangeError(`it holds ${bytes.length} bytes of shuffled elements of ${size} each`);
      }
      return size > 1 ? unshuffle(bytes, size) : bytes;
    },
  }),
};

const crc32cCodec: Codec = {
  options: {},
  create: () => ({
    encodedSize: ({ exact, most }) => ({
      exact: exact === undefined ? undefined : exact + CHECKSUM_BYTES,
      most: most + CHECKSUM_BYTES,
    }),
    decode: checkCrc32c,
  }),
};

/** Numbers that were rounded before they were stored: nothing is to be undone. */
const bitround: Codec = {
  options: { keepbits: whole },
  create: () => ({ encodedSize: sameSize, decode: (bytes) => bytes }),
};

const delta: Codec = elementwise({}, undoDelta, (decoded, encoded) => {
  // numpy sums floats of two types, or signed and unsigned numbers, in a third one
  const kind = (dtype: string) => isFloat(decoded) ? dtype : dtype.replace(/\d+/, "");
  return decoded !== "bool" && kind(decoded) === kind(encoded);
});

const quantize: Codec = elementwise(
  { digits: whole },
  convert,
  (decoded, encoded) =>
    isFloat(decoded) && isFloat(encoded) &&
    // halves of doubles would be rounded twice here
    !(decoded === "float16" && encoded === "float64"),
);

const fixedscaleoffset: Codec = elementwise(
  { offset: number, scale: number },
  undoScaleOffset,
  (decoded, encoded, { scale, offset }) => {
    const isWide = decoded === "float32" || decoded === "float64";
    const fits = [scale, offset].every((value) => Number.isFinite(Math.fround(value as number)));
    return isWide && encoded !== "bool" && encoded !== "float16" && fits;
  },
);

/** Filters that numcodecs applies to the elements of a chunk. */
export const FILTERS: Readonly<Record<string, Codec>> = {
  delta,
  fixedscaleoffset,
  quantize,
  bitround,
};

/** Codecs of version 2, by the `id` that numcodecs gives them. */
export const CODECS_V2: Readonly<Record<string, Codec>> = {
  ...FILTERS,
  shuffle,
  gzip,
  zlib,
  zstd,
  lz4,
  blosc,
};

/** Codecs of version 3 that take bytes. */
export const BYTE_CODECS_V3: Readonly<Record<string, Codec>> = {
  gzip,
  zstd,
  blosc,
  crc32c: crc32cCodec,
  "numcodecs.gzip": gzip,
  "numcodecs.zlib": zlib,
  "numcodecs.zstd": zstd,
  "numcodecs.lz4": lz4,
  "numcodecs.blosc": blosc,
  "numcodecs.shuffle": shuffle,
};

/** Codecs of version 3 that take elements and give elements, apart from `transpose`. */
export const FILTERS_V3: Readonly<Record<string, Codec>> = {
  bitround,
  ...Object.fromEntries(Object.entries(FILTERS).map(([id, codec]) => [`numcodecs.${id}`, codec])),
};

/**
 * The decoder of a codec with these options.
 *
 * @throws {RangeError} If the codec is `undefined`, an option is not known, or a value is of a wrong kind.
 */
export function createDecoder(name: string, codec: Codec | undefined, options: Options): Decoder {
  if (!codec) throw unknownCodec(name);
  checkOptions(name, options, codec);
  return codec.create(options, name);
}

export function unknownCodec(name: string): RangeError {
  return new RangeError(
    `its codec ${JSON.stringify(name.replace(/^numcodecs\./, ""))} is not known`,
  );
}

/** Refuses options that a codec does not have. */
export function checkOptions(
  name: string,
  options: Options,
  { options: known, required = [] }: Pick<Codec, "options" | "required">,
): void {
  const shown = JSON.stringify(name);
  for (const [key, value] of Object.entries(options)) {
    const isRight = Object.hasOwn(known, key) ? known[key] : undefined;
    if (!isRight) throw new RangeError(`its codec ${shown} has an unknown ${JSON.stringify(key)}`);
    if (!isRight(value)) throw new RangeError(`its codec ${shown} has the ${key} ${show(value)}`);
  }
  for (const key of required) {
    if (options[key] === undefined) throw new RangeError(`its codec ${shown} lacks the ${key}`);
  }
}

/** A value of metadata, as it may stand in a message. */
export function show(value: unknown): string {
  return typeof value === "bigint" ? String(value) : JSON.stringify(value) ?? "undefined";
}

/** Undoes codecs, which are listed in the order they were applied; gives bytes of that size. */
export async function decodeBytes(
  bytes: Uint8Array,
  decoders: readonly Decoder[],
  size: Size,
): Promise<Uint8Array> {
  const sizes = [size];
  for (const { encodedSize } of decoders) sizes.push(encodedSize(sizes.at(-1)!));
  let decoded = bytes;
  for (let i = decoders.length - 1; i >= 0; i--) {
    decoded = await decoders[i]!.decode(decoded, sizes[i]!);
    checkSize(decoded.length, sizes[i]!);
  }
  if (decoders.length === 0) checkSize(bytes.length, size);
  return decoded;
}

/** Most bytes that a chunk of so many can have become. */
export function mostEncodedBytes(decoders: readonly Decoder[], size: Size): number {
  return decoders.reduce((encoded, { encodedSize }) => encodedSize(encoded), size).most;
}

function checkCrc32c(bytes: Uint8Array): Uint8Array {
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  const stored = bytes.length < CHECKSUM_BYTES
    ? NaN
    : new DataView(bytes.buffer, bytes.byteOffset).getUint32(body.length, true);
  if (crc32c(body) !== stored) {
    throw new RangeError(`its ${bytes.length} bytes do not match their checksum`);
  }
  return body;
}

/** numcodecs puts the length before a block of LZ4. */
function decompressLz4(bytes: Uint8Array, size: Size): Uint8Array {
  if (bytes.length < 4) throw new RangeError(`it holds ${bytes.length} bytes, wanted 4 at least`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  checkSize(length, size);
  const target = new Uint8Array(length);
  decodeLz4(bytes.subarray(4), target);
  return target;
}

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
