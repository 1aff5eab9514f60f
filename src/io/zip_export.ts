/**
 * Stores as one file: zip archives of zarr groups, which zarr, xarray and this package read in place.
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
import { localHeader, ZipLayout } from "./zip_layout.ts";

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

/** Read and added to the checksum at a time. */
const PIECE_BYTES = 4 * 2 ** 20;

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
    const neededBytes = totalBytes + ZipLayout.mostRecordBytes(keys);
    const output = await createFile(file, { overwrite, neededBytes });
    try {
      const archive = new ZipLayout();
      let done = 0;
      for (const [key, bytes] of sizes) {
        const member = archive.add(key.slice(1), bytes);
        for (let offset = 0; offset < bytes; offset += PIECE_BYTES) {
          const length = Math.min(PIECE_BYTES, bytes - offset);
          const piece = await store.getRange(key, { offset, length });
          if (piece?.byteLength !== length) throw refuse(`"${key.slice(1)}" changed meanwhile`);
          member.crc = crc32(piece, member.crc);
          output.file.write(piece, { at: member.contentAt + offset });
          done += length;
          onProgress?.(done / totalBytes);
          await nextTurn();
          signal?.throwIfAborted();
        }
        output.file.write(localHeader(member), { at: member.at });
      }
      let at = archive.bytes;
      for (const bytes of archive.directory()) {
        output.file.write(bytes, { at });
        at += bytes.length;
      }
      await output.finish();
      return { place: output.place, files: sizes.size, fileBytes: at };
    } catch (error) {
      await output.discard().catch(() => {});
      throw error;
    }
  } finally {
    await store.close();
  }
}
