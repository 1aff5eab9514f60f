/**
 * f64 twin of `hmm_filter`: the forward filter of a hidden Markov model.
 */

import type { Transition } from "./transition.ts";

/** Keeps a division by an impossible row finite, as the original does. */
export const SUM_FLOOR = 1e-15;

export interface FilterResult {
  /** [rows, states] p(state | everything up to and including the row). */
  filtered: Float64Array;
  /** [rows + 1, states] p(state | everything before the row); the last is one past the end. */
  predicted: Float64Array;
  /** [rows] sum of predicted x likelihood, and the row's largest log-likelihood. */
  normalisers: Float64Array;
  maxima: Float64Array;
  /** Natural logarithm. */
  marginalLogLikelihood: number;
}

/**
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
  const filtered = new Float64Array(rows * states);
  const predicted = new Float64Array((rows + 1) * states);
  const normalisers = new Float64Array(rows);
  const maxima = new Float64Array(rows);
  let marginalLogLikelihood = 0;
  let prediction = initial;
  for (let row = 0; row < rows; row++) {
    predicted.set(prediction, row * states);
    const own = logLikelihoods.subarray(row * states, (row + 1) * states);
    let highest = own.reduce((most, value) => Math.max(most, value), -Infinity);
    if (!Number.isFinite(highest)) highest = 0;
    const weights = prediction.map((p, state) => p * Math.exp(own[state]! - highest));
    const norm = weights.reduce((sum, weight) => sum + weight, 0);
    const posterior = weights.map((weight) => weight / (norm + SUM_FLOOR));
    filtered.set(posterior, row * states);
    normalisers[row] = norm;
    maxima[row] = highest;
    marginalLogLikelihood += Math.log(norm) + highest;
    prediction = transition.apply(posterior);
  }
  predicted.set(prediction, rows * states);
  return { filtered, predicted, normalisers, maxima, marginalLogLikelihood };
}
