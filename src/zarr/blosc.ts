/**
 * Chunks of Blosc, version 1: blocks that were shuffled, split and compressed apart. Decoded here with a look
 * at every length, since what is made of the C library for browsers ignores its errors.
 *
 * @module
 */

import type { Size } from "./decompress.ts";
import { checkSize, decompressZstd, inflate } from "./decompress.ts";
import { copyForward, decodeLz4 } from "./lz4.ts";
import { unshuffle, unshuffleBits } from "./shuffle.ts";

const HEADER_BYTES = 16;
const FLAGS = { shuffled: 1, copied: 2, bitsShuffled: 4, delta: 8, notSplit: 16 } as const;
/** By the number that stands in the flags. */
const COMPRESSORS = ["blosclz", "lz4", "snappy", "zlib", "zstd"] as const;
// a block is split into the bytes of elements where there are enough of both
const MOST_SPLITS = 16;
const LEAST_SPLIT_BYTES = 128;

/**
 * Decompresses a chunk.
 *
 * @throws {RangeError} If a length is not what another one says, or it is damaged.
 */
export async function decompressBlosc(bytes: Uint8Array, size: Size): Promise<Uint8Array> {
  if (bytes.length < HEADER_BYTES) {
    throw new RangeError(`it holds ${bytes.length} bytes, a header of Blosc has ${HEADER_BYTES}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [version, flags, typeBytes] = [bytes[0]!, bytes[2]!, bytes[3]!];
  const [total, blockBytes, storedBytes] = [4, 8, 12].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
  ];
  if (version !== 2) throw new RangeError(`its version of Blosc is ${version}, wanted 2`);
  if (storedBytes !== bytes.length) {
    throw new RangeError(`it holds ${bytes.length} bytes, its header says ${storedBytes}`);
  }
  checkSize(total, size);
  if (flags & FLAGS.copied) {
    if (storedBytes !== total + HEADER_BYTES) {
      throw new RangeError(
        `it holds ${storedBytes - HEADER_BYTES} bytes, its header says ${total}`,
      );
    }
    return bytes.slice(HEADER_BYTES);
  }
  const compressor = COMPRESSORS[flags >> 5];
  if (compressor === undefined || compressor === "snappy" || flags & FLAGS.delta) {
    const kind = flags & FLAGS.delta ? "differences" : compressor ?? `compressor ${flags >> 5}`;
    throw new RangeError(`its Blosc has ${kind} inside, wanted blosclz, lz4, zlib or zstd`);
  }
  if (total > 0 && (blockBytes === 0 || typeBytes === 0)) {
    throw new RangeError(`its blocks have ${blockBytes} bytes of elements of ${typeBytes}`);
  }
  const target = new Uint8Array(total);
  const blocks = total === 0 ? 0 : Math.ceil(total / blockBytes);
  if (HEADER_BYTES + 4 * blocks > bytes.length) throw damaged();
  for (let block = 0; block < blocks; block++) {
    const begin = block * blockBytes;
    const own = target.subarray(begin, Math.min(total, begin + blockBytes));
    const splits = !(flags & FLAGS.notSplit) && typeBytes <= MOST_SPLITS &&
        blockBytes / typeBytes >= LEAST_SPLIT_BYTES && own.length === blockBytes
      ? typeBytes
      : 1;
    if (own.length % splits !== 0) throw damaged();
    let at = view.getUint32(HEADER_BYTES + 4 * block, true);
    const splitBytes = own.length / splits;
    for (let split = 0; split < splits; split++) {
      if (at + 4 > bytes.length) throw damaged();
      const length = view.getUint32(at, true);
      at += 4;
      if (at + length > bytes.length) throw damaged();
      const part = own.subarray(split * splitBytes, (split + 1) * splitBytes);
      await decompressPart(compressor, bytes.subarray(at, at + length), part);
      at += length;
    }
    if (flags & FLAGS.shuffled && typeBytes > 1) own.set(unshuffle(own, typeBytes));
    else if (flags & FLAGS.bitsShuffled && own.length >= typeBytes) {
      own.set(unshuffleBits(own, typeBytes));
    }
  }
  return target;
}

async function decompressPart(
  compressor: Exclude<typeof COMPRESSORS[number], "snappy">,
  source: Uint8Array,
  target: Uint8Array,
): Promise<void> {
  // what cannot be compressed is left as it is
  if (source.length === target.length) return target.set(source);
  const size = { exact: target.length, most: target.length };
  switch (compressor) {
    case "blosclz":
      return decodeBloscLz(source, target);
    case "lz4":
      return decodeLz4(source, target);
    case "zlib":
      return target.set(await inflate("deflate", source, size));
    case "zstd": {
      const part = await decompressZstd(source, size);
      checkSize(part.length, size);
      return target.set(part);
    }
  }
}

const FAR = 8191;

/** Decodes BloscLZ, which is FastLZ with matches from farther away, into all of `target`. */
function decodeBloscLz(source: Uint8Array, target: Uint8Array): void {
  let from = 0;
  let to = 0;
  const next = (): number => {
    const byte = source[from++];
    if (byte === undefined) throw damaged();
    return byte;
  };
  for (let control = next() & 31;; control = next()) {
    if (control < 32) {
      const literals = control + 1;
      if (from + literals > source.length || to + literals > target.length) throw damaged();
      copyForward(source, from, target, to, literals);
      from += literals;
      to += literals;
    } else {
      let match = (control >> 5) + 2;
      const high = (control & 31) << 8;
      if (match === 9) {
        let more: number;
        do match += more = next(); while (more === 255);
      }
      const low = next();
      const isFar = low === 255 && high === 31 << 8;
      const distance = isFar ? ((next() << 8) | next()) + FAR + 1 : high + low + 1;
      if (distance > to || to + match > target.length) throw damaged();
      copyForward(target, to - distance, target, to, match);
      to += match;
    }
    if (from >= source.length) break;
  }
  if (to !== target.length) {
    throw new RangeError(`its block holds ${to} bytes, wanted ${target.length}`);
  }
}

function damaged(): RangeError {
  return new RangeError("its block of Blosc is damaged");
}
