/**
 * `sluice decode`.
 *
 * @module
 */

import process from "node:process";
import { openArray, readAll } from "../array/array.ts";
import { openGpu } from "../gpu/device.ts";
import type { Codec } from "../zarr/codecs.ts";
import type { ZarrFormat } from "../zarr/metadata.ts";
import type {
  DecodeResult,
  Interval,
  OperatorKind,
  PosteriorType,
  SortedSpikesDecoder,
  Summary,
  TimeGridKind,
} from "../hmm/decoder.ts";
import { contFrag, continuous, sortedSpikes } from "../hmm/decoder.ts";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { CommandContext } from "./main.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import { given } from "./points.ts";
import { Options, readIntervals, UsageError } from "./usage.ts";

export const decodeHelp =
  `Usage: sluice decode --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --out PLACE [options]

Decodes position from sorted spikes with a hidden Markov model, out of core. Inputs are .npy files
or zarr arrays; the output is a zarr store that xarray opens.

Inputs:
  --spike-times T      [spikes] seconds, in any order
  --spike-units U      [spikes] unit of each spike, any whole number from 0
  --position-times PT  [samples] seconds, ascending
  --position P         [samples] or [samples, 2], any unit of length; NaN where unknown
  --spike-rate HZ      spike times are counts at this rate, as 30000 for samples at 30 kHz
  --time-rate HZ       spike and position times are: 1000 for milliseconds, 1e6 for microseconds
  --time-offset S      seconds added to spike times (--time-offset=-5 for less)
Model:
  --states NAME        continuous or contFrag (default continuous)
  --bin-size S         edge of a position bin
  --position-std S     standard deviation of the place-field kernel (default 6)
  --movement-var V     variance of the random walk per time step (default 6); a step is at most 8
                       standard deviations long along a dimension, so slower rows want more
  --train A:B[,C:D]    encode these intervals only, seconds
  --intervals A:B[,C:D]  stretches in which the animal was tracked, seconds (default: what gaps leave,
                       pauses of more than 0.5 s and 5 median intervals)
  --min-speed V        encode only samples faster than this, length per second
Time:
  --rate HZ            rows a second (default 500), or
  --step S             seconds a row
  --start S --stop S   default: first and last position time
  --time-grid NAME     edges: rows are bins, and their times the centres; or timestamps: rows are points
                       in time that own what follows, as they once were (default edges)
  --missing A:B[,C:D]  rows that touch these stretches carry no evidence; "untracked" among them means
                       those without a position
Output and memory:
  --out PLACE          path, file: or memory: place
  --dtype NAME         how probabilities are stored: f32, f16, u16 (roots with a scale a row) or
                       u16-linear (default f32)
  --no-posterior       write no probabilities of bins, but those of states and the summaries
  --summaries LIST     numbers a row, of: map,mean,entropy,hpd,logNormaliser
  --causal             write what the filter says, too
  --chunk-rows N       rows in a stored chunk (default: 4 MiB worth)
  --shard-chunks N     chunks that share a file (default: 64 MiB worth; 1 in zarr version 2)
  --codec NAME         compression of chunks: none, gzip, zstd or delta-zstd (default none)
  --zarr-format N      3, or 2 for Python before zarr 3 (default 3)
  --lanes N            stretches of time that go side by side, each started from a guess that is
                       checked (default: auto; 1 is the plain filter)
  --burn-in-rows N     rows before a lane from which its start is guessed (default: 20 s)
  --operator NAME      how the transition is applied: auto, convolution, sparse or dense (default auto)
  --tile-rows N        rows on the GPU at a time, of every lane (default: what the budget allows)
  --budget SIZE        GPU memory allowed, device and staging (default 512MiB)
  --overwrite          replace a decode that is already there; without it, an interrupted run of the
                       same plan goes on where it was, and a finished one is returned
  --allow-adapter-change  go on with a run that another adapter began
  --adapter NAME       part of an adapter's name, or "software"
  --json, --quiet
`;

