/**
 * Decodes position from spikes with a hidden Markov model, out of core.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Plan } from "../stream/plan.ts";
import type { DecodeOptions, SortedSpikesOptions, ViterbiOptions } from "./decode_options.ts";
import type { timeOptions } from "./decode_options.ts";
import { decodeOptions, sortedSpikesOptions, viterbiOptions } from "./decode_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import { untrackedSpans } from "./exposure.ts";
import type { Grid } from "./grid.ts";
import { gridFromPosition } from "./grid.ts";
import { cutLanes } from "./lane_cuts.ts";
import { poissonObservation, poissonRows } from "./observation/poisson.ts";
import { planPath, planSmooth } from "./plan_decode.ts";
import type { Recording } from "./recording.ts";
import { checkSpikePrecision, validateRecording } from "./recording.ts";
import type { Encoding } from "./sorted_spikes.ts";
import { encodeSortedSpikes, knownSamples, mergeStamps, rateTable } from "./sorted_spikes.ts";
import type { StateModel } from "./states.ts";
import { continuous, walkWarnings } from "./states.ts";
import type { Interval, TimeGrid } from "./time_grid.ts";
import type { ViterbiResult } from "./viterbi_task.ts";
import { binSpikes, gridRange, missingRows, rowSeconds, timeGrid } from "./time_grid.ts";

export type {
  DecodeOptions,
  LogLikelihoodDecodeOptions,
  LogLikelihoodOptions,
  LogLikelihoodViterbiOptions,
  SortedSpikesOptions,
  ViterbiOptions,
} from "./decode_options.ts";
export type { DecodeLanes, DecodeResult } from "./decode_result.ts";
export { posteriorMean } from "./decode_result.ts";
export type { GridEdges } from "./grid.ts";
export { LogLikelihoodDecoder, logLikelihoods } from "./log_likelihood_decoder.ts";
export type { LogLikelihoodSource } from "./observation/log_likelihoods.ts";
export type { OperatorKind } from "./transition/choose_operator.ts";
export type { PosteriorType } from "./posterior_types.ts";
export type { Summary } from "./row_outputs.ts";
export type { Interval, TimeGridKind } from "./time_grid.ts";
export type { PositionInput, SpikeInput } from "./recording.ts";
export { fromUint16, toUint16 } from "../math/quantize.ts";
export type { ContinuousTransition, StateModel } from "./states.ts";
export { contFrag, continuous, stateModel } from "./states.ts";
export type { ViterbiResult } from "./viterbi_task.ts";
export { simulateSession } from "./simulate.ts";

/** What a decode and a path are told of their rows. */
type RowChoices = Pick<DecodeOptions, keyof typeof timeOptions>;

/** Rows for a sample of position: more are a step in the wrong unit. */
const MOST_ROWS_A_SAMPLE = 10_000;

/**
 * Builds a decoder for sorted spikes: place fields by kernel density, Poisson spikes, a hidden Markov
 * model over position bins and discrete states. Everything here happens on the host in f64.
 *
 * Source: Denovellis et al. 2021, and the package non_local_detector.
 *
 * @throws {TypeError | RangeError} If the recording is not what the fields say, stamps are too coarse, or
 * position and spikes are on different clocks; the message names the entry, or both ranges and a remedy.
 */
export function sortedSpikes(given: SortedSpikesOptions): SortedSpikesDecoder {
  const options = sortedSpikesOptions.check(given);
  const recording = validateRecording(options.position, options.spikes, options);
  const grid = gridFromPosition(recording.position.values, recording.dimensions, {
    binSize: options.binSize,
  });
  const encoding = encodeSortedSpikes({
    ...recording,
    grid,
    positionStd: options.positionStd,
    ...(options.train && { train: options.train }),
    ...(options.intervals && { intervals: options.intervals }),
    ...(options.minSpeed !== undefined && { minSpeed: options.minSpeed }),
  });
  return new SortedSpikesDecoder(recording, grid, encoding, options.states ?? continuous());
}

/** A decoder ready to plan. Made by {@link sortedSpikes}. */
export class SortedSpikesDecoder {
  readonly grid: Grid;
  readonly encoding: Encoding;
  readonly states: StateModel;
  /** [units] What each unit is called in the input. */
  readonly unitIds: readonly number[];
  /** What is odd about the recording or the model, and what was done about it: sentences for people. */
  readonly warnings: readonly string[];
  readonly #recording: Recording;

  constructor(recording: Recording, grid: Grid, encoding: Encoding, states: StateModel) {
    this.#recording = recording;
    this.grid = grid;
    this.encoding = encoding;
    this.states = states;
    this.unitIds = recording.unitIds;
    this.warnings = [
      ...recording.warnings,
      ...encodingWarnings(recording, encoding),
      ...walkWarnings(grid.binSize, states),
    ];
  }

