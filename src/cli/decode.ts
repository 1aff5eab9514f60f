/**
 * `sluice decode`.
 *
 * @module
 */

import process from "node:process";
import type { OpenArrayOptions } from "../array/array.ts";
import { openArray } from "../array/array.ts";
import type { Gpu } from "../gpu/device.ts";
import { filePlace } from "../files/file_place.ts";
import { gpuOptions } from "../gpu/device.ts";
import type {
  ClusterlessDecoder,
  DecodeResult,
  EmPlan,
  EnvironmentsDecoder,
  EnvironmentsOptions,
  SampledPaths,
  SortedSpikesDecoder,
  ViterbiResult,
} from "../hmm/decoder.ts";
import {
  clusterless,
  environments,
  logLikelihoods,
  openEncoding,
  sortedSpikes,
  stateModel,
} from "../hmm/decoder.ts";
import { clockOptions } from "../hmm/clocks.ts";
import {
  decodeOptions,
  decodeOutput,
  sampleOptions,
  timeOptions,
  viterbiOptions,
} from "../hmm/decode_options.ts";
import {
  logLikelihoodDecodeOptions,
  logLikelihoodSampleOptions,
  logLikelihoodViterbiOptions,
} from "../hmm/log_likelihood_options.ts";
import { emOptions, encodingChoice } from "../hmm/em_options.ts";
import { logLikelihoodEmOptions } from "../hmm/log_likelihood_options.ts";
import { encodingOptions, fieldOptions } from "../hmm/encoding_options.ts";
import { clusterlessOptions } from "../hmm/decoder_options.ts";
import { oneOf, place } from "../options.ts";
import { formatBytes, formatSeconds, jsonNumber, printable } from "../math/format.ts";
import type { RunOptions } from "../stream/choices.ts";
import type { Plan } from "../stream/plan.ts";
import { openGpu } from "./open_gpu.ts";
import type { CommandContext } from "./usage.ts";
import { runWhole } from "./plan_runner.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import type { UnitChoice } from "./recording.ts";
import { readNumbers, readRecording } from "./recording.ts";
import { flagsTold, readGrid, readStates, readTrack, statesOptions } from "./states.ts";
import { CommandLine, common, helpOf, inputChoices, UsageError } from "./usage.ts";

const array = (takes: string, says: string) =>
  place({ takes, says, otherwise: "that of RECORDING" });

