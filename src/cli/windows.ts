/**
 * `sluice windows`.
 *
 * @module
 */

import process from "node:process";
import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { gpuOptions } from "../gpu/device.ts";
import { formatBytes, formatTable } from "../math/format.ts";
import type { Batches, HostBatchOptions, WindowBatch } from "../windows/batches.ts";
import { PLACES } from "../windows/batch_report.ts";
import type { HeldType } from "../feed/frame_table.ts";
import type { BatchTiming } from "../windows/measure.ts";
import { measureBatches } from "../windows/measure.ts";
import type { Shuffle } from "../feed/order.ts";
import type { Windows } from "../windows/windows.ts";
import { batchOptions } from "../windows/batch_options.ts";
import { bytes, declare, flag, number, oneOf, whole } from "../options.ts";
import { openGpu } from "./open_gpu.ts";
import type { CommandContext } from "./usage.ts";
import { peakResidentBytes } from "./resident.ts";
import { gridOptions, keysOptions, openWindows } from "./windows_input.ts";
import { streamBatches } from "./windows_stream.ts";
import { CommandLine, common, gpuChoices, helpOf, inputChoices, UsageError } from "./usage.ts";

const VERBS = ["info", "bench", "stream"];
const HELD_TYPES: Record<string, HeldType> = { f16: "float16", bf16: "bfloat16", f32: "float32" };

const holdOption = {
  hold: oneOf(["f16", "bf16", "f32"], {
    otherwise: "as they are stored",
    says: "keep frames as halves, half the memory, or in full",
  }),
};

const memoryOptions = {
  budget: {
    ...gpuOptions.options.budget,
    helps: "GPU memory allowed; of the host with --no-gpu, where it is half of the machine's",
  },
  hostBudget: bytes({ takes: "SIZE", says: "host memory allowed, beside a GPU" }),
  gpu: flag({ flag: "no-gpu", says: "typed arrays, gathered on the CPU" }),
};

const benchOptions = {
  stepMs: number({ default: 0, from: 0, takes: "N", says: "milliseconds of a training step" }),
  batches: whole({ default: 50, from: 1, says: "batches to take of each mode" }),
};

const streamOptions = {
  epochs: whole({ default: 1, from: 1, says: "how many of them" }),
};

export const windowsSections = {
  Windows: gridOptions,
  "Keys and padding": keysOptions,
  Batches: { ...batchOptions.options, ...holdOption, ...memoryOptions },
  bench: benchOptions,
  stream: streamOptions,
};

export const windowsHelp = `Usage: sluice windows info|bench|stream FRAMES --size N [options]

Windows over frames [frames, features]: .npy, a zarr array, or an array in a file, as a.npz/x or b.h5/x; or
of a data set of episodes (LeRobot, robomimic, minari, exphil), with the array that --frames names.

  info    tells how many there are, where frames would be kept, and what each shuffle costs
  bench   makes batches, eager and lazy, beside a stand-in for training, and tells how long a step
          waits for its batch
  stream  writes batches to stdout, for a program that reads numpy's arrays from a pipe:
          examples/python/sluice_batches.py is how Python does

${helpOf(windowsSections)}`;

export async function windowsCommand({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, windowsSections, { positionals: 2 });
  const [verb, place] = line.positionals;
  if (!VERBS.includes(verb!) || place === undefined) {
    throw new UsageError(`Cannot window: wanted ${VERBS.join(", ")}, and the place of frames`);
  }
  const bench = declare("window", benchOptions).check(line.read(benchOptions));
  const { json = false, quiet = false } = line.read(common);
  const reading = inputChoices(line, signal);
  if (json && verb === "stream") {
    throw new UsageError("Cannot stream: --json is given, what is written are arrays");
  }
  const { view, close } = await openWindows(line, place, reading);
  let gpu: Gpu | undefined;
  try {
    if (verb === "stream") {
      const { epochs = 1 } = line.read(streamOptions);
      return await streamBatches(view, { ...readBatchOptions(line, true), epochs, signal });
    }
    const isHost = line.read(memoryOptions).gpu === false;
    if (!isHost) gpu = await openGpu(gpuChoices(line));
    const wanted = readBatchOptions(line, isHost);
    if (verb === "info") await info(view, gpu, wanted, json);
    else await measure(view, gpu, wanted, { ...bench, json, quiet, signal });
  } finally {
    gpu?.close();
    await close();
  }
}

function readBatchOptions(line: CommandLine, isHost: boolean): HostBatchOptions {
  const { hold } = declare("window", holdOption).check(line.read(holdOption));
  const { budget } = line.read({ budget: memoryOptions.budget });
  const shuffle = line.text("shuffle");
  return {
    ...line.read(batchOptions.options),
    ...(shuffle !== undefined && { shuffle: readShuffle(shuffle) }),
    ...(hold !== undefined && { hold: HELD_TYPES[hold]! }),
    ...(isHost && budget !== undefined && { budget: budget as string }),
  };
}

