/**
 * Whole analyses: where the time went, how well stages overlap, what memory was promised and taken. Sizes
 * take seconds in software, and more where the adapter is a GPU.
 */

import { fromTypedArray } from "../src/array/array.ts";
import { KMeans } from "../src/cluster/kmeans.ts";
import { PCA } from "../src/decompose/pca.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { contFrag, simulateSession, sortedSpikes } from "../src/hmm/decoder.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import { Random } from "../src/math/random.ts";
import { openStore } from "../src/store/open_store.ts";
import { hasFileSystem } from "../src/store/place.ts";
import type { MemoryBytes } from "../src/types.ts";
import { measureBatches } from "../src/windows/measure.ts";
import { windows } from "../src/windows/windows.ts";
import { squaredDistance } from "../test/reference/vq_assign.ts";
import { checkWithin } from "./harness.ts";
import { emptyPlace, withPlace } from "./place.ts";
import type { ResultRow } from "./results.ts";

// a page is not told what its process takes
const { peakResidentBytes } = hasFileSystem()
  ? await import("../src/cli/resident.ts")
  : { peakResidentBytes: () => undefined };

const STAGES = ["read", "compute", "write"] as const;

interface PipelineReport {
  seconds: Record<string, number>;
  projectedBytes: MemoryBytes;
  peakBytes: MemoryBytes;
}

export interface PipelineRow extends ResultRow {
  /** Wall time of its passes over that of the slowest stage of each. */
  overlap: number;
  /** Peak of the ledger over the promise. */
  gpuOfProjected: number;
  projectedBytes: MemoryBytes;
}

/** Where the time of a run went, by its report. */
export function pipelineRow(
  bench: string,
  what: string,
  rows: number,
  { seconds, projectedBytes, peakBytes }: PipelineReport,
): PipelineRow {
  const passes = [...new Set(Object.keys(seconds).map((key) => key.split(".")[0]!))]
    .filter((pass) => `${pass}.total` in seconds);
  const spent = { read: 0, compute: 0, write: 0 };
  let [walls, slowest] = [0, 0];
  for (const pass of passes) {
    for (const stage of STAGES) spent[stage] += seconds[`${pass}.${stage}`]!;
    walls += seconds[`${pass}.total`]!;
    slowest += Math.max(...STAGES.map((stage) => seconds[`${pass}.${stage}`]!));
  }
  return {
    bench,
    case: what,
    rows,
    ...spent,
    // around the passes, and where no stage was at work
    outside: seconds.total! - walls,
    total: seconds.total!,
    rowsPerSecond: rows / seconds.total!,
    overlap: walls / slowest,
    projectedBytes,
    peakBytes,
    gpuOfProjected: peakBytes.gpu / projectedBytes.gpu,
    peakResidentBytes: peakResidentBytes(),
  };
}

function print(gpu: Gpu, { bench, case: what, ...row }: PipelineRow): void {
  const seconds = (name: string) => `${(row[name] as number).toFixed(2)} s`;
  const stages = [...STAGES, "outside", "total"];
  const { gpu: peak } = row.peakBytes as MemoryBytes;
  console.log(
    `${bench}, ${what}, on ${gpu.adapter.name}\n${
      formatTable([
        [...stages, "wall / slowest stage", "GPU peak", "of promised", "resident"],
        [
          ...stages.map(seconds),
          row.overlap.toFixed(2),
          formatBytes(peak),
          row.gpuOfProjected.toFixed(3),
          row.peakResidentBytes === undefined ? "" : formatBytes(row.peakResidentBytes as number),
        ],
      ])
    }\n`,
  );
}

/** A simulated session to decode, of so many seconds. */
export function simulatedDecoder(seconds: number, edge = 60) {
  const session = simulateSession({ seed: 1, seconds, arena: [edge, edge] });
  return sortedSpikes({ ...session, states: contFrag({ movementVar: 6 }), binSize: 3 });
}

const STEP = 0.02;

