/**
 * Folders of probelab: `offsets.bin`, `detection_mask.bin` and a file of bfloat16 for each layer.
 *
 * @module
 */

import { openArray, readAll } from "../../array/array.ts";
import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { openStore } from "../../store/open_store.ts";
import { childPlace } from "../../store/place.ts";
import { parseJson } from "../../zarr/json.ts";
import { arraySource } from "../array_source.ts";
import type { ActsSource } from "../source.ts";
import { fingerprintOf } from "./fingerprint.ts";

export const MEMMAP_META = "/meta.json";
const VERSION = "memmap_v1";

/** @throws {ChunkError} If a file is missing or of another length, or the version is not known. */
export async function openMemmapActs(
  place: string,
  reading: OpenStoreOptions,
): Promise<ActsSource> {
  const refuse = (reason: string) =>
    new ChunkError(`Cannot load activations from ${place}: ${reason}`, place);
  const store = await openStore(place, reading);
  let meta: Record<string, unknown>;
  const sizeOf = async (name: string, wanted: number) => {
    const bytes = await store.size(`/${name}`);
    if (bytes === wanted) return;
    throw refuse(
      bytes === undefined
        ? `${name} is missing`
        : `${name} has ${bytes} bytes, meta.json wants ${wanted}`,
    );
  };
  const opened: ChunkedArray[] = [];
  const close = async () => {
    for (const array of opened.splice(0)) await array.close();
  };
  try {
    meta = parseJson((await store.get(MEMMAP_META))!) as Record<string, unknown>;
    const { format, dims, layers } = meta;
    if (format !== VERSION) {
      throw refuse(`its format is ${JSON.stringify(format)}, wanted "${VERSION}"`);
    }
    if (dims !== "blsh") throw refuse(`its dims are ${JSON.stringify(dims)}, wanted "blsh"`);
    const [tokens, hidden, samples] = ["total_tokens", "hidden_dim", "n_samples"].map((name) => {
      const value = meta[name];
      if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
      throw refuse(`its ${name} is ${JSON.stringify(value)}, wanted a whole number`);
    }) as [number, number, number];
    if (!Array.isArray(layers) || !layers.every(Number.isInteger) || layers.length === 0) {
      throw refuse(`its layers are ${JSON.stringify(layers)}, wanted their numbers`);
    }
    await sizeOf("offsets.bin", 8 * (samples + 1));
    const files = ["offsets.bin", ...layers.map((layer) => `layer_${layer}.bin`)];
    for (const name of files.slice(1)) await sizeOf(name, 2 * tokens * hidden);
    const hasMask = await store.size("/detection_mask.bin") !== undefined;
    if (hasMask) await sizeOf("detection_mask.bin", tokens);
    const open = async (name: string, layout: string) => {
      const array = await openArray(`${childPlace(place, name)}/${layout}`, reading);
      opened.push(array);
      return array;
    };
    const each: ChunkedArray[] = [];
    for (const name of files.slice(1)) each.push(await open(name, `int16x${hidden}`));
    return arraySource({
      name: place,
      dims: "blsh",
      arrays: { each },
      dtype: "bfloat16",
      layers,
      tokens: {
        offsets: await readAll(await open("offsets.bin", "int64")) as BigInt64Array,
        detectionMask: hasMask
          ? await readAll(await open("detection_mask.bin", "uint8"))
          : undefined,
      },
      facts: { collected: "by probelab, memmap_v1" },
      fingerprint: () =>
        fingerprintOf(
          [...files, ...(hasMask ? ["detection_mask.bin"] : []), "meta.json"].map((name) =>
            childPlace(place, name)
          ),
          reading,
        ),
      close,
    });
  } catch (error) {
    await close();
    throw error;
  } finally {
    await store.close();
  }
}
