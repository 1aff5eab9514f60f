/** Twin of `hmm_weigh`: a row of the forward filter of one lane, in f64. */

const SUM_FLOOR = 1e-15;

/** @param starts [states + 1] first bin of each state, and the number of bins. */
export function hmmWeigh(
  predicted: ArrayLike<number>,
  likelihood: ArrayLike<number>,
  starts: readonly number[],
): { filtered: Float64Array; norm: number; stateSums: Float64Array } {
  const weights = Float64Array.from(predicted, (p, bin) => p * likelihood[bin]!);
  const norm = weights.reduce((sum, weight) => sum + weight, 0);
  const filtered = weights.map((weight) => weight / (norm + SUM_FLOOR));
  return { filtered, norm, stateSums: sumsOfStates(filtered, starts) };
}

/** Sum over the bins of each state. */
export function sumsOfStates(values: Float64Array, starts: readonly number[]): Float64Array {
  return Float64Array.from(
    starts.slice(1),
    (end, state) => values.subarray(starts[state]!, end).reduce((sum, value) => sum + value, 0),
  );
}
