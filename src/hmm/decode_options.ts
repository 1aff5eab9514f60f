/**
 * Options of a decode, of paths, and of samples.
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
  list,
  number,
  numbers,
  oneOf,
  place,
  record,
  whole,
} from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Codec } from "../zarr/codecs.ts";
import { CODECS } from "../zarr/codecs.ts";
import type { ZarrFormat } from "../zarr/metadata.ts";
import { POSTERIOR_TYPES } from "./posterior_types.ts";
import { SUMMARIES } from "./row_outputs.ts";
import type { TimeGridKind } from "./time_grid.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";

const TIME_GRIDS: readonly TimeGridKind[] = ["edges", "timestamps"];
const OPERATORS: readonly ("auto" | OperatorKind)[] = ["auto", "convolution", "sparse", "dense"];
const ZARR_FORMATS: readonly ZarrFormat[] = [3, 2];

export const speedOfRows = {
  rate: number({ above: 0, takes: "HZ", otherwise: "500", says: "rows a second" }),
  step: number({ above: 0, takes: "S", says: "seconds a row, instead" }),
};

export const timeEdges = numbers({
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
