import { vqAssign } from "./vq_assign.ts";

/**
 * f64 twin of a fit from given centroids: Lloyd's algorithm as scikit-learn has it, but for clusters
 * without rows, which it refuses.
 *
 * @param points [rows, features].
 * @param init [codes, features].
 */
export function kmeans(
  points: ArrayLike<number>,
  init: ArrayLike<number>,
  features: number,
  { maxIterations = 100, tolerance = 1e-4 } = {},
): { centroids: Float64Array; ids: Int32Array; inertia: number; iterations: number } {
  const rows = points.length / features;
  const codes = init.length / features;
  const limit = tolerance * meanVariance(points, features);
  let centroids = Float64Array.from(init);
  let iterations = 0;
  for (let moved = Infinity; moved > limit && iterations < maxIterations; iterations++) {
    const { ids } = vqAssign(points, centroids, features);
    const next = new Float64Array(codes * features);
    const counts = new Float64Array(codes);
    for (let row = 0; row < rows; row++) {
      counts[ids[row]!]!++;
      for (let d = 0; d < features; d++) {
        next[ids[row]! * features + d]! += points[row * features + d]!;
      }
    }
    if (counts.includes(0)) throw new Error("a cluster has no rows");
    next.forEach((sum, i) => next[i] = sum / counts[Math.floor(i / features)]!);
    moved = next.reduce((sum, value, i) => sum + (value - centroids[i]!) ** 2, 0);
    centroids = next;
  }
  const { ids, distances } = vqAssign(points, centroids, features);
  return {
    centroids,
    ids,
    inertia: distances.reduce((sum, distance) => sum + distance, 0),
    iterations,
  };
}

function meanVariance(points: ArrayLike<number>, features: number): number {
  const rows = points.length / features;
  let total = 0;
  for (let d = 0; d < features; d++) {
    const column = Array.from({ length: rows }, (_, row) => points[row * features + d]!);
    const mean = column.reduce((sum, value) => sum + value, 0) / rows;
    total += column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / rows;
  }
  return total / features;
}
