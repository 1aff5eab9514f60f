/** Sums of numbers that are known by their natural logarithms, -Infinity for 0, in f64. */

/** Logarithm of the sum. */
export function logSum(logs: Iterable<number>): number {
  const terms = Float64Array.from(logs);
  const largest = terms.reduce((most, log) => Math.max(most, log), -Infinity);
  if (largest === -Infinity) return -Infinity;
  return largest + Math.log(terms.reduce((sum, log) => sum + Math.exp(log - largest), 0));
}

/**
 * The same over the bins of each discrete state.
 *
 * @param starts [states + 1] first bin of each state, and the number of bins.
 */
export function logSumsOfStates(logs: Float64Array, starts: readonly number[]): Float64Array {
  return Float64Array.from(
    starts.slice(1),
    (end, state) => logSum(logs.subarray(starts[state]!, end)),
  );
}
