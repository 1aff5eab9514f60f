/**
 * Writes groups of zarr: metadata first, then arrays, each file complete or absent.
 *
 * @module
 */

import type { NumericArray } from "../types.ts";
import type { Checksums, FileSums } from "./checksums.ts";
import {
  CHECKSUMS_KEY,
  encodeChecksums,
  mostLineBytes,
  readChecksums,
  sumOfFile,
} from "./checksums.ts";
import { ChunkWriter } from "./chunk_writer.ts";
import { elementCount } from "./data_types.ts";
import type { Store } from "../store/store.ts";
import type { ZarrArraySpec, ZarrFormat, ZarrGroupSpec } from "./metadata.ts";
import {
  chunkKey,
  isGroupFile,
  markIncomplete,
  metadataFiles,
  readGroupAttributes,
  ROOT_KEYS,
} from "./metadata.ts";

/**
 * Writes the metadata of every array, then of the group, which takes the place of one of the other version.
 * Returns the bytes written.
 */
export async function writeGroup(store: Store, group: ZarrGroupSpec): Promise<number> {
  const files = metadataFiles(group);
  for (const { key, bytes } of files) await store.set(key, bytes);
  const others = group.zarrFormat === 2 ? [ROOT_KEYS[3]] : [ROOT_KEYS[2], "/.zgroup", "/.zattrs"];
  for (const key of others) await store.delete(key);
  return files.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

/** Replaces the attributes of a group that {@link writeGroup} wrote, as at the end of a run. */
export async function writeGroupAttributes(store: Store, group: ZarrGroupSpec): Promise<void> {
  // arrays keep their files; what is left is the group's own, the one that shows it last
  const own = metadataFiles(group).filter(({ key }) => isGroupFile(key));
  for (const { key, bytes } of own) await store.set(key, bytes);
}

/** Checksums of all the JSON files of a group: those of its arrays, and its own. */
export function metadataSums(group: ZarrGroupSpec): { arrays: FileSums; own: FileSums } {
  const sums = { arrays: new Map() as FileSums, own: new Map() as FileSums };
  for (const { key, bytes } of metadataFiles(group)) {
    (isGroupFile(key) ? sums.own : sums.arrays).set(key, sumOfFile(bytes));
  }
  return sums;
}

/** Writes the list of a group's files. */
export async function writeChecksums(store: Store, checksums: Checksums): Promise<void> {
  await store.set(CHECKSUMS_KEY, encodeChecksums(checksums));
}

/** Bytes of the list of a group's files at most. */
export function projectedChecksumBytes(group: ZarrGroupSpec): number {
  const { zarrFormat = 3, arrays } = group;
  const line = (key: string) => mostLineBytes(key);
  const metadata = metadataFiles(group)
    .reduce((sum, { key }) => sum + (isGroupFile(key) ? 2 : 1) * line(key), 0);
  // as long as no other: files are counted along the first axis
  const files = arrays.map((spec) => {
    const { shape, chunkShape, shardChunks = 1 } = spec;
    const rows = (chunkShape[0] ?? 1) * shardChunks;
    const count = Math.ceil((shape[0] ?? 1) / rows);
    return count * line(chunkKey(spec, shape.map((_, axis) => axis === 0 ? count : 0), zarrFormat));
  });
  return metadata + files.reduce((sum, bytes) => sum + bytes, 0) + line("");
}

/** What is in the folder of an array, seen from there: metadata and chunks of either version. */
const ARRAY_FILE = /^(zarr\.json|\.zarray|\.zattrs|c(\/\d+)*|\d+(\.\d+)*)$/;

/** Removes the files of an array; whatever else lies in its folder stays, and so do arrays below it. */
export async function removeArray(store: Store, name: string): Promise<void> {
  const isOwn = (key: string) => ARRAY_FILE.test(key.slice(name.length + 2));
  await store.deleteAll(`/${name}`, isOwn);
}

/**
 * Removes arrays of these names, and those that the group names that is there, if any, with the groups within it; all else stays. The group
 * stays, too, until another takes its place, and says that it is not complete.
 */
export async function removeArrays(store: Store, names: readonly string[]): Promise<void> {
  await markIncomplete(store);
  const there = await knownArrays(store);
  const list = await readChecksums(store).catch(() => undefined);
  await store.delete(CHECKSUMS_KEY);
  const groups = [...list?.files.keys() ?? []].filter((key) => /.\/\.zgroup$/.test(key));
  for (const key of groups) {
    await store.delete(key);
    await store.delete(key.replace(/zgroup$/, "zattrs"));
  }
  for (const name of new Set([...names, ...there])) await removeArray(store, name);
}

/** Arrays of a group that its metadata or its list of checksums name, sorted; never what else is in its folder. */
export async function knownArrays(store: Store): Promise<string[]> {
  const group = await readGroupAttributes(store).catch(() => undefined);
  const list = await readChecksums(store).catch(() => undefined);
  const files = [...list?.files.keys() ?? []].filter((key) => !isGroupFile(key));
  const named = files.map((key) => /^\/(.*)\/(zarr\.json|\.zarray)$/.exec(key)?.[1])
    .filter((name) => name !== undefined);
  // of a name that leads out of the folder nothing is known
  const isName = (name: string) =>
    name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  return [...new Set([...group?.arrays ?? [], ...named])].filter(isName).sort();
}

/** Bytes of an array that {@link writeArray} writes, at most; of strings the values are looked at. */
export function storedBytes(
  spec: ZarrArraySpec,
  data: NumericArray | readonly string[] | undefined,
  format: ZarrFormat = 3,
): number {
  if (spec.dtype !== "string") return ChunkWriter.projectedDiskBytes(spec, format);
  const texts = data as readonly string[];
  if (format === 2) return 4 * spec.stringLength! * texts.length;
  return texts.reduce((bytes, text) => bytes + 4 + new TextEncoder().encode(text).length, 4);
}

/**
 * Writes the chunks of a small array at once. Strings must lie in a single chunk.
 * Returns the bytes written.
 *
 * @param sums Takes the checksums of the files.
 * @throws {RangeError} If `data` is not as long as the shape says.
 */
export async function writeArray(
  store: Store,
  spec: ZarrArraySpec,
  data: NumericArray | readonly string[],
  format: ZarrFormat = 3,
  sums?: FileSums,
): Promise<number> {
  if (data.length !== elementCount(spec.shape)) {
    throw new RangeError(
      `Cannot write "${spec.name}": got ${data.length} elements, its shape [${spec.shape}] has ` +
        `${elementCount(spec.shape)}`,
    );
  }
  if (data.length === 0) return 0;
  if (spec.dtype === "string") {
    const encode = format === 3 ? encodeStrings : encodeFixedStrings;
    const bytes = encode(spec, data as readonly string[]);
    const key = chunkKey(spec, spec.shape.map(() => 0), format);
    sums?.set(key, sumOfFile(bytes));
    await store.set(key, bytes);
    return bytes.byteLength;
  }
  const writer = new ChunkWriter(store, spec, { format });
  await writer.write(0, data as NumericArray);
  await writer.finish();
  for (const [key, sum] of writer.sums) sums?.set(key, sum);
  return writer.bytesWritten;
}

function checkOneChunk(spec: ZarrArraySpec): void {
  if (spec.chunkShape.some((size, axis) => size !== spec.shape[axis])) {
    throw new RangeError(
      `Cannot write "${spec.name}": its chunks are [${spec.chunkShape}], strings want one chunk ` +
        `of [${spec.shape}]`,
    );
  }
}

/** One chunk of the vlen-utf8 codec: a count, then the length and UTF-8 of each string. */
export function encodeStrings(spec: ZarrArraySpec, strings: readonly string[]): Uint8Array {
  checkOneChunk(spec);
  const texts = strings.map((text) => new TextEncoder().encode(text));
  const length = texts.reduce((bytes, text) => bytes + 4 + text.byteLength, 4);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, texts.length, true);
  let offset = 4;
  for (const text of texts) {
    view.setUint32(offset, text.byteLength, true);
    bytes.set(text, offset + 4);
    offset += 4 + text.byteLength;
  }
  return bytes;
}

/** One chunk of numpy's `<U`: the code points of each string in 4 bytes each, filled up with 0. */
function encodeFixedStrings(spec: ZarrArraySpec, strings: readonly string[]): Uint8Array {
  checkOneChunk(spec);
  const length = spec.stringLength!;
  const points = new Uint32Array(strings.length * length);
  strings.forEach((text, i) => {
    const own = [...text].map((character) => character.codePointAt(0)!);
    if (own.length > length) {
      throw new RangeError(
        `Cannot write "${spec.name}": "${text}" has ${own.length} characters, wanted at most ${length}`,
      );
    }
    points.set(own, i * length);
  });
  return new Uint8Array(points.buffer);
}
