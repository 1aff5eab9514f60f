/**
 * Decodes position from spikes with a hidden Markov model, out of core.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Plan } from "../stream/plan.ts";
import type { SortedSpikesOptions, ViterbiOptions } from "./decode_options.ts";
import { sortedSpikesOptions, viterbiOptions } from "./decode_options.ts";
import { gridFromPosition } from "./grid.ts";
import { poissonObservation, poissonRows } from "./observation/poisson.ts";
import { planPath } from "./plan_decode.ts";
import { validateRecording } from "./recording.ts";
import type { RowSpikes } from "./recording_decoder.ts";
import { RecordingDecoder } from "./recording_decoder.ts";
import type { Encoding } from "./sorted_spikes.ts";
import { encodeSortedSpikes, rateTable } from "./sorted_spikes.ts";
import { continuous } from "./states.ts";
import type { TimeGrid } from "./time_grid.ts";
import type { ViterbiResult } from "./viterbi_task.ts";
import { binSpikes, rowSeconds } from "./time_grid.ts";

export type {
  ClusterlessOptions,
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
export { clusterless, ClusterlessDecoder } from "./clusterless_decoder.ts";
export type { MarkInput } from "./recording.ts";
export type { PositionInput, SpikeInput } from "./recording.ts";
export { fromUint16, toUint16 } from "../math/quantize.ts";
export type { ContinuousTransition, StateModel } from "./states.ts";
export { contFrag, continuous, stateModel } from "./states.ts";
export type { ViterbiResult } from "./viterbi_task.ts";
export { simulateSession } from "./simulate.ts";

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

/** A decoder of sorted spikes, ready to plan. Made by {@link sortedSpikes}. */
export class SortedSpikesDecoder extends RecordingDecoder<Encoding> {
  protected spikesOf(time: TimeGrid, missing: Uint8Array | undefined): RowSpikes {
    const rates = rateTable(this.encoding, rowSeconds(time));
    const spikes = binSpikes(this.recording.spikes, time, missing);
    const bins = this.grid.interiorIndex.length;
    return {
      dropped: spikes.dropped,
      observationOf: (lanes, recursion) =>
        poissonObservation(rates, { spikes, time, lanes, recursion, bins }),
    };
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
    this.refuseOneBin();
    const time = this.timeGrid(options);
    const missing = this.missing(time, options);
    const spikes = binSpikes(this.recording.spikes, time, missing);
    const bins = this.grid.interiorIndex.length;
    return planPath(gpu, {
      grid: this.grid,
      model: this.states,
      time,
      rows: poissonRows(rateTable(this.encoding, rowSeconds(time)), spikes, bins),
      perState: false,
      missing,
      warnings: this.warnings,
      positions: this.recording.position.values,
    }, options);
  }
}
