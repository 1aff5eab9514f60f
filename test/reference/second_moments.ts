/** f64 twin of `second_moments`: sum of x x^T over rows, `[features, features]`. */
export function secondMoments(rows: ArrayLike<number>, features: number): Float64Array {
  const moments = new Float64Array(features * features);
  for (let at = 0; at < rows.length; at += features) {
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < features; j++) {
        moments[i * features + j]! += rows[at + i]! * rows[at + j]!;
      }
    }
  }
  return moments;
}
