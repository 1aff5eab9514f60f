/**
 * Zip archives, read in place: members that are stored or deflated, with sizes beyond 4 GiB (zip64).
 * By APPNOTE 6.3.10, sections 4.3 and 4.5.3.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { crc32 } from "../math/crc32c.ts";
import { formatBytes } from "../math/format.ts";
import type { ByteSource } from "./byte_source.ts";
import { readExactly } from "./byte_source.ts";

/** A file in an archive. */
export interface ZipMember {
  name: string;
  method: "stored" | "deflated" | undefined;
  encrypted: boolean;
  crc: number;
  packedBytes: number;
  bytes: number;
  /** Where its own header begins. */
  headerAt: number;
}

// signatures of the records, and the bytes that each has before its texts
const [END, END_BYTES] = [0x06054b50, 22];
const [LOCATOR, LOCATOR_BYTES] = [0x07064b50, 20];
const [END_64, END_64_BYTES] = [0x06064b50, 56];
const [ENTRY, ENTRY_BYTES] = [0x02014b50, 46];
const [LOCAL, LOCAL_BYTES] = [0x04034b50, 30];
const [MOST_COMMENT, MOST_DIRECTORY] = [65_535, 64 * 2 ** 20];
const [IN_64_16, IN_64_32] = [0xffff, 0xffffffff];
/** What deflate can make of a byte, at most. */
const MOST_RATIO = 1032;
/** Members that are looked through when they are opened, and held if they are deflated. */
const MOST_CHECKED_BYTES = 2 ** 30;
const PIECE_BYTES = 4 * 2 ** 20;
/** Enough for any header of an array. */
const START_BYTES = 2 ** 20 + 2 ** 16;

/**
 * Lists the members of an archive.
 *
 * @throws {ChunkError} If it is none, or is damaged.
 */
export async function readZip(source: ByteSource): Promise<ZipMember[]> {
  const { path } = source;
  const damaged = (what: string) => new ChunkError(`Cannot open "${path}": ${what}`, path);
  const tailBytes = Math.min(source.bytes, END_BYTES + MOST_COMMENT);
  const tailAt = source.bytes - tailBytes;
  const tail = await readExactly(source, tailAt, tailBytes);
  const endAt = findEnd(tail);
  if (endAt === undefined) throw damaged("it is no zip archive, or is cut short");
  let end = viewOf(tail.subarray(endAt));
  let directory = {
    members: end.getUint16(10, true),
    bytes: end.getUint32(12, true),
    at: end.getUint32(16, true),
  };
  const { members, bytes, at } = directory;
  if (members === IN_64_16 || bytes === IN_64_32 || at === IN_64_32) {
    const locator = viewOf(
      await readExactly(source, tailAt + endAt - LOCATOR_BYTES, LOCATOR_BYTES),
    );
    if (locator.getUint32(0, true) !== LOCATOR) throw damaged("its zip64 record is missing");
    const endAt64 = Number(locator.getBigUint64(8, true));
    if (endAt64 > source.bytes) throw damaged("its zip64 record lies outside of it");
    end = viewOf(await readExactly(source, endAt64, END_64_BYTES));
    if (end.getUint32(0, true) !== END_64) throw damaged("its zip64 record is damaged");
    const [members, bytes, at] = [32, 40, 48].map((at) => Number(end.getBigUint64(at, true)));
    directory = { members: members!, bytes: bytes!, at: at! };
  }
  if (directory.at + directory.bytes > source.bytes || directory.bytes > MOST_DIRECTORY) {
    throw damaged(
      `its directory of ${directory.bytes} bytes at ${directory.at} does not fit its ` +
        `${source.bytes} bytes`,
    );
  }
  const found: ZipMember[] = [];
  const all = await readExactly(source, directory.at, directory.bytes);
  for (let at = 0; found.length < directory.members;) {
    const entry = readEntry(all.subarray(at));
    if (!entry) throw damaged(`entry ${found.length} of its directory is damaged`);
    found.push(entry.member);
    at += entry.length;
  }
  return found;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The last record that ends where the archive does. */
function findEnd(tail: Uint8Array): number | undefined {
  const view = viewOf(tail);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    const isEnd = view.getUint32(at, true) === END &&
      at + END_BYTES + view.getUint16(at + 20, true) === tail.length;
    if (isEnd) return at;
  }
  return undefined;
}

function readEntry(bytes: Uint8Array): { member: ZipMember; length: number } | undefined {
  const view = viewOf(bytes);
  if (bytes.length < ENTRY_BYTES || view.getUint32(0, true) !== ENTRY) return undefined;
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((at) => view.getUint16(at, true));
  const length = ENTRY_BYTES + nameBytes! + extraBytes! + commentBytes!;
  if (bytes.length < length) return undefined;
  const extraAt = ENTRY_BYTES + nameBytes!;
  const sizes = readSizes(view, extraAt, extraAt + extraBytes!);
  const method = view.getUint16(10, true);
  return {
    length,
    member: {
      name: new TextDecoder().decode(bytes.subarray(ENTRY_BYTES, extraAt)),
      method: method === 0 ? "stored" : method === 8 ? "deflated" : undefined,
      encrypted: (view.getUint16(8, true) & 1) === 1,
      crc: view.getUint32(16, true),
      ...sizes,
    },
  };
}