/** Filter, smoother and a posterior of 16 bits on disk, of so many seconds in a box of an edge in cm. */
export async function runDecode(
  gpu: Gpu,
  { seconds = gpu.adapter.software ? 60 : 3600, edge = 60, chunkRows }: {
    seconds?: number;
    edge?: number;
    chunkRows?: number;
  } = {},
): Promise<PipelineRow> {
  const decoder = simulatedDecoder(seconds, edge);
  return await withPlace(async (folder) => {
    const plan = decoder.smooth(gpu, {
      time: { step: STEP },
      out: `${folder}/decode.zarr`,
      dtype: "u16",
      ...(chunkRows !== undefined && { chunkRows }),
    });
    const result = await plan.run();
    const [rows, width] = result.posterior.shape as [number, number];
    const first = await result.posterior.read(0, 1) as Float32Array;
    checkWithin("the sum of a posterior", Math.abs(first.reduce((a, b) => a + b, 0) - 1), 1e-5);
    const row = pipelineRow("decode", `${rows} rows x ${width} state bins, u16`, rows, result);
    await result.close();
    return row;
  });
}

const WRITE_BYTES = 2 ** 26;

/**
 * A decode that writes its posterior, and the same bytes written in order into files of as many bytes by
 * the same store, each synced, without anything else.
 */
export async function runPosteriorWrite(gpu: Gpu): Promise<ResultRow> {
  // on a GPU 1.2 GiB of posterior; in software a few files
  const decoder = gpu.adapter.software ? simulatedDecoder(40, 100) : simulatedDecoder(720, 200);
  return await withPlace(async (folder) => {
    const plan = decoder.smooth(gpu, { time: { step: STEP }, out: `${folder}/decode.zarr` });
    const result = await plan.run();
    const [rows, width] = result.posterior.shape as [number, number];
    const first = await result.posterior.read(0, 1) as Float32Array;
    checkWithin("the sum of a posterior", Math.abs(first.reduce((a, b) => a + b, 0) - 1), 1e-5);
    await result.close();
    const bytes = 4 * rows * width;
    const seconds = result.seconds.total!;
    await emptyPlace(`${folder}/decode.zarr`);
    const rawSeconds = await writeInOrder(`${folder}/raw`, bytes);
    return {
      bench: "posterior_write",
      case: `${rows} rows x ${width} state bins, f32`,
      rows,
      bytes,
      seconds,
      rawSeconds,
      bytesPerSecond: bytes / seconds,
      rawBytesPerSecond: bytes / rawSeconds,
      ofRawRate: rawSeconds / seconds,
    };
  });
}

/** Seconds that a store takes for so many bytes, in files of {@link WRITE_BYTES} made of 4 MiB each. */
async function writeInOrder(place: string, bytes: number): Promise<number> {
  const random = new Random(9);
  const chunk = Uint8Array.from({ length: 2 ** 22 }, () => 256 * random.uniform());
  const store = await openStore(place, { mode: "write" });
  const began = performance.now();
  for (let written = 0; written < bytes;) {
    const file = await store.append(`/${written}`);
    while (file.size < WRITE_BYTES && written < bytes) {
      const part = chunk.subarray(0, Math.min(chunk.length, bytes - written));
      await file.append(part);
      written += part.length;
    }
    await file.finish();
  }
  const seconds = (performance.now() - began) / 1000;
  await store.close();
  return seconds;
}

/** Rows around some centres, on axes of falling length. */
export function clouds(rows: number, features: number): Float32Array {
  const random = new Random(3);
  const centers = Float32Array.from({ length: 64 * features }, () => random.uniform() - 0.5);
  return Float32Array.from({ length: rows * features }, (_, i) => {
    const [row, d] = [Math.floor(i / features), i % features];
    return (centers[row % 64 * features + d]! + 0.2 * (random.uniform() - 0.5)) / (1 + d / 16);
  });
}

