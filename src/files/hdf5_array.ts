/**
 * Datasets of HDF5 files as arrays: of NetCDF-4, NWB and MATLAB 7.3 files too.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows, closingWith } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { formatBytes } from "../math/format.ts";
import { decodeFloat16 } from "../math/half.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements, elementCount } from "../zarr/data_types.ts";
import type { NumericArray } from "../types.ts";
import type { H5Dataset, H5Group } from "./h5wasm.ts";
import { CLASSES, H5Access } from "./h5wasm.ts";
import type { H5Superblock } from "./hdf5_header.ts";
import { readHeader, readSuperblock } from "./hdf5_header.ts";
import type { SyncFile } from "./output_file.ts";
import { openFile } from "./sync_file.ts";

/** Bytes read at a time where the file has no chunks. */
const READ_BYTES = 4 * 2 ** 20;
/** Bytes that pass through HDF5's own memory at once. */
const PIECE_BYTES = 64 * 2 ** 20;
/** Larger chunks are held whole while a part of them is read, which no machine is to be told by a file. */
const MOST_CHUNK_BYTES = 512 * 2 ** 20;
/** Objects of a file that are listed: nobody reads longer lists. */
const [MOST_OBJECTS, MOST_LEVELS] = [100_000, 100];

// what h5wasm undoes: deflate, shuffle, Fletcher's checksum, n-bit and scale-offset
const KNOWN_FILTERS = [1, 2, 3, 5, 6];
// by the registry of filters; names in a file are anybody's
const FILTER_NAMES: Record<number, string> = {
  4: "szip",
  307: "bzip2",
  32000: "lzf",
  32001: "blosc",
  32004: "lz4",
  32008: "bitshuffle",
  32013: "zfp",
  32015: "zstd",
  32026: "blosc2",
};

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
      return this.#arrayOf(dataset, path);
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
    const { metadata, filters } = dataset;
    const { format, external } = readHeader(
      this.#bytes,
      this.#superblock,
      this.access.addressOf(dataset),
    );
    if (external) throw new RangeError("its values lie in other files (external storage)");
    if (metadata.virtual_sources) {
      throw new RangeError("it is put together from other datasets (virtual storage)");
    }
    const stray = filters.find(({ id }) => !KNOWN_FILTERS.includes(id));
    if (stray) {
      const name = FILTER_NAMES[stray.id] ?? "an unknown filter";
      throw new RangeError(
        `its chunks are compressed by ${name} (filter ${stray.id}), wanted gzip or none ` +
          "(h5repack -f GZIP=4)",
      );
    }
    const { kind = "other", bytes = 0, unusual, bigEndian = false } = format ?? {};
    const size = 8 * bytes;
    if (kind === "other" || CLASSES[metadata.type] || bytes !== metadata.size) {
      throw new RangeError(
        `it holds ${CLASSES[metadata.type] ?? "elements of an unknown kind"}, wanted numbers`,
      );
    }
    refuseMatlab(dataset);
    if (unusual) throw new RangeError(`it holds ${unusual}, wanted a usual number format`);
    if (kind === "integer" ? ![8, 16, 32, 64].includes(size) : ![16, 32, 64].includes(size)) {
      throw new RangeError(`it holds numbers of ${size} bits, wanted at most 64`);
    }
    // h5wasm turns numbers round, but no names of them
    if (metadata.enum_type && bigEndian && bytes > 1) {
      throw new RangeError("it holds names of big-endian numbers, wanted little-endian ones");
    }
    if (kind === "float") return `float${size}` as NumericType;
    const { FALSE: no, TRUE: yes, ...more } = metadata.enum_type?.members ?? {};
    const isBool = size === 8 && no === 0 && yes === 1 && Object.keys(more).length === 0;
    // as xarray marks what HDF5 has no type for
    const isMarked = size === 8 && metadata.signed && dataset.attrs.dtype?.value === "bool";
    return isBool || isMarked ? "bool" : `${metadata.signed ? "" : "u"}int${size}` as NumericType;
  }

  #arrayOf(dataset: H5Dataset, path: string): ChunkedArray {
    const { shape, chunks, size } = dataset.metadata;
    const dtype = this.elementOf(dataset);
    if (!shape || shape.length === 0) {
      throw new RangeError(
        "it holds a single value or none, wanted numbers along at least one axis",
      );
    }
    const [rows, ...inner] = shape as [number, ...number[]];
    const rowBytes = elementCount(inner) * size;
    for (
      const [what, bytes] of [["a row", rowBytes], [
        "a chunk",
        elementCount(chunks ?? []) * size,
      ]] as const
    ) {
      if (bytes <= MOST_CHUNK_BYTES) continue;
      throw new RangeError(
        `${what} of its shape [${shape.join(", ")}] takes ${formatBytes(bytes)}, wanted at most ` +
          formatBytes(MOST_CHUNK_BYTES),
      );
    }
    const fitting = (bytes: number) => Math.max(1, Math.floor(bytes / Math.max(1, rowBytes)));
    const chunkRows = Math.min(
      chunks?.[0] ?? Math.min(Math.max(1, rows), fitting(READ_BYTES)),
      fitting(PIECE_BYTES),
    );
    const stored = dtype === "bool" ? "uint8" : dtype;
    // async, so that what is wrong rejects
    const read = async (start: number, end: number, { signal }: ReadOptions = {}) => {
      signal?.throwIfAborted();
      checkRows(shape, start, end);
      if (!this.#open) throw new ChunkError(`Cannot read "${path}": it was closed`, path);
      const values = createElements(stored, (end - start) * elementCount(inner));
      const bytes = new Uint8Array(values.buffer);
      for (let from = start; from < end;) {
        const to = Math.min(end, from - from % chunkRows + chunkRows);
        const part = bytes.subarray((from - start) * rowBytes, (to - start) * rowBytes);
        try {
          const zeros = inner.map(() => 0);
          this.access.read(dataset.path, [from, ...zeros], [to - from, ...inner], part);
        } catch (error) {
          const { message } = error as Error;
          throw new ChunkError(
            `Cannot read rows ${from} to ${to} of "${path}": ${message}`,
            path,
            error,
          );
        }
        from = to;
      }
      return values;
    };
    return {
      shape,
      dtype,
      dims: dimNames(dataset, shape.length),
      chunkRows,
      // what was filtered has to be undone as a whole, whatever is wanted of it
      wholeChunks: dataset.filters.length > 0,
      ...(dtype === "float16"
        ? {
          read: async (start, end, options): Promise<NumericArray> =>
            decodeFloat16(await read(start, end, options) as Uint16Array),
          readBits: async (start, end, options) => await read(start, end, options) as Uint16Array,
        }
        : { read }),
      close: () => Promise.resolve(),
    };
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

/** MATLAB writes texts as numbers, and of what is empty the shape in place of elements. */
function refuseMatlab({ attrs }: H5Dataset): void {
  if (attrs.MATLAB_class?.value === "char") throw new RangeError("it holds texts, wanted numbers");
  if (attrs.MATLAB_empty === undefined || Number(attrs.MATLAB_empty.value) === 0) return;
  throw new RangeError("it is empty, as MATLAB marks it");
}

function dimNames(dataset: H5Dataset, axes: number): string[] | undefined {
  const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  if (dataset.get_scale_name() !== null) return axes === 1 ? [nameOf(dataset.path)] : undefined;
  const names = Array.from({ length: axes }, (_, axis) => dataset.get_attached_scales(axis)[0]);
  return names.every((name) => name !== undefined) ? names.map(nameOf) : undefined;
}