function readShuffle(text: string): Shuffle {
  if (text === "none") return false;
  const match = /^(two-level)(?::(\d+)(?::(\d+)x(\d+))?)?$|^(\d+)$/.exec(text);
  if (!match) {
    throw new UsageError(
      `Cannot read --shuffle: got "${text}", wanted a seed, none or two-level[:SEED[:BLOCKxPOOL]]`,
    );
  }
  const [, twoLevel, seed, block, pool, exact] = match;
  if (!twoLevel) return Number(exact);
  return {
    seed: Number(seed ?? 0),
    ...(block !== undefined && { block: Number(block), pool: Number(pool) }),
  };
}

function planBatches(
  view: Windows,
  gpu: Gpu | undefined,
  options: HostBatchOptions,
): Batches<WindowBatch> {
  return gpu ? view.batches(gpu, options) : view.batches(options);
}

function info(
  view: Windows,
  gpu: Gpu | undefined,
  options: HostBatchOptions,
  json: boolean,
): Promise<void> {
  const batches = planBatches(view, gpu, options);
  if (!json) {
    const short = view.shortSegments;
    const note = short > 0 ? `\nsegments too short for a window: ${short}` : "";
    console.log(batches.explain() + note);
    return Promise.resolve();
  }
  console.log(JSON.stringify({
    windows: view.shape[0],
    shape: view.shape,
    segments: view.segments.length,
    shortSegments: view.shortSegments,
    batches: batches.length,
    framesIn: batches.framesIn,
    projectedBytes: batches.projected,
    fromDisk: batches.cost(),
    ...(view.shape[0]! >= 32 && { mixing: batches.mixing() }),
    ...(gpu && { adapter: gpu.adapter.name }),
  }));
  return Promise.resolve();
}

/** One line of the bench. */
interface Mode {
  mode: string;
  refused?: string;
  projectedBytes?: { gpu: number; host: number };
  timing?: BatchTiming;
  readBytes?: number;
  peakResidentBytes?: number;
}

interface Bench {
  stepMs: number;
  batches: number;
  json: boolean;
  quiet: boolean;
  signal: AbortSignal;
}

async function measure(
  view: Windows,
  gpu: Gpu | undefined,
  wanted: HostBatchOptions,
  { stepMs, batches: most, json, quiet, signal }: Bench,
): Promise<void> {
  const { size = batchOptions.options.size.default } = wanted;
  const places = gpu ? ["device", "host", "disk"] as const : ["host", "disk"] as const;
  const lazy = wanted.framesIn ? [wanted.framesIn] : places;
  const found: Mode[] = [];
  // what a process had at most only grows: the modes that hold least come first
  for (
    const [mode, own] of [
      ...lazy.toReversed().map((framesIn) =>
        [`lazy, frames ${PLACES[framesIn]}`, { framesIn }] as const
      ),
      ["eager", { eager: true }] as const,
    ]
  ) {
    if (!quiet) process.stderr.write(`${mode}\n`);
    try {
      const { framesIn: _, ...rest } = wanted;
      const batches = planBatches(view, gpu, { ...rest, ...own, epochs: Infinity, signal });
      const timing = await measureBatches(batches, { gpu, stepMs, most, signal });
      found.push({
        mode,
        projectedBytes: batches.projected,
        timing,
        readBytes: batches.stats.bytesRead,
        peakResidentBytes: peakResidentBytes(),
      });
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      found.push({ mode, refused: error.message });
    }
  }
  if (json) {
    console.log(JSON.stringify({ stepMs, batch: size, modes: found }));
    return;
  }
  const table = [["", "GPU", "host", "first batch", "wait ms", "worst", "batches/s", "read"]];
  for (const { mode, projectedBytes: bytes, timing, readBytes } of found) {
    table.push(
      timing
        ? [
          mode,
          formatBytes(bytes!.gpu),
          formatBytes(bytes!.host),
          `${timing.firstSeconds.toFixed(2)} s`,
          timing.waitMs.toFixed(2),
          timing.worstWaitMs.toFixed(2),
          timing.batchesPerSecond.toFixed(2),
          formatBytes(readBytes!),
        ]
        : [mode, "over budget"],
    );
  }
  const ideal = stepMs > 0 ? `, without waiting ${(1000 / stepMs).toFixed(2)} batches/s` : "";
  console.log(`Batches of ${size}, steps of ${stepMs} ms${ideal}\n${formatTable(table)}`);
  for (const { refused } of found) if (refused) console.log(refused);
}
