/**
 * Coordinates of a stored output: written before anything else, never again, and watched by their checksums.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { FileSums } from "../zarr/checksums.ts";
import { CHECKSUMS_KEY, problemOfFile, readChecksums } from "../zarr/checksums.ts";
import { storedBytes, writeArray } from "../zarr/group_writer.ts";
import type { OutputSpec } from "./output.ts";

export class StoredCoordinates {
  /** That they take on disk. */
  readonly bytes: number;
  readonly #coordinates: NonNullable<OutputSpec["coordinates"]>;
  readonly #format: OutputSpec["zarrFormat"];
  #sums: FileSums = new Map();

  constructor({ coordinates = [], zarrFormat }: OutputSpec) {
    this.#coordinates = coordinates;
    this.#format = zarrFormat;
    this.bytes = coordinates.reduce((sum, { spec, data }) => {
      const values = typeof data === "function" ? undefined : data;
      return sum + storedBytes(spec, values, zarrFormat);
    }, 0);
  }

  /** Of files that were written, by this run or the one that it goes on with. */
  get sums(): FileSums {
    return this.#sums;
  }

  async write(store: Store): Promise<void> {
    const sums: FileSums = new Map();
    for (const { spec, data } of this.#coordinates) {
      const values = typeof data === "function" ? data() : data;
      await writeArray(store, spec, values, this.#format, sums);
    }
    this.#sums = sums;
  }

  /** Goes on with what an earlier run stored, as its list tells. */
  take(files: FileSums): void {
    this.#sums = this.#sumsIn(files);
  }

  /** Why coordinates are not what an earlier run stored: they are not written again. */
  async verify(store: Store): Promise<Error | undefined> {
    try {
      const list = await readChecksums(store);
      if (!list) {
        const path = store.place + CHECKSUMS_KEY;
        return new ChunkError(`Cannot go on with "${path}": it is missing`, path);
      }
      for (const [key, sum] of this.#sumsIn(list.files)) {
        const problem = await problemOfFile(store, key, sum);
        const path = store.place + key;
        if (problem) return new ChunkError(`Cannot go on with "${path}": ${problem}`, path);
      }
    } catch (error) {
      if (error instanceof ChunkError) return error;
      throw error;
    }
  }

  /** Of a list, what it says of coordinates. */
  #sumsIn(files: FileSums): FileSums {
    const folders = this.#coordinates.map(({ spec }) => `/${spec.name}/`);
    const isMetadata = (key: string) => /\/(zarr\.json|\.zarray|\.zattrs)$/.test(key);
    return new Map(
      [...files].filter(([key]) =>
        !isMetadata(key) && folders.some((folder) => key.startsWith(folder))
      ),
    );
  }
}
