/** What scikit-learn says of small problems: written by test/fixtures/make_sklearn.py. */

import fixture from "../fixtures/sklearn.json" with { type: "json" };

interface Encoded {
  dtype: string;
  shape: number[];
  base64: string;
}

const TYPES = { float32: Float32Array, float64: Float64Array, int32: Int32Array };

export function decode({ dtype, base64 }: Encoded): Float32Array | Float64Array | Int32Array {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new TYPES[dtype as keyof typeof TYPES](bytes.buffer);
}

export const sklearn = fixture;

/**
 * Largest principal angle between two subspaces of equal dimension, radians.
 *
 * @param a Orthonormal rows, `[count, features]`, as `b`.
 */
export function largestAngle(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  features: number,
): number {
  // the sine: what of each row of `b` is left once its part in `a` is gone; at most that of the sum
  const count = a.length / features;
  let squares = 0;
  for (let j = 0; j < count; j++) {
    const rest = Float64Array.from({ length: features }, (_, d) => b[j * features + d]!);
    for (let i = 0; i < count; i++) {
      let along = 0;
      for (let d = 0; d < features; d++) along += a[i * features + d]! * b[j * features + d]!;
      for (let d = 0; d < features; d++) rest[d]! -= along * a[i * features + d]!;
    }
    squares += rest.reduce((sum, x) => sum + x * x, 0);
  }
  return Math.asin(Math.min(1, Math.sqrt(squares)));
}
