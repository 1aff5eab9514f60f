/** Principal components of rows by the definition, in f64. */
export interface PrincipalComponents {
  mean: Float64Array;
  /** All of them, descending, over rows - 1. */
  variances: Float64Array;
  /** `[features, features]`, a row each. */
  vectors: Float64Array;
  /** Rows less their mean, `[rows, features]`. */
  centered: Float64Array;
}

/**
 * The covariance in plain loops, of rows less the first one and then less the mean of that, and its eigenvectors by
 * cyclic Jacobi rotations: as many digits for what is faint as f64 has of the features.
 */
export function principalComponents(
  values: ArrayLike<number>,
  features: number,
): PrincipalComponents {
  const rows = values.length / features;
  const centered = Float64Array.from(values, (value, i) => value - values[i % features]!);
  const drift = new Float64Array(features);
  centered.forEach((value, i) => drift[i % features]! += value / rows);
  centered.forEach((_, i) => centered[i]! -= drift[i % features]!);
  const covariance = new Float64Array(features * features);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < features; j++) {
        covariance[i * features + j]! += centered[row * features + i]! *
          centered[row * features + j]! / (rows - 1);
      }
    }
  }
  const { values: found, vectors } = jacobi(covariance, features);
  return {
    mean: drift.map((value, d) => value + values[d]!),
    variances: found,
    vectors,
    centered,
  };
}

function jacobi(matrix: Float64Array, size: number) {
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1;
  for (let sweep = 0, turned = true; turned && sweep < 60; sweep++) {
    turned = false;
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        const [a, b, c] = [
          matrix[p * size + p]!,
          matrix[q * size + q]!,
          matrix[p * size + q]!,
        ];
        if (Math.abs(c) <= 1e-16 * Math.sqrt(Math.abs(a)) * Math.sqrt(Math.abs(b))) continue;
        turned = true;
        const theta = (b - a) / (2 * c);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(1, theta));
        const cosine = 1 / Math.hypot(1, t);
        const sine = t * cosine;
        for (let k = 0; k < size; k++) {
          const [x, y] = [matrix[k * size + p]!, matrix[k * size + q]!];
          matrix[k * size + p] = cosine * x - sine * y;
          matrix[k * size + q] = sine * x + cosine * y;
        }
        for (let k = 0; k < size; k++) {
          const [x, y] = [matrix[p * size + k]!, matrix[q * size + k]!];
          matrix[p * size + k] = cosine * x - sine * y;
          matrix[q * size + k] = sine * x + cosine * y;
          const [u, v] = [vectors[p * size + k]!, vectors[q * size + k]!];
          vectors[p * size + k] = cosine * u - sine * v;
          vectors[q * size + k] = sine * u + cosine * v;
        }
        matrix[p * size + q] = matrix[q * size + p] = 0;
      }
    }
  }
  const order = Array.from({ length: size }, (_, i) => i)
    .sort((i, j) => matrix[j * size + j]! - matrix[i * size + i]!);
  return {
    values: Float64Array.from(order, (i) => matrix[i * size + i]!),
    vectors: Float64Array.from(
      { length: size * size },
      (_, at) => vectors[order[Math.floor(at / size)]! * size + at % size]!,
    ),
  };
}
