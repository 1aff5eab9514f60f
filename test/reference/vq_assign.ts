/**
 * f64 twin of `vq_assign`: the nearest code by the squared distance, the lowest of equals.
 *
 * @param points [rows, features].
 * @param codebook [codes, features].
 */
export function vqAssign(
  points: ArrayLike<number>,
  codebook: ArrayLike<number>,
  features: number,
): { ids: Int32Array; distances: Float64Array; margins: Float64Array } {
  const rows = points.length / features;
  const codes = codebook.length / features;
  const ids = new Int32Array(rows);
  const distances = new Float64Array(rows);
  const margins = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const all = Array.from(
      { length: codes },
      (_, code) => squaredDistance(points, row, codebook, code, features),
    );
    const best = Math.min(...all);
    ids[row] = all.indexOf(best);
    distances[row] = best;
    margins[row] = Math.min(...all.filter((_, code) => code !== ids[row]), Infinity) - best;
  }
  return { ids, distances, margins };
}

export function squaredDistance(
  points: ArrayLike<number>,
  row: number,
  codebook: ArrayLike<number>,
  code: number,
  features: number,
): number {
  let sum = 0;
  for (let d = 0; d < features; d++) {
    sum += (points[row * features + d]! - codebook[code * features + d]!) ** 2;
  }
  return sum;
}