export const recordingOptions = {
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

async function readTimeEdges(
  line: CommandLine,
  signal: AbortSignal,
): Promise<{ timeEdges?: ArrayLike<number> }> {
  const { timeEdges } = line.read(edgePlaces);
  if (timeEdges === undefined) return {};
  return { timeEdges: (await readNumbers(timeEdges, inputChoices(line, signal))).values };
}

/** A track, or bins, in a file. */
export const trackOptions = {
  grid: place({
    takes: "JSON",
    otherwise: "bins of --bin-size",
    says:
      "a file with bins: edges, a list of numbers along each dimension, and interior, a value for each bin",
  }),
  trackGraph: place({
    takes: "JSON",
    otherwise: "a line or a box",
    says:
      "a file with ways of a track: nodes, edges, edgeOrder, edgeSpacing; the position has x and y",
  }),
};

export const waveform = { waveformStd: clusterlessOptions.options.waveformStd };

/** Of one kind of spikes or the other. */
export const kindOptions = { ...fieldOptions, ...waveform };

const encodingPlaces = {
  encoding: place({
    says:
      "what sluice encode wrote, instead of --bin-size and the like; a position is not needed then",
  }),
};

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

const edgePlaces = {
  timeEdges: place({
    takes: "E",
    otherwise: "those of --rate",
    says: "[rows + 1] edges of rows, seconds, instead of --rate, --start and --stop",
  }),
};

/** What a model is made from. */
export const modelSections = {
  "Log-likelihoods of your own": ownOptions,
  Inputs: { ...recordingOptions, ...clockOptions },
  Model: {
    ...statesOptions,
    ...{ ...encodingPlaces, ...encodingOptions, ...trackOptions },
    ...kindOptions,
  },
  Time: { ...timeOptions, ...edgePlaces },
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
no position; flags go before what it has. With --log-likelihoods bins lie on a line, 1 apart, or as --grid has them. The
output is a zarr store that xarray opens.

${helpOf(decodeSections)}`;

export async function decode({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, decodeSections, { positionals: 1 });
  await runModel(line, signal, {
    plan: (model, gpu) => model.smooth(gpu),
    facts: (result, model, gpu) => summary(result, model, gpu.adapter.name),
    lines: (result, out) => describe(result, out),
  });
}

/** A plan, or several in a series. */
interface Runnable<Result> {
  explain(): string;
  run(options: RunOptions): Promise<Result>;
}

/** What a command makes of a model. */
interface ModelCommand<Result> {
  plan(model: Prepared, gpu: Gpu): Runnable<Result>;
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
  // of a folder single files are read: results may lie beside them
  const recordings = line.positionals.map((place) =>
    filePlace(place) ? place : `${place}/spike_times.npy`
  );
  await line.refuseOwnInputs(recordings);
  needInputs(line);
  const { out } = line.read({ out: decodeOutput.out });
  const model = await prepare(line, signal, quiet);
  try {
    const gpu = await openGpu(line.read(gpuOptions.options));
    const printer = new ProgressPrinter(quiet);
    try {
      const plan = makePlan(model, gpu);
      if (!quiet) process.stderr.write(`${plan.explain()}\n`);
      const result = await runWhole(plan, { signal, onProgress: printer.show });
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

/** @throws {UsageError} If there is no model without what is missing; all of it is told. */
function needInputs(line: CommandLine): void {
  if (line.text("log-likelihoods") !== undefined) return line.need(["out"]);
  // what is wrong with these is told by itself
  if (line.given(ownOptions).length > 0 || line.text("units") !== undefined) return;
  const has = (name: string) => line.text(name) !== undefined;
  const isFile = line.positionals.length > 0 || has("marks");
  const isEncoded = has("encoding");
  // an encoding needs no position, but all of one
  const needsPosition = !isFile && (!isEncoded || has("position-times"));
  line.need([
    ...isFile ? [] : ["spike-times", "spike-units"],
    ...needsPosition ? [...has("position") ? [] : ["position-times"], "position"] : [],
    // a model may say how large bins are
    ...isEncoded || has("model") || has("grid") ? ["out"] : ["bin-size", "out"],
  ]);
}

/** A model that has its inputs. */
export interface Prepared {
  smooth(gpu: Gpu): Plan<DecodeResult>;
  viterbi(gpu: Gpu): Plan<ViterbiResult>;
  samples(gpu: Gpu): Plan<SampledPaths>;
  em(gpu: Gpu): EmPlan;
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

/** A decoder of the recording of a command line: encoded from it, or by an encoding that was stored. */
export async function readModel(
  line: CommandLine,
  signal: AbortSignal,
  quiet: boolean,
): Promise<SortedSpikesDecoder | ClusterlessDecoder | EnvironmentsDecoder> {
  const { encoding: stored } = line.read(encodingPlaces);
  const { intervals: ofPosition, ...learnt } = encodingOptions;
  const reading = inputChoices(line, signal);
  const { observations, ...model } = await readStates(line, reading);
  const stray =
    line.given({ ...learnt, ...trackOptions, ...kindOptions }).map((name) => `--${name}`)[0] ??
      (observations && "observations of --model");
  if (stored !== undefined && stray !== undefined) {
    throw new UsageError(`Cannot run: --encoding has it all, wanted no ${stray} beside it`);
  }
  const { units, marks, ...places } = line.read(recordingOptions);
  const { waveformStd, environments: several, groups, ...told } = observations ?? {};
  const twice = line.given({ ...encodingOptions, ...trackOptions, ...kindOptions })
    .find((name) => flagsTold(observations).includes(name));
  if (twice !== undefined) {
    throw new UsageError(`Cannot run: --model says it already, wanted no --${twice} beside it`);
  }
  const { waveformStd: std = waveformStd } = line.read(waveform);
  if (marks === undefined && std !== undefined) {
    throw new UsageError("Cannot run: --waveform-std is for features, --marks is missing");
  }
  const sorted = line.given(fieldOptions)[0];
  if (marks !== undefined && sorted !== undefined) {
    throw new UsageError(
      `Cannot run: --${sorted} is for sorted spikes, wanted none beside --marks`,
    );
  }
  if (marks !== undefined && (places.spikeTimes === undefined || places.spikeUnits === undefined)) {
    throw new UsageError(
      "Cannot run: --marks goes with --spike-times and --spike-units, in their order",
    );
  }
  // read before files are: what is missing of them is told at once
  const { trackGraph: track, grid } = line.read(trackOptions);
  const bins = {
    ...(track !== undefined && { trackGraph: await readTrack(track) }),
    ...(grid !== undefined && { grid: await readGrid(grid) }),
  };
  const encoding = stored === undefined
    ? line.read(encodingOptions, { ...told, ...bins })
    : undefined;
  const { position, spikes, spikeRate, notes } = await readRecording(
    line.positionals[0],
    places,
    units as UnitChoice | undefined,
    reading,
    { needsPosition: stored === undefined },
  );
  if (!quiet) { for (const note of notes) process.stderr.write(`${printable(note)}\n`); }
  const shared = {
    ...model,
    ...(spikeRate !== undefined && { spikeRate }),
    ...line.read(clockOptions),
  };
  const marked = marks === undefined ? undefined : {
    times: spikes.times,
    electrodes: spikes.units,
    features: (await readNumbers(marks, reading)).values,
  };
  if (!encoding) {
    const opened = await openEncoding(stored!);
    const { intervals } = line.read({ intervals: ofPosition });
    return opened.decoder({
      ...shared,
      spikes: marked ?? spikes,
      ...(position && { position }),
      ...(intervals && { intervals }),
    });
  }
  const own = { ...shared, ...encoding, position: position! };
  if (several) {
    // what is for a single one is refused by its name
    return environments({
      ...own,
      ...line.read(fieldOptions),
      ...{ spikes: marked ?? spikes, environments: several, ...(groups && { groups }) },
      ...(std !== undefined && { waveformStd: std }),
    } as EnvironmentsOptions);
  }
  return marked
    ? clusterless({ ...own, spikes: marked, ...(std !== undefined && { waveformStd: std }) })
    : sortedSpikes({ ...own, ...line.read(fieldOptions), spikes });
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
  const model = await readModel(line, signal, quiet);
  const edges = await readTimeEdges(line, signal);
  const { encoding: fields, unitIds, warnings } = model;
  return {
    smooth: (gpu) => model.smooth(gpu, line.read(decodeOptions.options, edges)),
    em: (gpu) => model.em(gpu, line.read(emOptions.options, edges)),
    viterbi: (gpu) => model.viterbi(gpu, line.read(viterbiOptions.options, edges)),
    samples: (gpu) => model.samples(gpu, line.read(sampleOptions.options, edges)),
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
  const { grid: _, ...otherEncoding } = encodingOptions;
  const stray = [
    ...line.given({
      ...{
        ...recordingOptions,
        ...clockOptions,
        ...{ ...otherEncoding, trackGraph: trackOptions.trackGraph },
        ...encodingPlaces,
        ...{ ...kindOptions, ...encodingChoice },
      },
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
  const places = line.read(ownOptions);
  const reading = inputChoices(line, signal);
  const matrix = places.transitionMatrix === undefined
    ? undefined
    : await readNumbers(places.transitionMatrix, reading);
  if (matrix && line.given(statesOptions).length > 0) {
    throw new UsageError(
      "Cannot run: --transition-matrix says it all, wanted no --states beside it",
    );
  }
  const initial = places.initialProbs === undefined
    ? undefined
    : await readNumbers(places.initialProbs, reading);
  const own = matrix ? { states: markovChain(matrix.values) } : await ownStates(line, reading);
  if (initial && "initialProbs" in own && line.text("model") !== undefined) {
    throw new UsageError(
      "Cannot run: --model says it already, wanted no --initial-probs beside it",
    );
  }
  const { grid } = line.read(trackOptions);
  const bins = grid === undefined ? {} : { grid: await readGrid(grid) };
  const edges = await readTimeEdges(line, signal);
  const array = await openArray(places.logLikelihoods!, reading);
  try {
    const model = logLikelihoods({
      logLikelihoods: array,
      ...{ ...bins, ...own },
      ...(initial && { initialProbs: initial.values }),
    });
    return {
      smooth: (gpu) => model.smooth(gpu, line.read(logLikelihoodDecodeOptions.options, edges)),
      em: (gpu) => model.em(gpu, line.read(logLikelihoodEmOptions.options, edges)),
      viterbi: (gpu) => model.viterbi(gpu, line.read(logLikelihoodViterbiOptions.options, edges)),
      samples: (gpu) => model.samples(gpu, line.read(logLikelihoodSampleOptions.options, edges)),
      warnings: model.warnings,
      facts: {},
      close: () => array.close(),
    };
  } catch (error) {
    await array.close();
    throw error;
  }
}

/** States of rows that are not of spikes: of a document, what it says of these is for others. */
async function ownStates(line: CommandLine, reading: OpenArrayOptions) {
  const { states, initialProbs, observations } = await readStates(line, reading);
  const stray = Object.keys(observations ?? {})[0];
  if (stray !== undefined) {
    throw new UsageError(
      `Cannot run: --model says ${stray}, which is for recordings, wanted no such thing beside --log-likelihoods`,
    );
  }
  return { states, ...(initialProbs && { initialProbs }) };
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
    marginalLogLikelihood: jsonNumber(result.marginalLogLikelihood),
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
      `rows that are impossible under the model, and keep the prediction: ${result.impossibleRows}`,
    );
  }
  if (result.droppedSpikes > 0) lines.push(`spikes outside the time grid: ${result.droppedSpikes}`);
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
