/**
 * Arrays of single files, by the kind of the file. What reads a kind is loaded when a file of it is opened: in a page
 * that decodes arrays of its own, readers would be a sixth of the code.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows, closingWith } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import type { ByteSource } from "../files/byte_source.ts";
import { openSource } from "../files/byte_source.ts";
import type { FilePlace } from "../files/file_place.ts";
import type { Separator } from "../files/csv.ts";
import { filePlace } from "../files/file_place.ts";
import type { OpenStoreOptions } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import { arrayNames } from "../zarr/group.ts";
import { openZarrArray } from "../zarr/zarr_array.ts";

/** A file that is open, whatever its kind. */
export interface OpenFile {
  /** What it holds, by the names that places take; those that are no arrays of numbers too. */
  names(): Promise<string[]>;
  /** An array, whose `close` leaves the file open. */
  array(name: string): Promise<ChunkedArray>;
  /** What an array is, without reading it. */
  look(name: string): Promise<Pick<ChunkedArray, "shape" | "dtype">>;
  /** What the file says of itself, where its kind has such a thing. */
  attributes?(): Record<string, unknown>;
  close(): Promise<void>;
}

/** Names that a message gives, at most. */
const SHOWN_NAMES = 20;

/** @throws {ChunkError} If there is no such file, or it is not of its kind. */
export async function openArrayFile(
  { kind, file }: FilePlace,
  reading: OpenStoreOptions = {},
): Promise<OpenFile> {
  if (kind === "hdf5") {
    const [{ Hdf5File }, { nwbArray }] = await Promise.all([
      import("../files/hdf5_array.ts"),
      import("../files/nwb.ts"),
    ]);
    const opened = await Hdf5File.open(file);
    const array = async (name: string) => nwbArray(opened, name) ?? opened.array(name);
    return {
      names: () => Promise.resolve(opened.datasets()),
      array,
      look: array,
      attributes: () =>
        Object.fromEntries(
          Object.entries(opened.access.group("/")!.attrs).map(([name, { value }]) => [name, value]),
        ),
      close: () => Promise.resolve(opened.close()),
    };
  }
  const source = await openSource(file, reading);
  try {
    const opened = await OPENERS[kind](source);
    return { look: opened.array, ...opened, close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

const OPENERS: Record<
  Exclude<FilePlace["kind"], "hdf5">,
  (
    source: ByteSource,
  ) => Promise<Omit<OpenFile, "close" | "look"> & Partial<Pick<OpenFile, "look">>>
> = {
  npy: async (source) => {
    const { openNpySource } = await import("./npy.ts");
    return {
      names: () => Promise.resolve([""]),
      // async, so that what is wrong rejects
      array: async (name) => {
        if (name === "") return await openNpySource(source);
        const { path } = source;
        throw new ChunkError(`Cannot open "${path}/${name}": a .npy file holds one array`, path);
      },
    };
  },
  npz: async (source) => {
    const { npzNames, openNpz } = await import("./npz.ts");
    return {
      names: () => npzNames(source),
      array: (name) => openNpz(source, name),
      look: (name) => openNpz(source, name, { onlyStart: true }),
    };
  },
  // what it holds is told by whoever opens it
  raw: async (source) => {
    const { openRaw } = await import("./raw.ts");
    return { names: () => Promise.resolve([""]), array: async (layout) => openRaw(source, layout) };
  },
  zarr: async (source) => {
    const { ZipStore } = await import("../files/zip_store.ts");
    const store = await ZipStore.open(source);
    return {
      names: async () => (await namesInGroup(store)).sort(),
      array: (name) => openZarrArray(store, `/${name}`),
    };
  },
  safetensors: async (source) => {
    const { openTensor, readTensors } = await import("./safetensors.ts");
    return {
      names: async () => (await readTensors(source)).map(({ name }) => name),
      array: (name) => openTensor(source, name),
    };
  },
  parquet: async (source) => {
    const { ParquetFile } = await import("../files/parquet.ts");
    const parquet = await ParquetFile.open(source);
    return {
      names: () => Promise.resolve(parquet.columns.map(({ name }) => name)),
      array: (name) => parquet.array(name),
    };
  },
  csv: (source) => csvOpener(source, ","),
  tsv: (source) => csvOpener(source, "\t"),
};

/** Columns of numbers; `x,y` are two beside each other. */
async function csvOpener(source: ByteSource, separator: Separator) {
  const { CsvFile } = await import("../files/csv.ts");
  const table = await CsvFile.open(source, separator);
  return {
    names: () => Promise.resolve([...table.names]),
    // async, so that what is wrong rejects
    array: async (name: string) => {
      const columns = table.names.includes(name) ? [name] : name.split(",");
      const [values, width] = [table.read(columns), columns.length];
      const rows = values.length / width;
      const shape = width === 1 ? [rows] : [rows, width];
      const held: ChunkedArray = {
        ...{ shape, dtype: "float64", dims: undefined, chunkRows: Math.max(1, rows), values },
        read(start, end, { signal } = {}) {
          return Promise.resolve().then(() => {
            signal?.throwIfAborted();
            checkRows(shape, start, end);
            return values.subarray(start * width, end * width);
          });
        },
        close: () => Promise.resolve(),
      };
      return held;
    },
  };
}

/** As {@link openArrayFile}, by the place of a file. */
export async function openPlacedFile(place: string, reading: OpenStoreOptions): Promise<OpenFile> {
  const file = filePlace(place);
  if (file) return await openArrayFile(file, reading);
  throw new ChunkError(`Cannot open ${place}: it is no file that holds arrays`, place);
}

/** Names of the arrays of a store, of either version; an empty one is the store itself. */
export async function namesInGroup(store: Store): Promise<string[]> {
  const versions = await Promise.all(([3, 2] as const).map((format) => arrayNames(store, format)));
  const names = [...new Set(versions.flat())];
  return names.length > 0 ? names : [""];
}

/** Opens an array of a file, and closes the file with it. One that is alone need not be named. */
export async function openFileArray(
  place: FilePlace,
  reading: OpenStoreOptions,
): Promise<ChunkedArray> {
  const file = await openArrayFile(place, reading);
  try {
    const array = await file.array(place.inside || await onlyName(file, place));
    return closingWith(array, () => file.close());
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function onlyName(file: OpenFile, { file: path }: FilePlace): Promise<string> {
  const names = await file.names();
  if (names.length === 1) return names[0]!;
  const some = names.slice(0, SHOWN_NAMES).map((name) => `${path}/${name}`);
  const more = names.length > some.length ? `, and ${names.length - some.length} more` : "";
  throw new ChunkError(
    `Cannot open "${path}": it holds ${names.length} arrays, ` +
      (names.length === 0 ? "wanted one" : `wanted one of ${some.join(", ")}${more}`),
    path,
  );
}
