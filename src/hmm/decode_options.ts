/**
 * Options of a decoder, and of a decode.
 *
 * @module
 */

import type { CheckedOf, Is, OptionsOf } from "../options.ts";
import {
  custom,
  declare,
  flag,
  interval,
  isList,
  isObject,
  list,
  number,
  numbers,
  oneOf,
  place,
  range,
  record,
  text,
  whole,
} from "../options.ts";
import { clockOptions } from "./clocks.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Codec } from "../zarr/codecs.ts";
import { CODECS } from "../zarr/codecs.ts";
import type { ZarrFormat } from "../zarr/metadata.ts";
import type { Grid, GridEdges, TrackGraph } from "./grid.ts";
import type { LogLikelihoodSource } from "./observation/log_likelihoods.ts";
import { POSTERIOR_TYPES } from "./posterior_types.ts";
import type { MarkInput, PositionInput, SpikeInput } from "./recording.ts";
import { SUMMARIES } from "./row_outputs.ts";
import type { StateModel } from "./states.ts";
import type { TimeGridKind } from "./time_grid.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";

export const encodingOptions = {
  /** Bin edge in position units; wanted where there is no `grid`. */
  binSize: number({
    above: 0,
    takes: "S",
    otherwise: "as grid says",
    says: "edge of a position bin",
  }),
  /** Bins of your own, `{ edges, interior }` or the grid of another decoder, instead of `binSize` and the like. */
  grid: custom("{ edges, interior }", isObject as Is<GridEdges | Grid>, {
    otherwise: "bins of binSize",
    says:
      "bins of your own, as { edges, interior }: edges along each dimension, and which bins are interior",
  }),
  /**
   * Least and largest position along each dimension, between which bins are laid; samples outside count in none.
   * Default: those of the positions.
   */
  positionRange: list(range({}), {
    takes: "A:B[,C:D]",
    otherwise: "that of the positions",
    says: "least and largest position along each dimension, between which bins are laid",
  }),
  /**
   * Ways of a track, along which bins are laid: `{ nodes, edges, edgeOrder, edgeSpacing }`. The position has x and y,
   * and every place is told by the nearest point of the track.
   */
  trackGraph: custom("{ nodes, edges }", isObject as Is<TrackGraph>, {
    otherwise: "a line or a box",
    says: "ways of a track along which bins are laid, as { nodes, edges, edgeOrder, edgeSpacing }",
  }),
  /** Makes bins interior that are enclosed by interior ones, in two dimensions. Default false. */
  fillHoles: flag({ default: false, says: "take bins for interior that interior ones enclose" }),
  /** Makes bins interior that lie beside interior ones, in two dimensions. Default false. */
  dilate: flag({ default: false, says: "take bins for interior that lie beside interior ones" }),
  /** Standard deviation of the encoding's Gaussian kernel, position units. Default 6. */
  positionStd: number({
    default: 6,
    above: 0,
    takes: "S",
    says: "standard deviation of the place-field kernel",
  }),
  /** Limits the encoding to these [start, stop] intervals, seconds. */
  train: list(interval({}), { takes: "A:B[,C:D]", says: "encode these intervals only, seconds" }),
  /**
   * Stretches in which the animal was tracked, [start, stop] in seconds, ascending. By default what gaps
   * leave: pauses between samples of more than 0.5 s and five median intervals.
   */
  intervals: list(interval({}), {
    takes: "A:B[,C:D]",
    otherwise: "what gaps leave, pauses of more than 0.5 s and 5 median intervals",
    says: "stretches in which the animal was tracked, seconds",
  }),
  /** Limits the encoding to samples where the animal moves faster, position units per second. */
  minSpeed: number({
    from: 0,
    takes: "V",
    says: "encode only samples faster than this, length per second",
  }),
};

const PLACE_FIELDS = ["kde", "glm"] as const;

/** How sorted spikes are encoded. */
export const fieldOptions = {
  /**
   * `kde`: kernel density of spikes over that of the time spent. `glm`: a fitted one, whose logarithm is a natural
   * cubic spline of the position; `positionStd` is not for it. Default `kde`.
   */
  placeFields: oneOf(PLACE_FIELDS, {
    default: "kde",
    says: "kde: kernel densities; or glm: fitted rates, whose logarithm is a natural cubic spline",
  }),
  /** Distance of the knots of such splines, position units. Default 2 sqrt(12.5). */
  knotSpacing: number({
    above: 0,
    takes: "S",
    otherwise: "7.07, 2 sqrt(12.5)",
    says: "distance of the knots of a glm",
  }),
  /**
   * What squares of a fitted field's values in its knots cost, relative to nats a second, its level left out. Default
   * 0.5.
   */
  fieldPenalty: number({
    above: 0,
    otherwise: "0.5",
    says: "what squares of a glm's values in its knots cost, relative to nats a second",
  }),
};

