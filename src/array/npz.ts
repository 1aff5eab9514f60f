/**
 * Numpy's `.npz` files: `.npy` files in a zip archive.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import type { ByteSource } from "../files/byte_source.ts";
import type { ZipMember } from "../files/zip.ts";
import { openMember, readZip } from "../files/zip.ts";
import { wantedNames } from "../math/format.ts";
import { openNpySource } from "./npy.ts";

const SUFFIX = ".npy";

/** Names of the arrays in an archive, as numpy gives them. */
export async function npzNames(source: ByteSource): Promise<string[]> {
  return arraysOf(await readZip(source)).map(nameOf);
}

/**
 * Opens an array of an archive, or only its start, which tells shape and dtype; the archive stays open when
 * it is closed. One that is compressed is held in memory.
 *
 * @throws {ChunkError} If there is no such array, it is damaged, or cannot be read.
 */
export async function openNpz(
  source: ByteSource,
  name: string,
  options?: { onlyStart: boolean },
): Promise<ChunkedArray> {
  const arrays = arraysOf(await readZip(source));
  const found = arrays.filter((member) => [nameOf(member), member.name].includes(name));
  if (found.length === 1) return await openNpySource(await openMember(source, found[0]!, options));
  const { path } = source;
  throw new ChunkError(
    found.length > 1
      ? `Cannot open "${path}/${name}": there are ${found.length} arrays of that name`
      : `Cannot open "${path}": there is no array "${name}" in it, ` +
        wantedNames(name, arrays.map(nameOf)),
    path,
  );
}

const arraysOf = (members: readonly ZipMember[]) =>
  members.filter(({ name }) => name.endsWith(SUFFIX));

const nameOf = ({ name }: ZipMember) => name.slice(0, -SUFFIX.length);
