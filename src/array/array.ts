/**
 * Opens arrays, wherever they are kept.
 *
 * @module
 */

import { dataTypeOf, elementCount } from "../zarr/data_types.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag, list, signal, text } from "../options.ts";
import { splitPlace } from "../store/place.ts";
import { openStore } from "../store/open_store.ts";
import type { NumericArray } from "../types.ts";
import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import { openNpy, openNpyBlob } from "./npy.ts";
import { openZarrArray } from "../zarr/zarr_array.ts";

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
 * Opens an array: a `.npy` file, an array of a zarr v2 or v3 store, a typed array, or a file the
 * user picked.
 *
 * @example
 * ```ts
 * const spikes = await openArray("spikes.npy");
 * const latents = await openArray("https://example.org/latents.zarr/x");
 * const rows = await latents.read(0, 100);
 * ```
 *
 * @param source A place ending in `.npy`, a place of a zarr array such as `file:x.zarr/name`, a
 * typed array, or a `File` or `Blob` in `.npy` format.
 * @throws {ChunkError} If there is no array, or it is of a kind that cannot be read.
 * @throws {TypeError} If an option is not known, or of another kind.
 * @throws The signal's reason, if it is aborted.
 */
export async function openArray(
  source: string | NumericArray | Blob,
  options: OpenArrayOptions = {},
): Promise<ChunkedArray> {
  const reading = arrayOptions.check(options);
  if (source instanceof Blob) return openNpyBlob(source);
  if (typeof source !== "string") return fromTypedArray(source);
  const isNpy = /\.npy(\?[^/]*)?$/i.test(source);
  const { folder, key } = isNpy ? splitPlace(source) : { folder: source, key: "/" };
  const store = await openStore(folder, reading);
  try {
    const array = isNpy ? await openNpy(store, key) : await openZarrArray(store, key);
    return closingStore(array, () => store.close());
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
export function fromTypedArray(
  values: NumericArray,
  shape: readonly number[] = [values.length],
): ChunkedArray {
  const dtype = dataTypeOf(values);
  if (shape.length === 0 || elementCount(shape) !== values.length) {
    throw new RangeError(
      `Cannot make an array of shape [${shape}]: got ${values.length} elements, wanted ` +
        `${elementCount(shape)} and at least one axis`,
    );
  }
  const rowElements = elementCount(shape.slice(1));
  return {
    shape,
    dtype,
    dims: undefined,
    chunkRows: Math.max(1, shape[0]!),
    values,
    read(start, end, { signal } = {}) {
      return Promise.resolve().then(() => {
        signal?.throwIfAborted();
        checkRows(shape, start, end);
        return values.subarray(start * rowElements, end * rowElements);
      });
    },
    close: () => Promise.resolve(),
  };
}

/** All rows of an array that fits in memory. */
export function readAll(array: ChunkedArray, options?: ReadOptions): Promise<NumericArray> {
  return array.read(0, array.shape[0]!, options);
}

function closingStore(array: ChunkedArray, close: () => Promise<void>): ChunkedArray {
  return {
    ...array,
    async close() {
      await array.close();
      await close();
    },
  };
}
