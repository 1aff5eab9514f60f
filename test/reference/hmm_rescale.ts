/** Twin of `hmm_rescale`: a row of the backward smoother of one lane, in f64. */

const SUM_FLOOR = 1e-15;

/** @param back What came back through the transition; `undefined` for the recording's last row. */
export function hmmRescale(
  filtered: ArrayLike<number>,
  back: ArrayLike<number> | undefined,
): Float64Array {
  const weights = Float64Array.from(filtered, (value, bin) => value * (back ? back[bin]! : 1));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / (sum + SUM_FLOOR));
}
