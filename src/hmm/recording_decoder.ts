/**
 * What decoders of recordings share: rows, what is missing of them, and the plan of a decode.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Plan } from "../stream/plan.ts";
import type { SaveEncodingOptions, SortedSpikesOptions } from "./encoding_options.ts";
import { AnimalPath } from "./animal_path.ts";
import type { DecodeOptions, SampleOptions, ViterbiOptions } from "./decode_options.ts";
import type { EmOptions } from "./em_options.ts";
import { decodeOptions, sampleOptions, viterbiOptions } from "./decode_options.ts";
import { emOptions } from "./em_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import type { Refit } from "./em.ts";
import { EmPlan } from "./em.ts";
import type { Grid } from "./grid.ts";
import type { LaneOptions } from "./lane_cuts.ts";
import { cutLanes } from "./lane_cuts.ts";
import { byState, differInParts, stateLogRows } from "./observation/by_state.ts";
import type { EncodedRows, RowsToDecode } from "./observation/encoded_rows.ts";
import { expectationsOf } from "./observation/expectations.ts";
import type { SmoothParts } from "./plan_decode.ts";
import { planPath, planSamples, planSmooth } from "./plan_decode.ts";
import type { DecodedRecording, RowChoices } from "./recorded_rows.ts";
import { missingOf, recordedGrid } from "./recorded_rows.ts";
import type { RecordedSpikes } from "./recording.ts";
import type { SampledPaths } from "./sample_task.ts";
import type { Training } from "./sorted_spikes.ts";
import { mergeStamps, placeOn } from "./sorted_spikes.ts";
import { checkInitial, StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import { continuous } from "./presets.ts";
import { looksAtAnimal, walkWarnings } from "./states.ts";
import { betweenRows, rowSeconds, unevenWarnings } from "./time_grid.ts";
import type { ViterbiResult } from "./viterbi_task.ts";

/** What a decode and a path are told of their model. */
export type ModelChoices = Pick<SortedSpikesOptions, "states" | "initialProbs">;

/** What every encoding says of itself. */
type EncodingFacts = Pick<Training, "exposureSeconds" | "intervals" | "mergedStamps"> & {
  encodingSpikes: number;
};

/**
 * A decoder of the same recording, encoded from samples by how much each counts, 0 to 1; `undefined` where that is too
 * little for an encoding.
 */
export type EncodeAgain = (
  weightAt: (time: number) => number,
) => RecordingDecoder<EncodingFacts> | undefined;

/** A decoder ready to plan. */
export abstract class RecordingDecoder<Encoding extends EncodingFacts> {
  readonly grid: Grid;
  readonly encoding: Encoding;
  readonly states: StateModel;
  /** [units] What each unit is called in the input. */
  readonly unitIds: readonly number[];
  /** What is odd about the recording or the model, and what was done about it: sentences for people. */
  readonly warnings: readonly string[];
  protected readonly recording: DecodedRecording;
  /** [state bins] p(state bin before the first row); those of a state are alike when not given. */
  protected readonly initialProbs: Float64Array | undefined;
  readonly #again: EncodeAgain | undefined;

  /**
   * @param initialProbs [state bins], where they are given.
   * @param again Where what was encoded is at hand.
   */
  constructor(
    recording: DecodedRecording,
    grid: Grid,
    encoding: Encoding,
    { states = continuous(), initialProbs }: ModelChoices,
    again?: EncodeAgain,
  ) {
    this.#again = again;
    this.recording = recording;
    this.grid = grid;
    this.encoding = encoding;
    this.states = states;
    this.initialProbs = initialProbs &&
      checkInitial(initialProbs, new StateBins(grid, states).count);
    this.unitIds = recording.unitIds;
    this.warnings = [
      ...recording.warnings,
      ...encodingWarnings(recording, encoding),
      ...binWarnings(grid),
      ...walkWarnings(grid, states),
    ];
  }

  /** Stores what was learnt of spikes. */
  abstract saveEncoding(place: string, options?: SaveEncodingOptions): Promise<void>;

  /** Spikes by rows. */
  protected abstract rowsOf(rows: RowsToDecode): EncodedRows;

