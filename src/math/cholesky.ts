/**
 * Symmetric systems of equations in f64.
 *
 * @module
 */

/**
 * Makes a symmetric positive definite matrix, of which the lower half is read, its Cholesky factor: L, in
 * place, with L L^T what the matrix was.
 *
 * @returns Whether it is positive definite; the matrix is spoilt otherwise.
 */
export function factorize(matrix: Float64Array, size: number): boolean {
  for (let i = 0; i < size; i++) {
    const row = i * size;
    for (let j = 0; j <= i; j++) {
      const other = j * size;
      let sum = matrix[row + j]!;
      for (let k = 0; k < j; k++) sum -= matrix[row + k]! * matrix[other + k]!;
      if (i === j) {
        if (!(sum > 0 && sum < Infinity)) return false;
        matrix[row + j] = Math.sqrt(sum);
      } else {
        matrix[row + j] = sum / matrix[other + j]!;
      }
    }
  }
  return true;
}

/** Solves L L^T x = b, in place. */
export function solveFactored(factor: Float64Array, b: Float64Array): void {
  const size = b.length;
  for (let i = 0; i < size; i++) {
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= factor[i * size + k]! * b[k]!;
    b[i] = sum / factor[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    const own = b[i]! /= factor[i * size + i]!;
    for (let k = 0; k < i; k++) b[k]! -= factor[i * size + k]! * own;
  }
}
