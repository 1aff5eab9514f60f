/** Rows to fit models to. */

import type { ChunkedArray } from "../../../src/mod.ts";
import { fromTypedArray } from "../../../src/mod.ts";
import { blobs } from "../blobs.ts";
import { seeded } from "../random.ts";

export const FEATURES = 6;
const ROWS = 2000;

const { points } = blobs({ rows: ROWS, features: FEATURES, blobs: 7, spread: 0.3 });

/** Around seven centres, f32. */
export const ROUND = fromTypedArray(points, [ROWS, FEATURES]);
/** The same, far from 0 and f64. */
export const FAR = fromTypedArray(
  Float64Array.from(points, (value, i) => 1e6 + value + 1e-9 * (i % 17)),
  [ROWS, FEATURES],
);
/** On a grid of few places, so that many rows are equal and lie between centroids. */
export const TIES = fromTypedArray(points.map((value) => Math.round(2 * value)), [ROWS, FEATURES]);
export const WHOLE = fromTypedArray(
  Uint8Array.from(points, (value) => Math.max(0, Math.min(255, 128 + 50 * value))),
  [ROWS, FEATURES],
);
/** With a feature so faint that sums are taken exactly. */
export const FAINT = fromTypedArray(
  points.map((value, i) => i % FEATURES === 0 ? 1e-4 * value : 10 * value),
  [ROWS, FEATURES],
);
/** Two batches like {@link ROUND}, of other rows. */
export const BATCHES = [300, 350].map((rows, seed) =>
  fromTypedArray(
    blobs({ rows, features: FEATURES, blobs: 7, spread: 0.3, seed: 20 + seed }).points,
    [rows, FEATURES],
  )
);

/** More features than rows of a batch. */
export const WIDE = randomRows(240, 90, 5);
/** More than a block of rows. */
export const TALL = randomRows(5000, 12, 6);
/** Larger than a small budget. */
export const LARGE = fromTypedArray(
  blobs({ rows: 6000, features: 32, blobs: 20, spread: 0.5, seed: 9 }).points,
  [6000, 32],
);

/** Segments of frames for contexts and windows. */
export const SEGMENTS = [0, 150, 333, 1200];

/** Rows whose features depend on each other, unevenly. */
function randomRows(rows: number, features: number, seed: number): ChunkedArray {
  const random = seeded(seed);
  const values = new Float32Array(rows * features);
  for (let at = 0; at < values.length; at++) {
    const column = at % features;
    const before = column === 0 ? 0 : values[at - 1]!;
    values[at] = 0.7 * before + (random() - 0.5) * (1 + 5 / (1 + column));
  }
  return fromTypedArray(values, [rows, features]);
}
