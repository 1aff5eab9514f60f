/**
 * How far to go along a way: until its slope is neither steep nor turned far.
 *
 * @module
 */

/** Shares of the slope at the beginning of a step between which its end may have one. */
const [LEAST_SLOPE, MOST_SLOPE] = [0.7, 0.5] as const;
/** Doublings of a step that is too short, and halvings of the interval in which its bottom lies. */
const [DOUBLINGS, HALVINGS] = [6, 40] as const;

/** Whether a step from a slope `begin`, which is negative, to a slope `end` is as good as a search would find. */
export function isLongEnough(begin: number, end: number): boolean {
  return end <= -MOST_SLOPE * begin && end >= LEAST_SLOPE * begin;
}

/** The share of a way at which it is lowest, beyond its end as well; slopes rise along it. */
export function lowestShare(slopeAt: (share: number) => number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < DOUBLINGS && slopeAt(high) < 0; i++) [low, high] = [high, 2 * high];
  for (let i = 0; i < HALVINGS && high - low > 1e-4 * high; i++) {
    const middle = (low + high) / 2;
    if (slopeAt(middle) < 0) low = middle;
    else high = middle;
  }
  return low;
}
