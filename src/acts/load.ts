/**
 * Opens activations that are stored: by this package, and by others.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { openStore } from "../store/open_store.ts";
import { childPlace } from "../store/place.ts";
import { storedAttributes } from "../stream/places.ts";
import { Acts } from "./acts.ts";
import { openHdf5Acts } from "./formats/hdf5.ts";
import { MEMMAP_META, openMemmapActs } from "./formats/memmap.ts";
import { openSaevActs, SAEV_SHARDS } from "./formats/saev.ts";
import { openShardedActs, openTensorActs } from "./formats/safetensors.ts";
import { openRequestActs } from "./formats/vllm.ts";
import type { LoadOptions } from "./options.ts";
import { loadOptions } from "./options.ts";
import { openParts, partsOf } from "./parts.ts";
import type { ActsSource } from "./source.ts";
import { joinSources } from "./source.ts";
import { openActsSource } from "./stored.ts";

/**
 * Opens activations: what `save()` and `cache()` stored, HDF5 files and memmap folders of probelab, folders of saev, safetensors
 * (a file, or the `.index.json` of several, with a tensor `layer.N` for each layer), and folders with a file for
 * each request as vLLM writes them. Several places are joined by sample ids.
 *
 * @throws {ChunkError} If there is none, it is of another kind, not finished, or of a newer version.
 * @throws {TypeError} If nothing says of which kind 16-bit elements are.
 * @throws {RangeError} If a sample id comes twice, or offsets do not ascend.
 */
export async function load(
  places: string | readonly string[],
  options: LoadOptions = {},
): Promise<Acts> {
  const told = loadOptions.check(options);
  const sources: ActsSource[] = [];
  try {
    for (const place of typeof places === "string" ? [places] : places) {
      sources.push(await openAt(place, told));
    }
    if (sources.length === 0) {
      throw new RangeError("Cannot load activations: no place is named, wanted at least 1");
    }
    return new Acts(sources.length === 1 ? sources[0]! : joinSources(sources));
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  }
}

/** @deprecated Use {@link load}. */
export const loadActivations = load;

async function openAt(place: string, options: LoadOptions): Promise<ActsSource> {
  const { unfinished = false, dtype, ...reading } = options;
  if (/\.safetensors\.index\.json$/i.test(place)) {
    return await openShardedActs(place, { dtype, ...reading });
  }
  if (/\.(h5|hdf5|hdf|he5)$/i.test(place)) return await openHdf5Acts(place, { dtype, ...reading });
  if (/\.safetensors$/i.test(place)) return await openTensorActs(place, { dtype, ...reading });
  const attributes = await storedAttributes(place);
  if (attributes !== undefined) return await openActsSource(place, reading);
  const store = await openStore(place, reading);
  try {
    if (await store.get(MEMMAP_META)) return await openMemmapActs(place, reading);
    if (await store.get(SAEV_SHARDS)) return await openSaevActs(place, reading);
    const keys = await store.list("/");
    if (partsOf(keys).length > 0) return await openParts(place, keys, { unfinished, ...reading });
    const requests = requestsIn(keys);
    if (requests.length > 0) {
      const files = requests.map((key) => childPlace(place, key));
      return await openRequestActs(files, { dtype, ...reading });
    }
  } finally {
    await store.close();
  }
  throw new ChunkError(
    `Cannot load activations from ${place}: nothing there is known, wanted what save() stored, .h5, ` +
      ".safetensors, .safetensors.index.json, a folder with meta.json of format memmap_v1, one with saev's " +
      "shards.json, or one of vLLM's requests",
    place,
  );
}

/** Files of requests; locks lie beside them, also when they are done. One that is half-written is refused. */
function requestsIn(keys: readonly string[]): string[] {
  return keys.map((key) => key.slice(1)).filter((name) => /^[^/]+\.safetensors$/.test(name));
}
