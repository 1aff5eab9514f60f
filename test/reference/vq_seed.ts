import { squaredDistance } from "./vq_assign.ts";

/**
 * f64 twin of `vq_seed`: the squared distance of every row to each of some places, `[places, rows]`.
 *
 * @param points [rows, features].
 * @param places [places, features].
 */
export function vqSeed(
  points: ArrayLike<number>,
  places: ArrayLike<number>,
  features: number,
): Float64Array {
  const rows = points.length / features;
  return Float64Array.from(
    { length: rows * places.length / features },
    (_, i) => squaredDistance(points, i % rows, places, Math.floor(i / rows), features),
  );
}
