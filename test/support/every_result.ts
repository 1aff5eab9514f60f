/** Every kind of result, small: what draws, opens or describes results is tried on them. */

import { fromTypedArray } from "../../src/array/array.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { collect, KMeans, LogisticProbe, MlpProbe, PCA } from "../../src/mod.ts";
import { seeded } from "./random.ts";
import { smallRecording } from "./recordings.ts";

export const recording = smallRecording({ seconds: 4 });
const random = seeded(8);
export const CLUSTERS = 3;
export const rows = fromTypedArray(
  Float32Array.from({ length: 60 * 4 }, (_, i) => 9 * (Math.floor(i / 4) % CLUSTERS) + random()),
  [60, 4],
);
export const labels = Uint8Array.from({ length: 60 }, (_, i) => i % CLUSTERS === 0 ? 1 : 0);

const decoder = () =>
  sortedSpikes({ ...recording, states: contFrag({ movementVar: 4 }), binSize: 3, positionStd: 3 });

/** By a name of their own. */
export const RESULTS: Record<string, (gpu: Gpu, out: string) => Promise<unknown>> = {
  decode: (gpu, out) => decoder().smooth(gpu, { time: { step: 0.02 }, out }).run(),
  path: (gpu, out) => decoder().viterbi(gpu, { time: { step: 0.02 }, out }).run(),
  samples: (gpu, out) => decoder().samples(gpu, { time: { step: 0.02 }, out, samples: 4 }).run(),
  kmeans: (gpu, out) => new KMeans({ k: CLUSTERS, inits: 1 }).fit(gpu, rows, { out }).run(),
  "kmeans.prediction": (gpu, out) =>
    KMeans.from([0, 0, 0, 0, 9, 9, 9, 9], { k: 2 }).predict(gpu, rows, { out }).run(),
  "kmeans.distances": (gpu, out) =>
    KMeans.from([0, 0, 0, 0, 9, 9, 9, 9], { k: 2 }).transform(gpu, rows, { out }).run(),
  pca: (gpu, out) => new PCA({ components: 2 }).fit(gpu, rows, { out, scores: true }).run(),
  "pca.scores": async (gpu, out) => {
    const pca = new PCA({ components: 2 });
    await pca.fit(gpu, rows).run();
    return await pca.transform(gpu, rows, { out }).run();
  },
  logistic: (gpu, out) => new LogisticProbe().fit(gpu, rows, labels, { out }).run(),
  mlp: (gpu, out) => new MlpProbe({ hidden: 2, epochs: 3 }).fit(gpu, rows, labels, { out }).run(),
  prediction: async (gpu, out) => {
    const probe = new LogisticProbe();
    await probe.fit(gpu, rows, labels).run();
    return await probe.predict(gpu, rows, { out }).run();
  },
  acts: (gpu, out) =>
    collect(Float32Array.from({ length: 24 }, random), {
      ...{ dims: "blsh", shape: [2, 2, 3, 2], attentionMask: [1, 1, 0, 1, 1, 1] },
    }).save(gpu, out),
};

/** Makes a result; gives its place. */
export async function makeResult(gpu: Gpu, name: string, place: string): Promise<string> {
  const result = await RESULTS[name]!(gpu, place) as { close?(): Promise<void> };
  await result.close?.();
  return place;
}