const initialProbs = custom("a value for each state bin", isList as Is<ArrayLike<number>>, {
  otherwise: "those of states, all bins alike",
  says: "probability of every state bin before the first row",
});

export const sortedSpikesOptions = declare("make a decoder", {
  /**
   * `times` [samples], seconds, ascending, equal times allowed: such samples are averaged; `values`
   * [samples] or [samples, 2] in C order, any position unit (cm, pixels). NaN positions are left out of the
   * encoding; infinite ones are refused. With `shape` an array that lies on its side is noticed.
   */
  position: custom(
    "{ times, values }",
    isObject as Is<PositionInput>,
    { required: true, says: "times and positions, as { times, values }" },
  ),
  /**
   * Flat `{ times, units }`, or one list of times per unit. Seconds, unless `spikeRate` or `timeRate` say
   * otherwise; sorted where they are not ascending. Units are whole numbers from 0: those that have spikes
   * are numbered anew, and {@link SortedSpikesDecoder.unitIds} tells which is which.
   */
  spikes: custom(
    "{ times, units }, or a list of times for each unit",
    isObject as Is<SpikeInput>,
    { required: true, says: "spikes, as { times, units } or a list of times for each unit" },
  ),
  ...clockOptions,
  /** Discrete states and how position moves in them. Default `continuous()`. */
  states: custom(
    "states, as contFrag() makes them",
    isObject as Is<StateModel>,
    { otherwise: "continuous()", says: "discrete states, as contFrag() makes them" },
  ),
  /** [state bins] p(state bin before the first row). Default: that of its state, all its bins alike. */
  initialProbs,
  ...encodingOptions,
  ...fieldOptions,
});

export const clusterlessOptions = declare("make a decoder", {
  position: sortedSpikesOptions.options.position,
  /**
   * Flat `{ times, electrodes, features }`: features [spikes, features] in C order, as many of each spike. Times
   * as those of sorted spikes; electrodes are whole numbers from 0.
   */
  spikes: custom(
    "{ times, electrodes, features }",
    isObject as Is<MarkInput>,
    { required: true, says: "spikes, as { times, electrodes, features }" },
  ),
  ...clockOptions,
  states: sortedSpikesOptions.options.states,
  initialProbs,
  ...encodingOptions,
  /** Standard deviation of the kernel over features, in their unit. Default 24. */
  waveformStd: number({
    default: 24,
    above: 0,
    says: "standard deviation of the kernel over features, in their unit",
  }),
});

const namedIntervals = {
  name: text({ required: true, says: "what states call it" }),
  intervals: list(interval({}), {
    required: true,
    says: "when the animal was in it, seconds; both ends belong to it",
  }),
};
const { binSize, grid, positionRange, trackGraph, fillHoles, dilate } = encodingOptions;

/** Of an environment. */
export const environmentOptions = declare("lay out an environment", {
  ...namedIntervals,
  ...{ binSize, grid, positionRange, trackGraph, fillHoles, dilate },
});

/** Of a group of samples. */
export const groupOptions = declare("make a group", namedIntervals);

export type EnvironmentOptions = OptionsOf<typeof environmentOptions>;
export type GroupOptions = OptionsOf<typeof groupOptions>;

const { positionStd, train, intervals, minSpeed } = encodingOptions;

export const environmentsOptions = declare("make a decoder", {
  position: sortedSpikesOptions.options.position,
  spikes: sortedSpikesOptions.options.spikes,
  ...clockOptions,
  /** Discrete states, of which each says its environment, as `multiEnvironment()` makes them. */
  states: custom("states, as multiEnvironment() makes them", isObject as Is<StateModel>, {
    required: true,
    says: "discrete states with their environments, as multiEnvironment() makes them",
  }),
  initialProbs,
  /**
   * Each with a name, the `intervals` [start, stop] in which the animal was there, and its bins: `binSize` and what else
   * says how they are laid over the positions in these, or a `grid` or `trackGraph`.
   */
  environments: custom(
    "a list of { name, intervals, binSize }",
    isList as Is<EnvironmentOptions[]>,
    {
      required: true,
      says: "places with bins of their own, as { name, intervals, binSize }",
    },
  ),
  /** Groups of samples by name and `intervals`, from which states expect place fields of their own. Default: all are one. */
  groups: custom("a list of { name, intervals }", isList as Is<GroupOptions[]>, {
    otherwise: "all samples are one",
    says: "groups of samples, from which states expect place fields of their own",
  }),
  ...{ positionStd, train, intervals, minSpeed },
});

