/**
 * Batches of windows, eager and lazy, on the table of 380,000 frames x 287 features: memory, how long a
 * step waits for its batch, whether reading is hidden behind training, and what a batch takes where no
 * step hides it.
 */

import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { ChunkedArray } from "../src/array/array.ts";
import { openArray } from "../src/array/array.ts";
import { peakResidentBytes } from "../src/cli/resident.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/gpu/device.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import type { HostBatchOptions } from "../src/windows/batches.ts";
import { measureBatches } from "../src/windows/measure.ts";
import { windows } from "../src/windows/windows.ts";
import { npyHeader, readBackBeside } from "../test/support/window_frames.ts";
import type { ResultRow } from "./results.ts";

const [FRAMES, FEATURES, SIZE, BATCH] = [380_000, 287, 30, 256];
/** Frames of which windows are made beforehand too: of all of them they would be 13 GB. */
const EAGER_FRAMES = 40_000;
/** A training step, in milliseconds, and a fast one, beside which reading has to hurry. */
const [STEP_MS, FAST_MS] = [140, 15];
const BATCHES = 60;
/** Batches taken without a step between them. */
const ALONE = 25;

/** Exact in half floats. */
const element = (frame: number, feature: number) => (frame * 31 + feature * 7919) % 2039;

/** Writes the table, some rows at a time. */
async function writeFrames(file: string, frames: number): Promise<void> {
  await writeFile(file, npyHeader("<f4", [frames, FEATURES]));
  for (let start = 0; start < frames; start += 4000) {
    const rows = new Float32Array(4000 * FEATURES);
    for (let i = 0; i < rows.length; i++) {
      rows[i] = element(start + Math.floor(i / FEATURES), i % FEATURES);
    }
    await appendFile(file, new Uint8Array(rows.buffer));
  }
}

interface Case {
  what: string;
  frames: string;
  gpu: Gpu | undefined;
  stepMs: number;
  options: Omit<HostBatchOptions, "size">;
  /** With windows that begin ahead of their episodes, actions that follow, and rewards. */
  isWhole?: boolean;
  /** Batches that are taken. Default {@link BATCHES}. */
  batches?: number;
}

/** Windows as imitation learning takes them: padded, with two keys. */
function wholeWindows(array: ChunkedArray) {
  const frames = array.shape[0]!;
  const counted = (width: number) =>
    Float32Array.from({ length: frames * width }, (_, i) => i % 997);
  const action = {
    values: counted(8),
    offsets: [0, 1, 2, 3, 4, 5, 6, 7],
    outside: "zero" as const,
  };
  return windows({ frames: array, action, reward: { values: counted(1), offsets: [-1, 0] } }, {
    ...{ size: SIZE, pad: { before: SIZE - 1 } },
    segments: Array.from({ length: Math.ceil(frames / 4000) }, (_, i) => 4000 * i),
  });
}

/** A whole epoch from disk: what it takes beside its promise shows in the end. */
export function runWindowsEpoch(gpu: Gpu): Promise<ResultRow[]> {
  return withFolder(async (folder) => {
    const frames = join(folder, "all.npy");
    await writeFrames(frames, FRAMES);
    return await runCases(gpu, [{
      what: "disk, exact, keys, padded, host, whole epoch",
      frames,
      gpu: undefined,
      stepMs: FAST_MS,
      options: { shuffle: 7, budget: 128 * 2 ** 20 },
      isWhole: true,
      batches: Infinity,
    }]);
  });
}

async function withFolder<Value>(run: (folder: string) => Promise<Value>): Promise<Value> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-windows-bench-"));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function runWindowsBench(gpu: Gpu): Promise<ResultRow[]> {
  return withFolder((folder) => runWindowsIn(folder, gpu));
}

async function runWindowsIn(folder: string, gpu: Gpu): Promise<ResultRow[]> {
  const small = await openGpu({ budget: { gpu: 128 * 2 ** 20, host: 128 * 2 ** 20 } });
  try {
    const [all, part] = [join(folder, "all.npy"), join(folder, "part.npy")];
    await writeFrames(all, FRAMES);
    await writeFrames(part, EAGER_FRAMES);
    const lazy = (framesIn: "device" | "host" | "disk") => ({ framesIn });
    const twoLevel = { shuffle: { seed: 7 } };
    const cases: Case[] = [
      // first, as long as nothing larger was resident
      {
        what: "disk, exact, keys, padded, host",
        frames: all,
        gpu: undefined,
        stepMs: FAST_MS,
        options: { shuffle: 7, budget: 128 * 2 ** 20 },
        isWhole: true,
      },
      {
        what: "eager, host",
        frames: part,
        gpu: undefined,
        stepMs: STEP_MS,
        options: { eager: true },
      },
      { what: "lazy, host", frames: part, gpu: undefined, stepMs: STEP_MS, options: lazy("host") },
      { what: "lazy, host", frames: all, gpu: undefined, stepMs: STEP_MS, options: lazy("host") },
      { what: "lazy, host to GPU", frames: all, gpu, stepMs: STEP_MS, options: lazy("host") },
      { what: "lazy, GPU", frames: all, gpu, stepMs: STEP_MS, options: lazy("device") },
      ...(["host", "device"] as const).map((place): Case => ({
        what: place === "host" ? "lazy, host to GPU, halves" : "lazy, GPU, halves",
        frames: all,
        gpu,
        stepMs: STEP_MS,
        options: { ...lazy(place), hold: "float16" },
      })),
      ...[STEP_MS, FAST_MS].flatMap((stepMs): Case[] => [
        { what: "disk, two levels", frames: all, gpu: small, stepMs, options: twoLevel },
        { what: "disk, exact", frames: all, gpu: small, stepMs, options: { shuffle: 7 } },
      ]),
    ];
    return await runCases(gpu, cases);
  } finally {
    small.close();
  }
}

