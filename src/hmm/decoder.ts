/**
 * Decodes position from spikes with a hidden Markov model, out of core.
 *
 * @module
 */

import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Plan } from "../stream/plan.ts";
import type { OperatorKind } from "./choose_operator.ts";
import { chooseOperator } from "./choose_operator.ts";
import type { DecodeOptions, Operator } from "./decode_job.ts";
import { DecodeJob } from "./decode_job.ts";
import type { DecodeResult } from "./decode_result.ts";
import type { Grid } from "./grid.ts";
import { gridFromPosition } from "./grid.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import { cutLanes } from "./lane_cuts.ts";
import { matrixRecursion } from "./matrix_recursion.ts";
import type { Recursion } from "./recursion.ts";
import { convolutionRecursion } from "./recursion.ts";
import type { Encoding, SpikeInput } from "./sorted_spikes.ts";
import { encodeSortedSpikes, rateTable, validateRecording } from "./sorted_spikes.ts";
import type { StateModel } from "./states.ts";
import { binSpikes, timeGrid } from "./time_grid.ts";

export type { DecodeOptions } from "./decode_job.ts";
export type { DecodeLanes, DecodeResult, OpenResultOptions } from "./decode_result.ts";
export { openResult, posteriorMean } from "./decode_result.ts";
export type { OperatorKind } from "./choose_operator.ts";
export type { PosteriorType } from "./posterior_types.ts";
export type { Summary } from "./row_outputs.ts";
export { fromUint16, toUint16 } from "../math/quantize.ts";
export { contFrag, continuous, stateModel } from "./states.ts";
export { simulateSession } from "./simulate.ts";

/** What {@link sortedSpikes} decodes from. */
export interface SortedSpikesOptions {
  /**
   * `times` [samples] f64, seconds, ascending, equal times allowed; `values` [samples] or
   * [samples, 2] in C order, any position unit (cm, pixels). NaN positions are left out of the encoding.
   */
  position: { times: ArrayLike<number>; values: ArrayLike<number> };
  /** Flat and ascending `{ times, units }`, or one ascending list of times per unit. Seconds. */
  spikes: SpikeInput;
  states: StateModel;
  /** Bin edge in position units. */
  binSize: number;
  /** Standard deviation of the encoding's Gaussian kernel, position units. Default 6. */
  positionStd?: number;
  /** Limits the encoding to these [start, stop] intervals, seconds. */
  train?: readonly (readonly [number, number])[];
  /** Limits the encoding to samples where the animal moves faster, position units per second. */
  minSpeed?: number;
}

const OPERATOR_KINDS: readonly (OperatorKind | "auto")[] = [
  "auto",
  "convolution",
  "sparse",
  "dense",
];
const DEFAULT_STEP = 0.002;
const DEFAULT_POSITION_STD = 6;

/**
 * Builds a decoder for sorted spikes: place fields by kernel density, Poisson spikes, a hidden Markov
 * model over position bins and discrete states. Everything here happens on the host in f64.
 *
 * Source: Denovellis et al. 2021, and the package non_local_detector.
 *
 * @throws {TypeError | RangeError} If the recording is not what the fields say; the message names the
 * entry, what it is and what was wanted.
 */
export function sortedSpikes(options: SortedSpikesOptions): SortedSpikesDecoder {
  const recording = validateRecording(options.position, options.spikes);
  const grid = gridFromPosition(recording.position.values, recording.dimensions, {
    binSize: options.binSize,
  });
  const encoding = encodeSortedSpikes({
    ...recording,
    grid,
    positionStd: options.positionStd ?? DEFAULT_POSITION_STD,
    ...(options.train && { train: options.train }),
    ...(options.minSpeed !== undefined && { minSpeed: options.minSpeed }),
  });
  return new SortedSpikesDecoder(recording, grid, encoding, options.states);
}

/** A decoder ready to plan. Made by {@link sortedSpikes}. */
export class SortedSpikesDecoder {
  readonly grid: Grid;
  readonly encoding: Encoding;
  readonly states: StateModel;
  readonly #recording: ReturnType<typeof validateRecording>;

  constructor(
    recording: ReturnType<typeof validateRecording>,
    grid: Grid,
    encoding: Encoding,
    states: StateModel,
  ) {
    this.#recording = recording;
    this.grid = grid;
    this.encoding = encoding;
    this.states = states;
  }

  /**
   * Plans filter and smoother over a time grid. Nothing is read, allocated or written yet.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} If the time grid, `chunkRows`, `tileRows` or `slots` make no sense.
   */
  smooth(gpu: Gpu, options: DecodeOptions): Plan<DecodeResult> {
    const oneBin = this.states.names.find((_, state) => this.states.oneBin?.[state]);
    if (oneBin !== undefined) {
      throw new RangeError(
        `Cannot plan a decode: state "${oneBin}" has one bin, wanted states over the grid: sorted ` +
          "spikes say how likely they are in a position",
      );
    }
    const { times } = this.#recording.position;
    const time = timeGrid({
      start: options.time?.start ?? times[0]!,
      stop: options.time?.stop ?? times[times.length - 1]!,
      step: options.time?.step ?? DEFAULT_STEP,
    });
    const rates = rateTable(this.encoding, time.step);
    const spikes = binSpikes(this.#recording.spikes, time);
    const lanes = cutLanes(time.rows, time.step, options, {
      software: gpu.adapter.software,
      chunkRows: options.chunkRows,
    });
    let refusal: BudgetError | undefined;
    for (const operator of this.#operators(lanes, options.operator)) {
      const recursion = this.#recursion(gpu, operator.kind);
      const job = new DecodeJob(gpu, this.grid, this.states, {
        rates,
        spikes,
        time,
        lanes,
        recursion,
        operator,
      }, options);
      try {
        return new Plan(gpu, job, options);
      } catch (error) {
        if (!(error instanceof BudgetError)) throw error;
        // a smaller table may fit
        const { smallestBudgetBytes = Infinity } = refusal ?? {};
        if (error.smallestBudgetBytes < smallestBudgetBytes) refusal = error;
      }
    }
    throw refusal;
  }

  /** Ways to apply the transition, the best first. */
  #operators(lanes: LaneCuts, wanted: DecodeOptions["operator"] = "auto"): Operator[] {
    if (!OPERATOR_KINDS.includes(wanted)) {
      throw new RangeError(
        `Cannot plan a decode: operator is "${wanted}", wanted one of ${OPERATOR_KINDS.join(", ")}`,
      );
    }
    if (wanted !== "auto") return [{ kind: wanted, reason: `${wanted}, as was asked for` }];
    const { reason, costs } = chooseOperator(this.grid, this.states, {
      lanes: lanes.count,
      positions: this.#recording.position.values,
    });
    return costs.map(({ kind }, i) => ({
      kind,
      reason: i === 0 ? reason : `${kind}, since others do not fit the budget`,
    }));
  }

  #recursion(gpu: Gpu, kind: OperatorKind): Recursion {
    if (kind === "convolution") return convolutionRecursion(this.grid, this.states);
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
    return matrixRecursion(this.grid, this.states, kind, {
      bindingBytes: Math.min(maxStorageBufferBindingSize, maxBufferSize),
      positions: this.#recording.position.values,
    });
  }
}