  /** [states] which part of the encoding each expects; the only one by default. */
  protected partOf(): readonly number[] {
    return this.states.names.map(() => 0);
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
    return planSmooth(gpu, this.#smoothParts(gpu, options), options);
  }

  /**
   * Plans a search for the discrete transitions, and for the probabilities of the first row, that make the recording
   * likeliest, by EM, and a decode with them. With `fitEncoding` spikes are encoded anew after every step, from samples
   * of the position as far as a local state was likely.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} As {@link smooth} does, or if a prior has another number of states than the model; with
   * `fitEncoding` if no state is local, the encoding was stored, or there are several environments.
   */
  em(gpu: Gpu, given: EmOptions): EmPlan {
    const options = emOptions.check(given);
    const refit = options.fitEncoding ? this.#refit(gpu, options) : undefined;
    return new EmPlan(gpu, this.#smoothParts(gpu, options), options, refit);
  }

  #refit(gpu: Gpu, options: RowChoices & LaneOptions & { chunkRows?: number }): Refit {
    const again = this.#again;
    const refuse = (is: string, wanted: string): never => {
      throw new RangeError(
        `Cannot fit parameters: fitEncoding is true, and ${is}, wanted ${wanted}`,
      );
    };
    if (!again) {
      return refuse(
        "the encoding was stored, or is of several environments",
        "a decoder of sortedSpikes() or clusterless(), or fitEncoding false",
      );
    }
    if (!this.states.local?.includes(true)) {
      refuse("no state is local", "one, whose samples are encoded");
    }
    const time = recordedGrid(this.recording, this.states, options);
    return {
      save: (place) => this.saveEncoding(place, { overwrite: true }),
      encode(local) {
        const found = again((at) => betweenRows(time, local, at));
        return found && {
          parts: found.#smoothParts(gpu, options),
          save: (place) => found.saveEncoding(place, { overwrite: true }),
        };
      },
    };
  }

  /**
   * Plans paths that are drawn from the posterior of all rows together, one bin a row, out of core: what they have in
   * common is certain, and where they differ is not. The same seed gives the same paths on an adapter, whatever the
   * budget.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} As {@link smooth} does, or if the transition has more entries than a binding holds.
   */
  samples(gpu: Gpu, given: SampleOptions = {}): Plan<SampledPaths> {
    const options = sampleOptions.check(given);
    return planSamples(gpu, this.#smoothParts(gpu, { ...options, lanes: 1 }), options);
  }

  /**
   * Plans the search for the likeliest path of all rows together, exactly: scores are whole numbers of
   * 2^-32 nat. Of paths that are as likely the one whose first bin is lowest wins, then its second, and so on.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} As {@link smooth} does, or if a bin leads to more others than a binding holds.
   */
  viterbi(gpu: Gpu, given: ViterbiOptions = {}): Plan<ViterbiResult> {
    const options = viterbiOptions.check(given);
    const { time, missing, recorded, expected, bins, warnings } = this.#rows(options);
    const areAlike = expected.kinds.length === 1 && differInParts(expected);
    return planPath(gpu, {
      ...{ grid: this.grid, model: this.states, time, missing, warnings },
      rows: areAlike
        ? recorded.logRows(expected.kinds[0]!.part)
        : stateLogRows(recorded.logRows, expected, bins),
      perState: !areAlike,
      initialProbs: this.initialProbs,
      ...this.positions,
    }, options);
  }

  /** Rows, what was recorded in them, and what states expect. */
  #rows(options: RowChoices) {
    const { recording, states } = this;
    const pathOn = looksAtAnimal(states) ? pathsOf(recording) : undefined;
    const time = recordedGrid(recording, states, options);
    const { intervals } = this.encoding;
    const missing = missingOf(time, { recording, states, intervals }, options);
    const recorded = this.rowsOf({ time, missing });
    const bins = new StateBins(this.grid, this.states);
    const expected = expectationsOf(this.states, bins, {
      ...recorded,
      ...{ time, units: this.unitIds.length, partOf: this.partOf(), pathOn },
    });
    const warnings = [...this.warnings, ...unevenWarnings(time)];
    return { time, missing, recorded, expected, bins, warnings };
  }

  #smoothParts(gpu: Gpu, options: RowChoices & LaneOptions & { chunkRows?: number }): SmoothParts {
    const { time, missing, recorded, expected, warnings } = this.#rows(options);
    const lanes = cutLanes(time.rows, rowSeconds(time), options, {
      software: gpu.adapter.software,
      chunkRows: options.chunkRows,
    });
    const { unitIds } = this;
    return {
      ...{ grid: this.grid, model: this.states, time, lanes, missing },
      initialProbs: this.initialProbs,
      likelihoodOf: expected.kindOf,
      observationOf: (recursion) =>
        byState(
          (cells) => recorded.observationOf(lanes, cells),
          expected,
          { lanes, recursion, rows: time.rows },
        ),
      encoding: {
        exposureSeconds: this.encoding.exposureSeconds,
        ...(unitIds.some((id, unit) => id !== unit) && { unitIds }),
      },
      droppedSpikes: recorded.spikes.dropped,
      warnings,
      ...this.positions,
    };
  }

  /** Of the animal, in time order, where they are known: what an `empirical` transition is made of. */
  protected get positions(): { positions?: Float64Array } {
    const { position } = this.recording;
    if (!position) return {};
    const { values } = position;
    if (!this.grid.track) return { positions: values };
    return {
      positions: Float64Array.from(
        position.times,
        (_, i) => placeOn(this.grid, values.subarray(2 * i, 2 * i + 2))[0]!,
      ),
    };
  }
}

/** Fewer bins tell no place from another. */
const FEWEST_BINS = 4;

/** What is odd about bins is mostly their unit: a recording in metres, with bins as of one in centimetres. */
function binWarnings({ environments, ...own }: Grid): string[] {
  const small = (environments?.map(({ grid }) => grid) ?? [own])
    .filter(({ interiorIndex }) => interiorIndex.length < FEWEST_BINS);
  return small.slice(0, 1).map(({ interiorIndex, binSize, edges }) =>
    `the grid has ${interiorIndex.length} bin${
      interiorIndex.length === 1 ? "" : "s"
    } of ${binSize}, from ` +
    `${
      edges.map((along) => `${along[0]} to ${along.at(-1)}`).join(" and from ")
    }: hardly a place ` +
    "is told from another; is the bin size in the unit of the position?"
  );
}

/** Where the animal is, in the coordinates of a grid. */
function pathsOf({ position, dimensions }: DecodedRecording): (grid: Grid) => AnimalPath {
  if (!position || !dimensions) {
    throw new RangeError(
      "Cannot plan a decode: states are compared with where the animal is, and there is no position, " +
        "wanted one",
    );
  }
  const { times, values } = mergeStamps(position, dimensions);
  return (grid) => new AnimalPath(times, values, grid);
}

function encodingWarnings({ spikes }: RecordedSpikes, encoding: EncodingFacts): string[] {
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
