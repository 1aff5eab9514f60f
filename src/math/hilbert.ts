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

/** Below 2^-128 wide numbers have 18 bits: quotients that rounding moved count less this, to base 2. */
const DEEP_LOG2 = -128;
const DEEP_ROUNDING = 2 ** -14;

/**
 * Distance between two vectors of wide numbers of the same length, natural logarithm, from 0 to infinity:
 * the latter where one has mass and the other has none, and where neither has any. However small a mass is,
 * later rows may reveal it. Below 2^-128, where numbers have 18 bits, quotients count less 4e-5 for rounding.
 */
export function hilbertDistance(a: Uint32Array, b: Uint32Array): number {
  let largest = -Infinity;
  let smallest = Infinity;
  for (let i = 0; i < a.length; i++) {
    if (a[i] === 0 && b[i] === 0) continue;
    // what is the same has the same logarithm
    const one = wideLog2(a[i]!);
    const other = a[i] === b[i] ? one : wideLog2(b[i]!);
    const quotient = one - other;
    const rounding = Math.min(one, other) < DEEP_LOG2 ? DEEP_ROUNDING : 0;
    largest = Math.max(largest, quotient - rounding);
    smallest = Math.min(smallest, quotient + rounding);
  }
  return largest === -Infinity ? Infinity : Math.max(0, largest - smallest) * Math.LN2;
}
