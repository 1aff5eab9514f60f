/**
 * f64 twin of `hmm_filter`: the forward filter of a hidden Markov model, in natural logarithms.
 */

import type { Transition } from "./transition.ts";
import { applyLog } from "./transition.ts";

export interface FilterResult {
  /** [rows, states] p(state | everything up to and including the row). */
  filtered: Float64Array;
  /** [rows + 1, states] p(state | everything before the row); the last is one past the end. */
  predicted: Float64Array;
  /** Natural logarithms of both. */
  logFiltered: Float64Array;
  logPredicted: Float64Array;
  /** [rows] log p(row | rows before it), natural; -Infinity for an impossible row. */
  logNormalisers: Float64Array;
  marginalLogLikelihood: number;
}

/**
 * An impossible row, in which no bin that can be reached has a likelihood, keeps the prediction.
 *
 * @param initial [states]
 * @param logLikelihoods [rows, states], natural logarithm.
 */
export function hmmFilter(
  { initial, transition, logLikelihoods }: {
    initial: Float64Array;
    transition: Transition;
    logLikelihoods: Float64Array;
  },
): FilterResult {
  const states = transition.size;
  const rows = logLikelihoods.length / states;
  const logFiltered = new Float64Array(rows * states);
  const logPredicted = new Float64Array((rows + 1) * states);
  const logNormalisers = new Float64Array(rows);
  let prediction: Float64Array = initial.map(Math.log);
  for (let row = 0; row < rows; row++) {
    logPredicted.set(prediction, row * states);
    const joint = prediction.map((log, state) => log + logLikelihoods[row * states + state]!);
    const evidence = logSum(joint);
    logNormalisers[row] = evidence;
    const posterior = evidence === -Infinity ? prediction : joint.map((log) => log - evidence);
    logFiltered.set(posterior, row * states);
    prediction = applyLog(transition.apply, posterior);
  }
  logPredicted.set(prediction, rows * states);
  return {
    filtered: logFiltered.map(Math.exp),
    predicted: logPredicted.map(Math.exp),
    logFiltered,
    logPredicted,
    logNormalisers,
    marginalLogLikelihood: logNormalisers.reduce((sum, log) => sum + log, 0),
  };
}

/** Logarithm of the sum of what logarithms are given of. */
export function logSum(logs: Float64Array): number {
  const highest = logs.reduce((most, log) => Math.max(most, log), -Infinity);
  if (highest === -Infinity) return -Infinity;
  return highest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - highest), 0));
}
