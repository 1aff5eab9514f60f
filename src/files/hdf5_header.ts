/**
 * What h5wasm does not tell of an HDF5 file: where it begins, and of a dataset its number format in full
 * and whether its values lie in other files. Read from the object header, by the HDF5 File Format
 * Specification 3.0, sections II.A, IV.A and IV.A.2.
 *
 * @module
 */

import type { SyncFile } from "./output_file.ts";

/** Where addresses count from, and how many bytes they and lengths take. */
export interface H5Superblock {
  base: number;
  addressBytes: number;
  lengthBytes: number;
}

/** How an element is stored. */
export interface H5NumberFormat {
  /** `other` is neither whole numbers nor floats, nor names of whole numbers. */
  kind: "integer" | "float" | "other";
  bytes: number;
  bigEndian: boolean;
  /** Why it is not one of the usual formats, where it is not. */
  unusual?: string;
}

export interface H5Header {
  format: H5NumberFormat | undefined;
  /** Values lie in other files. */
  external: boolean;
}

const SIGNATURE = "\x89HDF\r\n\x1a\n";
/** Where a file may begin behind what others put before it: at 0, 512, 1024 and so on. */
const FIRST_USER_BLOCK = 512;
const [DATATYPE, EXTERNAL_FILES, CONTINUATION] = [0x03, 0x07, 0x10];
const [IS_SHARED, HAS_TIMES, HAS_PHASES, HAS_ORDER] = [0x02, 0x20, 0x10, 0x04];
const [INTEGER, FLOAT, ENUM] = [0, 1, 8];
/** No header of a dataset comes near it. */
const MOST_BYTES = 2 ** 20;

/** Bit positions and widths of floats: of exponent and fraction, the sign, and the exponent's bias. */
const FLOATS: Record<number, string> = {
  2: "0 16 10 5 0 10 15 15",
  4: "0 32 23 8 0 23 31 127",
  8: "0 64 52 11 0 52 63 1023",
};

/** `undefined` if it is no HDF5 file. */
export function readSuperblock(file: SyncFile): H5Superblock | undefined {
  const size = file.getSize();
  for (let at = 0; at < size; at = at === 0 ? FIRST_USER_BLOCK : 2 * at) {
    const start = readBytes(file, at, Math.min(48, size - at));
    if (String.fromCharCode(...start.subarray(0, 8)) !== SIGNATURE) continue;
    const version = start[8]!;
    const [addressBytes, lengthBytes] = version < 2
      ? [start[13]!, start[14]!]
      : [start[9]!, start[10]!];
    const baseAt = version < 2 ? 24 + 4 * version : 12;
    const base = readNumber(start.subarray(baseAt, baseAt + addressBytes));
    return { base, addressBytes, lengthBytes };
  }
  return undefined;
}

/**
 * Reads the header of an object.
 *
 * @param address As references hold it: from the base of the file.
 * @throws {RangeError} If it is not understood.
 */
export function readHeader(file: SyncFile, superblock: H5Superblock, address: number): H5Header {
  const found: H5Header = { format: undefined, external: false };
  for (const { type, flags, data } of messagesOf(file, superblock, address)) {
    if (type === EXTERNAL_FILES) found.external = true;
    if (type !== DATATYPE) continue;
    found.format = flags & IS_SHARED
      ? readHeader(file, superblock, committedAddress(data, superblock)).format
      : numberFormat(data);
  }
  return found;
}

/** Where a type lies that has a name in the file, and that datasets share. */
function committedAddress(data: Uint8Array, { addressBytes }: H5Superblock): number {
  const [version, type] = data;
  // version 3 may mean a heap of messages instead
  if (version === 3 && type !== 2) {
    throw new RangeError("its element type is kept in a shared heap");
  }
  const at = version === 1 ? 8 : 2;
  return readNumber(data.subarray(at, at + addressBytes));
}

interface Message {
  type: number;
  flags: number;
  data: Uint8Array;
}

