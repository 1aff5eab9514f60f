/** Work of every kind that is killed on its way, small, and the same every time it is begun. */

import { collect } from "../../src/acts/collect.ts";
import { featuresLater } from "../../src/acts/later.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { run as condition } from "../../src/condition/condition.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { contFrag, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import { exportNetcdf } from "../../src/io/netcdf_export.ts";
import { MultiMaxProbe } from "../../src/probes/multimax.ts";
import { LogisticProbe } from "../../src/probes/probes.ts";
import { ProbeSweep } from "../../src/probes/sweep.ts";
import { blobs } from "./blobs.ts";
import { smallCorpus } from "./corpus.ts";
import { smallDecode } from "./interrupted_decode.ts";
import { rows, texts } from "./learnable.ts";
import { smallRecording } from "./recordings.ts";

export const WORKS = [
  ...["lanes", "path", "fit", "condition", "overwrite", "v2", "export"] as const,
  ...["pool", "logistic", "multimax", "sweep"] as const,
] as const;

export type Work = typeof WORKS[number];

export interface WorkOptions {
  out: string;
  tileRows: number;
  /** A finished decode, to be exported. */
  source: string;
  /** Replaces what is there, which is a result of another plan. */
  overwrite: boolean;
  onProgress(): void;
}

/** Every lane starts wrong, so that all are run again. */
const lanes = () =>
  sortedSpikes({
    ...smallRecording({ seconds: 12, units: 4 }),
    states: stateModel({
      names: ["still"],
      initial: [1],
      discreteTransition: [[1]],
      transitions: [[{ kind: "identity" }]],
    }),
    binSize: 4,
    positionStd: 3,
  });

const walker = () =>
  sortedSpikes({
    ...smallRecording({ seconds: 12, units: 4 }),
    states: contFrag({ movementVar: 4 }),
    binSize: 4,
    positionStd: 3,
  });

const { points } = blobs({ rows: 400, features: 5, blobs: 4, spread: 0.4 });

const corpus = smallCorpus("cycle");

const { data: tokens, y } = texts(90);
const activations = () =>
  collect({ 0: tokens.rows.values as Float32Array, 3: tokens.rows.values as Float32Array }, {
    ...{ dims: "blsh", shape: tokens.rows.shape as number[], offsets: tokens.offsets },
    detectionMask: tokens.detected!,
  });
const learning = { hidden: 4, epochs: 3, batchSize: 16 };

/** Begins some work, or goes on with it. */
export async function doWork(gpu: Gpu, work: Work, options: WorkOptions): Promise<void> {
  const { out, tileRows, source, overwrite, onProgress } = options;
  switch (work) {
    case "lanes": {
      const plan = lanes().smooth(gpu, {
        time: { step: 0.02 },
        causal: true,
        chunkRows: 32,
        shardChunks: 3,
        lanes: 4,
        burnInRows: 64,
        tileRows,
        out,
      });
      return await (await plan.run({ onProgress })).close();
    }
    case "path": {
      const plan = walker().viterbi(gpu, { time: { step: 0.02 }, tileRows, out });
      return await (await plan.run({ onProgress })).close();
    }
    case "v2":
    case "overwrite": {
      const kind = work === "v2" ? { zarrFormat: 2, shardChunks: 1 } as const : {};
      return await (await smallDecode(gpu, out, { ...kind, tileRows, overwrite }).run({
        onProgress,
      }))
        .close();
    }
    case "fit": {
      const model = new KMeans({ k: 3, seed: 3, inits: 2, maxIterations: 4 });
      const array = fromTypedArray(points, [400, 5]);
      return await (await model.fit(gpu, array, { out, tileRows }).run({ onProgress })).close();
    }
    case "condition": {
      const { frames, features, energy, utterances } = corpus;
      const input = {
        frames: fromTypedArray(frames, [energy.length, features]),
        energy: fromTypedArray(energy),
        segments: utterances.map(({ start }) => start),
        speakers: utterances.map(({ speaker }) => speaker),
      };
      await condition(gpu, {
        input,
        out,
        window: 3,
        lags: [1, 2],
        conditions: [
          { name: "mean_vq4", context: "mean", clusters: 4, inits: 1 },
          { name: "pca2_vq4", context: "flat", components: 2, clusters: 4, inits: 1 },
        ],
        minClusterSize: 20,
        minSpeakerRows: 40,
      }, { onProgress });
      return;
    }
    case "pool":
      return await (await activations().rolling({ window: 3 })
        .save(gpu, out, { tileRows, onProgress })).close();
    case "logistic": {
      const { data, y } = rows(400);
      const plan = new LogisticProbe({ c: [0.1, 1] }).fit(gpu, data, y, { out, tileRows });
      await plan.run({ onProgress });
      return;
    }
    case "multimax": {
      const probe = new MultiMaxProbe({ ...learning, heads: 2 });
      await probe.fit(gpu, tokens, y, { out, tileRows }).run({ onProgress });
      return;
    }
    case "sweep": {
      const acts = activations();
      const layers = acts.layers!.map((layer) => ({
        layer,
        features: featuresLater(acts.selectLayers(layer).meanPool()),
        tokens: acts.selectLayers(layer).tokens(),
      }));
      await new ProbeSweep(gpu, {
        ...{ layers, labels: y },
        probes: [
          ...[{ kind: "logistic" }, { kind: "mlp", options: learning }],
          { kind: "multimax", options: { ...learning, heads: 2 } },
        ],
      }, { out }).run({ onProgress });
      return;
    }
    case "export":
      await exportNetcdf(source, out, { onProgress });
  }
}

/** Puts a finished result of another plan where one is to be overwritten. */
export async function doOther(gpu: Gpu, out: string): Promise<void> {
  await (await smallDecode(gpu, out, { causal: false, chunkRows: 8 }).run()).close();
}
