/**
 * What decoders of recordings share: rows, what is missing of them, and the plan of a decode.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Plan } from "../stream/plan.ts";
import type { DecodeOptions, timeOptions } from "./decode_options.ts";
import { decodeOptions } from "./decode_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import { untrackedSpans } from "./exposure.ts";
import type { Grid } from "./grid.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import { cutLanes } from "./lane_cuts.ts";
import type { Observation } from "./observation/observation.ts";
import { planSmooth } from "./plan_decode.ts";
import type { Recording } from "./recording.ts";
import { checkSpikePrecision } from "./recording.ts";
import type { Training } from "./sorted_spikes.ts";
import { knownSamples, mergeStamps } from "./sorted_spikes.ts";
import type { StateModel } from "./states.ts";
import { walkWarnings } from "./states.ts";
import type { Interval, TimeGrid } from "./time_grid.ts";
import { gridRange, missingRows, rowSeconds, timeGrid } from "./time_grid.ts";
import type { Recursion } from "./transition/recursion.ts";

/** What a decode and a path are told of their rows. */
export type RowChoices = Pick<DecodeOptions, keyof typeof timeOptions>;

/** Rows for a sample of position: more are a step in the wrong unit. */
const MOST_ROWS_A_SAMPLE = 10_000;

/** What every encoding says of itself. */
type EncodingFacts = Pick<Training, "exposureSeconds" | "intervals" | "mergedStamps"> & {
  encodingSpikes: number;
};

/** What was recorded, by the rows of a decode. */
export interface RowSpikes {
  /** Spikes outside the rows. */
  dropped: number;
  observationOf(lanes: LaneCuts, recursion: Recursion): Observation;
}

/** A decoder ready to plan. */
export abstract class RecordingDecoder<Encoding extends EncodingFacts> {
  readonly grid: Grid;
  readonly encoding: Encoding;
  readonly states: StateModel;
  /** [units] What each unit is called in the input. */
  readonly unitIds: readonly number[];
  /** What is odd about the recording or the model, and what was done about it: sentences for people. */
  readonly warnings: readonly string[];
  protected readonly recording: Recording;

  constructor(recording: Recording, grid: Grid, encoding: Encoding, states: StateModel) {
    this.recording = recording;
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

  /** Spikes by rows. */
  protected abstract spikesOf(time: TimeGrid, missing: Uint8Array | undefined): RowSpikes;

  /**
   * Plans filter and smoother over a time grid. Nothing is read, allocated or written yet.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} If the time grid, `chunkRows`, `tileRows` or `slots` make no sense, rows are finer
   * than spike times, or the grid lies outside of the recording.
   */
  smooth(gpu: Gpu, given: DecodeOptions): Plan<DecodeResult> {
    const options = decodeOptions.check(given);
    this.refuseOneBin();
    const time = this.timeGrid(options);
    const missing = this.missing(time, options);
    const { dropped, observationOf } = this.spikesOf(time, missing);
    const lanes = cutLanes(time.rows, rowSeconds(time), options, {
      software: gpu.adapter.software,
      chunkRows: options.chunkRows,
    });
    const { unitIds } = this;
    return planSmooth(gpu, {
      ...{ grid: this.grid, model: this.states, time, lanes, missing },
      observationOf: (recursion) => observationOf(lanes, recursion),
      encoding: {
        exposureSeconds: this.encoding.exposureSeconds,
        ...(unitIds.some((id, unit) => id !== unit) && { unitIds }),
      },
      droppedSpikes: dropped,
      warnings: this.warnings,
      positions: this.recording.position.values,
    }, options);
  }

  protected refuseOneBin(): void {
    const oneBin = this.states.names.find((_, state) => this.states.oneBin?.[state]);
    if (oneBin !== undefined) {
      throw new RangeError(
        `Cannot plan a decode: state "${oneBin}" has one bin, wanted states over the grid: ` +
          "spikes say how likely they are in a position",
      );
    }
  }

  /** The rows of a decode, and a look at whether they can be meant. */
  protected timeGrid({ time = {}, timeGrid: kind }: RowChoices): TimeGrid {
    const { position: { times }, spikes } = this.recording;
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
    checkSpikePrecision(this.recording, rowSeconds(grid));
    return grid;
  }

  /** [rows] 1 for rows that carry no evidence; `undefined` where all do. */
  protected missing(
    grid: TimeGrid,
    { missing = [], isMissing }: RowChoices,
  ): Uint8Array | undefined {
    const spans = missing.flatMap((span): readonly Interval[] => {
      if (span === "untracked") {
        const { position, dimensions } = this.recording;
        const { times, values } = mergeStamps(position, dimensions);
        return untrackedSpans(times, knownSamples(values, dimensions), this.encoding.intervals);
      }
      return [span];
    });
    return missingRows(grid, spans, isMissing);
  }
}

function encodingWarnings({ spikes }: Recording, encoding: EncodingFacts): string[] {
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
