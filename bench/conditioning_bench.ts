/**
 * What an analysis of contexts holds, beside what holding all of it takes: 8-frame contexts of 512 features,
 * as many as fit into minutes in software. Frames are made when they are read, so that nothing of them is
 * in memory that the analysis did not put there.
 */

import process from "node:process";
import type { ChunkedArray } from "../src/array/array.ts";
import { fromTypedArray } from "../src/array/array.ts";
import { contexts } from "../src/array/contexts.ts";
import { peakResidentBytes } from "../src/cli/resident.ts";
import { KMeans } from "../src/cluster/kmeans.ts";
import * as condition from "../src/condition/condition.ts";
import type { Condition } from "../src/condition/condition.ts";
import { PCA } from "../src/decompose/pca.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/gpu/device.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import { checkWithin, median } from "./harness.ts";
import type { ResultRow } from "./results.ts";

const [WIDTH, LAG, FEATURES, COMPONENTS, CLUSTERS] = [8, 1, 512, 8, 64];
const UTTERANCE_FRAMES = 250;
/** Rows of the published analysis that its memory was worked out for. */
const PUBLISHED_ROWS = 100_000;
const BUDGET = "256 MiB";
/** Rows of a batch that distances were broadcast for. */
const BROADCAST_ROWS = 10_000;
const FLAT_BYTES = 4 * WIDTH * FEATURES;
const FRAME_BYTES = 4 * FEATURES;

/** Most bytes of typed arrays that were alive when frames were read, garbage among them. */
let typedArrays = 0;

/** Frames of which the next differs by what their recent mean tells and by noise. */
function syntheticFrames(rows: number): ChunkedArray {
  return {
    shape: [rows, FEATURES],
    dtype: "float32",
    dims: undefined,
    chunkRows: 1000,
    read(start, end) {
      typedArrays = Math.max(typedArrays, process.memoryUsage().arrayBuffers);
      const values = new Float32Array((end - start) * FEATURES);
      for (let t = start, at = 0; t < end; t++) {
        const state = Math.floor(t / 20) * 7919 % 97;
        for (let d = 0; d < FEATURES; d++) {
          const noise = Math.imul(t * FEATURES + d, 0x9e3779b1) >>> 8;
          values[at++] = Math.sin(state * (d + 1)) + noise / 2 ** 24;
        }
      }
      return Promise.resolve(values);
    },
    close: () => Promise.resolve(),
  };
}

interface Held {
  gpu: number;
  host: number;
  /** Of the published number of rows, where a plan tells it. */
  projected?: { gpu: number; host: number };
}

