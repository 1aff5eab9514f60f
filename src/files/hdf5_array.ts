/**
 * Datasets of HDF5 files as arrays: of NetCDF-4, NWB and MATLAB 7.3 files too.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { closingWith } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import type { NumericType } from "../zarr/data_types.ts";
import type { H5Dataset, H5Group } from "./h5wasm.ts";
import { H5Access } from "./h5wasm.ts";
import { datasetArray } from "./hdf5_dataset.ts";
import { elementOf } from "./hdf5_element.ts";
import type { H5Superblock } from "./hdf5_header.ts";
import { readHeader, readSuperblock } from "./hdf5_header.ts";
import type { SyncFile } from "./output_file.ts";
import { openFile } from "./sync_file.ts";

/** Objects of a file that are listed: nobody reads longer lists. */
const [MOST_OBJECTS, MOST_LEVELS] = [100_000, 100];

/** An HDF5 file that is open for reading, in place. */
export class Hdf5File {
  readonly place: string;
  readonly access: H5Access;
  readonly #bytes: SyncFile;
  readonly #superblock: H5Superblock;
  #open = true;

  private constructor(place: string, access: H5Access, bytes: SyncFile, superblock: H5Superblock) {
    this.place = place;
    this.access = access;
    this.#bytes = bytes;
    this.#superblock = superblock;
  }

  /**
   * Needs the optional package `h5wasm`. In browsers a file in `opfs:` can only be read in a dedicated
   * worker.
   *
   * @throws {ChunkError} If there is no such file, or it is no HDF5 file.
   */
  static async open(place: string): Promise<Hdf5File> {
    const bytes = await openFile(place);
    try {
      // HDF5 itself would write pages of complaint to the console
      const superblock = readSuperblock(bytes);
      if (!superblock) {
        const remedy = /\.mat$/i.test(place) ? ", save it with -v7.3" : "";
        throw new RangeError(`it is no HDF5 file${remedy}`);
      }
      return new Hdf5File(place, await H5Access.open(bytes, "r"), bytes, superblock);
    } catch (error) {
      bytes.close();
      if (!(error instanceof RangeError)) throw error;
      throw new ChunkError(`Cannot open ${place}: ${error.message}`, place, error);
    }
  }

  /** Paths of its groups, from the root, without the root itself. */
  groups(): string[] {
    return this.#walk().filter(({ isGroup }) => isGroup).map(({ path }) => path);
  }

  /** Paths of its datasets, and of links that lead nowhere. */
  datasets(): string[] {
    return this.#walk().filter(({ isGroup }) => !isGroup).map(({ path }) => path);
  }

  /** What is in it, by the paths that lead there; groups that have several are entered once. */
  #walk(): { path: string; isGroup: boolean }[] {
    const found: { path: string; isGroup: boolean }[] = [];
    const seen = new Set<number>();
    const enter = (prefix: string, group: H5Group) => {
      const address = this.access.addressOf(group);
      if (seen.has(address)) return;
      seen.add(address);
      if (prefix.split("/").length > MOST_LEVELS) {
        throw new ChunkError(
          `Cannot list "${this.place}": its groups are nested more than ${MOST_LEVELS} deep`,
          this.place,
        );
      }
      for (const name of group.keys()) {
        if (found.length >= MOST_OBJECTS) {
          throw new ChunkError(
            `Cannot list "${this.place}": it has more than ${MOST_OBJECTS} objects`,
            this.place,
          );
        }
        const path = prefix + name;
        const inner = this.access.group(path);
        found.push({ path, isGroup: inner !== undefined });
        if (inner) enter(`${path}/`, inner);
      }
    };
    this.#guard(this.place, () => enter("", this.access.group("/")!));
    return found;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.access.close();
    this.#bytes.close();
  }

  /**
   * A dataset as an array, whose `close` leaves the file open.
   *
   * @throws {ChunkError} If there is no such dataset, or it does not hold numbers as they are understood.
   */
  array(name: string): ChunkedArray {
    const path = `${this.place}/${name.replace(/^\/+/, "")}`;
    return this.#guard(path, () => {
      const dataset = this.access.dataset(name);
      if (!dataset) throw new RangeError(this.#missing(name));
      const dtype = this.elementOf(dataset);
      return datasetArray({ dataset, dtype, path, access: this.access, isOpen: () => this.#open });
    });
  }

  /** What goes wrong is told of a place; HDF5 itself only tells that something did. */
  #guard<Result>(path: string, action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      if (error instanceof ChunkError) throw error;
      const reason = error instanceof RangeError
        ? error.message
        : "its part of the file is damaged";
      throw new ChunkError(`Cannot open "${path}": ${reason}`, path, error);
    }
  }

  /** What an element is, by the dtype it is read as. @throws {RangeError} If that is not understood. */
  elementOf(dataset: H5Dataset): NumericType {
    const address = this.access.addressOf(dataset);
    return elementOf(dataset, readHeader(this.#bytes, this.#superblock, address));
  }

  #missing(name: string): string {
    const found = this.access.file.get(name) as { filename?: string; target?: string } | null;
    if (found && this.access.group(name)) return "it is a group, wanted one of its datasets";
    if (found?.filename !== undefined) return `it lies in another file, "${found.filename}"`;
    if (found?.target !== undefined) return `it is a link to "${found.target}", which is not there`;
    return "there is no such variable";
  }
}

/**
 * Opens a variable of a NetCDF-4 or HDF5 file as an array, read in place.
 *
 * Needs the optional package `h5wasm`. In browsers a file in `opfs:` can only be read in a dedicated
 * worker. Packed values (`scale_factor`) come as they are stored.
 *
 * @param file Place of the file.
 * @param variable Its name, or its path in the file.
 * @throws {ChunkError} If there is no such file or variable, or it does not hold numbers.
 */
export async function openNetcdf(file: string, variable: string): Promise<ChunkedArray> {
  const opened = await Hdf5File.open(file);
  try {
    return closingWith(opened.array(variable), () => opened.close());
  } catch (error) {
    opened.close();
    throw error;
  }
}
