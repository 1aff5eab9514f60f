/** Twin of `multiply_sparse` without what is spread, plain sums in f64. */

/** Rows as lists of what they gather. */
export interface GatherList {
  indices: readonly number[];
  values: readonly number[];
}

/** `product[lane, row] = sum over the list of row: value * vectors[lane, index]`. */
export function multiplySparse(
  rows: readonly GatherList[],
  vectors: ArrayLike<number>,
  columns: number,
): Float64Array {
  const lanes = vectors.length / columns;
  const product = new Float64Array(lanes * rows.length);
  for (let lane = 0; lane < lanes; lane++) {
    rows.forEach(({ indices, values }, row) => {
      indices.forEach((index, entry) =>
        product[lane * rows.length + row]! += values[entry]! * vectors[lane * columns + index]!
      );
    });
  }
  return product;
}
