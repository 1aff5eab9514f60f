import { squaredDistance } from "./vq_assign.ts";

/**
 * f64 twin of `vq_pick`: of the candidates of every row the one of the lowest score, the lowest code of
 * equals; its squared distance, and by how much the next best score is larger.
 *
 * @param candidates [splits, rows, 4]: score, next best score, code, 0.
 * @param points [rows, features].
 * @param codebook [codes, features].
 */
export function vqPick(
  candidates: ArrayLike<number>,
  points: ArrayLike<number>,
  codebook: ArrayLike<number>,
  features: number,
): { ids: Int32Array; distances: Float64Array; margins: Float64Array } {
  const rows = points.length / features;
  const splits = candidates.length / 4 / rows;
  const ids = new Int32Array(rows);
  const distances = new Float64Array(rows);
  const margins = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const own = Array.from({ length: splits }, (_, split) => {
      const at = 4 * (split * rows + row);
      return { score: candidates[at]!, next: candidates[at + 1]!, code: candidates[at + 2]! };
    }).sort((a, b) => a.score - b.score || a.code - b.code);
    const best = own[0]!;
    ids[row] = best.code;
    distances[row] = squaredDistance(points, row, codebook, best.code, features);
    const scores = own.flatMap(({ score, next }) => [score, next]).sort((a, b) => a - b);
    margins[row] = scores[1]! - best.score;
  }
  return { ids, distances, margins };
}
