/**
 * Decodes rows whose log-likelihoods are the caller's own: any hidden Markov model, out of core.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Plan } from "../stream/plan.ts";
import type {
  LogLikelihoodDecodeOptions,
  LogLikelihoodSampleOptions,
  LogLikelihoodViterbiOptions,
} from "./log_likelihood_options.ts";
import type { LogLikelihoodEmOptions } from "./log_likelihood_options.ts";
import type { LogLikelihoodOptions } from "./decoder_options.ts";
import {
  logLikelihoodDecodeOptions,
  logLikelihoodSampleOptions,
  logLikelihoodViterbiOptions,
} from "./log_likelihood_options.ts";
import { logLikelihoodEmOptions } from "./log_likelihood_options.ts";
import { logLikelihoodOptions } from "./decoder_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import { EmPlan } from "./em.ts";
import type { Grid } from "./grid.ts";
import { gridFromEdges } from "./grid.ts";
import type { LaneOptions } from "./lane_cuts.ts";
import { cutLanes } from "./lane_cuts.ts";
import { logLikelihoodObservation, LogLikelihoodRows } from "./observation/log_likelihoods.ts";
import type { SmoothParts } from "./plan_decode.ts";
import { planPath, planSamples, planSmooth } from "./plan_decode.ts";
import { checkInitial, StateBins } from "./state_bins.ts";
import type { SampledPaths } from "./sample_task.ts";
import type { StateModel } from "./states.ts";
import { checkRowSeconds, refuseGroups, walkWarnings } from "./states.ts";
import type { TimeGrid } from "./time_grid.ts";
import { DEFAULT_RATE, givenGrid, missingRows, rowSeconds, timeGrid } from "./time_grid.ts";
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
  refuseGroups(states);
  const biased = states.localStd !== undefined
    ? "localStd"
    : (states.nonLocalPenalty ?? 0) > 0
    ? "nonLocalPenalty"
    : undefined;
  if (biased) {
    throw new RangeError(
      `Cannot make a decoder: states have ${biased}, and log-likelihoods are told for every bin, wanted them to ` +
        "hold it",
    );
  }
  const { grid: told } = options;
  // of another decoder, and made of what lies there
  const grid = told && "track" in told && told.track
    ? told as Grid
    : gridFromEdges(told ?? lineOf(states, rows.columns));
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
    this.warnings = walkWarnings(grid, states);
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
    return planSmooth(gpu, this.#smoothParts(gpu, options), options);
  }

  /**
   * Plans a search for the discrete transitions, and for the probabilities of the first row, that make the rows
   * likeliest, by EM, and a decode with them.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} As {@link smooth} does, or if a prior has another number of states than the model.
   */
  em(gpu: Gpu, given: LogLikelihoodEmOptions): EmPlan {
    const options = logLikelihoodEmOptions.check(given);
    return new EmPlan(gpu, this.#smoothParts(gpu, options), options);
  }

  /**
   * Plans paths that are drawn from the posterior of all rows together, one bin a row, out of core: what they have in
   * common is certain, and where they differ is not. The same seed gives the same paths on an adapter, whatever the
   * budget.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} As {@link smooth} does, or if the transition has more entries than a binding holds.
   */
  samples(gpu: Gpu, given: LogLikelihoodSampleOptions = {}): Plan<SampledPaths> {
    const options = logLikelihoodSampleOptions.check(given);
    return planSamples(gpu, this.#smoothParts(gpu, { ...options, lanes: 1 }), options);
  }

  #smoothParts(
    gpu: Gpu,
    options:
      & Pick<
        LogLikelihoodDecodeOptions,
        "time" | "timeEdges" | "missing" | "isMissing" | "chunkRows"
      >
      & LaneOptions,
  ): SmoothParts {
    const time = this.#timeGrid(options);
    const missing = missingRows(time, options.missing ?? [], options.isMissing);
    const lanes = cutLanes(time.rows, rowSeconds(time), options, {
      software: gpu.adapter.software,
      chunkRows: options.chunkRows,
    });
    const perState = this.#perState;
    return {
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
    };
  }

  /**
   * Plans the search for the likeliest path of all rows together, exactly: scores are whole numbers of
   * 2^-32 nat. Of paths that are as likely the one whose first bin is lowest wins, then its second, and so on.
   *
   * @throws {BudgetError} If no tile fits the budget.
   * @throws {RangeError} If times make no sense, or a bin leads to more others than a binding holds.
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

  #timeGrid(
    { time, timeEdges }: Pick<LogLikelihoodDecodeOptions, "time" | "timeEdges">,
  ): TimeGrid {
    const { rows } = this.#rows;
    if (timeEdges && timeEdges.length !== rows + 1) {
      throw new RangeError(
        `Cannot plan a decode: timeEdges has ${timeEdges.length} entries, wanted ${
          rows + 1
        }, one more than rows`,
      );
    }
    const grid = timeEdges ? givenGrid(timeEdges, time) : evenGrid(rows, time);
    checkRowSeconds(this.states, rowSeconds(grid));
    return grid;
  }
}

function evenGrid(rows: number, time: LogLikelihoodDecodeOptions["time"] = {}): TimeGrid {
  const { start = 0, rate = DEFAULT_RATE, step } = time;
  const stop = start + rows * (step ?? 1 / rate);
  // one more or less where rounding has it
  return { ...timeGrid({ ...time, start, stop, ...(step === undefined && { rate }) }), rows };
}

/** A kind of likelihood for every state that is on the grid. */
function kindsOf(bins: StateBins): number[] {
  let kinds = 0;
  return bins.names.map((_, state) => bins.isOneBin(state) ? 0 : kinds++);
}