export async function runConditioningBench({ adapter }: Gpu): Promise<ResultRow[]> {
  const rows = adapter.software ? 10_000 : PUBLISHED_ROWS;
  const gpu = await openGpu({ budget: BUDGET });
  try {
    const utterancesOf = (frames: number) =>
      Array.from({ length: frames / UTTERANCE_FRAMES }, (_, i) => ({
        id: `u${i}`,
        speaker: `s${i % 20}`,
        start: i * UTTERANCE_FRAMES,
        end: (i + 1) * UTTERANCE_FRAMES,
      }));
    const utterances = utterancesOf(rows);
    const view = (mode: "mean" | "flat", frames: number) =>
      contexts(syntheticFrames(frames), {
        width: WIDTH,
        lag: LAG,
        mode,
        segments: Array.from({ length: frames / UTTERANCE_FRAMES }, (_, i) => UTTERANCE_FRAMES * i),
      });
    /** Host bytes are what was added to the typed arrays there were. */
    const held = async (work: () => Promise<{ gpu: number } | undefined>): Promise<Held> => {
      const before = process.memoryUsage().arrayBuffers;
      typedArrays = before;
      const peak = await work();
      return { gpu: peak?.gpu ?? 0, host: typedArrays - before };
    };

    const pca = new PCA({ components: COMPONENTS });
    const fit = await held(async () => (await pca.fit(gpu, view("flat", rows)).run()).peakBytes);
    fit.projected = pca.fit(gpu, view("flat", PUBLISHED_ROWS)).projected;
    const project = await held(async () => {
      const plan = pca.transform(gpu, view("flat", rows));
      await plan.run();
      return plan.projected;
    });
    project.projected = pca.transform(gpu, view("flat", PUBLISHED_ROWS)).projected;

    const meanRows = { frames: syntheticFrames(rows), utterances, firstTarget: WIDTH - 1 + LAG };
    let normalizer!: condition.Normalizer;
    const normalize = await held(async () => {
      normalizer = await condition.deltaNormalizer(meanRows);
      return undefined;
    });
    const means = await held(async () => {
      const all = view("mean", rows);
      for (let start = 0; start < all.shape[0]; start += 4096) {
        await all.read(start, Math.min(all.shape[0], start + 4096));
      }
      return undefined;
    });

    const model = new KMeans({ k: CLUSTERS, inits: 1, maxIterations: 5, seed: 42 });
    await model.fit(gpu, view("mean", rows)).run();
    let ids!: Int32Array;
    const assign = await held(async () => {
      const plan = model.predict(gpu, view("mean", rows));
      ids = Int32Array.from((await plan.run()).ids);
      return plan.projected;
    });
    assign.projected = model.predict(gpu, view("mean", PUBLISHED_ROWS)).projected;

    const effective = condition.effectiveClusters(ids, 100);
    const members = Uint8Array.from(ids, (_, row) => row % 4);
    const slices = { names: ["high_energy", "medial"], members };
    const score = await held(async () => {
      const options = { normalizer, ids, effective, slices, permutationSeed: 1042 };
      await condition.diagnose(meanRows, options);
      return undefined;
    });

    const quick = { inits: 1, maxIterations: 5 };
    const conditions: Condition[] = [
      { name: "mean_vq64", context: "mean", clusters: 64, ...quick },
      { name: "pca8_vq256", context: "flat", components: 8, clusters: 256, ...quick },
      { name: "pca8_quartile", context: "flat", components: 8, quartile: true },
    ];
    const whole = await held(async () => {
      const speakers = utterances.map(({ speaker }) => speaker);
      const segments = utterances.map(({ start }) => start);
      let peak = 0;
      await condition.run(gpu, {
        input: { frames: syntheticFrames(rows), segments, speakers },
        out: "memory:conditioning-bench",
        lags: [LAG],
        conditions,
      }, { onProgress: ({ peakBytes }) => peak = Math.max(peak, peakBytes.gpu) });
      return { gpu: peak };
    });

    const scoring = await timeScoring({
      frames: fromTypedArray(
        await syntheticFrames(PUBLISHED_ROWS).read(0, PUBLISHED_ROWS),
        [PUBLISHED_ROWS, FEATURES],
      ),
      utterances: utterancesOf(PUBLISHED_ROWS),
      firstTarget: WIDTH - 1 + LAG,
    }, normalizer);

    const batch = Math.min(rows, BROADCAST_ROWS);
    const cases: [section: string, what: string, naive: number, Held][] = [
      ["1", "flat features are not held (fit)", rows * FLAT_BYTES, fit],
      ["1", "train and eval take turns (fit, then project)", 2 * rows * FLAT_BYTES, {
        gpu: Math.max(fit.gpu, project.gpu),
        host: Math.max(fit.host, project.host),
      }],
      ["1", "deltas are normalised without a copy", 2 * rows * FRAME_BYTES, normalize],
      ["2", "no list becomes an array (project)", 2 * rows * FLAT_BYTES, project],
      ["2", "means of contexts in f32", 2 * rows * FRAME_BYTES, means],
      ["2", "no context is copied flat (project)", rows * FLAT_BYTES, project],
      ["3", "components without a centred copy", 2 * rows * FLAT_BYTES, fit],
      ["3", "projection without a centred copy", rows * FLAT_BYTES, project],
      ["4", "assignment without [batch, K, D]", 4 * batch * CLUSTERS * FEATURES, assign],
      ["4", "scores without copies of slices", 2 * rows * FRAME_BYTES, score],
      ["4", "variance ratio without differences", rows * FRAME_BYTES, score],
      ["4", "slices made once", 8 * rows * slices.names.length, {
        gpu: 0,
        host: members.byteLength,
      }],
      ["all", "a lag of three conditions", 2 * rows * FLAT_BYTES, whole],
    ];
    const table = [[
      "section",
      "",
      `held whole, ${rows} rows`,
      "here, GPU",
      "here, host",
      `GPU, ${PUBLISHED_ROWS} rows`,
      "host",
    ]];
    const results = cases.map(([section, what, naive, { gpu: device, host, projected }]) => {
      table.push([
        section,
        what,
        formatBytes(naive),
        formatBytes(device),
        formatBytes(host),
        projected ? formatBytes(projected.gpu) : "",
        projected ? formatBytes(projected.host) : "",
      ]);
      return {
        bench: "conditioning",
        case: what,
        rows,
        heldWholeBytes: naive,
        gpuBytes: device,
        hostBytes: host,
        ...(projected && { projectedRows: PUBLISHED_ROWS, projectedBytes: projected }),
      };
    });
    console.log(
      `conditioning, ${rows} rows of ${WIDTH} x ${FEATURES}, budget ${BUDGET}, on ${adapter.name}\n` +
        `${formatTable(table)}\nresident in all: ${formatBytes(peakResidentBytes())}\n`,
    );
    return [...results, scoring];
  } finally {
    gpu.close();
  }
}

/** What scores take on a core: two slices, every speaker and the control, of frames in memory. */
async function timeScoring(
  rows: condition.Rows,
  normalizer: condition.Normalizer,
): Promise<ResultRow> {
  const { utterances, firstTarget } = rows;
  const count = utterances.reduce((sum, { start, end }) => sum + end - start - firstTarget, 0);
  const ids = Int32Array.from({ length: count }, (_, row) => row * 7919 % CLUSTERS);
  const options = {
    normalizer,
    ids,
    effective: condition.effectiveClusters(ids, 100),
    slices: { names: ["high_energy", "medial"], members: Uint8Array.from(ids, (id) => id % 4) },
    permutationSeed: 1042,
  };
  const seconds: number[] = [];
  for (let i = 0; i < 5; i++) {
    const began = performance.now();
    const { diagnosis: { slices: { all } } } = await condition.diagnose(rows, options);
    seconds.push((performance.now() - began) / 1000);
    // ids tell nothing of these frames
    checkWithin("conditioning", Math.abs(all!.ratio - all!.expectedRatio), 0.01);
  }
  const medianSeconds = median(seconds);
  console.log(
    `scores of ${count} rows of ${FEATURES} features in ${CLUSTERS} clusters, with two slices, ` +
      `speakers and control: ${medianSeconds.toFixed(2)} s (${
        Math.min(...seconds).toFixed(2)
      } to ` +
      `${Math.max(...seconds).toFixed(2)})\n`,
  );
  return { bench: "conditioning", case: "scores, seconds", rows: count, medianSeconds };
}
