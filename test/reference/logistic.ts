/**
 * f64 twin of logistic probes: damped Newton's method with all of the Hessian, by plain loops.
 *
 * @param rows `[rows, features]`, standardised.
 * @param penalty Factor of half the squared length of the weights.
 * @returns `[features + 1]`: weights, and the bias.
 */
export function logistic(
  rows: Float64Array,
  labels: ArrayLike<number>,
  penalty: number,
): Float64Array {
  const count = labels.length;
  const features = rows.length / count;
  const size = features + 1;
  const at = (row: number, d: number) => d === features ? 1 : rows[row * features + d]!;
  const logitsOf = (weights: Float64Array) =>
    Float64Array.from({ length: count }, (_, row) => {
      let sum = 0;
      for (let d = 0; d < size; d++) sum += weights[d]! * at(row, d);
      return sum;
    });
  const lossOf = (weights: Float64Array) => {
    let loss = 0;
    logitsOf(weights).forEach((z, row) => {
      loss += Math.max(z, 0) - z * labels[row]! + Math.log1p(Math.exp(-Math.abs(z)));
    });
    let squares = 0;
    for (let d = 0; d < features; d++) squares += weights[d]! ** 2;
    return loss / count + penalty / 2 * squares;
  };
  let weights = new Float64Array(size);
  for (let iteration = 0; iteration < 100; iteration++) {
    const gradient = new Float64Array(size);
    const hessian = new Float64Array(size * size);
    logitsOf(weights).forEach((z, row) => {
      const p = 1 / (1 + Math.exp(-z));
      for (let i = 0; i < size; i++) {
        gradient[i]! += (p - labels[row]!) * at(row, i) / count;
        const own = p * (1 - p) * at(row, i) / count;
        for (let j = 0; j <= i; j++) hessian[i * size + j]! += own * at(row, j);
      }
    });
    for (let d = 0; d < features; d++) {
      gradient[d]! += penalty * weights[d]!;
      hessian[d * size + d]! += penalty;
    }
    const step = solve(hessian, gradient, size);
    const slope = step.reduce((sum, value, i) => sum + value * gradient[i]!, 0);
    let share = 1;
    const tried = () => weights.map((value, i) => value - share * step[i]!);
    const before = lossOf(weights);
    while (slope > 1e-20 && share > 1e-10 && lossOf(tried()) > before - 1e-4 * share * slope) {
      share /= 2;
    }
    weights = tried();
    if (Math.max(...gradient.map(Math.abs)) < 1e-14) break;
  }
  return weights;
}

/** Solves a symmetric system, its lower half given, by Cholesky's factors. */
function solve(matrix: Float64Array, right: Float64Array, size: number): Float64Array {
  const l = matrix.slice();
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = l[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * size + k]! * l[j * size + k]!;
      l[i * size + j] = i === j ? Math.sqrt(Math.max(sum, 1e-300)) : sum / l[j * size + j]!;
    }
  }
  const x = right.slice();
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) x[i]! -= l[i * size + k]! * x[k]!;
    x[i]! /= l[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) x[i]! -= l[k * size + i]! * x[k]!;
    x[i]! /= l[i * size + i]!;
  }
  return x;
}