function* messagesOf(
  file: SyncFile,
  superblock: H5Superblock,
  address: number,
): Generator<Message> {
  const { base, addressBytes, lengthBytes } = superblock;
  const start = readBytes(file, base + address, 40);
  const isNew = String.fromCharCode(...start.subarray(0, 4)) === "OHDR";
  if (!isNew && start[0] !== 1) {
    throw new RangeError("an object header is damaged, or of a new kind");
  }
  const headerFlags = isNew ? start[5]! : 0;
  const blocks: [offset: number, length: number][] = [];
  if (isNew) {
    const sizeAt = 6 + (headerFlags & HAS_TIMES ? 16 : 0) + (headerFlags & HAS_PHASES ? 4 : 0);
    const sizeBytes = 1 << (headerFlags & 3);
    const length = readNumber(start.subarray(sizeAt, sizeAt + sizeBytes));
    blocks.push([base + address + sizeAt + sizeBytes, length]);
  } else blocks.push([base + address + 16, readNumber(start.subarray(8, 12))]);
  const prefix = isNew ? (headerFlags & HAS_ORDER ? 6 : 4) : 8;
  let bytesLeft = MOST_BYTES;
  for (const [offset, length] of blocks) {
    bytesLeft -= length + prefix;
    if (bytesLeft < 0) throw new RangeError(`an object header has more than ${MOST_BYTES} bytes`);
    const block = readBytes(file, offset, length);
    for (let at = 0; at + prefix <= length;) {
      const type = isNew ? block[at]! : readNumber(block.subarray(at, at + 2));
      const sizeAt = at + (isNew ? 1 : 2);
      const size = readNumber(block.subarray(sizeAt, sizeAt + 2));
      const flags = block[sizeAt + 2]!;
      const data = block.subarray(at + prefix, at + prefix + size);
      at += prefix + size;
      if (data.length < size) throw new RangeError("an object header is damaged");
      if (type !== CONTINUATION) {
        yield { type, flags, data };
        continue;
      }
      const next = readNumber(data.subarray(0, addressBytes));
      const bytes = readNumber(data.subarray(addressBytes, addressBytes + lengthBytes));
      // newer blocks begin with a signature and end with a checksum
      blocks.push(isNew ? [base + next + 4, bytes - 8] : [base + next, bytes]);
    }
  }
}

function numberFormat(data: Uint8Array): H5NumberFormat {
  const kind = data[0]! & 15;
  const bits = readNumber(data.subarray(1, 4));
  const bytes = readNumber(data.subarray(4, 8));
  const properties = data.subarray(8);
  const two = (at: number) => readNumber(properties.subarray(at, at + 2));
  if (kind === INTEGER) {
    const [offset, precision] = [two(0), two(2)];
    const isUsual = offset === 0 && precision === 8 * bytes;
    return {
      kind: "integer",
      bytes,
      bigEndian: (bits & 1) === 1,
      ...(!isUsual && { unusual: `whole numbers of ${precision} bits in ${bytes} bytes` }),
    };
  }
  if (kind === FLOAT) {
    const [sign, [exponentAt, exponentBits, fractionAt, fractionBits]] = [bits >> 8 & 255, [
      ...properties.subarray(4, 8),
    ]];
    const bias = readNumber(properties.subarray(8, 12));
    const parts = [two(0), two(2), exponentAt, exponentBits, fractionAt, fractionBits, sign, bias];
    // the first bit of a fraction goes without saying, and there is no order of bytes but two
    const isUsual = parts.join(" ") === FLOATS[bytes] && (bits >> 4 & 3) === 2 && (bits & 64) === 0;
    const unusual = `floats of ${exponentBits} exponent and ${fractionBits} fraction bits in ` +
      `${bytes} bytes`;
    return {
      kind: "float",
      bytes,
      bigEndian: (bits & 1) === 1,
      ...(!isUsual && { unusual }),
    };
  }
  if (kind === ENUM) return numberFormat(properties);
  return { kind: "other", bytes, bigEndian: false };
}

function readBytes(file: SyncFile, at: number, length: number): Uint8Array {
  const size = file.getSize();
  if (!(at >= 0 && length >= 0 && at < size && length <= MOST_BYTES)) {
    throw new RangeError("an object header lies outside of the file");
  }
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, file.read(bytes, { at }));
}

/** A whole number, the lowest byte first. */
function readNumber(bytes: Uint8Array): number {
  return bytes.reduceRight((sum, byte) => 256 * sum + byte, 0);
}