/** What {@link environments} decodes from. */
export type EnvironmentsOptions = OptionsOf<typeof environmentsOptions>;

/** What a stored encoding is applied to. */
export const encodedOptions = declare("decode by an encoding", {
  /**
   * As those that were encoded: `{ times, units }` or a list of times for each unit; of spikes with features
   * `{ times, electrodes, features }`. Units and electrodes are called what they were called then.
   */
  spikes: custom(
    "spikes, as those that were encoded",
    isObject as Is<SpikeInput | MarkInput>,
    { required: true, says: "spikes, as those that were encoded" },
  ),
  /** Where the animal was, if that is known; rows have to be told otherwise. */
  position: custom("{ times, values }", isObject as Is<PositionInput>, {
    otherwise: "not known",
    says: "times and positions, as { times, values }",
  }),
  /**
   * Stretches in which the animal was tracked in this position, not in the one that was encoded: as there, by default
   * what gaps leave.
   */
  intervals: encodingOptions.intervals,
  ...clockOptions,
  states: sortedSpikesOptions.options.states,
  initialProbs,
});

export type EncodedOptions = OptionsOf<typeof encodedOptions>;

export const saveEncodingOptions = declare("save an encoding", {
  /** Replaces another encoding that is there. Default false. */
  overwrite: flag({
    default: false,
    stored: false,
    says: "replace another encoding that is there",
  }),
});

export type SaveEncodingOptions = OptionsOf<typeof saveEncodingOptions>;

/** What {@link clusterless} decodes from. */
export type ClusterlessOptions = OptionsOf<typeof clusterlessOptions>;

/** What {@link sortedSpikes} decodes from. */
export type SortedSpikesOptions = OptionsOf<typeof sortedSpikesOptions>;

const TIME_GRIDS: readonly TimeGridKind[] = ["edges", "timestamps"];
const OPERATORS: readonly ("auto" | OperatorKind)[] = ["auto", "convolution", "sparse", "dense"];
const ZARR_FORMATS: readonly ZarrFormat[] = [3, 2];

const speedOfRows = {
  rate: number({ above: 0, takes: "HZ", otherwise: "500", says: "rows a second" }),
  step: number({ above: 0, takes: "S", says: "seconds a row, instead" }),
};

const timeEdges = numbers({
  flag: false,
  otherwise: "those of time",
  says: "edges of rows, seconds, one more than rows",
});

/** Which rows there are, and which carry evidence. */
export const timeOptions = {
  /**
   * Rows: bins of 1 / `rate` seconds from `start` on, as many whole ones as end by `stop`, which default
   * to the first and last position time. `rate` in Hz, 500 when not given; or `step`, seconds, for 1 / step.
   */
  time: record({
    ...speedOfRows,
    start: number({
      takes: "S",
      otherwise: "first position time",
      says: "where rows begin, seconds",
    }),
    stop: number({ takes: "S", otherwise: "last position time", says: "where they end, seconds" }),
  }, { says: "rows" }),
  /**
   * [rows + 1] Edges of rows of your own, seconds, instead of `time`: a row has the times from its edge up to the
   * next, the last row its end too. Rows have to be of one length, within 0.1 %.
   */
  timeEdges,
  /**
   * `edges`: a row is a bin, left-closed, the last one closed at both ends, and its time is the centre.
   * `timestamps`: a row is a point in time at `start + i / rate` that owns what follows, the last row
   * nothing, as in non_local_detector until September 2026. Default `edges`.
   */
  timeGrid: oneOf(TIME_GRIDS, {
    default: "edges",
    says:
      "edges: rows are bins, and their times the centres; or timestamps: rows are points in time " +
      "that own what follows, as they once were",
  }),
  /**
   * Rows that carry no evidence: those that own any time of these [start, stop) stretches, seconds. With
   * "untracked" among them, also those without a position: in gaps of the tracking, and beside unknown
   * positions. Default none: spikes say where the animal was, or what it thought of, without a position too.
   */
  missing: list(interval({ or: ["untracked"] }), {
    default: [],
    takes: "A:B[,C:D]",
    says: `rows that touch these stretches carry no evidence; "untracked" among them means those ` +
      "without a position",
  }),
  /** [rows] Rows that carry no evidence, one by one; beside those of `missing`. */
  isMissing: custom("a value for each row", isList as Is<ArrayLike<number | boolean>>, {
    says: "rows that carry no evidence, one by one",
  }),
};

