/** Twin of `multiply_dense` and `sum_blocks` together, plain sums in f64. */

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
  const product = new Float64Array(lanes * kept);
  for (let lane = 0; lane < lanes; lane++) {
    for (let i = 0; i < summed; i++) {
      const weight = vectors[lane * summed + i]!;
      for (let j = 0; j < kept; j++) {
        const entry = transposed ? values[j * columns + i]! : values[i * columns + j]!;
        product[lane * kept + j]! += weight * entry;
      }
    }
  }
  return product;
}

/**
 * What uniform blocks add: `weights[a, b]` times the sum of a lane over state a, on each bin of b.
 *
 * @param starts [states + 1] first bin of each state, and the number of bins.
 */
export function spread(
  vectors: ArrayLike<number>,
  starts: readonly number[],
  weights: readonly (readonly number[])[],
): Float64Array {
  const bins = starts.at(-1)!;
  const product = new Float64Array(vectors.length);
  for (let lane = 0; lane < vectors.length / bins; lane++) {
    weights.forEach((row, from) => {
      let sum = 0;
      for (let bin = starts[from]!; bin < starts[from + 1]!; bin++) {
        sum += vectors[lane * bins + bin]!;
      }
      row.forEach((weight, to) => {
        for (let bin = starts[to]!; bin < starts[to + 1]!; bin++) {
          product[lane * bins + bin]! += weight * sum;
        }
      });
    });
  }
  return product;
}
