/**
 * What `sluice kmeans` and `sluice pca` share: rows, and a fit of them.
 *
 * @module
 */

import process from "node:process";
import type { ChunkedArray, OpenArrayOptions } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import { contextOptions, contexts } from "../array/contexts.ts";
import { patches } from "../array/patches.ts";
import type { Gpu } from "../gpu/device.ts";
import { gpuOptions } from "../gpu/device.ts";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { Declaration, GivenOf, Options } from "../options.ts";
import { place, text } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import { openGpu } from "./open_gpu.ts";
import { runWhole } from "./plan_runner.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, common, inputChoices, UsageError } from "./usage.ts";

const context = contextOptions.options;

/** Where rows come from. */
export const inputOptions = {
  input: place({
    required: true,
    takes: "X",
    says:
      "[rows, features] of any number type: .npy, a zarr array, or an array in a file, as a.npz/x or b.h5/x",
  }),
  patches: text({
    takes: "HxW[:S]",
    says:
      "X is an image, [height, width] or [height, width, channels]: its rows are its patches of " +
      "H x W pixels, every S pixels (default 1), none of which is stored",
  }),
  ...context,
  width: {
    ...context.width,
    helps: "X is frames: rows are the W frames before a target frame, none of which is stored",
  },
  mode: { ...context.mode, otherwise: "mean for kmeans, flat for pca" },
  segments: { ...context.segments, helps: `.npy: ${context.segments.says}` },
};

/** How a fit runs. */
export const fitRunOptions = {
  overwrite: outputChoices.overwrite,
  tileRows: planChoices.tileRows,
  budget: gpuOptions.options.budget,
};

/** A view of the array at `--input`, or the array; closing it closes the array. */
async function openPoints(
  line: CommandLine,
  mode: "mean" | "flat",
  reading: OpenArrayOptions,
): Promise<{ points: ChunkedArray; close(): Promise<void> }> {
  const { input, patches: cut } = line.read({
    input: inputOptions.input,
    patches: inputOptions.patches,
  });
  const match = cut === undefined ? [] : /^(\d+)x(\d+)(?::(\d+))?$/.exec(cut);
  if (!match) {
    throw new UsageError(`Cannot read --patches: got "${cut}", wanted HxW or HxW:STRIDE, as 8x8`);
  }
  const [given] = line.given(context);
  const isContext = line.given({ width: context.width }).length > 0;
  if (given && !isContext) {
    throw new UsageError(`Cannot run: --${given} is given without --context`);
  }
  if (isContext && cut !== undefined) {
    throw new UsageError("Cannot run: --context and --patches are given, wanted one of them");
  }
  const array = await openArray(input, reading);
  const close = () => array.close();
  try {
    if (isContext) {
      const segments = line.text("segments");
      const view = contexts(array, {
        ...line.read(context, { mode }),
        ...(segments !== undefined && { segments: await readFirsts(segments, reading) }),
      });
      return { points: view, close };
    }
    if (cut === undefined) return { points: array, close };
    const [, height, across, stride = "1"] = match;
    const size = [Number(height), Number(across)] as const;
    return { points: patches(array, { size, stride: Number(stride) }), close };
  } catch (error) {
    await array.close();
    throw error;
  }
}

/** Whole numbers of a .npy file, such as first frames of segments. */
export async function readFirsts(place: string, options: OpenArrayOptions): Promise<number[]> {
  const array = await openArray(place, options);
  try {
    return Array.from(await readAll(array) as ArrayLike<number | bigint>, Number);
  } finally {
    await array.close();
  }
}

/** Choices that a fit of any model takes from the command line. */
type FitChoices = GivenOf<typeof outputChoices & Pick<typeof planChoices, "tileRows">>;

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
  line: CommandLine,
  signal: AbortSignal,
  { mode, plan: makePlan, facts, lines }: Fit<Result>,
): Promise<void> {
  // some options are arrays to a program, and places here
  await line.refuseOwnInputs([line.text("init"), line.text("segments")]);
  const { points, close } = await openPoints(line, mode, inputChoices(line, signal));
  const { json, quiet = false } = line.read(common);
  const printer = new ProgressPrinter(quiet);
  try {
    const gpu = await openGpu(line.read(gpuOptions.options));
    try {
      const choices = line.read({ ...outputChoices, tileRows: planChoices.tileRows });
      const plan = makePlan(gpu, points, choices);
      if (!quiet) process.stderr.write(`${plan.explain()}\n`);
      const run = runWhole(plan, { signal, onProgress: printer.show });
      const result = await run.catch((error) => {
        throw signal.aborted ? cancelled(choices) : error;
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
      console.log(json ? JSON.stringify(all) : shown);
      await result.close?.();
    } finally {
      printer.end();
      gpu.close();
    }
  } finally {
    await close();
  }
}

/** Options of analyses of rows: their own, and those of plans and outputs. */
type AnalysisOptions = Options & typeof planChoices & typeof outputChoices;

/** A command of an analysis of rows: its own options are as they are declared, the others as fits have them. */
export async function runAnalysis<Own extends AnalysisOptions, Result extends Measured>(
  { args, signal }: CommandContext,
  { options }: Declaration<Own>,
  plan: (gpu: Gpu, points: ChunkedArray, options: GivenOf<Own>) => Plan<Result>,
  { mode = "flat", facts = numbersOf, lines = describeNumbers }: Partial<
    Pick<Fit<Result>, "mode" | "facts" | "lines">
  > = {},
): Promise<void> {
  const { tileRows: _, slots: __, out, overwrite: ___, ...own } = options;
  const line = new CommandLine(args, {
    Input: inputOptions,
    Analysis: own,
    "Output and memory": { out, ...fitRunOptions },
  });
  await runFit(line, signal, {
    mode,
    plan: (gpu, points, choices) =>
      plan(gpu, points, { ...choices, ...line.read(own) } as unknown as GivenOf<Own>),
    facts,
    lines,
  });
}

/** The arrays of a result, as lists. */
function numbersOf(result: object): Record<string, unknown> {
  const arrays = Object.entries(result).filter(([, value]) => ArrayBuffer.isView(value));
  return Object.fromEntries(arrays.map(([name, value]) => [name, [...value as Float64Array]]));
}

/** The first numbers of every array of a result. */
function describeNumbers(result: object): string[] {
  return Object.entries(numbersOf(result)).map(([name, values]) => {
    const some = (values as unknown[]).slice(0, 8);
    return `${name}: ${some.join(", ")}${
      some.length < (values as unknown[]).length ? ", ..." : ""
    }`;
  });
}

/** What becomes of a fit that is cancelled. */
function cancelled({ out, overwrite }: FitChoices): DOMException {
  const what = out === undefined
    ? "nothing was kept, for want of --out"
    : `run the same command again to go on${overwrite ? ", without --overwrite" : ""}`;
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
