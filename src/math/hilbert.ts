/**
 * Hilbert's projective distance between two vectors of probabilities: log of the largest quotient of
 * their elements, over the smallest.
 *
 * It does not see how vectors are scaled, and a positive linear map never makes it grow (Birkhoff 1957).
 * A filter is such a map from row to row, and so is a smoother: states this far apart stay this near, and
 * no probability differs by a factor of more than e to it. L1 has no such promise.
 *
 * @module
 */

/** Below this mass nothing is compared: it is far from any probability that matters. */
const LEAST_MASS = 1e-30;

/**
 * Distance between two vectors of the same length, natural logarithm, from 0 to infinity: the latter
 * where one has mass and the other has none.
 */
export function hilbertDistance(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  let smallest = Infinity;
  for (let i = 0; i < a.length; i++) {
    const [one, other] = [a[i]!, b[i]!];
    if (one <= LEAST_MASS && other <= LEAST_MASS) continue;
    if (!(one > 0 && other > 0)) return Infinity;
    const quotient = one / other;
    if (quotient > largest) largest = quotient;
    if (quotient < smallest) smallest = quotient;
  }
  if (largest === 0) return 0;
  return Math.log(largest / smallest);
}
