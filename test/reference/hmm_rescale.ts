/** Twin of `hmm_rescale`: a row of the backward smoother of one lane, natural logarithms in f64. */

import { logSum } from "./logarithms.ts";

/** @param back What came back through the transition; `undefined` for the row that a lane starts from. */
export function hmmRescale(
  filtered: ArrayLike<number>,
  back: ArrayLike<number> | undefined,
): Float64Array {
  if (!back) return Float64Array.from(filtered);
  const weights = Float64Array.from(filtered, (value, bin) => value + back[bin]!);
  const sum = logSum(weights);
  return sum === -Infinity ? Float64Array.from(filtered) : weights.map((weight) => weight - sum);
}
