/**
 * Activations that this package stored: a zarr group with an array for each layer.
 *
 * @module
 */

import { readAll } from "../array/array.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import type { OpenStoreOptions } from "../store/open_store.ts";
import { openStore } from "../store/open_store.ts";
import { openStored } from "../stream/places.ts";
import { checkedStore, CHECKSUMS_KEY } from "../zarr/checksums.ts";
import { knownArrays } from "../zarr/group_writer.ts";
import { openZarrArray, readZarrText } from "../zarr/zarr_array.ts";
import type { ActsAttributes } from "./acts_task.ts";
import { ACTS_FORMAT } from "./acts_task.ts";
import { arraySource } from "./array_source.ts";
import type { ActsSource } from "./source.ts";
import type { ActsFacts, ActsType, Dims } from "./types.ts";
import { ALL_DIMS } from "./types.ts";

/**
 * Opens what was saved.
 *
 * @throws {ChunkError} If there is none, it is not finished, or a newer version wrote it.
 */
export async function openActsSource(
  place: string,
  reading: OpenStoreOptions = {},
): Promise<ActsSource> {
  const { attributes } = await openStored(place, ACTS_FORMAT);
  const told = attributes.acts as ActsAttributes | undefined;
  if (!told || !ALL_DIMS.includes(told.dims as Dims) || !Array.isArray(told.arrays)) {
    throw new ChunkError(
      `Cannot open ${place}: its attributes do not say what its activations are, wanted "acts" with ` +
        "dims and arrays",
      place,
    );
  }
  const store = await openStore(place, reading);
  const close = () => store.close();
  try {
    // one look at the list of checksums, however many layers there are
    const checked = await checkedStore(store);
    const open = (name: string) => openZarrArray(checked, `/${name}`);
    const known = await knownArrays(store);
    const there = (name: string) => known.includes(name);
    const dims = told.dims as Dims;
    const hasTokens = dims.includes("s");
    const each: ChunkedArray[] = [];
    for (const name of told.arrays) each.push(await open(name));
    const ids = there("sample_id") ? await readZarrText(checked, "/sample_id") : undefined;
    const numbers = async (name: string) =>
      there(name)
        ? Float64Array.from(await readAll(await open(name)) as BigInt64Array, Number)
        : undefined;
    return arraySource({
      name: place,
      dims,
      arrays: dims.includes("l") ? { each } : { all: each[0]! },
      dtype: told.dtype as ActsType,
      layers: dims.includes("l") ? told.layers! : undefined,
      tokens: hasTokens
        ? { offsets: await numbers("offsets"), detectionMask: await numbers("detected") }
        : {},
      ids,
      facts: factsOf(told),
      async fingerprint() {
        return await digestOf([await store.get(CHECKSUMS_KEY) ?? place]);
      },
      close,
    });
  } catch (error) {
    await close();
    throw error;
  }
}

function factsOf(
  { dims, layers, producer, hook_point, collected, after_final_norm }: ActsAttributes,
): ActsFacts {
  const flagged = after_final_norm.filter((layer) => dims.includes("l") && layers?.includes(layer));
  return {
    ...(producer !== null && { producer }),
    ...(hook_point !== null && { hookPoint: hook_point }),
    ...(collected !== null && { collected }),
    ...(flagged.length > 0 && { afterFinalNorm: flagged }),
  };
}
