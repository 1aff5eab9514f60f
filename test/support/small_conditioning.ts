/** A conditioning analysis of a small corpus, and what is looked up in its places. */

import { fromTypedArray } from "../../src/array/array.ts";
import type { ConditionConfig, ConditionReport } from "../../src/condition/condition.ts";
import { MODEL_FORMAT } from "../../src/condition/models.ts";
import { openStore } from "../../src/store/open_store.ts";
import { openStored } from "../../src/stream/places.ts";
import type { NumericArray } from "../../src/types.ts";
import { arrayNames } from "../../src/zarr/group.ts";
import type { SmallCorpus } from "./corpus.ts";
import { smallCorpus } from "./corpus.ts";

export const W = 3;
export const planted = smallCorpus("cycle");
export const CONDITIONS: ConditionConfig["conditions"] = [
  { name: "mean_vq4", context: "mean", clusters: 4, inits: 1 },
  { name: "pca2_vq4", context: "flat", components: 2, clusters: 4, inits: 1 },
  { name: "pca2_quartile", context: "flat", components: 2, quartile: true },
];
export const SETTINGS = {
  window: W,
  lags: [1, 2],
  conditions: CONDITIONS,
  minClusterSize: 20,
  minSpeakerRows: 40,
};

export function inputOf({ frames, features, energy, utterances }: SmallCorpus) {
  return {
    frames: fromTypedArray(frames, [energy.length, features]),
    energy: fromTypedArray(energy),
    segments: utterances.map(({ start }) => start),
    speakers: utterances.map(({ speaker }) => speaker),
  };
}

export function configOf(
  corpus: SmallCorpus,
  out: string,
  more: Partial<ConditionConfig> = {},
): ConditionConfig {
  return { ...SETTINGS, input: inputOf(corpus), out, ...more };
}

/** Places in memory of a test file, with a name each, and the one that was named last. */
export function placesOf(file: string) {
  const places: string[] = [];
  return {
    newPlace(name: string): string {
      places.push(`memory:${file}/${places.length} ${name}`);
      return places.at(-1)!;
    },
    lastPlace: () => places.at(-1)!,
  };
}

/** Files of a folder, by key. */
export async function filesOf(place: string): Promise<Map<string, string>> {
  const store = await openStore(place);
  const files = new Map<string, string>();
  for (const key of await store.list("/")) {
    files.set(key, [...(await store.get(key))!].join());
  }
  await store.close();
  return files;
}

export async function readText(place: string, key: string): Promise<string> {
  const store = await openStore(place);
  const text = new TextDecoder().decode(await store.get(key));
  await store.close();
  return text;
}

export const ONE = { conditions: [CONDITIONS![0]!] };

/** What a report says of a condition, whatever the others are. */
export function numbersOf({ results, splits }: ConditionReport, name?: string) {
  const own = results.filter(({ condition }) => name === undefined || condition === name);
  return { results: own, splits };
}

/** All arrays of a stored model. */
export async function readModel(place: string): Promise<Record<string, NumericArray>> {
  const stored = await openStored(place, MODEL_FORMAT);
  const store = await openStore(place);
  const names = await arrayNames(store, 3);
  await store.close();
  return Object.fromEntries(
    await Promise.all(names.map(async (name: string) => [name, await stored.read(name)] as const)),
  );
}
