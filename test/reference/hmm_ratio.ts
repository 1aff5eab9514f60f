/** Twin of `hmm_ratio`: what the transition is applied to on the way back, in f64. */

const SMALLEST_NORMAL = 2 ** -126;

export function hmmRatio(
  smoothed: ArrayLike<number>,
  predicted: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(
    predicted,
    (below, bin) => below < SMALLEST_NORMAL ? 0 : smoothed[bin]! / below,
  );
}
