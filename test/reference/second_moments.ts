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

/** f64 twin where rows are frames that follow each other: x y^T by lag, `[lags, features, features]`. */
export function laggedMoments(
  frames: ArrayLike<number>,
  features: number,
  starts: ArrayLike<number>,
  lags: number,
): Float64Array {
  const moments = new Float64Array(lags * features * features);
  for (let row = 0; row < starts.length; row++) {
    const at = starts[row]! * features;
    for (let lag = 0; lag < lags; lag++) {
      for (let i = 0; i < features; i++) {
        for (let j = 0; j < features; j++) {
          moments[(lag * features + i) * features + j]! += frames[at + i]! *
            frames[at + lag * features + j]!;
        }
      }
    }
  }
  return moments;
}
