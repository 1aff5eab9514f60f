/**
 * `sluice decode`.
 *
 * @module
 */

import process from "node:process";
import { openArray } from "../array/array.ts";
import type { Gpu } from "../gpu/device.ts";
import { gpuOptions, openGpu } from "../gpu/device.ts";
import type { DecodeResult, ViterbiResult } from "../hmm/decoder.ts";
import {
  clusterless,
  contFrag,
  continuous,
  logLikelihoods,
  sortedSpikes,
  stateModel,
} from "../hmm/decoder.ts";
import { clockOptions } from "../hmm/clocks.ts";
import {
  clusterlessOptions,
  decodeOptions,
  decodeOutput,
  encodingOptions,
  logLikelihoodDecodeOptions,
  logLikelihoodViterbiOptions,
  timeOptions,
  viterbiOptions,
} from "../hmm/decode_options.ts";
import { continuousOptions } from "../hmm/states.ts";
import { declare, oneOf, place } from "../options.ts";
import { formatBytes, formatSeconds, printable } from "../math/format.ts";
import type { Plan } from "../stream/plan.ts";
import type { CommandContext } from "./usage.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import type { UnitChoice } from "./recording.ts";
import { readNumbers, readRecording } from "./recording.ts";
import { CommandLine, common, helpOf, inputChoices, UsageError } from "./usage.ts";

const PRESETS = { continuous, contFrag };
const PRESET_NAMES = ["continuous", "contFrag"] as const;

const array = (takes: string, says: string) =>
  place({ takes, says, otherwise: "that of RECORDING" });

const recordingOptions = {
  spikeTimes: array("T", "[spikes] seconds, in any order"),
  spikeUnits: array(
    "U",
    "[spikes] unit of each spike, any whole number from 0; with --marks its electrode",
  ),
  marks: place({
    takes: "F",
    says: "[spikes, features] of spikes that are not sorted, instead of units",
  }),
  positionTimes: array("PT", "[samples] seconds, ascending"),
  position: array(
    "P",
    "[samples] or [samples, 2], any unit of length; NaN where unknown; a time series of an NWB file " +
      "has its times with it",
  ),
  units: oneOf(["good", "all"], {
    otherwise: "good where there are labels",
    says: "units of a folder of Kilosort or phy: those labelled good, or all",
  }),
};

const presetOptions = declare("decode", {
  states: oneOf(PRESET_NAMES, { default: "continuous", says: PRESET_NAMES.join(" or ") }),
});

const waveform = { waveformStd: clusterlessOptions.options.waveformStd };

const ownOptions = {
  logLikelihoods: place({
    takes: "LL",
    says: "[rows, bins] log-likelihoods of your own, natural, instead of a recording",
  }),
  transitionMatrix: place({
    takes: "M",
    otherwise: "that of --states",
    says: "[bins, bins] with --log-likelihoods: row i has the probabilities of what follows bin i",
  }),
  initialProbs: place({
    takes: "I",
    otherwise: "all bins alike",
    says: "[bins] with --log-likelihoods: p(bin) before the first row",
  }),
};

/** What a model is made from. */
export const modelSections = {
  "Log-likelihoods of your own": ownOptions,
  Inputs: { ...recordingOptions, ...clockOptions },
  Model: {
    ...{ ...presetOptions.options, ...continuousOptions.options, ...encodingOptions },
    ...waveform,
  },
  Time: timeOptions,
};

export const decodeSections = {
  ...modelSections,
  "Output and memory": { ...decodeOutput, budget: gpuOptions.options.budget },
};

export const decodeHelp =
  `Usage: sluice decode --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --out PLACE [options]
       sluice decode RECORDING --bin-size S --out PLACE [options]
       sluice decode --log-likelihoods LL --transition-matrix M --out PLACE [options]

Decodes position from sorted spikes with a hidden Markov model, out of core. Inputs are arrays: .npy
files, arrays in zarr stores, or in files, as a.npz/times or b.h5/tracking/position (sluice info FILE
lists them). RECORDING is an NWB file with units and a position, or a folder of Kilosort or phy, which has
no position; flags go before what it has. With --log-likelihoods bins lie on a line, 1 apart. The output is a zarr store that xarray opens.

${helpOf(decodeSections)}`;

export async function decode({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, decodeSections, { positionals: 1 });
  await runModel(line, signal, {
    plan: (model, gpu) => model.smooth(gpu),
    facts: (result, model, gpu) => summary(result, model, gpu.adapter.name),
    lines: (result, out) => describe(result, out),
  });
}

/** What a command makes of a model. */
interface ModelCommand<Result> {
  plan(model: Prepared, gpu: Gpu): Plan<Result>;
  /** For programs. */
  facts(result: Result, model: Prepared, gpu: Gpu): object;
  /** For people. */
  lines(result: Result, out: string): string;
}

/** Prepares the model that a command line describes, runs a plan of it, and prints what came of it. */
export async function runModel<Result extends { close(): Promise<void> }>(
  line: CommandLine,
  signal: AbortSignal,
  { plan: makePlan, facts, lines }: ModelCommand<Result>,
): Promise<void> {
  const { json, quiet = false } = line.read(common);
  const { out } = line.read({ out: decodeOutput.out });
  const model = await prepare(line, signal, quiet);
  try {
    const gpu = await openGpu(line.read(gpuOptions.options));
    const printer = new ProgressPrinter(quiet);
    try {
      const plan = makePlan(model, gpu);
      if (!quiet) process.stderr.write(`${plan.explain()}\n`);
      const result = await plan.run({ signal, onProgress: printer.show });
      printer.end();
      console.log(json ? JSON.stringify(facts(result, model, gpu)) : lines(result, out!));
      await result.close();
    } finally {
      printer.end();
      gpu.close();
    }
  } finally {
    await model.close?.();
  }
}

