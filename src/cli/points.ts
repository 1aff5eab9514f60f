/**
 * What `sluice kmeans` and `sluice pca` share: rows, and a fit of them.
 *
 * @module
 */

import process from "node:process";
import type { ChunkedArray } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import { contexts } from "../array/contexts.ts";
import { patches } from "../array/patches.ts";
import type { Gpu } from "../gpu/device.ts";
import { openGpu } from "../gpu/device.ts";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import type { Options, OptionTypes } from "./usage.ts";
import { UsageError } from "./usage.ts";

export const inputHelp = `Input:
  --input X            [rows, features] of any number type: a .npy file or a zarr array
  --patches HxW[:S]    X is an image, [height, width] or [height, width, channels]: its rows are its
                       patches of H x W pixels, every S pixels (default 1), none of which is stored
  --context W          X is frames: rows are the W frames before a target frame, none of which is stored
  --lag L              frames from the last of a context to its target (default 1)
  --context-mode MODE  their mean, or flat: one after the other (default mean for kmeans, flat for pca)
  --first-target T     least target of a segment (default W - 1 + L); for the same rows at several lags
  --segments S         .npy: first frame of every segment, from 0; contexts do not cross
`;

export const runHelp =
  `  --overwrite          replace a result that is already there; without it, an interrupted run of the
                       same plan goes on where it was, and a finished one is returned
  --tile-rows N        rows on the GPU at a time (default: what the budget allows)
  --budget SIZE        GPU memory allowed, device and staging (default 512MiB)
  --adapter NAME       part of an adapter's name, or "software"
  --json, --quiet
`;

const CONTEXT_OPTIONS = ["lag", "context-mode", "first-target", "segments"];

/** Options of {@link inputHelp} and {@link runHelp}, `--out`, and a command's own. */
export function fitOptions(texts: readonly string[], flags: readonly string[]): OptionTypes {
  const common = ["input", "patches", "context", ...CONTEXT_OPTIONS, "out", "tile-rows", "budget"];
  return Object.fromEntries([
    ...[...common, ...texts].map((name) => [name, { type: "string" as const }]),
    ...["overwrite", ...flags].map((name) => [name, { type: "boolean" as const }]),
  ]);
}

/** A view of the array at `--input`, or the array; closing it closes the array. */
async function openPoints(
  options: Options,
  mode: "mean" | "flat",
): Promise<{ points: ChunkedArray; close(): Promise<void> }> {
  const size = options.text("patches");
  const match = size === undefined ? [] : /^(\d+)x(\d+)(?::(\d+))?$/.exec(size);
  if (!match) {
    throw new UsageError(`Cannot read --patches: got "${size}", wanted HxW or HxW:STRIDE, as 8x8`);
  }
  const width = options.number("context");
  const without = CONTEXT_OPTIONS.find((name) => options.text(name) !== undefined);
  if (width === undefined && without) {
    throw new UsageError(`Cannot run: --${without} is given without --context`);
  }
  if (width !== undefined && size !== undefined) {
    throw new UsageError("Cannot run: --context and --patches are given, wanted one of them");
  }
  const array = await openArray(options.required("input"));
  const close = () => array.close();
  try {
    if (width !== undefined) {
      const segments = options.text("segments");
      const firstTarget = options.number("first-target");
      const view = contexts(array, {
        width,
        lag: options.number("lag") ?? 1,
        // any other is refused there
        mode: (options.text("context-mode") ?? mode) as "mean" | "flat",
        ...(firstTarget !== undefined && { firstTarget }),
        ...(segments !== undefined && { segments: await readFirsts(segments) }),
      });
      return { points: view, close };
    }
    if (size === undefined) return { points: array, close };
    const [, height, across, stride = "1"] = match;
    const cut = { size: [Number(height), Number(across)], stride: Number(stride) } as const;
    return { points: patches(array, cut), close };
  } catch (error) {
    await array.close();
    throw error;
  }
}

/** Whole numbers of a .npy file, such as first frames of segments. */
export async function readFirsts(place: string): Promise<number[]> {
  const array = await openArray(place);
  try {
    return Array.from(await readAll(array) as ArrayLike<number | bigint>, Number);
  } finally {
    await array.close();
  }
}

/** Choices that a fit of any model takes from the command line. */
interface FitChoices {
  overwrite: boolean;
  out?: string;
  tileRows?: number;
}

/** What a command makes of rows. */
interface Fit<Result> {
  /** Of contexts, when none is given. */
  mode: "mean" | "flat";
  plan(gpu: Gpu, points: ChunkedArray, choices: FitChoices): Plan<Result>;
  /** For programs. */
  facts(result: Result): Record<string, unknown>;
  /** For people. */
  lines(result: Result, shape: readonly number[]): string[];
}

/** Opens input and device, runs a fit and prints what came of it. */
export async function runFit<Result extends Measured & { close?(): Promise<void> }>(
  options: Options,
  signal: AbortSignal,
  { mode, plan: makePlan, facts, lines }: Fit<Result>,
): Promise<void> {
  const { points, close } = await openPoints(options, mode);
  const quiet = options.flag("quiet");
  const printer = new ProgressPrinter(quiet);
  try {
    const gpu = await openGpu({
      budget: options.text("budget") ?? "512MiB",
      ...given({ adapter: options.text("adapter") }),
    });
    try {
      const plan = makePlan(gpu, points, {
        overwrite: options.flag("overwrite"),
        ...given({ out: options.text("out") }),
        ...given({ tileRows: options.number("tile-rows") }),
      });
      if (!quiet) process.stderr.write(`${plan.explain()}\n`);
      const result = await plan.run({ signal, onProgress: printer.show }).catch((error) => {
        throw signal.aborted ? cancelled(options) : error;
      });
      printer.end();
      const { projectedBytes, peakBytes, seconds, resumed } = result;
      const [rows, features] = points.shape;
      const all = {
        rows,
        features,
        ...facts(result),
        projectedBytes,
        peakBytes,
        // of the whole process, as the system saw it; software adapters keep GPU memory in it
        peakResidentBytes: peakResidentBytes(),
        seconds,
        ...(resumed && { resumed }),
        adapter: gpu.adapter.name,
      };
      const shown = [...lines(result, points.shape), describeRun(result)].join("\n");
      console.log(options.flag("json") ? JSON.stringify(all) : shown);
      await result.close?.();
    } finally {
      printer.end();
      gpu.close();
    }
  } finally {
    await close();
  }
}

/** What becomes of a fit that is cancelled. */
function cancelled(options: Options): DOMException {
  const what = options.text("out") === undefined
    ? "nothing was kept, for want of --out"
    : `run the same command again to go on${
      options.flag("overwrite") ? ", without --overwrite" : ""
    }`;
  return new DOMException(`Cancelled: ${what}`, "AbortError");
}

/** Last lines: where it went on, time and memory. */
function describeRun({ seconds, peakBytes, projectedBytes, resumed }: Measured): string {
  if (seconds.total === undefined) return "already finished: nothing had to be computed";
  const sweeps = resumed?.sweeps ? ` after ${resumed.sweeps} sweeps` : "";
  const where = resumed ? `went on in pass "${resumed.pass}"${sweeps} at row ${resumed.row}\n` : "";
  return `${where}${formatSeconds(seconds.total)}; GPU peak ${formatBytes(peakBytes.gpu)} of ` +
    `${formatBytes(projectedBytes.gpu)} promised, host ${formatBytes(peakBytes.host)} of ` +
    `${formatBytes(projectedBytes.host)}`;
}

/** The entries of an object that are defined. */
export function given<Value>(fields: Record<string, Value | undefined>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Record<string, Value>;
}