/** What is written, and how it comes about. */
export const decodeOutput = {
  /** Where the zarr store goes: a path, `file:`, `opfs:` or `memory:` place. */
  out: place({ required: true, stored: false, says: "path, file: or memory: place" }),
  /**
   * How probabilities of bins are stored; they are computed in f32. `f16`: half floats. `u16`: roots of
   * probabilities with a scale for each row, half the bytes of f32 and rows that sum to 1. `u16-linear`:
   * 65535 p, which loses mass of broad rows. Readers of this package undo it. Default `f32`.
   */
  dtype: oneOf(POSTERIOR_TYPES, {
    default: "f32",
    says:
      "how probabilities are stored: f32, f16, u16 (roots with a scale for each row) or u16-linear",
  }),
  /**
   * Whether probabilities of bins are stored at all. Without them a recording of hours takes megabytes;
   * probabilities of discrete states are always stored. Default true.
   */
  posterior: flag({
    default: true,
    flag: "no-posterior",
    says: "write the probabilities of bins",
    helps: "write no probabilities of bins, but those of states and the summaries",
  }),
  /** Numbers to store for every row, of the smoother and, with `causal`, of the filter. Default none. */
  summaries: list(oneOf(SUMMARIES, {}), {
    default: [],
    takes: "LIST",
    says: `numbers of a row, of: ${SUMMARIES.join(",")}`,
  }),
  /** Writes the filtered posterior too. Never changes the smoothed one. Default false. */
  causal: flag({ default: false, says: "write what the filter says, too" }),
  /**
   * Writes the predictive posterior too: p(state bin | spikes before the row), and that of discrete states. With the
   * summary `logNormaliser` beside it, log p(spikes of the row | spikes before it). Default false.
   */
  predictive: flag({
    default: false,
    says: "write what the filter expects of every row, given the spikes before it",
  }),
  /** Rows a stored chunk holds; they divide a lane. Default: as many as make 4 MiB in all lanes. */
  chunkRows: whole({ from: 1, otherwise: "4 MiB worth", says: "rows in a stored chunk" }),
  /**
   * Chunks that share a file, a shard, within a lane. Default: as many as make 64 MiB; 1, a file for
   * every chunk, in zarr version 2.
   */
  shardChunks: whole({
    from: 1,
    otherwise: "64 MiB worth; 1 in zarr version 2",
    says: "chunks that share a file",
  }),
  /** Compression of chunks. Default `none`. */
  codec: oneOf<Codec, { default: "none"; says: string }>(CODECS, {
    default: "none",
    says: "compression of chunks: none, gzip, zstd or delta-zstd",
  }),
  /** Version of the zarr format; 2 for Python before zarr 3. Default 3. */
  zarrFormat: oneOf(ZARR_FORMATS, {
    default: 3,
    takes: "N",
    says: "3, or 2 for Python before zarr 3",
  }),
  /**
   * Stretches of time that are advanced side by side. All but the first start from a guess, a burn-in
   * early; whether it was right is measured where two lanes meet, and a lane that was not is run again.
   * 1 is the plain filter. Default `auto`: as many as keep the device busy and burn-ins below a quarter
   * of a lane.
   */
  lanes: whole({
    or: ["auto"],
    default: "auto",
    from: 1,
    says:
      "stretches of time that go side by side, each started from a guess that is checked; 1 is the " +
      "plain filter",
  }),
  /** Rows of a burn-in. Default: as many as make 20 s, at most a lane's. */
  burnInRows: whole({
    from: 1,
    otherwise: "20 s",
    says: "rows before a lane from which its start is guessed",
  }),
  /**
   * Hilbert distance up to which a guess counts as right: no later probability is then off by a factor of
   * more than e to it, nor the log-likelihood by more than it for each lane. What comes back from below
   * 2^-128, where numbers have 18 bits, is off by 4e-5 more at most. Default 1e-5.
   */
  laneTolerance: number({
    default: 1e-5,
    above: 0,
    below: 1,
    flag: false,
    says: "Hilbert distance up to which such a guess counts as right",
  }),
  /**
   * How the transition is applied: by convolutions, where it is made of these, or with the tiles of a
   * sparse matrix, or with a dense one. The numbers are the same within 2e-7. Default `auto`: what is counted to
   * cost least, and fits the budget.
   */
  operator: oneOf(OPERATORS, {
    default: "auto",
    says: "how the transition is applied: auto, convolution, sparse or dense",
  }),
  ...planChoices,
  tileRows: {
    ...planChoices.tileRows,
    helps: "rows on the GPU at a time, of every lane",
  },
  /** Replaces a decode that is already at `out`, finished or not. Default false. */
  overwrite: outputChoices.overwrite,
  /**
   * Goes on with an unfinished decode that another adapter began. Its numbers may then differ in the
   * last digits from row to row. Default false.
   */
  allowAdapterChange: flag({
    default: false,
    stored: false,
    says: "go on with a run that another adapter began",
  }),
};

