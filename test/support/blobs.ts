/** Rows around a few centres: seeded data for clustering. */

import { Random } from "../../src/math/random.ts";

export interface Blobs {
  /** [rows, features] f32. */
  points: Float32Array;
  /** [blobs, features]. */
  centers: Float32Array;
  labels: Int32Array;
}

export function blobs(
  { rows, features, blobs, spread = 0.1, offset = 0, seed = 1 }: {
    rows: number;
    features: number;
    blobs: number;
    /** Standard deviation around a centre; centres lie in a cube of edge 2. */
    spread?: number;
    offset?: number;
    seed?: number;
  },
): Blobs {
  const random = new Random(seed);
  const centers = Float32Array.from(
    { length: blobs * features },
    () => offset + 2 * random.uniform() - 1,
  );
  const labels = Int32Array.from({ length: rows }, () => random.integer(blobs));
  const points = new Float32Array(rows * features);
  for (let row = 0; row < rows; row++) {
    for (let d = 0; d < features; d++) {
      points[row * features + d] = centers[labels[row]! * features + d]! +
        spread * random.normal();
    }
  }
  return { points, centers, labels };
}