  /**
   * Plans filter and smoother over a time grid. Nothing is read, allocated or written yet.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} If the time grid, `chunkRows`, `tileRows` or `slots` make no sense, rows are finer
   * than spike times, or the grid lies outside of the recording.
   */
  smooth(gpu: Gpu, given: DecodeOptions): Plan<DecodeResult> {
    const options = decodeOptions.check(given);
    this.#refuseOneBin();
    const time = this.#timeGrid(options);
    const rates = rateTable(this.encoding, rowSeconds(time));
    const missing = this.#missing(time, options);
    const spikes = binSpikes(this.#recording.spikes, time, missing);
    const lanes = cutLanes(time.rows, rowSeconds(time), options, {
      software: gpu.adapter.software,
      chunkRows: options.chunkRows,
    });
    const { unitIds } = this;
    return planSmooth(gpu, {
      grid: this.grid,
      model: this.states,
      time,
      lanes,
      observationOf: (recursion) =>
        poissonObservation(rates, {
          ...{ spikes, time, lanes, recursion },
          bins: this.grid.interiorIndex.length,
        }),
      encoding: {
        exposureSeconds: this.encoding.exposureSeconds,
        ...(unitIds.some((id, unit) => id !== unit) && { unitIds }),
      },
      droppedSpikes: spikes.dropped,
      missing: spikes.missing,
      warnings: this.warnings,
      positions: this.#recording.position.values,
    }, options);
  }

  /**
   * Plans the search for the likeliest path of all rows together, exactly: scores are whole numbers of
   * 2^-32 nat. Of paths that are as likely the one whose first bin is lowest wins, then its second, and so on.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} As {@link smooth} does, or if the transition has more entries than a binding holds.
   */
  viterbi(gpu: Gpu, given: ViterbiOptions = {}): Plan<ViterbiResult> {
    const options = viterbiOptions.check(given);
    this.#refuseOneBin();
    const time = this.#timeGrid(options);
    const missing = this.#missing(time, options);
    const spikes = binSpikes(this.#recording.spikes, time, missing);
    const bins = this.grid.interiorIndex.length;
    return planPath(gpu, {
      grid: this.grid,
      model: this.states,
      time,
      rows: poissonRows(rateTable(this.encoding, rowSeconds(time)), spikes, bins),
      perState: false,
      missing,
      warnings: this.warnings,
      positions: this.#recording.position.values,
    }, options);
  }

  #refuseOneBin(): void {
    const oneBin = this.states.names.find((_, state) => this.states.oneBin?.[state]);
    if (oneBin !== undefined) {
      throw new RangeError(
        `Cannot plan a decode: state "${oneBin}" has one bin, wanted states over the grid: sorted ` +
          "spikes say how likely they are in a position",
      );
    }
  }

  /** The rows of a decode, and a look at whether they can be meant. */
  #timeGrid({ time = {}, timeGrid: kind }: RowChoices): TimeGrid {
    const { position: { times }, spikes } = this.#recording;
    const [from, to] = [times[0]!, times[times.length - 1]!];
    const { start = from, stop = to, ...rate } = time;
    const grid = timeGrid({ start, stop, ...rate, ...(kind && { kind }) });
    const perSample = grid.rate * (to - from) / (times.length - 1);
    if (perSample > MOST_ROWS_A_SAMPLE) {
      throw new RangeError(
        `Cannot plan a decode: rows of ${rowSeconds(grid)} s are ${
          Math.round(perSample)
        } for a sample ` +
          `of position, wanted at most ${MOST_ROWS_A_SAMPLE}; use a larger step, in seconds`,
      );
    }
    const [first, last] = gridRange(grid);
    const ends = [
      from,
      to,
      ...(spikes.times.length > 0 ? [spikes.times[0]!, spikes.times.at(-1)!] : []),
    ];
    if (last < Math.min(...ends) || first > Math.max(...ends)) {
      throw new RangeError(
        `Cannot plan a decode: rows from ${first} to ${last} s lie outside of the recording, wanted ` +
          `some of ${Math.min(...ends)} to ${Math.max(...ends)} s`,
      );
    }
    checkSpikePrecision(this.#recording, rowSeconds(grid));
    return grid;
  }

  /** [rows] 1 for rows that carry no evidence; `undefined` where all do. */
  #missing(grid: TimeGrid, { missing = [], isMissing }: RowChoices): Uint8Array | undefined {
    const spans = missing.flatMap((span): readonly Interval[] => {
      if (span === "untracked") {
        const { position, dimensions } = this.#recording;
        const { times, values } = mergeStamps(position, dimensions);
        return untrackedSpans(times, knownSamples(values, dimensions), this.encoding.intervals);
      }
      return [span];
    });
    return missingRows(grid, spans, isMissing);
  }
}

function encodingWarnings({ spikes }: Recording, encoding: Encoding): string[] {
  const { mergedStamps, encodingSpikes } = encoding;
  return [
    ...(mergedStamps > 0
      ? [`${mergedStamps} samples of position had the time of another, and were averaged with it`]
      : []),
    ...(encodingSpikes === 0 && spikes.times.length > 0
      ? [
        `none of ${spikes.times.length} spikes fell into the encoding: the place fields are flat, and ` +
        "say nothing",
      ]
      : []),
  ];
}
