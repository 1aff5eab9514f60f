/** Twin of `hmm_weigh`: a row of the forward filter of one lane, natural logarithms in f64. */

import { logSum } from "./logarithms.ts";

/** What is predicted, given what the row shows, and the logarithm of the row's evidence. */
export function hmmWeigh(
  predicted: ArrayLike<number>,
  likelihood: ArrayLike<number>,
): { filtered: Float64Array; evidence: number } {
  const weights = Float64Array.from(predicted, (p, bin) => p + likelihood[bin]!);
  const evidence = logSum(weights);
  // nothing that was expected agrees with the row: what was expected remains
  if (evidence === -Infinity) return { filtered: Float64Array.from(predicted), evidence };
  return { filtered: weights.map((weight) => weight - evidence), evidence };
}
