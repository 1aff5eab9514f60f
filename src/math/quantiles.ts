/**
 * Quantiles.
 *
 * @module
 */

/**
 * Quantiles between neighbouring values, as `numpy.percentile` with its default, `linear`.
 *
 * @param sorted Ascending, at least one.
 * @param shares Each from 0 to 1.
 */
export function quantiles(sorted: ArrayLike<number>, shares: readonly number[]): Float64Array {
  const last = sorted.length - 1;
  return Float64Array.from(shares, (share) => {
    const at = last * share;
    const low = Math.floor(at);
    const [below, above] = [sorted[low]!, sorted[Math.min(last, low + 1)]!];
    const part = at - low;
    // from the nearer of both, as numpy does
    return part < 0.5 ? below + (above - below) * part : above - (above - below) * (1 - part);
  });
}
