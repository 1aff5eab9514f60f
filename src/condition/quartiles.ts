/**
 * Quartile bins: every dimension is cut at its quartiles, 4^dims bins in all.
 *
 * @module
 */

import { quantiles } from "../math/quantiles.ts";

const BINS = 4;
/** 4^16 bins are more than ids of 32 bits tell apart. */
export const MOST_QUARTILE_DIMS = 15;

/**
 * The 25th, 50th and 75th percentile of each dimension, exactly, as `numpy.percentile` has them. Holds one
 * dimension at a time beside the scores.
 *
 * @param scores `[rows, dims]`.
 * @returns `[dims, 3]` f64.
 * @throws {RangeError} If there are no rows, or more than 15 dimensions.
 */
export function quartileEdges(scores: Float32Array, dims: number): Float64Array {
  const rows = scores.length / dims;
  if (!(Number.isInteger(rows) && rows >= 1 && dims <= MOST_QUARTILE_DIMS)) {
    throw new RangeError(
      `Cannot take quartiles: got ${scores.length} scores in ${dims} dimensions, wanted whole rows ` +
        `of at most ${MOST_QUARTILE_DIMS}`,
    );
  }
  const edges = new Float64Array(dims * (BINS - 1));
  const column = new Float32Array(rows);
  for (let d = 0; d < dims; d++) {
    for (let row = 0; row < rows; row++) column[row] = scores[row * dims + d]!;
    column.sort();
    edges.set(quantiles(column, [0.25, 0.5, 0.75]), d * (BINS - 1));
  }
  return edges;
}

/**
 * The bin of every row, the sum of bin(d) 4^d over dimensions; a score that equals an edge lies above it.
 *
 * @param scores `[rows, dims]`.
 * @param edges `[dims, 3]`, as {@link quartileEdges} gives them.
 * @returns `[rows]` i32.
 */
export function quartileIds(scores: Float32Array, edges: Float64Array): Int32Array {
  const dims = edges.length / (BINS - 1);
  const ids = new Int32Array(scores.length / dims);
  for (let row = 0; row < ids.length; row++) {
    let id = 0;
    for (let d = dims - 1; d >= 0; d--) {
      const score = scores[row * dims + d]!;
      const at = d * (BINS - 1);
      const bin = score < edges[at + 1]!
        ? (score < edges[at]! ? 0 : 1)
        : (score < edges[at + 2]! ? 2 : 3);
      id = BINS * id + bin;
    }
    ids[row] = id;
  }
  return ids;
}
