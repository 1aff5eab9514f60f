/**
 * Stores as one file: zip archives of zarr groups, which zarr, xarray and this package read in place. By APPNOTE 6.3.10,
 * members stored as they are, with zip64 records where sizes want them.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { createFile } from "../files/sync_file.ts";
import { crc32 } from "../math/crc32c.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag, signal, told } from "../options.ts";
import { openStore } from "../store/open_store.ts";
import { nextTurn } from "../turns.ts";
import { firstHole } from "../zarr/check.ts";
import { readGroupAttributes } from "../zarr/metadata.ts";

export const zipOptions = declare("zip", {
  /** Replaces a file that is already there. Default false. */
  overwrite: flag({ default: false, stored: false, says: "replace a file that is already there" }),
  signal,
  onProgress: told<(fraction: number) => void>("told the share that is written, 0 to 1"),
});

/** What {@link exportZip} wrote. */
export interface ZipResult {
  place: string;
  files: number;
  fileBytes: number;
}

const [LOCAL, LOCAL_BYTES] = [0x04034b50, 30];
const [ENTRY, ENTRY_BYTES] = [0x02014b50, 46];
const [END_64, END_64_BYTES] = [0x06064b50, 56];
const [LOCATOR, LOCATOR_BYTES] = [0x07064b50, 20];
const [END, END_BYTES] = [0x06054b50, 22];
/** What a field of 16 or 32 bits holds where zip64 has the number. */
const [IN_64_16, IN_64_32] = [0xffff, 0xffffffff];
const [EXTRA_64, EXTRA_64_BYTES] = [1, 28];
const [VERSION_64, VERSION] = [45, 20];
const IS_UTF_8 = 0x0800;
/** Midnight of the first day that zip knows: equal stores are equal archives. */
const FIRST_DAY = 0x21;
/** Read and added to the checksum at a time. */
const PIECE_BYTES = 4 * 2 ** 20;

/** A number, and the bytes that it takes. */
interface Field {
  bytes: number;
  value: number;
}

/** A member that has been written. */
interface Member {
  name: Uint8Array;
  crc: number;
  bytes: number;
  at: number;
}

/**
 * Writes a stored result, or any zarr group, into one zip archive: `xarray.open_zarr("x.zarr.zip")` reads it, and so does
 * `openArray("x.zarr.zip/name")`. Files go in as they are, a piece at a time, in the order of their names; the archive
 * appears under its name once it is whole.
 *
 * In browsers a file in `opfs:` can only be written in a dedicated worker, one in `memory:` anywhere.
 *
 * @param place Of a zarr group.
 * @param file Place of the archive.
 * @throws {ChunkError} If nothing is there, or it is unfinished.
 * @throws {OutputConflictError} If the file is there already and `overwrite` is not set.
 * @throws {QuotaError} If there is too little room, before anything is written.
 */
