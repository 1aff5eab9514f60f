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

import { wideLog2 } from "./wide.ts";

/** Below this mass nothing is compared: it is far from any probability that matters. */
const LEAST_LOG2 = -100;

/**
 * Distance between two vectors of wide numbers of the same length, natural logarithm, from 0 to infinity:
 * the latter where one has mass and the other has none, and where neither has any.
 */
export function hilbertDistance(a: Uint32Array, b: Uint32Array): number {
  let largest = -Infinity;
  let smallest = Infinity;
  for (let i = 0; i < a.length; i++) {
    // what is the same has the same logarithm
    const one = wideLog2(a[i]!);
    const other = a[i] === b[i] ? one : wideLog2(b[i]!);
    if (one < LEAST_LOG2 && other < LEAST_LOG2) continue;
    const quotient = one - other;
    if (quotient > largest) largest = quotient;
    if (quotient < smallest) smallest = quotient;
  }
  return largest === -Infinity ? Infinity : (largest - smallest) * Math.LN2;
}
