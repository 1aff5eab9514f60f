/**
 * Writes groups of zarr: metadata first, then arrays, each file complete or absent.
 *
 * @module
 */

import type { NumericArray } from "../types.ts";
import { ChunkWriter } from "./chunk_writer.ts";
import { elementCount } from "./data_types.ts";
import { arrayNames } from "./group.ts";
import type { Store } from "../store/store.ts";
import type { ZarrArraySpec, ZarrFormat, ZarrGroupSpec } from "./metadata.ts";
import { chunkKey, metadataFiles, ROOT_KEYS } from "./metadata.ts";

/** Writes the metadata of every array, then of the group. Returns the bytes written. */
export async function writeGroup(store: Store, group: ZarrGroupSpec): Promise<number> {
  const files = metadataFiles(group);
  for (const { key, bytes } of files) await store.set(key, bytes);
  return files.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

/** Replaces the attributes of a group that {@link writeGroup} wrote, as at the end of a run. */
export async function writeGroupAttributes(store: Store, group: ZarrGroupSpec): Promise<void> {
  // arrays keep their files; what is left is the group's own, the one that shows it last
  const own = metadataFiles(group).filter(({ key }) => key.lastIndexOf("/") === 0);
  for (const { key, bytes } of own) await store.set(key, bytes);
}

/**
 * Removes arrays of these names, and those of the group that is there, if any; files of other kinds stay. What
 * was removed in part does not look like a group any more.
 */
export async function removeArrays(store: Store, names: readonly string[]): Promise<void> {
  const there = await Promise.all([2, 3].map((format) => arrayNames(store, format as ZarrFormat)));
  for (const key of Object.values(ROOT_KEYS)) await store.delete(key);
  for (const key of ["/.zgroup", "/.zattrs"]) await store.delete(key);
  for (const name of new Set([...names, ...there.flat()])) await store.deleteAll(`/${name}`);
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
 * @throws {RangeError} If `data` is not as long as the shape says.
 */
export async function writeArray(
  store: Store,
  spec: ZarrArraySpec,
  data: NumericArray | readonly string[],
  format: ZarrFormat = 3,
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
    await store.set(chunkKey(spec, spec.shape.map(() => 0), format), bytes);
    return bytes.byteLength;
  }
  const writer = new ChunkWriter(store, spec, { format });
  await writer.write(0, data as NumericArray);
  await writer.finish();
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
function encodeStrings(spec: ZarrArraySpec, strings: readonly string[]): Uint8Array {
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
