/**
 * Opens what AnnData is kept in, by its place.
 *
 * @module
 */

import { ChunkError } from "../../errors.ts";
import { openSource } from "../../files/byte_source.ts";
import { filePlace } from "../../files/file_place.ts";
import { ZipStore } from "../../files/zip_store.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { openStore } from "../../store/open_store.ts";
import { Hdf5Tree } from "./hdf5_tree.ts";
import type { Tree } from "./tree.ts";
import { ZarrTree } from "./zarr_tree.ts";

/** @throws {ChunkError} If there is nothing that can be opened. */
export async function openTree(place: string, reading: OpenStoreOptions = {}): Promise<Tree> {
  const file = filePlace(place);
  if (file && file.inside !== "") {
    throw new ChunkError(
      `Cannot open "${place}" as AnnData: it is a part of a file, wanted "${file.file}"`,
      place,
    );
  }
  if (file?.kind === "hdf5") return await Hdf5Tree.open(file.file);
  if (file?.kind === "zarr") {
    const source = await openSource(file.file, reading);
    try {
      return await ZarrTree.open(await ZipStore.open(source));
    } catch (error) {
      await source.close();
      throw error;
    }
  }
  if (file) {
    throw new ChunkError(
      `Cannot open "${place}" as AnnData: it is a ${file.kind} file, wanted .h5ad or zarr`,
      place,
    );
  }
  return await ZarrTree.open(await openStore(place, reading));
}