async function runCases(gpu: Gpu, cases: readonly Case[]): Promise<ResultRow[]> {
  const table = [[
    "case",
    "frames",
    "GPU",
    "host",
    "eager would be",
    "first",
    "wait ms",
    "batches/s",
    "of step",
    "wall / slower",
    "alone ms",
  ]];
  const rows: ResultRow[] = [];
  for (
    const { what, frames, gpu: own, stepMs, options, isWhole, batches: most = BATCHES } of cases
  ) {
    const array = await openArray(frames);
    const view = isWhole ? wholeWindows(array) : windows(array, { size: SIZE });
    const residentBefore = process.memoryUsage().rss;
    const all = { size: BATCH, shuffle: 7, framesIn: "disk" as const, ...options };
    const { framesIn, ...rest } = all;
    const choices = options.eager ? rest : { ...rest, framesIn };
    const batches = own ? view.batches(own, choices) : view.batches(choices);
    const timing = await measureBatches(batches, { gpu: own, stepMs, most });
    // before there are other loops, whose memory may stay until it is collected
    const peakResident = peakResidentBytes();
    const { stats, projected } = batches;
    await checkFirst(view, own, choices);
    const wall = timing.batches / timing.batchesPerSecond;
    const again = own ? view.batches(own, choices) : view.batches(choices);
    const alone = await measureBatches(again, { gpu: own, stepMs: 0, most: ALONE });
    // what the first batch waited for is not hidden, and not part of it
    const reading = Math.max(0, stats.readSeconds - timing.firstSeconds);
    const eagerBytes = 4 * view.shape.reduce((product, size) => product * size, 1);
    const row = {
      bench: "windows",
      case: `${what}, ${array.shape[0]} frames, steps of ${stepMs} ms`,
      projectedBytes: projected,
      peakBytes: stats.peakBytes,
      eagerBytes,
      peakResidentBytes: peakResident,
      ...isWhole && {
        beyondPromiseBytes: peakResident - residentBefore - projected.host - projected.gpu,
      },
      ...timing,
      bytesRead: stats.bytesRead,
      readSeconds: stats.readSeconds,
      wallOverSlower: wall / Math.max(reading, timing.stepSeconds),
      aloneMs: 1000 / alone.batchesPerSecond,
    };
    table.push([
      what,
      String(array.shape[0]),
      formatBytes(stats.peakBytes.gpu),
      formatBytes(stats.peakBytes.host),
      formatBytes(eagerBytes),
      `${timing.firstSeconds.toFixed(1)} s`,
      timing.waitMs.toFixed(2),
      timing.batchesPerSecond.toFixed(2),
      `${(100 * timing.waitMs / stepMs).toFixed(1)} %`,
      row.wallOverSlower.toFixed(2),
      row.aloneMs.toFixed(2),
    ]);
    rows.push(row);
    await array.close();
  }
  console.log(
    `windows of ${SIZE} x ${FEATURES} in batches of ${BATCH}, steps of ${STEP_MS} and ` +
      `${FAST_MS} ms, on ${gpu.adapter.name}\n${formatTable(table)}\n`,
  );
  return rows;
}

/** Refuses to time batches that are wrong. */
async function checkFirst(
  view: ReturnType<typeof windows>,
  gpu: Gpu | undefined,
  options: HostBatchOptions,
): Promise<void> {
  const check = (own: Uint32Array, values: Float32Array) => {
    own.forEach((window, i) => {
      const start = view.startOf(window);
      const { lead, frames } = view.realOf(window);
      for (let j = lead * FEATURES; j < (lead + frames) * FEATURES; j++) {
        const wanted = element(start + Math.floor(j / FEATURES), j % FEATURES);
        const got = values[i * SIZE * FEATURES + j];
        if (got !== wanted) {
          throw new Error(`window ${window}, element ${j} is ${got}, wanted ${wanted}`);
        }
      }
    });
  };
  if (!gpu) {
    for await (const { windows, frames } of view.batches(options)) {
      check(windows, frames as Float32Array);
      break;
    }
    return;
  }
  for await (const { windows, buffer, shape } of view.batches(gpu, options)) {
    const bytes = 4 * shape.reduce((product, size) => product * size, 1);
    check(windows, new Float32Array(await readBackBeside(gpu, buffer, 0, bytes)));
    break;
  }
}