export async function exportZip(
  place: string,
  file: string,
  options: OptionsOf<typeof zipOptions> = {},
): Promise<ZipResult> {
  const { overwrite, signal, onProgress } = zipOptions.check(options);
  signal?.throwIfAborted();
  const store = await openStore(place);
  try {
    const refuse = (reason: string) => new ChunkError(`Cannot zip ${place}: ${reason}`, place);
    const { attributes } = await readGroupAttributes(store) ?? {};
    if (attributes?.complete === false) {
      throw refuse("it has not finished, run it again");
    }
    const hole = attributes?.complete === true ? await firstHole(store) : undefined;
    if (hole) throw refuse(`${hole}; see what sluice check says`);
    const keys = await store.list("/");
    if (keys.length === 0) throw refuse("nothing is stored there");
    const sizes = new Map<string, number>();
    for (const key of keys) sizes.set(key, (await store.size(key))!);
    const totalBytes = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
    const neededBytes = totalBytes + keys.reduce((sum, key) => sum + recordBytes(key), END_ALL);
    const output = await createFile(file, { overwrite, neededBytes });
    try {
      let at = 0;
      const write = (bytes: Uint8Array) => {
        output.file.write(bytes, { at });
        at += bytes.byteLength;
      };
      const members: Member[] = [];
      let done = 0;
      for (const [key, bytes] of sizes) {
        const member = { name: new TextEncoder().encode(key.slice(1)), crc: 0, bytes, at };
        const headerAt = at;
        at += LOCAL_BYTES + member.name.length + extraOf(member).length;
        for (let offset = 0; offset < bytes; offset += PIECE_BYTES) {
          const length = Math.min(PIECE_BYTES, bytes - offset);
          const piece = await store.getRange(key, { offset, length });
          if (piece?.byteLength !== length) throw refuse(`"${key.slice(1)}" changed meanwhile`);
          member.crc = crc32(piece, member.crc);
          write(piece);
          done += length;
          onProgress?.(done / totalBytes);
          await nextTurn();
          signal?.throwIfAborted();
        }
        output.file.write(localHeader(member), { at: headerAt });
        members.push(member);
      }
      const directoryAt = at;
      for (const member of members) write(entry(member));
      write(endRecords(members.length, at - directoryAt, directoryAt));
      await output.finish();
      return { place: output.place, files: members.length, fileBytes: at };
    } catch (error) {
      await output.discard().catch(() => {});
      throw error;
    }
  } finally {
    await store.close();
  }
}

const END_ALL = END_64_BYTES + LOCATOR_BYTES + END_BYTES;

/** What a member takes besides its bytes, at most. */
function recordBytes(key: string): number {
  const name = new TextEncoder().encode(key).length;
  return LOCAL_BYTES + ENTRY_BYTES + 2 * (name + EXTRA_64_BYTES);
}

const isWide = ({ bytes, at }: Member) => bytes >= IN_64_32 || at >= IN_64_32;

/** Sizes and place in 64 bits, where 32 are too few. */
function extraOf(member: Member): Uint8Array {
  if (!isWide(member)) return new Uint8Array(0);
  const { bytes, at } = member;
  return record(two(EXTRA_64, 24), eight(bytes, bytes, at));
}

/** What both headers of a member say of it. */
function facts(member: Member): Field[] {
  const size = isWide(member) ? IN_64_32 : member.bytes;
  const version = isWide(member) ? VERSION_64 : VERSION;
  return [
    ...two(version, IS_UTF_8, 0, 0, FIRST_DAY),
    ...four(member.crc, size, size),
    ...two(member.name.length, extraOf(member).length),
  ];
}

function localHeader(member: Member): Uint8Array {
  return joined(record(four(LOCAL), facts(member)), member.name, extraOf(member));
}

function entry(member: Member): Uint8Array {
  const at = isWide(member) ? IN_64_32 : member.at;
  const header = record(
    ...[four(ENTRY), two(VERSION_64), facts(member), two(0, 0, 0), four(0, at)],
  );
  return joined(header, member.name, extraOf(member));
}

function endRecords(count: number, bytes: number, at: number): Uint8Array {
  const few = Math.min(count, IN_64_16);
  const sizes = four(Math.min(bytes, IN_64_32), Math.min(at, IN_64_32));
  const end = record(four(END), two(0, 0, few, few), sizes, two(0));
  if (count < IN_64_16 && bytes < IN_64_32 && at < IN_64_32) return end;
  const wide = record(
    ...[four(END_64), eight(END_64_BYTES - 12), two(VERSION_64, VERSION_64), four(0, 0)],
    eight(count, count, bytes, at),
  );
  return joined(wide, record(four(LOCATOR, 0), eight(at + bytes), four(1)), end);
}

const sized = (bytes: number) => (...values: readonly number[]): Field[] =>
  values.map((value) => ({ bytes, value }));
const [two, four, eight] = [sized(2), sized(4), sized(8)];

/** Numbers one after another, little-endian. */
function record(...fields: readonly Field[][]): Uint8Array {
  return Uint8Array.from(
    fields.flat().flatMap(({ bytes, value }) =>
      Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256)
    ),
  );
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