const pointRows = ({ adapter }: Gpu) => adapter.software ? 8192 : 2 ** 19;

/** A fit of k-means, of few iterations: it is its speed that is asked for. */
export async function runKMeans(
  gpu: Gpu,
  { rows = pointRows(gpu), features = 128, k = 64 } = {},
): Promise<PipelineRow> {
  const values = clouds(rows, features);
  const model = new KMeans({ k, seed: 42, maxIterations: 3, tolerance: 0 });
  const result = await model.fit(gpu, fromTypedArray(values, [rows, features])).run();
  for (let row = 0; row < 100; row++) {
    const own = squaredDistance(values, row, result.centroids, result.ids[row]!, features);
    for (let code = 0; code < k; code++) {
      const other = squaredDistance(values, row, result.centroids, code, features);
      checkWithin(`row ${row}'s nearest centroid`, own - other, 1e-5);
    }
  }
  return pipelineRow("kmeans", `${k} codes x ${features} features, ${rows} rows`, rows, result);
}

/** Components of such rows, more of them: they take a single sweep. */
export async function runPca(
  gpu: Gpu,
  { rows = Math.max(pointRows(gpu), 2 ** 16), features = 128 } = {},
): Promise<PipelineRow> {
  const values = clouds(rows, features);
  const result = await new PCA({ components: 8 }).fit(
    gpu,
    fromTypedArray(values, [rows, features]),
  ).run();
  const { components, mean, explainedVariance } = result;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    let score = 0;
    for (let d = 0; d < features; d++) {
      score += (values[row * features + d]! - mean[d]!) * components[d]!;
    }
    sum += score * score;
  }
  const off = Math.abs(sum / (rows - 1) / explainedVariance[0]! - 1);
  checkWithin("the variance of the first component", off, 1e-5);
  return pipelineRow("pca", `8 components of ${features} features, ${rows} rows`, rows, result);
}

const [FRAMES, FRAME_FEATURES, SIZE, BATCH, STEP_MS] = [20_000, 287, 30, 256, 140];

/** Batches of windows from frames on the device, beside steps of 140 ms. */
export async function runBatches(gpu: Gpu): Promise<ResultRow> {
  const random = new Random(5);
  const values = Float32Array.from({ length: FRAMES * FRAME_FEATURES }, () => random.uniform());
  const view = windows(fromTypedArray(values, [FRAMES, FRAME_FEATURES]), { size: SIZE });
  const batches = view.batches(gpu, { size: BATCH, shuffle: 7, framesIn: "device" });
  const timing = await measureBatches(batches, { gpu, stepMs: STEP_MS, most: 16 });
  const eagerBytes = 4 * view.shape.reduce((product, size) => product * size, 1);
  const { gpu: peak, host } = batches.stats.peakBytes;
  return {
    bench: "batches",
    case: `${BATCH} x ${SIZE} x ${FRAME_FEATURES} of ${FRAMES} frames`,
    ...timing,
    stepMs: STEP_MS,
    waitOfStep: timing.waitMs / STEP_MS,
    peakBytes: batches.stats.peakBytes,
    eagerBytes,
    memoryOfEager: (peak + host) / eagerBytes,
    batchBytes: 4 * BATCH * SIZE * FRAME_FEATURES,
  };
}

async function printed(gpu: Gpu, row: Promise<PipelineRow>): Promise<ResultRow[]> {
  print(gpu, await row);
  return [await row];
}

export const pipelineBenches = [
  { name: "decode", run: (gpu: Gpu) => printed(gpu, runDecode(gpu)) },
  { name: "kmeans", run: (gpu: Gpu) => printed(gpu, runKMeans(gpu)) },
  { name: "pca", run: (gpu: Gpu) => printed(gpu, runPca(gpu)) },
  { name: "posterior_write", run: async (gpu: Gpu) => [await runPosteriorWrite(gpu)] },
  { name: "batches", run: async (gpu: Gpu) => [await runBatches(gpu)] },
];
