/** f64 twin of `weighted_sums`: sums of rows by columns of weights `[columns, rows]`. */
export function weightedSums(
  rows: ArrayLike<number>,
  weights: ArrayLike<number>,
  features: number,
): Float64Array {
  const count = rows.length / features;
  const columns = weights.length / count;
  const sums = new Float64Array(columns * features);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < count; row++) {
      for (let d = 0; d < features; d++) {
        sums[column * features + d]! += weights[column * count + row]! * rows[row * features + d]!;
      }
    }
  }
  return sums;
}
