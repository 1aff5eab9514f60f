/**
 * Lists the arrays of a file or a store, as far as they can be read.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { FileKind, FilePlace } from "../files/file_place.ts";
import { filePlace } from "../files/file_place.ts";
import { openStore } from "../store/open_store.ts";
import { openZarrArray } from "../zarr/zarr_array.ts";
import type { OpenArrayOptions } from "./array.ts";
import { arrayOptions } from "./array.ts";
import { namesInGroup, openArrayFile } from "./file_arrays.ts";

/** An array, or why it is none that can be read. */
export interface ListedArray {
  /** As `openArray()` takes it. */
  place: string;
  shape?: readonly number[];
  dtype?: string;
  refused?: string;
}

/** What a file or a store holds. */
export interface Listing {
  kind: FileKind;
  arrays: ListedArray[];
  /** Arrays that are not listed. */
  more: number;
}

/** Arrays that are listed. */
const MOST_ENTRIES = 500;

/**
 * Lists the arrays of a file (`.npy`, `.npz`, HDF5, `.safetensors`, `.parquet`, `.zarr.zip`) or of a zarr store, with
 * shapes and types, 500 at most. A part of a file, as in `session.h5/tracking`, is listed alone.
 *
 * @throws {ChunkError} If there is nothing that can be read.
 */
export async function listArrays(place: string, options: OpenArrayOptions = {}): Promise<Listing> {
  const reading = arrayOptions.check(options);
  const file = filePlace(place);
  return file ? await listFile(place, file, reading) : await listStore(place, reading);
}

async function listFile(
  place: string,
  file: FilePlace,
  reading: OpenArrayOptions,
): Promise<Listing> {
  const opened = await openArrayFile(file, reading);
  const entryOf = (name: string) =>
    listed(name === "" ? file.file : `${file.file}/${name}`, () => opened.look(name));
  try {
    const all = file.kind === "raw" ? [file.inside] : await opened.names();
    const names = all.filter((name) =>
      file.inside === "" || name === file.inside || name.startsWith(`${file.inside}/`)
    );
    if (names.length === 0) {
      throw new ChunkError(`Cannot list "${place}": there is no array of that name`, place);
    }
    const arrays: ListedArray[] = [];
    for (const name of names.slice(0, MOST_ENTRIES)) arrays.push(await entryOf(name));
    const [only] = arrays;
    if (arrays.length === 1 && only!.refused !== undefined) {
      throw new ChunkError(`Cannot list "${only!.place}": ${only!.refused}`, only!.place);
    }
    return { kind: file.kind, arrays, more: names.length - arrays.length };
  } finally {
    await opened.close();
  }
}

async function listStore(place: string, reading: OpenArrayOptions): Promise<Listing> {
  const store = await openStore(place, reading);
  try {
    const files = ["/zarr.json", "/.zgroup", "/.zarray", "/.zmetadata"];
    const sizes = await Promise.all(files.map((file) => store.size(file)));
    if (sizes.every((size) => size === undefined)) {
      throw new ChunkError(
        `Cannot list "${place}": wanted a file in .npy, .npz, .h5, .nwb, .mat, .nc, .safetensors or ` +
          ".parquet, a zarr store, or a folder of Kilosort or phy",
        place,
      );
    }
    const names = await namesInGroup(store);
    const arrays: ListedArray[] = [];
    for (const name of names.slice(0, MOST_ENTRIES)) {
      const look = async () => {
        const array = await openZarrArray(store, name === "" ? "/" : `/${name}`);
        await array.close();
        return array;
      };
      arrays.push(await listed(name === "" ? place : `${place}/${name}`, look));
    }
    return { kind: "zarr", arrays, more: names.length - arrays.length };
  } finally {
    await store.close();
  }
}

async function listed(
  place: string,
  look: () => Promise<{ shape: readonly number[]; dtype: string }>,
): Promise<ListedArray> {
  try {
    const { shape, dtype } = await look();
    return { place, shape, dtype };
  } catch (error) {
    if (!(error instanceof ChunkError)) throw error;
    // the place is told already
    return { place, refused: error.message.replace(/^Cannot open .*?": /s, "") };
  }
}
