/**
 * The codecs that are known, with the options they may have, and how their bytes are decoded. Whatever is not
 * listed here is refused: a codec that is misread gives wrong numbers.
 *
 * @module
 */

import { crc32c } from "../math/crc32c.ts";
import type { Codec, Decoder, Options } from "./codec.ts";
import type { Size } from "./decompress.ts";
import { checkSize, decompressZstd, inflate } from "./decompress.ts";
import { delta, fixedscaleoffset, quantize } from "./filters.ts";
import { show } from "./json.ts";
import { unshuffle } from "./shuffle.ts";

const whole = (value: unknown) => Number.isSafeInteger(value);
const flag = (value: unknown) => typeof value === "boolean";
const text = (value: unknown) => typeof value === "string";

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
// all that decoding needs stands in the bytes; loaded where it is met, since Sluice writes none of it
const blosc = compression({
  cname: text,
  clevel: whole,
  shuffle: (value) => whole(value) || text(value),
  typesize: (value) => whole(value) || value === null,
  blocksize: whole,
}, async (bytes, size) => {
  const { decompressBlosc } = await import("./blosc.ts");
  return await decompressBlosc(bytes, size);
});

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

/** Filters that numcodecs applies to the elements of a chunk. */
const FILTERS: Readonly<Record<string, Codec>> = {
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
    `its codec ${show(name.replace(/^numcodecs\./, ""))} is not known`,
  );
}

/** Refuses options that a codec does not have. */
export function checkOptions(
  name: string,
  options: Options,
  { options: known, required = [] }: Pick<Codec, "options" | "required">,
): void {
  const shown = show(name);
  for (const [key, value] of Object.entries(options)) {
    const isRight = Object.hasOwn(known, key) ? known[key] : undefined;
    if (!isRight) throw new RangeError(`its codec ${shown} has an unknown ${show(key)}`);
    if (!isRight(value)) throw new RangeError(`its codec ${shown} has the ${key} ${show(value)}`);
  }
  for (const key of required) {
    if (options[key] === undefined) throw new RangeError(`its codec ${shown} lacks the ${key}`);
  }
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
async function decompressLz4(bytes: Uint8Array, size: Size): Promise<Uint8Array> {
  if (bytes.length < 4) throw new RangeError(`it holds ${bytes.length} bytes, wanted 4 at least`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  checkSize(length, size);
  const target = new Uint8Array(length);
  const { decodeLz4 } = await import("./lz4.ts");
  decodeLz4(bytes.subarray(4), target);
  return target;
}
