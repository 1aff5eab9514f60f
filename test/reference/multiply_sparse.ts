/** Twin of `multiply_sparse` without what is spread: vectors and products as natural logarithms, in f64. */

import { logSum } from "./logarithms.ts";

/** Entries of each row of a matrix, in any order. */
export interface SparseMatrix {
  rows: readonly { bins: ArrayLike<number>; values: ArrayLike<number> }[];
  columns: number;
}

/** `product[lane, j] = sum_i vectors[lane, i] T[i, j]`, or with T transposed. */
export function multiplySparse(
  { rows, columns }: SparseMatrix,
  vectors: ArrayLike<number>,
  transposed: boolean,
): Float64Array {
  const [summed, kept] = transposed ? [columns, rows.length] : [rows.length, columns];
  const lanes = vectors.length / summed;
  const terms: number[][] = Array.from({ length: lanes * kept }, () => []);
  for (let lane = 0; lane < lanes; lane++) {
    rows.forEach(({ bins, values }, row) => {
      for (let entry = 0; entry < bins.length; entry++) {
        const [from, to] = transposed ? [bins[entry]!, row] : [row, bins[entry]!];
        terms[lane * kept + to]!.push(Math.log(values[entry]!) + vectors[lane * summed + from]!);
      }
    });
  }
  return Float64Array.from(terms, logSum);
}