export const decodeOptions = declare("plan a decode", { ...timeOptions, ...decodeOutput });

/** Options of `SortedSpikesDecoder.smooth()`. */
export type DecodeOptions = OptionsOf<typeof decodeOptions>;

export const logLikelihoodOptions = declare("make a decoder", {
  /**
   * Natural logarithms of p(what was seen in a row | bin), `[time, bins]` where all states expect the same in a
   * bin, `[time, state bins]` where they do not, a state after the other. -Infinity is impossible; NaN and
   * +Infinity are refused. Factors of a row change nothing but the log-likelihood. An array of any kind, as
   * `openArray()` and `fromTypedArray()` give, or anything with a `shape` and a `read` that gives the same
   * rows whenever it is asked. It is read three times, tile by tile, and stays open.
   */
  logLikelihoods: custom(
    "an array, or { shape, read }",
    isObject as Is<LogLikelihoodSource>,
    { required: true, says: "log-likelihoods, natural, [time, bins] or [time, state bins]" },
  ),
  /** Discrete states and how position moves in them. */
  states: custom(
    "states, as stateModel() makes them",
    isObject as Is<StateModel>,
    { required: true, says: "discrete states, as stateModel() makes them" },
  ),
  /**
   * Bins, as `{ edges, interior }` or the grid of another decoder. Default: a line of as many bins of width 1
   * as there are log-likelihoods in a row; a single one where every state has one bin.
   */
  grid: custom("{ edges, interior }", isObject as Is<GridEdges>, {
    otherwise: "a line of bins of width 1",
    says: "edges of bins along each dimension, and which bins are interior",
  }),
  initialProbs,
});

/** What {@link logLikelihoods} decodes from. */
export type LogLikelihoodOptions = OptionsOf<typeof logLikelihoodOptions>;

export const logLikelihoodDecodeOptions = declare("plan a decode", {
  /** When rows are: bins of 1 / `rate` seconds from `start` on. `rate` in Hz, or `step`, seconds. */
  time: record({
    ...speedOfRows,
    start: number({ takes: "S", otherwise: "0", says: "where rows begin, seconds" }),
  }, { says: "when rows are" }),
  /** [rows + 1] Edges of rows of your own, seconds, instead of `time`. Rows have to be of one length, within 0.1 %. */
  timeEdges,
  /** Rows that carry no evidence: those that own any time of these [start, stop) stretches, seconds. */
  missing: list(interval({}), {
    default: [],
    takes: "A:B[,C:D]",
    says: "rows that touch these stretches carry no evidence, seconds",
  }),
  isMissing: timeOptions.isMissing,
  ...decodeOutput,
});

/** Options of `LogLikelihoodDecoder.smooth()`. */
export type LogLikelihoodDecodeOptions = OptionsOf<typeof logLikelihoodDecodeOptions>;

