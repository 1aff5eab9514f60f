/**
 * Decodes rows whose log-likelihoods are the caller's own: any hidden Markov model, out of core.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Plan } from "../stream/plan.ts";
import type {
  LogLikelihoodDecodeOptions,
  LogLikelihoodOptions,
  LogLikelihoodViterbiOptions,
} from "./decode_options.ts";
import {
  logLikelihoodDecodeOptions,
  logLikelihoodOptions,
  logLikelihoodViterbiOptions,
} from "./decode_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import type { Grid } from "./grid.ts";
import { gridFromEdges } from "./grid.ts";
import { cutLanes } from "./lane_cuts.ts";
import { logLikelihoodObservation, LogLikelihoodRows } from "./observation/log_likelihoods.ts";
import { planPath, planSmooth } from "./plan_decode.ts";
import { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import { SUM_TOLERANCE, walkWarnings } from "./states.ts";
import type { TimeGrid } from "./time_grid.ts";
import { DEFAULT_RATE, missingRows, rowSeconds, timeGrid } from "./time_grid.ts";
import type { ViterbiResult } from "./viterbi_task.ts";

/**
 * Builds a decoder for log-likelihoods that were computed elsewhere. Nothing is read yet.
 *
 * @example A plain hidden Markov model over `bins` states
 * ```ts
 * const states = decoder.stateModel({
 *   names: ["all"],
 *   initial: [1],
 *   discreteTransition: [[1]],
 *   transitions: [[{ kind: "matrix", values: transitionMatrix }]],
 * });
 * const logLikelihoods = await openArray("log_likelihoods.npy");
 * const model = decoder.logLikelihoods({ logLikelihoods, states, initialProbs });
 * ```
 *
 * @throws {TypeError | RangeError} If shapes of log-likelihoods, states, grid and initial probabilities do not
 * go together; the message has both.
 */
export function logLikelihoods(given: LogLikelihoodOptions): LogLikelihoodDecoder {
  const options = logLikelihoodOptions.check(given);
  const rows = new LogLikelihoodRows(options.logLikelihoods);
  const { states } = options;
  const grid = gridFromEdges(options.grid ?? lineOf(states, rows.columns));
  return new LogLikelihoodDecoder(rows, grid, states, options.initialProbs);
}

function lineOf({ names, oneBin }: StateModel, columns: number) {
  const bins = names.every((_, state) => oneBin?.[state]) ? 1 : columns;
  return { edges: [Float64Array.from({ length: bins + 1 }, (_, edge) => edge)] };
}

/** A decoder ready to plan. Made by {@link logLikelihoods}. */
export class LogLikelihoodDecoder {
  readonly grid: Grid;
  readonly states: StateModel;
  /** What is odd about the model: sentences for people. */
  readonly warnings: readonly string[];
  readonly #rows: LogLikelihoodRows;
  readonly #bins: StateBins;
  /** Whether every state has columns of its own. */
  readonly #perState: boolean;
  readonly #initialProbs: Float64Array | undefined;

  constructor(
    rows: LogLikelihoodRows,
    grid: Grid,
    states: StateModel,
    initialProbs: ArrayLike<number> | undefined,
  ) {
    this.#rows = rows;
    this.grid = grid;
    this.states = states;
    this.warnings = walkWarnings(grid.binSize, states);
    this.#bins = new StateBins(grid, states);
    const { count, areOnGrid } = this.#bins;
    const shared = grid.interiorIndex.length;
    this.#perState = rows.columns === count;
    if (!this.#perState && !(areOnGrid && rows.columns === shared)) {
      throw new RangeError(
        `Cannot make a decoder: there are log-likelihoods of ${rows.columns} bins, wanted ${count}, one ` +
          `for each bin of every state${
            areOnGrid && shared !== count ? `, or ${shared}, which all states share` : ""
          }`,
      );
    }
    this.#initialProbs = initialProbs && checkInitial(initialProbs, count);
  }

  /**
   * Plans filter and smoother. Nothing is read, allocated or written yet.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} If times, `chunkRows`, `tileRows` or `slots` make no sense.
   */
  smooth(gpu: Gpu, given: LogLikelihoodDecodeOptions): Plan<DecodeResult> {
    const options = logLikelihoodDecodeOptions.check(given);
    const time = this.#timeGrid(options);
    const missing = missingRows(time, options.missing, options.isMissing);
    const lanes = cutLanes(time.rows, rowSeconds(time), options, {
      software: gpu.adapter.software,
      chunkRows: options.chunkRows,
    });
    const perState = this.#perState;
    return planSmooth(gpu, {
      grid: this.grid,
      model: this.states,
      time,
      lanes,
      // states of one bin have theirs anyway
      ...(perState && { likelihoodOf: kindsOf(this.#bins) }),
      initialProbs: this.#initialProbs,
      observationOf: (recursion) =>
        logLikelihoodObservation(this.#rows, {
          ...{ lanes, recursion, perState, missing },
          starts: this.#bins.starts,
        }),
      droppedSpikes: 0,
      missing,
      warnings: this.warnings,
    }, options);
  }

  /**
   * Plans the search for the likeliest path of all rows together, exactly: scores are whole numbers of
   * 2^-32 nat. Of paths that are as likely the one whose first bin is lowest wins, then its second, and so on.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} If times make no sense, or the transition has more entries than a binding holds.
   */
  viterbi(gpu: Gpu, given: LogLikelihoodViterbiOptions = {}): Plan<ViterbiResult> {
    const options = logLikelihoodViterbiOptions.check(given);
    const time = this.#timeGrid(options);
    return planPath(gpu, {
      grid: this.grid,
      model: this.states,
      time,
      rows: this.#rows,
      perState: this.#perState,
      missing: missingRows(time, options.missing, options.isMissing),
      initialProbs: this.#initialProbs,
      warnings: this.warnings,
    }, options);
  }

  #timeGrid({ time = {} }: Pick<LogLikelihoodDecodeOptions, "time">): TimeGrid {
    const { rows } = this.#rows;
    const { start = 0, rate = DEFAULT_RATE, step } = time;
    const stop = start + rows * (step ?? 1 / rate);
    // one more or less where rounding has it
    return { ...timeGrid({ ...time, start, stop, ...(step === undefined && { rate }) }), rows };
  }
}

/** A kind of likelihood for every state that is on the grid. */
function kindsOf(bins: StateBins): number[] {
  let kinds = 0;
  return bins.names.map((_, state) => bins.isOneBin(state) ? 0 : kinds++);
}

function checkInitial(initialProbs: ArrayLike<number>, count: number): Float64Array {
  const refuse = (is: string, wanted: string) => {
    throw new RangeError(`Cannot make a decoder: ${is}, wanted ${wanted}`);
  };
  if (initialProbs.length !== count) {
    refuse(`initialProbs has ${initialProbs.length} values`, `one for each of ${count} state bins`);
  }
  const probabilities = Float64Array.from(initialProbs);
  const wrong = probabilities.findIndex((value) => !(value >= 0 && value <= 1));
  if (wrong >= 0) {
    refuse(`initialProbs[${wrong}] is ${probabilities[wrong]}`, "probabilities from 0 to 1");
  }
  const sum = probabilities.reduce((total, value) => total + value, 0);
  if (!(Math.abs(sum - 1) <= SUM_TOLERANCE)) refuse(`initialProbs sums to ${sum}`, "1");
  return probabilities;
}