/** Sizes and place of a member: in an extra field of their own where 32 bits do not do. */
function readSizes(view: DataView, extraAt: number, end: number) {
  const sizes = {
    bytes: view.getUint32(24, true),
    packedBytes: view.getUint32(20, true),
    headerAt: view.getUint32(42, true),
  };
  for (let at = extraAt; at + 4 <= end;) {
    const [kind, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    if (kind === 1) {
      let next = at + 4;
      for (const name of ["bytes", "packedBytes", "headerAt"] as const) {
        if (sizes[name] !== IN_64_32 || next + 8 > at + 4 + length) continue;
        sizes[name] = Number(view.getBigUint64(next, true));
        next += 8;
      }
    }
    at += 4 + length;
  }
  return sizes;
}

/**
 * Opens a member. One that is deflated is held in memory; closing it leaves the archive open. With `onlyStart`
 * no more than its start is read, and nothing compared.
 *
 * Its checksum is compared, except of stored ones of more than 1 GiB.
 *
 * @throws {ChunkError} If it is encrypted, of another compression, damaged, or deflated and larger than 1 GiB.
 */
export async function openMember(
  source: ByteSource,
  member: ZipMember,
  { onlyStart = false }: { onlyStart?: boolean } = {},
): Promise<ByteSource> {
  const path = `${source.path}/${member.name}`;
  const refuse = (reason: string) => new ChunkError(`Cannot open "${path}": ${reason}`, path);
  const { method, bytes, packedBytes, headerAt } = member;
  if (member.encrypted) throw refuse("it is encrypted");
  if (!method) throw refuse("its compression is not known, wanted stored or deflated");
  const header = viewOf(await readExactly(source, headerAt, LOCAL_BYTES));
  const at = headerAt + LOCAL_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  if (header.getUint32(0, true) !== LOCAL || at + packedBytes > source.bytes) {
    throw refuse("its header is damaged");
  }
  const isPossible = method === "stored"
    ? bytes === packedBytes
    : bytes <= MOST_RATIO * packedBytes;
  if (!isPossible) throw refuse(`${packedBytes} bytes are said to hold ${bytes}`);
  const check = (crc: number) => {
    if (crc !== member.crc) throw refuse("its checksum (CRC-32) is wrong: it is damaged");
  };
  if (method === "stored") {
    const read: ByteSource["read"] = (offset, length, options) =>
      source.read(at + offset, Math.max(0, Math.min(length, bytes - offset)), options);
    if (!onlyStart && bytes <= MOST_CHECKED_BYTES) check(await checksumOf(source, at, bytes));
    return { path, bytes, read, close: () => Promise.resolve() };
  }
  if (!onlyStart && bytes > MOST_CHECKED_BYTES) {
    throw refuse(
      `it is compressed, and would be held with its ${formatBytes(bytes)}, at most ` +
        `${formatBytes(MOST_CHECKED_BYTES)} are (save it uncompressed, or unpack the archive)`,
    );
  }
  let held: Uint8Array;
  try {
    held = onlyStart
      ? await inflate(source, at, packedBytes, Math.min(bytes, START_BYTES), true)
      : await inflate(source, at, packedBytes, bytes);
  } catch (error) {
    if (error instanceof ChunkError) throw error;
    throw refuse(`it cannot be decompressed, ${(error as Error).message}`);
  }
  if (!onlyStart) check(crc32(held));
  return {
    path,
    bytes,
    read: (offset, length) => Promise.resolve(held.subarray(offset, offset + length)),
    close: () => Promise.resolve(),
  };
}

async function checksumOf(source: ByteSource, at: number, bytes: number): Promise<number> {
  let crc = 0;
  for (let from = 0; from < bytes; from += PIECE_BYTES) {
    crc = crc32(await readExactly(source, at + from, Math.min(PIECE_BYTES, bytes - from)), crc);
  }
  return crc;
}

/** Decompresses as many bytes as were declared. @throws {RangeError} If it has fewer, or more unless that may be. */
async function inflate(
  source: ByteSource,
  at: number,
  packedBytes: number,
  bytes: number,
  mayGoOn = false,
): Promise<Uint8Array> {
  let from = 0;
  const packed = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      if (from >= packedBytes) return controller.close();
      const length = Math.min(PIECE_BYTES, packedBytes - from);
      controller.enqueue((await readExactly(source, at + from, length)).slice());
      from += length;
    },
  });
  const reader = packed.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const held = new Uint8Array(bytes);
  let filled = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (filled + part.value.length > bytes) {
      await reader.cancel().catch(() => {});
      held.set(part.value.subarray(0, bytes - filled), filled);
      if (mayGoOn) return held;
      throw new RangeError(`it has more than the ${bytes} bytes it declares`);
    }
    held.set(part.value, filled);
    filled += part.value.length;
  }
  if (filled < bytes) throw new RangeError(`it has ${filled} bytes and declares ${bytes}`);
  return held;
}
