/**
 * Least squares, by normal equations in f64.
 *
 * @module
 */

/**
 * Fits `y` `[rows, outputs]` by `x` `[rows, features]` and a constant on the first rows, and tells how much of the variance
 * of the others it explains.
 */
export function regress(x, features, y, outputs, trainRows) {
  const rows = y.length / outputs;
  const width = features + 1;
  const at = (row, d) => d < features ? x[row * features + d] : 1;
  // [width, width + outputs]: X^T X | X^T Y
  const system = Array.from(
    { length: width },
    () => new Float64Array(width + outputs),
  );
  for (let row = 0; row < trainRows; row++) {
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) system[i][j] += at(row, i) * at(row, j);
      for (let k = 0; k < outputs; k++) {
        system[i][width + k] += at(row, i) * y[row * outputs + k];
      }
    }
  }
  for (let i = 0; i < width; i++) {
    const pivot = system.slice(i).reduce(
      (best, line, k) => Math.abs(line[i]) > Math.abs(system[best][i]) ? i + k : best,
      i,
    );
    [system[i], system[pivot]] = [system[pivot], system[i]];
    for (let k = 0; k < width; k++) {
      if (k === i) continue;
      const factor = system[k][i] / system[i][i];
      for (let j = i; j < width + outputs; j++) {
        system[k][j] -= factor * system[i][j];
      }
    }
  }
  const predicted = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < outputs; k++) {
      for (let i = 0; i < width; i++) {
        predicted[row * outputs + k] += at(row, i) * system[i][width + k] /
          system[i][i];
      }
    }
  }
  const means = Array.from({ length: outputs }, (_, k) => {
    let sum = 0;
    for (let row = trainRows; row < rows; row++) sum += y[row * outputs + k];
    return sum / (rows - trainRows);
  });
  let [errors, spread] = [0, 0];
  for (let i = trainRows * outputs; i < y.length; i++) {
    errors += (y[i] - predicted[i]) ** 2;
    spread += (y[i] - means[i % outputs]) ** 2;
  }
  return { predicted, r2: 1 - errors / spread };
}