const TYPES = Object.fromEntries([
  ...[
    "spike-times",
    "spike-units",
    "position-times",
    "position",
    "states",
    "bin-size",
    "position-std",
    "movement-var",
    "train",
    "intervals",
    "min-speed",
    "spike-rate",
    "time-rate",
    "time-offset",
    "rate",
    "step",
    "time-grid",
    "missing",
    "start",
    "stop",
    "out",
    "dtype",
    "summaries",
    "chunk-rows",
    "shard-chunks",
    "codec",
    "zarr-format",
    "lanes",
    "burn-in-rows",
    "operator",
    "tile-rows",
    "budget",
  ].map((name) => [name, { type: "string" as const }]),
  ...["causal", "no-posterior", "overwrite", "allow-adapter-change"].map((
    name,
  ) => [name, { type: "boolean" as const }]),
]);

const PRESETS = { continuous, contFrag };

/** An array as numbers. Those in 32 bits stay so: how finely times were stored can still be told. */
async function readNumbers(
  path: string,
): Promise<{ values: Float32Array | Float64Array; shape: readonly number[] }> {
  const array = await openArray(path);
  try {
    if (array.dtype === "float16") {
      throw new UsageError(
        `Cannot use ${path}: its numbers have 16 bits, wanted 32 or 64, or whole numbers`,
      );
    }
    const values = await readAll(array);
    return {
      values: values instanceof Float32Array
        ? values
        : Float64Array.from(values as ArrayLike<number>, Number),
      shape: array.shape,
    };
  } finally {
    await array.close();
  }
}

/** `a:b[,c:d]`, with the word "untracked" among them. */
function readMissing(text: string | undefined): (Interval | "untracked")[] | undefined {
  return text?.split(",").map((part) =>
    part.trim() === "untracked" ? "untracked" : readIntervals("missing", part)[0]!
  );
}

export async function decode({ args, signal }: CommandContext): Promise<void> {
  const options = new Options(args, TYPES);
  const out = options.required("out");
  const preset = options.text("states") ?? "continuous";
  if (!(preset in PRESETS)) {
    throw new UsageError(
      `Cannot decode: --states is "${preset}", wanted ${Object.keys(PRESETS).join(" or ")}`,
    );
  }
  const binSize = options.number("bin-size");
  if (binSize === undefined) throw new UsageError("Cannot decode: --bin-size is missing");
  const missing = readMissing(options.text("missing"));
  const [spikeTimes, spikeUnits, positionTimes, position] = await Promise.all(
    ["spike-times", "spike-units", "position-times", "position"].map((name) =>
      readNumbers(options.required(name))
    ),
  );
  const model = sortedSpikes({
    position: { times: positionTimes!.values, values: position!.values, shape: position!.shape },
    spikes: { times: spikeTimes!.values, units: spikeUnits!.values },
    states: PRESETS[preset as keyof typeof PRESETS]({
      movementVar: options.number("movement-var") ?? 6,
    }),
    binSize,
    ...given({
      positionStd: options.number("position-std"),
      minSpeed: options.number("min-speed"),
      spikeRate: options.number("spike-rate"),
      timeRate: options.number("time-rate"),
      timeOffset: options.number("time-offset"),
    }),
    ...given({ train: options.intervals("train"), intervals: options.intervals("intervals") }),
  });
  const quiet = options.flag("quiet");
  // the plan's table has them too
  if (quiet) {
    for (const warning of model.warnings) {
      process.stderr.write(`warning: ${warning}\n`);
    }
  }
  const adapter = options.text("adapter");
  const gpu = await openGpu({
    budget: options.text("budget") ?? "512MiB",
    ...(adapter !== undefined && { adapter }),
  });
  const json = options.flag("json");
  const printer = new ProgressPrinter(quiet);
  try {
    const plan = model.smooth(gpu, {
      time: given({
        start: options.number("start"),
        stop: options.number("stop"),
        rate: options.number("rate"),
        step: options.number("step"),
      }),
      ...given({ timeGrid: options.text("time-grid") as TimeGridKind | undefined }),
      ...(missing !== undefined && { missing }),
      out,
      causal: options.flag("causal"),
      posterior: !options.flag("no-posterior"),
      summaries: (options.text("summaries")?.split(",") ?? []) as Summary[],
      overwrite: options.flag("overwrite"),
      allowAdapterChange: options.flag("allow-adapter-change"),
      // checked by the plan, with the rest
      ...given({ dtype: options.text("dtype") as PosteriorType | undefined }),
      ...given({ operator: options.text("operator") as OperatorKind | undefined }),
      ...given({
        codec: options.text("codec") as Codec | undefined,
        zarrFormat: options.number("zarr-format") as ZarrFormat | undefined,
      }),
      ...given({
        shardChunks: options.number("shard-chunks"),
        chunkRows: options.number("chunk-rows"),
        tileRows: options.number("tile-rows"),
        lanes: options.text("lanes") === "auto" ? undefined : options.number("lanes"),
        burnInRows: options.number("burn-in-rows"),
      }),
    });
    if (!quiet) process.stderr.write(`${plan.explain()}\n`);
    const result = await plan.run({ signal, onProgress: printer.show });
    printer.end();
    console.log(
      json ? JSON.stringify(summary(result, model, gpu.adapter.name)) : describe(result, out),
    );
    await result.close();
  } finally {
    printer.end();
    gpu.close();
  }
}

