/**
 * Opens arrays, wherever they are kept.
 *
 * @module
 */

import { dataTypeOf, elementBytes, elementCount } from "../zarr/data_types.ts";
import { filePlace } from "../files/file_place.ts";
import { formatBytes } from "../math/format.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag, list, signal, text } from "../options.ts";
import { openStore } from "../store/open_store.ts";
import { splitPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import type { NumericArray } from "../types.ts";
import { displayedArray } from "../display.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows, closingWith } from "../chunked_array.ts";
import { checkedArrayStore } from "../zarr/checksums.ts";

export type { ChunkedArray, ReadOptions };

/** How servers are read; files have nothing to choose. */
export const serverChoices = {
  allowHosts: list(text({ takes: "HOST" }), {
    takes: "HOST[,HOST]",
    stored: false,
    otherwise: "none",
    says: "hosts a server may send us to, besides its own",
  }),
  forbiddenIsMissing: flag({
    default: false,
    stored: false,
    says: "a chunk for which a server answers 403 is missing: it has fill values",
  }),
};

export const arrayOptions = declare("open an array", { signal, ...serverChoices });

/** Options of {@link openArray}; `signal` ends what is asked of a server, then and later. */
export type OpenArrayOptions = OptionsOf<typeof arrayOptions>;

/**
 * Opens an array: of a file (`.npy`, `.npz`, HDF5 with NetCDF-4, NWB and MATLAB 7.3, `.safetensors`,
 * `.parquet`), of a zarr v2 or v3 store (`.zarr.zip` too), a typed array, or a file the user picked. What lies inside of a file
 * follows its name, as in `session.h5/tracking/position`. Files of nothing but numbers (`.dat`, `.bin`,
 * `.raw`) are described so: `recording.dat/int16x384` has rows of 384.
 *
 * HDF5 needs the optional package `h5wasm`, parquet `hyparquet`. A compressed array of an `.npz` file
 * is held in memory.
 *
 * @example
 * ```ts
 * const spikes = await openArray("spikes.npy");
 * const latents = await openArray("https://example.org/latents.zarr/x");
 * const positions = await openArray("session.nwb/processing/behavior/Position/SpatialSeries");
 * const rows = await latents.read(0, 100);
 * ```
 *
 * @param source A place of a file, or of an array in it, a place of a zarr array such as
 * `file:x.zarr/name`, a typed array, or a `File` or `Blob` in `.npy` format. An array of a file need not
 * be named where there is but one.
 * @throws {ChunkError} If there is no array, or it is of a kind that cannot be read.
 * @throws {TypeError} If an option is not known, or of another kind.
 * @throws The signal's reason, if it is aborted.
 */
export function openArray<Values extends NumericArray>(
  source: Values,
  options?: OpenArrayOptions,
): Promise<ChunkedArray<Values>>;
export function openArray(
  source: string | NumericArray | Blob,
  options?: OpenArrayOptions,
): Promise<ChunkedArray>;
export async function openArray(
  source: string | NumericArray | Blob,
  options: OpenArrayOptions = {},
): Promise<ChunkedArray> {
  const reading = arrayOptions.check(options);
  if (source instanceof Blob) return (await import("./npy.ts")).openNpyBlob(source);
  if (typeof source !== "string") return fromTypedArray(source);
  const place = filePlace(source);
  if (place) {
    const { openFileArray } = await import("./file_arrays.ts");
    return displayedArray({ ...await openFileArray(place, reading), places: [place.file] });
  }
  const store = await openStore(source, reading);
  try {
    const array = await openStoredArray(store, source, reading);
    const closing = closingWith(array, () => store.close());
    return displayedArray({ ...closing, places: [source] });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * An array over memory. It is not copied: `read` gives views of it.
 *
 * @param shape `[values.length]` when not given.
 * @throws {RangeError} If the shape has another number of elements.
 */
export function fromTypedArray<Values extends NumericArray>(
  values: Values,
  shape: readonly number[] = [values.length],
): ChunkedArray<Values> {
  const dtype = dataTypeOf(values);
  if (shape.length === 0 || elementCount(shape) !== values.length) {
    throw new RangeError(
      `Cannot make an array of shape [${shape}]: got ${values.length} elements, wanted ` +
        `${elementCount(shape)} and at least one axis`,
    );
  }
  const rowElements = elementCount(shape.slice(1));
  return displayedArray({
    shape,
    dtype,
    dims: undefined,
    chunkRows: Math.max(1, shape[0]!),
    values,
    read(start, end, { signal } = {}) {
      return Promise.resolve().then(() => {
        signal?.throwIfAborted();
        checkRows(shape, start, end);
        if (values.length < shape[0]! * rowElements) {
          throw new TypeError(
            `Cannot read rows ${start} to ${end}: the array's memory was transferred, hand on a copy of it`,
          );
        }
        return values.subarray(start * rowElements, end * rowElements) as Values;
      });
    },
    close: () => Promise.resolve(),
  });
}

/** More than a typed array holds everywhere; a few bytes of a file can declare it. */
const MOST_HELD_BYTES = 16 * 2 ** 30;

/** What reading an array gives. */
export type ElementsOf<Own extends ChunkedArray> = Awaited<ReturnType<Own["read"]>>;

/**
 * All rows of an array that fits in memory.
 *
 * @throws {RangeError} If it takes more than 16 GiB.
 */
export async function readAll<Own extends ChunkedArray>(
  array: Own,
  options?: ReadOptions,
): Promise<ElementsOf<Own>> {
  const { shape, dtype } = array;
  const bytes = dtype === "string" ? 0 : elementCount(shape) * elementBytes(dtype);
  if (bytes > MOST_HELD_BYTES) {
    throw new RangeError(
      `Cannot hold an array of shape [${shape.join(", ")}]: it takes ${
        formatBytes(bytes)
      }, wanted at ` +
        `most ${formatBytes(MOST_HELD_BYTES)}`,
    );
  }
  return await array.read(0, shape[0]!, options) as ElementsOf<Own>;
}

/** Whole numbers beyond are not all numbers of f64. */
const MOST_WHOLE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * All elements of an array that fits in memory, in C order as f64: what `decoder.sortedSpikes` takes as times, units and
 * positions, whatever they are stored as.
 *
 * @example
 * ```ts
 * const times = await readNumbers("session.nwb/units/spike_times");
 * ```
 *
 * @param source An array, which stays open, or a place, as {@link openArray} takes it.
 * @throws {RangeError} If f64 does not hold one of its whole numbers, or it takes more than 16 GiB.
 */
export async function readNumbers(
  source: ChunkedArray | string,
  options: OpenArrayOptions = {},
): Promise<Float64Array> {
  if (typeof source === "string") {
    const opened = await openArray(source, options);
    try {
      return await readNumbers(opened, options);
    } finally {
      await opened.close();
    }
  }
  const values = await readAll(source, options.signal && { signal: options.signal });
  if (values instanceof Float64Array) return Float64Array.from(values);
  if (!(values instanceof BigInt64Array || values instanceof BigUint64Array)) {
    return Float64Array.from(values);
  }
  const numbers = new Float64Array(values.length);
  for (const [i, value] of values.entries()) {
    if (value > MOST_WHOLE || value < -MOST_WHOLE) {
      throw new RangeError(
        `Cannot read ${
          source.places?.[0] ?? "numbers"
        } as f64: element ${i} is ${value}, wanted at most ` +
          `${MOST_WHOLE} (2^53 - 1)`,
      );
    }
    numbers[i] = Number(value);
  }
  return numbers;
}

/** An array of zarr, as the group says that it lies in, where that has checksums. */
async function openStoredArray(
  store: Store,
  place: string,
  reading: OpenArrayOptions,
): Promise<ChunkedArray> {
  const { folder, key } = splitPlace(place.replace(/\/+$/, ""));
  const name = key.slice(1);
  const { openZarrArray } = await import("../zarr/zarr_array.ts");
  // nothing is above that could be named
  if (["", ".", ".."].includes(name)) return await openZarrArray(store);
  const group = await openStore(folder, reading);
  try {
    return await openZarrArray(await checkedArrayStore(store, group, name));
  } finally {
    await group.close();
  }
}
