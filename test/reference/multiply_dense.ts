/** Twin of `multiply_dense` and `sum_blocks`: vectors and products as natural logarithms, in f64. */

import { logSum, logSumsOfStates } from "./logarithms.ts";

/** A dense matrix, row-major. */
export interface DenseMatrix {
  rows: number;
  columns: number;
  values: Float64Array | Float32Array;
}

/** `product[lane, j] = sum_i vectors[lane, i] T[i, j]`, or with T transposed. */
export function multiplyDense(
  { rows, columns, values }: DenseMatrix,
  vectors: ArrayLike<number>,
  transposed: boolean,
): Float64Array {
  const [summed, kept] = transposed ? [columns, rows] : [rows, columns];
  const lanes = vectors.length / summed;
  const entries = Float64Array.from(values, Math.log);
  const product = new Float64Array(lanes * kept);
  const terms = new Float64Array(summed);
  for (let lane = 0; lane < lanes; lane++) {
    for (let j = 0; j < kept; j++) {
      for (let i = 0; i < summed; i++) {
        const entry = transposed ? entries[j * columns + i]! : entries[i * columns + j]!;
        terms[i] = entry + vectors[lane * summed + i]!;
      }
      product[lane * kept + j] = logSum(terms);
    }
  }
  return product;
}

/**
 * What uniform blocks make of vectors: `weights[a, b]` times the sum of a lane over state a, on each bin
 * of b.
 *
 * @param starts [states + 1] first bin of each state, and the number of bins.
 */
export function spread(
  vectors: Float64Array,
  starts: readonly number[],
  weights: readonly (readonly number[])[],
): Float64Array {
  const bins = starts.at(-1)!;
  const product = new Float64Array(vectors.length);
  for (let lane = 0; lane < vectors.length / bins; lane++) {
    const sums = logSumsOfStates(vectors.subarray(lane * bins, (lane + 1) * bins), starts);
    for (let to = 0; to < weights.length; to++) {
      const value = logSum(weights.map((row, from) => Math.log(row[to]!) + sums[from]!));
      product.fill(value, lane * bins + starts[to]!, lane * bins + starts[to + 1]!);
    }
  }
  return product;
}

/** Logarithms of sums of two, element by element. */
export function logAdd(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => logSum([value, b[i]!]));
}
