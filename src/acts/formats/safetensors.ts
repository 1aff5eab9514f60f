/**
 * Tensors of safetensors files, one for each layer: a file, or several that an index lists.
 *
 * @module
 */

import { openArray, readAll } from "../../array/array.ts";
import { openPlacedFile } from "../../array/file_arrays.ts";
import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { openStore } from "../../store/open_store.ts";
import { childPlace, splitPlace } from "../../store/place.ts";
import { parseJson } from "../../zarr/json.ts";
import { arraySource } from "../array_source.ts";
import type { ActsSource } from "../source.ts";
import type { ActsType } from "../types.ts";
import { fingerprintOf } from "./fingerprint.ts";

/** How files are read, and what 16 bits are that do not say it. */
type Reading = OpenStoreOptions & { dtype?: ActsType | undefined };

const LAYER = /^layers?[._](\d+)$/;
const OFFSETS = "offsets";
const MASK = "detection_mask";

/** Of one file. @throws {ChunkError} If it has no tensors `layer.N`. */
export async function openTensorActs(
  place: string,
  { dtype, ...reading }: Reading,
): Promise<ActsSource> {
  const file = await openPlacedFile(place, reading);
  try {
    const names = await file.names();
    return await openTensors(place, new Map(names.map((name) => [name, place])), {
      dtype,
      ...reading,
    });
  } finally {
    await file.close();
  }
}

/** Of the files that an index lists. @throws {ChunkError} If it is no index, or one of them is missing. */
export async function openShardedActs(
  place: string,
  { dtype, ...reading }: Reading,
): Promise<ActsSource> {
  const { folder, key } = splitPlace(place);
  const store = await openStore(folder, reading);
  try {
    const bytes = await store.get(key);
    if (!bytes) throw new ChunkError(`Cannot open "${place}": there is no such file`, place);
    let index: unknown;
    try {
      index = parseJson(bytes);
    } catch (cause) {
      throw new ChunkError(`Cannot open "${place}": it is not JSON`, place, cause);
    }
    const { weight_map: map } = (index ?? {}) as { weight_map?: unknown };
    const isName = (value: unknown) =>
      typeof value === "string" && /^[^/\\]+\.safetensors$/.test(value) && !value.startsWith("..");
    if (typeof map !== "object" || map === null || !Object.values(map).every(isName)) {
      throw new ChunkError(
        `Cannot open "${place}": its weight_map does not name files beside it`,
        place,
      );
    }
    const files = new Map(
      Object.entries(map as Record<string, string>).map(([name, file]) => [
        name,
        childPlace(folder, file),
      ]),
    );
    return await openTensors(place, files, { dtype, ...reading });
  } finally {
    await store.close();
  }
}

/** @param files The file of each tensor. */
async function openTensors(
  place: string,
  files: ReadonlyMap<string, string>,
  { dtype, ...reading }: Reading,
): Promise<ActsSource> {
  const found = [...files.keys()].map((name) => ({ name, layer: idOf(name) }))
    .filter((own): own is { name: string; layer: number } => own.layer !== undefined)
    .sort((a, b) => a.layer - b.layer);
  if (found.length === 0) {
    throw new ChunkError(
      `Cannot load activations from ${place}: it has ${
        [...files.keys()].slice(0, 8).join(", ") || "no tensors"
      }, wanted one tensor for each layer, layer.N or embeddings`,
      place,
    );
  }
  const opened: ChunkedArray[] = [];
  const close = async () => {
    for (const array of opened.splice(0)) await array.close();
  };
  const open = async (name: string) => {
    const array = await openArray(`${files.get(name)!}/${name}`, reading);
    opened.push(array);
    return array;
  };
  try {
    const each: ChunkedArray[] = [];
    for (const { name } of found) each.push(await open(name));
    const [first] = each as [ChunkedArray];
    const read = async (name: string, axes: number) => {
      if (!files.has(name)) return undefined;
      const array = await open(name);
      if (array.shape.length === axes) return await readAll(array);
      throw new ChunkError(
        `Cannot load activations from ${place}: "${name}" is [${
          array.shape.join(", ")
        }], layers are [${first.shape.join(", ")}], wanted ${
          axes === 1 ? "one axis" : "[samples, tokens]"
        }`,
        place,
      );
    };
    const offsets = await read(OFFSETS, 1) as BigInt64Array | undefined;
    const detectionMask = await read(MASK, offsets ? 1 : 2);
    if (!offsets && first.shape.length === 3 && !detectionMask) {
      throw new ChunkError(
        `Cannot load activations from ${place}: layers are [${
          first.shape.join(", ")
        }] and nothing says ` +
          `which tokens are padding, wanted a tensor "${MASK}" or "${OFFSETS}"; or openArray() of each ` +
          "layer and collect() with an attentionMask",
        place,
      );
    }
    const hasTokens = offsets !== undefined || first.shape.length === 3;
    return arraySource({
      name: place,
      dims: hasTokens ? "blsh" : "blh",
      arrays: { each },
      dtype,
      layers: found.map(({ layer }) => layer),
      tokens: { offsets, detectionMask },
      facts: {},
      fingerprint: () => fingerprintOf([...new Set(files.values())], reading),
      close,
    });
  } catch (error) {
    await close();
    throw error;
  }
}

function idOf(name: string): number | undefined {
  if (name === "embeddings") return -1;
  const match = LAYER.exec(name);
  return match ? Number(match[1]) : undefined;
}