/** What is fitted, from what is believed beforehand, and when that is enough. */
export const emChoices = {
  /** Updates at most. Default 20. */
  maxIterations: whole({ default: 20, from: 1, says: "updates of the parameters, at most" }),
  /** Relative change of the log-likelihood at which it is enough, from the second update on. Default 1e-4. */
  tolerance: number({
    default: 1e-4,
    above: 0,
    says: "relative change of the log-likelihood at which it is enough",
  }),
  /** Whether the probabilities of the first row are fitted. Default true. */
  fitInitial: flag({
    default: true,
    flag: "no-fit-initial",
    says: "fit the probabilities of the first row",
    helps: "keep the probabilities of the first row as they are",
  }),
  /** Whether the probabilities of discrete states after each are fitted. Default true. */
  fitTransitions: flag({
    default: true,
    flag: "no-fit-transitions",
    says: "fit the probabilities of discrete states after each",
    helps: "keep the probabilities of discrete states after each as they are",
  }),
  /** Of a Dirichlet prior over what follows a state; 1 says nothing. Default: that of the states, or 1. */
  concentration: number({
    from: 1,
    otherwise: "that of the states, or 1",
    says: "of a Dirichlet prior over what follows a state; 1 says nothing",
  }),
  /** Added to it for the state itself: a value for each state. Default: that of the states, or 0 for all. */
  stickiness: list(number({ from: 0 }), {
    otherwise: "that of the states, or 0 of every one",
    says: "added to it for the state itself, a value for each state",
  }),
  /**
   * A value for each state. Above 0, the prior counts as so many times what is expected of the state, however long
   * the recording. Default 0 for all: it counts as it is.
   */
  priorWeight: list(number({ from: 0 }), {
    otherwise: "0 of every state: the prior counts as it is",
    says: "how many times what is expected of a state its prior counts as, a value for each state",
  }),
  /** Names of states whose transitions stay as they are. Default: those that the states name, or none. */
  frozen: list(text({}), {
    otherwise: "those that the states name, or none",
    takes: "NAME[,...]",
    says: "states whose transitions stay as they are, by name",
  }),
};

export const emOptions = declare("fit parameters", {
  ...timeOptions,
  ...decodeOutput,
  ...emChoices,
});

/** Options of `SortedSpikesDecoder.em()` and `ClusterlessDecoder.em()`. */
export type EmOptions = OptionsOf<typeof emOptions>;

/** Where a path goes. */
export const pathOutput = {
  /** Where the zarr store goes: a path, `file:`, `opfs:` or `memory:` place. Returned alone when not given. */
  out: outputChoices.out,
  overwrite: outputChoices.overwrite,
  ...planChoices,
};

export const sampleChoices = {
  /** Paths to draw. Default 100. */
  samples: whole({ default: 100, from: 1, to: 65_535, says: "paths to draw" }),
  /** Of random numbers: the same one gives the same paths. Default 0. */
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of random numbers" }),
  operator: decodeOutput.operator,
  ...pathOutput,
};

export type SampleChoices = CheckedOf<typeof sampleChoices>;

export const sampleOptions = declare("plan samples", { ...timeOptions, ...sampleChoices });

/** Options of `SortedSpikesDecoder.samples()` and `ClusterlessDecoder.samples()`. */
export type SampleOptions = OptionsOf<typeof sampleOptions>;

export const viterbiOptions = declare("plan a path", { ...timeOptions, ...pathOutput });

/** Options of `SortedSpikesDecoder.viterbi()`. */
export type ViterbiOptions = OptionsOf<typeof viterbiOptions>;

const { time, missing, isMissing, timeEdges: edges } = logLikelihoodDecodeOptions.options;

export const logLikelihoodEmOptions = declare("fit parameters", {
  ...{ time, timeEdges: edges, missing, isMissing },
  ...decodeOutput,
  ...emChoices,
});

/** Options of `LogLikelihoodDecoder.em()`. */
export type LogLikelihoodEmOptions = OptionsOf<typeof logLikelihoodEmOptions>;

export const logLikelihoodViterbiOptions = declare("plan a path", {
  ...{ time, timeEdges: edges, missing, isMissing },
  ...pathOutput,
});

export const logLikelihoodSampleOptions = declare("plan samples", {
  ...{ time, timeEdges: edges, missing, isMissing },
  ...sampleChoices,
});

/** Options of `LogLikelihoodDecoder.samples()`. */
export type LogLikelihoodSampleOptions = OptionsOf<typeof logLikelihoodSampleOptions>;

/** Options of `LogLikelihoodDecoder.viterbi()`. */
export type LogLikelihoodViterbiOptions = OptionsOf<typeof logLikelihoodViterbiOptions>;
