/** f64 twin of `project_rows`: products of every row with every vector, `[rows, vectors]`. */
export function projectRows(
  rows: ArrayLike<number>,
  vectors: ArrayLike<number>,
  features: number,
): Float64Array {
  const [count, across] = [rows.length / features, vectors.length / features];
  const products = new Float64Array(count * across);
  for (let row = 0; row < count; row++) {
    for (let vector = 0; vector < across; vector++) {
      for (let d = 0; d < features; d++) {
        products[row * across + vector]! += rows[row * features + d]! *
          vectors[vector * features + d]!;
      }
    }
  }
  return products;
}
