import { describe, expect, it } from "vitest";
import { openArray } from "../../src/array/array.ts";
import type { ContextView } from "../../src/array/contexts.ts";
import { contexts } from "../../src/array/contexts.ts";
import type { PcaFitOptions, PcaResult } from "../../src/decompose/pca.ts";
import { PCA } from "../../src/decompose/pca.ts";
import { formatBytes, formatSeconds } from "../../src/math/format.ts";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";

const gpu = useGpu({ budget: { gpu: "256 MiB", host: "512 MiB" } });
const WIDTH = 8;
/** Frames of a segment: 200 rows at lag 1. */
const SEGMENT = 208;
const COMPONENTS = 8;

/** OPFS in the browser, a temporary folder elsewhere. */
async function newPlace(): Promise<string> {
  if (runtime === "chromium") return "opfs:contexts-frames";
  const { mkdtemp } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  return `file:${await mkdtemp(`${tmpdir()}/sluice-`)}`;
}

let known = new Float64Array(0);

function directionsOf(features: number): Float64Array {
  if (known.length !== 6 * features) {
    known = Float64Array.from({ length: 6 * features }, (_, at) => {
      const [i, d] = [Math.floor(at / features), at % features];
      return Math.cos(1.1 * i * d + i * i);
    });
  }
  return known;
}

/** Six waves of different periods and strengths on as many directions, and noise, at any frame. */
function writeFrame(t: number, values: Float32Array): void {
  const features = values.length;
  const directions = directionsOf(features);
  const waves = Array.from(
    { length: 6 },
    (_, i) => 2 ** (-i / 2) * Math.sin(t / (1.7 + 1.3 * i) + i),
  );
  let state = Math.imul(t + 1, 0x9e3779b1);
  for (let d = 0; d < features; d++) {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b) + d | 0;
    let sum = 0.2 * state / 2 ** 31;
    for (let i = 0; i < 6; i++) sum += waves[i]! * directions[i * features + d]!;
    values[d] = sum;
  }
}

/** A zarr v2 array of frames in chunks. */
async function writeFrames(place: string, frames: number, features: number, chunk: number) {
  const store = await openStore(place, { mode: "write" });
  const metadata = {
    zarr_format: 2,
    shape: [frames, features],
    chunks: [chunk, features],
    dtype: "<f4",
    compressor: null,
    fill_value: 0,
    order: "C",
    filters: null,
  };
  await store.set("/.zarray", new TextEncoder().encode(JSON.stringify(metadata)));
  for (let first = 0; first < frames; first += chunk) {
    const file = await store.append(`/${first / chunk}.0`);
    for (let t = first; t < first + chunk; t += 1000) {
      const values = new Float32Array(Math.min(1000, first + chunk - t) * features);
      for (let i = 0; i * features < values.length && t + i < frames; i++) {
        writeFrame(t + i, values.subarray(i * features, (i + 1) * features));
      }
      await file.append(new Uint8Array(values.buffer));
    }
    await file.finish();
  }
  return store;
}

/** Fits contexts of so many rows that lie on disk; hands what came of it on while they do. */
async function fit<Result>(
  rows: number,
  features: number,
  chunk: number,
  choices: PcaFitOptions & { out?: undefined },
  use: (fit: PcaResult, view: ContextView) => Result | Promise<Result>,
): Promise<Result> {
  const segments = Array.from({ length: rows / 200 }, (_, i) => SEGMENT * i);
  const place = await newPlace();
  const store = await writeFrames(place, segments.length * SEGMENT, features, chunk);
  try {
    const frames = await openArray(place);
    const view = contexts(frames, { width: WIDTH, lag: 1, mode: "flat", segments });
    expect(view.shape).toEqual([rows, WIDTH * features]);
    const plan = new PCA({ components: COMPONENTS }).fit(gpu(), view, choices);
    console.log(plan.explain());
    const got = await plan.run();
    const { seconds, peakBytes, projectedBytes } = got;
    const parts = Object.entries(seconds).map(([name, value]) => `${name} ${formatSeconds(value)}`);
    console.log(
      `${runtime}, ${rows} x ${WIDTH * features}, chunks of ${chunk}: GPU peak ` +
        `${formatBytes(peakBytes.gpu)} of ${formatBytes(projectedBytes.gpu)}, host ` +
        `${formatBytes(peakBytes.host)} of ${formatBytes(projectedBytes.host)}; residual ` +
        `${got.residual}; ${parts.join(", ")}`,
    );
    const result = await use(got, view);
    await frames.close();
    return result;
  } finally {
    await store.deleteAll();
    await store.close();
  }
}

/** Largest |C v - variance v| over the largest variance, C by the definition, in f64 over all rows. */
async function residualOf(view: ContextView, { components, mean, explainedVariance }: PcaResult) {
  const [rows, size] = view.shape;
  const images = new Float64Array(COMPONENTS * size);
  for (let start = 0; start < rows; start += 1000) {
    const values = Float64Array.from(await view.read(start, start + 1000));
    for (let at = 0; at < values.length; at += size) {
      for (let i = 0; i < size; i++) values[at + i]! -= mean[i]!;
      for (let c = 0; c < COMPONENTS; c++) {
        let along = 0;
        for (let i = 0; i < size; i++) along += values[at + i]! * components[c * size + i]!;
        along /= rows - 1;
        for (let i = 0; i < size; i++) images[c * size + i]! += along * values[at + i]!;
      }
    }
  }
  let worst = 0;
  for (let c = 0; c < COMPONENTS; c++) {
    let squares = 0;
    for (let i = c * size; i < (c + 1) * size; i++) {
      squares += (images[i]! - explainedVariance[c]! * components[i]!) ** 2;
    }
    worst = Math.max(worst, Math.sqrt(squares) / explainedVariance[0]!);
  }
  return worst;
}

/** Says what is made smaller, and why. */
function smaller<Size>(what: string, size: Size): Size {
  console.log(`${runtime}, ${gpu().adapter.name}: ${what}`);
  return size;
}

describe("contexts of 8 frames of 512 features, under 256 MiB", () => {
  it("have the same components whatever the chunks, exactly those of the definition", async () => {
    const features = 512;
    const rows = runtime === "chromium" && /SwiftShader/i.test(gpu().adapter.name)
      ? smaller("10,000 rows instead of 100,000, as those take half a minute a fit", 10_000)
      : 100_000;
    const [first, residual] = await fit(
      rows,
      features,
      1000,
      {},
      async (got, view) => [got, await residualOf(view, got)] as const,
    );
    console.log(`${runtime}: |C v - variance v| is ${residual} of the largest variance`);
    expect(residual).toBeLessThan(1e-6);
    expect(first.peakBytes.gpu).toBeLessThanOrEqual(256 * 2 ** 20);
    const second = await fit(rows, features, rows / 2, { tileRows: 1000 }, (got) => got);
    expect(second.components).toEqual(first.components);
    expect(second.mean).toEqual(first.mean);
    expect(second.explainedVariance).toEqual(first.explainedVariance);
  });
});

describe("contexts of 8 frames", () => {
  it("take as much memory for 400,000 rows as for 100,000", async () => {
    const features = /SwiftShader/i.test(gpu().adapter.name)
      ? smaller("64 features instead of 512, of which 10,000 rows take half a minute", 64)
      : 512;
    const few = await fit(100_000, features, 1000, {}, (got) => got);
    const many = await fit(400_000, features, 1000, {}, (got) => got);
    expect(many.peakBytes).toEqual(few.peakBytes);
    expect(many.projectedBytes).toEqual(few.projectedBytes);
  });
});