function summary(result: DecodeResult, model: SortedSpikesDecoder, adapter: string) {
  const { encoding, unitIds, warnings } = model;
  return {
    rows: result.posterior.shape[0],
    states: result.posterior.shape[1],
    discreteStates: result.states.shape[1],
    // JSON has no infinities
    marginalLogLikelihood: Number.isFinite(result.marginalLogLikelihood)
      ? result.marginalLogLikelihood
      : String(result.marginalLogLikelihood),
    impossibleRows: result.impossibleRows,
    droppedSpikes: result.droppedSpikes,
    encoding: {
      exposureSeconds: encoding.exposureSeconds,
      intervals: encoding.intervals,
      mergedStamps: encoding.mergedStamps,
      spikes: encoding.encodingSpikes,
    },
    unitIds,
    warnings,
    projectedBytes: result.projectedBytes,
    peakBytes: result.peakBytes,
    // of the whole process, as the system saw it; software adapters keep GPU memory in it
    peakResidentBytes: peakResidentBytes(),
    seconds: result.seconds,
    lanes: result.lanes,
    ...(result.resumed && { resumed: result.resumed }),
    adapter,
  };
}

function describe(result: DecodeResult, out: string): string {
  const [rows, bins] = result.posterior.shape;
  const { peakBytes, projectedBytes, seconds, resumed, lanes } = result;
  const lines = [`${out}: ${rows} rows x ${bins} state bins`];
  lines.push(`marginal log-likelihood ${result.marginalLogLikelihood.toFixed(3)} nats`);
  if (lanes.count > 1) {
    lines.push(
      `${lanes.count} lanes of ${lanes.rows} rows that meet within ` +
        `${lanes.largestDistance.toExponential(1)}; ${lanes.redoneRows} rows run again`,
    );
  }
  if (result.impossibleRows > 0) {
    lines.push(
      `${result.impossibleRows} rows are impossible under the model and keep the prediction`,
    );
  }
  if (result.droppedSpikes > 0) lines.push(`${result.droppedSpikes} spikes outside the time grid`);
  if (resumed) {
    lines.push(`went on in pass "${resumed.pass}" at row ${resumed.row}`);
    if (resumed.damaged) lines.push(`${resumed.damaged} was damaged and is written again`);
  }
  if (seconds.total === undefined) lines.push("already finished: nothing had to be computed");
  else {
    lines.push(
      `${formatSeconds(seconds.total)}; GPU peak ${formatBytes(peakBytes.gpu)} of ` +
        `${formatBytes(projectedBytes.gpu)} promised, host ${formatBytes(peakBytes.host)} of ` +
        `${formatBytes(projectedBytes.host)}, disk ${formatBytes(peakBytes.disk)} of ` +
        formatBytes(projectedBytes.disk),
    );
  }
  return lines.join("\n");
}
