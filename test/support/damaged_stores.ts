/** Results that are damaged at random: what a check finds, and what readers return. */

import { expect } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { ChunkError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { open } from "../../src/open.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { Store } from "../../src/store/store.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { openZarrGroup } from "../../src/zarr/group.ts";
import { blobs } from "./blobs.ts";
import { seeded } from "./random.ts";
import { smallPlan } from "./small_decode.ts";

const DAMAGES = ["flip", "cut", "delete", "swap"] as const;
type Damage = typeof DAMAGES[number];

/** What was found of so many damages. */
export interface DamageCounts {
  /** By kind. */
  tried: Record<Damage, number>;
  /** Those that changed no byte, such as a swap of equal files. */
  harmless: number;
  /** Readings that ended in an error, and those that gave what was stored. */
  refused: number;
  right: number;
}

/** A result, and all that it holds. */
interface Whole {
  place: string;
  files: Map<string, Uint8Array>;
  values: Record<string, string>;
}

/** Places of results of every kind there is: shards, chunks of their own, version 2, compressed, strings. */
async function writeResults(gpu: Gpu): Promise<string[]> {
  const places: string[] = [];
  const next = () => {
    places.push(`memory:damaged_stores/${places.length}.zarr`);
    return places.at(-1)!;
  };
  const small = { causal: false, lanes: 1 } as const;
  for (
    const options of [
      { ...small, chunkRows: 32, shardChunks: 2 },
      { ...small, chunkRows: 64, shardChunks: 2, codec: "zstd", dtype: "u16" },
      { ...small, chunkRows: 64, shardChunks: 1, zarrFormat: 2 },
      {
        ...small,
        chunkRows: 128,
        shardChunks: 1,
        zarrFormat: 2,
        codec: "zstd",
        summaries: ["map", "entropy"],
      },
    ] as const
  ) {
    const plan = smallPlan(gpu, next(), options as object);
    await (await plan.run()).close();
  }
  const { points } = blobs({ rows: 300, features: 3, blobs: 4, spread: 0.3 });
  const rows = fromTypedArray(points, [300, 3]);
  const fit = await new KMeans({ k: 4, seed: 2, maxIterations: 3 }).fit(gpu, rows, { out: next() })
    .run();
  await fit.close();
  return places;
}

async function filesOf(store: Store): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const key of await store.list("/")) files.set(key, (await store.get(key))!);
  return files;
}

/** Everything that readers give, as text, by name; what they refuse is an error by its message. */
async function readEverything(place: string, names?: string[]): Promise<Record<string, string>> {
  const told: Record<string, string> = {};
  const read = async (name: string, action: () => Promise<unknown>) => {
    try {
      const value = await action();
      told[name] = JSON.stringify(
        value,
        (_, item) => ArrayBuffer.isView(item) ? Array.from(item as Float32Array, String) : item,
      );
    } catch (error) {
      if (!names) throw error;
      told[name] = `refused: ${(error as Error).name}`;
      expect(error, `${name} of ${place}`).toBeInstanceOf(ChunkError);
    }
  };
  await read("open()", async () => {
    const result = await open(place);
    await result.close();
    if (result.kind === "decode") {
      return [result.marginalLogLikelihood, result.states, result.binCenters, result.storedRows];
    }
    return result.kind === "kmeans" && [result.centroids, result.inertia];
  });
  const store = await openStore(place);
  await read("text", async () => {
    const { variables, attributes } = await openZarrGroup(store);
    const texts = variables.filter(({ array }) => !array);
    const found = await Promise.all(texts.map(async (one) => [one.name, await one.readText()]));
    return [found, attributes, variables.map(({ name, dims, shape }) => [name, dims, shape])];
  });
  const group = names ? [] : (await openZarrGroup(store)).variables;
  for (const name of names ?? group.filter(({ array }) => array).map(({ name }) => name)) {
    await read(name, async () => {
      const array = await openArray(`${place}/${name}`);
      try {
        return [array.shape, array.dims, array.dtype, await readAll(array)];
      } finally {
        await array.close();
      }
    });
  }
  return told;
}

/** Damages results in a way each, and compares what a check and readers tell with what was stored. */
export async function damageStores(gpu: Gpu, count: number, seed: number): Promise<DamageCounts> {
  const random = seeded(seed);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]!;
  const wholes: Whole[] = [];
  for (const place of await writeResults(gpu)) {
    const files = await filesOf(await openStore(place));
    expect(await checkStore(place)).toMatchObject({ state: "whole", hasChecksums: true });
    wholes.push({ place, files, values: await readEverything(place) });
  }
  const counts: DamageCounts = {
    tried: { flip: 0, cut: 0, delete: 0, swap: 0 },
    harmless: 0,
    refused: 0,
    right: 0,
  };
  for (let i = 0; i < count; i++) {
    const { place, files, values } = pick(wholes);
    const store = await openStore(place);
    const damage = pick(DAMAGES);
    const keys = [...files.keys()];
    const key = pick(keys);
    const bytes = files.get(key)!;
    let told = `${damage} of ${place}${key}`;
    let isHarmless = false;
    counts.tried[damage]++;
    switch (damage) {
      case "flip": {
        const flipped = bytes.slice();
        const at = Math.floor(random() * bytes.length);
        const bit = Math.floor(random() * 8);
        flipped[at]! ^= 1 << bit;
        told += ` at byte ${at}, bit ${bit}`;
        await store.set(key, flipped);
        break;
      }
      case "cut": {
        const length = Math.floor(random() * bytes.length);
        told += ` to ${length} bytes`;
        await store.set(key, bytes.slice(0, length));
        break;
      }
      case "delete":
        await store.delete(key);
        // all values and names are there
        isHarmless = key === "/checksums.txt";
        break;
      case "swap": {
        const other = pick(keys.filter((other) => other !== key));
        told += ` with ${other}`;
        await store.set(key, files.get(other)!);
        await store.set(other, bytes);
        isHarmless = String(bytes) === String(files.get(other)!);
        break;
      }
    }
    if (isHarmless) counts.harmless++;
    const { state } = await checkStore(place);
    expect(state, told).toBe(isHarmless ? "whole" : "damaged");
    const names = Object.keys(values).filter((name) => !["open()", "text"].includes(name));
    for (const [name, value] of Object.entries(await readEverything(place, names))) {
      if (value.startsWith("refused: ")) counts.refused++;
      else {
        expect(value === values[name], `${told}: "${name}" is ${value.slice(0, 200)}`).toBe(true);
        counts.right++;
      }
    }
    for (const [key, bytes] of files) await store.set(key, bytes);
  }
  return counts;
}

/** One line: damages by kind, and what readers said. */
export function describeDamages({ tried, harmless, refused, right }: DamageCounts): string {
  const kinds = Object.entries(tried).map(([kind, count]) => `${kind} ${count}`).join(", ");
  return `damages: ${kinds}, ${harmless} of them harmless; of readings ${refused} were refused, ` +
    `${right} right`;
}
