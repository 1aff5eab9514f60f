/** Twin of `hmm_ratio`: what the transition is applied to on the way back, natural logarithms in f64. */
export function hmmRatio(
  smoothed: ArrayLike<number>,
  predicted: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(
    predicted,
    (below, bin) => below === -Infinity ? -Infinity : smoothed[bin]! - below,
  );
}