/** A model that has its inputs. */
export interface Prepared {
  smooth(gpu: Gpu): Plan<DecodeResult>;
  viterbi(gpu: Gpu): Plan<ViterbiResult>;
  warnings: readonly string[];
  /** Of place fields, and what units are called, for `--json`. */
  facts: Record<string, unknown>;
  close?(): Promise<void>;
}

/** Reads the inputs and the model of a command line; says what is odd about them where no plan will. */
async function prepare(
  line: CommandLine,
  signal: AbortSignal,
  quiet: boolean,
): Promise<Prepared> {
  const model = line.text("log-likelihoods") === undefined
    ? await fromRecording(line, signal, quiet)
    : await fromLogLikelihoods(line, signal);
  if (quiet) {
    for (const warning of model.warnings) {
      process.stderr.write(`warning: ${warning}\n`);
    }
  }
  return model;
}

async function fromRecording(
  line: CommandLine,
  signal: AbortSignal,
  quiet: boolean,
): Promise<Prepared> {
  const own = line.given(ownOptions)[0];
  if (own !== undefined) {
    throw new UsageError(
      `Cannot run: --${own} is for log-likelihoods, --log-likelihoods is missing`,
    );
  }
  const { states } = presetOptions.check(line.read(presetOptions.options));
  const { binSize, ...encoding } = line.read({ ...clockOptions, ...encodingOptions });
  const { units, marks, ...places } = line.read(recordingOptions);
  const { waveformStd } = line.read(waveform);
  if (marks === undefined && waveformStd !== undefined) {
    throw new UsageError("Cannot run: --waveform-std is for features, --marks is missing");
  }
  if (marks !== undefined && (places.spikeTimes === undefined || places.spikeUnits === undefined)) {
    throw new UsageError(
      "Cannot run: --marks goes with --spike-times and --spike-units, in their order",
    );
  }
  const { position, spikes, spikeRate, notes } = await readRecording(
    line.positionals[0],
    places,
    units as UnitChoice | undefined,
    inputChoices(line, signal),
  );
  if (!quiet) { for (const note of notes) process.stderr.write(`${printable(note)}\n`); }
  const shared = {
    position,
    states: PRESETS[states](line.read(continuousOptions.options)),
    binSize,
    ...(spikeRate !== undefined && { spikeRate }),
    ...encoding,
  };
  const model = marks === undefined ? sortedSpikes({ ...shared, spikes }) : clusterless({
    ...shared,
    spikes: {
      times: spikes.times,
      electrodes: spikes.units,
      features: (await readNumbers(marks, inputChoices(line, signal))).values,
    },
    ...(waveformStd !== undefined && { waveformStd }),
  });
  const { encoding: fields, unitIds, warnings } = model;
  return {
    smooth: (gpu) => model.smooth(gpu, line.read(decodeOptions.options)),
    viterbi(gpu) {
      if (!("viterbi" in model)) {
        throw new UsageError("Cannot run: a path is sought among sorted spikes, wanted no --marks");
      }
      return model.viterbi(gpu, line.read(viterbiOptions.options));
    },
    warnings,
    facts: {
      encoding: {
        exposureSeconds: fields.exposureSeconds,
        intervals: fields.intervals,
        mergedStamps: fields.mergedStamps,
        spikes: fields.encodingSpikes,
      },
      unitIds,
    },
  };
}

async function fromLogLikelihoods(line: CommandLine, signal: AbortSignal): Promise<Prepared> {
  const { timeGrid, time } = timeOptions;
  const stray = [
    ...line.given({
      ...{ ...recordingOptions, ...clockOptions, ...encodingOptions, ...waveform },
      timeGrid,
    }),
    ...line.given({ time }).filter((name) => name === "stop"),
    ...line.positionals.slice(0, 1),
  ][0];
  if (stray !== undefined) {
    throw new UsageError(
      `Cannot run: ${
        line.positionals[0] === stray ? `"${stray}"` : `--${stray}`
      } is for recordings, ` +
        "wanted no such thing beside --log-likelihoods",
    );
  }
  const { states: preset } = presetOptions.check(line.read(presetOptions.options));
  const places = line.read(ownOptions);
  const reading = inputChoices(line, signal);
  const matrix = places.transitionMatrix === undefined
    ? undefined
    : await readNumbers(places.transitionMatrix, reading);
  if (matrix && line.given({ ...presetOptions.options, ...continuousOptions.options }).length > 0) {
    throw new UsageError(
      "Cannot run: --transition-matrix says it all, wanted no --states beside it",
    );
  }
  const initial = places.initialProbs === undefined
    ? undefined
    : await readNumbers(places.initialProbs, reading);
  const array = await openArray(places.logLikelihoods!, reading);
  try {
    const model = logLikelihoods({
      logLikelihoods: array,
      states: matrix
        ? markovChain(matrix.values)
        : PRESETS[preset](line.read(continuousOptions.options)),
      ...(initial && { initialProbs: initial.values }),
    });
    return {
      smooth: (gpu) => model.smooth(gpu, line.read(logLikelihoodDecodeOptions.options)),
      viterbi: (gpu) => model.viterbi(gpu, line.read(logLikelihoodViterbiOptions.options)),
      warnings: model.warnings,
      facts: {},
      close: () => array.close(),
    };
  } catch (error) {
    await array.close();
    throw error;
  }
}

/** A state in whose bins a matrix moves. */
function markovChain(values: ArrayLike<number>) {
  return stateModel({
    names: ["all"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "matrix", values }]],
  });
}

function summary(result: DecodeResult, { warnings, facts }: Prepared, adapter: string) {
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
    ...facts,
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
