/** Twin of `sample_paths`: f64, bins in order, the same random numbers. */

import { philox } from "../../src/math/random.ts";

/** The number from 0 to 1 by which a row of a sample is drawn. */
export function drawOf(row: number, sample: number, seed: number): number {
  const [word] = philox([row, sample, 0, 0], [seed, 211]);
  return (word >>> 8) * 2 ** -24;
}

/**
 * How far the share of each bin, in order, reaches.
 *
 * @param matrix [bins, bins]; `next` is the bin of the row after, where there is one.
 */
export function sharesOf(
  filtered: ArrayLike<number>,
  matrix: readonly (readonly number[])[],
  next: number | undefined,
): number[] {
  const weights = Array.from(
    filtered,
    (value, bin) => value * (next === undefined ? 1 : matrix[bin]![next]!),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  return weights.map((weight) => (reached += weight) / total);
}
