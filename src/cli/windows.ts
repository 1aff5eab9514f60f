/**
 * `sluice windows`.
 *
 * @module
 */

import process from "node:process";
import { openArray } from "../array/array.ts";
import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { openGpu } from "../gpu/device.ts";
import { formatBytes, formatTable } from "../math/format.ts";
import type { Batches, HostBatchOptions, WindowBatch } from "../windows/batches.ts";
import { PLACES } from "../windows/batches.ts";
import type { FrameType } from "../feed/frame_table.ts";
import type { BatchTiming } from "../windows/measure.ts";
import { measureBatches } from "../windows/measure.ts";
import type { Shuffle } from "../feed/order.ts";
import type { Windows } from "../windows/windows.ts";
import { windows } from "../windows/windows.ts";
import type { CommandContext } from "./main.ts";
import { readFirsts } from "./points.ts";
import { peakResidentBytes } from "./resident.ts";
import { Options, UsageError } from "./usage.ts";

export const windowsHelp = `Usage: sluice windows info|bench FRAMES --size N [options]

Windows over frames [frames, features], a .npy file or a zarr array.

  info    tells how many there are, where frames would be kept, and what each shuffle costs
  bench   makes batches, eager and lazy, beside a stand-in for training, and tells how long a step
          waits for its batch

Windows:
  --size N            frames of a window
  --stride N          frames from one window to the next (default 1)
  --segments S        .npy: first frame of every segment, from 0; windows do not cross
Batches:
  --batch N           windows of a batch (default 256)
  --shuffle KIND      a seed: exact, over all windows (default 0); none; or two-level, which reads
                      frames on disk about once: two-level[:SEED[:BLOCKxPOOL]]
  --prefetch N        batches made ahead (default 2)
  --hold f16          keep frames as halves: half the memory
  --frames-in PLACE   device, host or disk (default: what fits)
  --budget SIZE       GPU memory allowed (default 512MiB); of the host with --no-gpu
  --host-budget SIZE  host memory allowed, beside a GPU
  --no-gpu            typed arrays, gathered on the CPU
bench:
  --step-ms N         milliseconds of a training step (default 0)
  --batches N         batches to take of each mode (default 50)
  --adapter NAME, --json, --quiet
`;

const TYPES = Object.fromEntries([
  ...[
    "size",
    "stride",
    "segments",
    "batch",
    "shuffle",
    "prefetch",
    "hold",
    "frames-in",
    "budget",
    "host-budget",
    "step-ms",
    "batches",
  ].map((name) => [name, { type: "string" as const }]),
  ["no-gpu", { type: "boolean" as const }],
]);

export async function windowsCommand({ args, signal }: CommandContext): Promise<void> {
  const options = new Options(args, TYPES, { positionals: 2 });
  const [verb, place] = [options.positional(0), options.positional(1)];
  if ((verb !== "info" && verb !== "bench") || place === undefined) {
    throw new UsageError("Cannot window: wanted info or bench, and the place of frames");
  }
  const size = options.number("size");
  if (size === undefined) throw new UsageError("Cannot window: --size is missing");
  const stride = options.number("stride");
  const segments = options.text("segments");
  const frames = await openArray(place);
  let gpu: Gpu | undefined;
  try {
    const view = windows(frames, {
      size,
      ...(stride !== undefined && { stride }),
      ...(segments !== undefined && { segments: await readFirsts(segments) }),
    });
    if (!options.flag("no-gpu")) {
      const [adapter, host] = [options.text("adapter"), options.text("host-budget")];
      gpu = await openGpu({
        budget: { gpu: options.text("budget") ?? "512MiB", ...(host !== undefined && { host }) },
        ...(adapter !== undefined && { adapter }),
      });
    }
    const wanted = batchOptions(options, gpu);
    if (verb === "info") await info(view, gpu, wanted, options.flag("json"));
    else await bench(view, gpu, wanted, options, signal);
  } finally {
    gpu?.close();
    await frames.close();
  }
}

function batchOptions(options: Options, gpu: Gpu | undefined): HostBatchOptions {
  const hold = options.text("hold");
  const types: Record<string, FrameType> = { f16: "float16", f32: "float32" };
  if (hold !== undefined && !(hold in types)) {
    throw new UsageError(`Cannot window: --hold is "${hold}", wanted f16 or f32`);
  }
  const framesIn = options.text("frames-in");
  const places = ["device", "host", "disk"] as const;
  const found = places.find((name) => name === framesIn);
  if (framesIn !== undefined && !found) {
    throw new UsageError(
      `Cannot window: --frames-in is "${framesIn}", wanted ${places.join(", ")}`,
    );
  }
  const prefetch = options.number("prefetch");
  const budget = options.text("budget");
  return {
    size: options.number("batch") ?? 256,
    shuffle: readShuffle(options.text("shuffle") ?? "0"),
    ...(prefetch !== undefined && { prefetch }),
    ...(hold !== undefined && { hold: types[hold]! }),
    ...(found && { framesIn: found }),
    ...(!gpu && budget !== undefined && { budget }),
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

async function bench(
  view: Windows,
  gpu: Gpu | undefined,
  wanted: HostBatchOptions,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const [stepMs, most] = [options.number("step-ms") ?? 0, options.number("batches") ?? 50];
  const quiet = options.flag("quiet");
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
  if (options.flag("json")) {
    console.log(JSON.stringify({ stepMs, batch: wanted.size, modes: found }));
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
  console.log(`Batches of ${wanted.size}, steps of ${stepMs} ms${ideal}\n${formatTable(table)}`);
  for (const { refused } of found) if (refused) console.log(refused);
}
