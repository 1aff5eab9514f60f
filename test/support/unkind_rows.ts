/** Rows with components of known sizes, and how far components are from others. */

import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { Random } from "../../src/math/random.ts";
import type { NumericArray } from "../../src/types.ts";
import { largestAngle } from "./sklearn.ts";

/** Rows that vary along orthonormal directions that lie askew, with these deviations. */
export function rowsAlong(
  rows: number,
  features: number,
  deviations: readonly number[],
  seed = 7,
): Float64Array {
  const random = new Random(seed);
  const directions = deviations.map(() =>
    Float64Array.from({ length: features }, () => random.normal())
  );
  directions.forEach((own, i) => {
    for (let again = 0; again < 2; again++) {
      for (const other of directions.slice(0, i)) {
        const along = own.reduce((sum, x, d) => sum + x * other[d]!, 0);
        own.forEach((_, d) => own[d]! -= along * other[d]!);
      }
    }
    const length = Math.hypot(...own);
    own.forEach((_, d) => own[d]! /= length);
  });
  const values = new Float64Array(rows * features);
  for (let row = 0; row < rows; row++) {
    directions.forEach((direction, i) => {
      const score = deviations[i]! * random.normal();
      direction.forEach((x, d) => values[row * features + d]! += score * x);
    });
  }
  return values;
}

/** Numbers as a type has them, and as f64. */
export function stored(
  values: Float64Array,
  features: number,
  Type: new (values: ArrayLike<number>) => NumericArray,
): { points: ChunkedArray; exact: Float64Array } {
  const kept = new Type(values);
  return {
    points: fromTypedArray(kept, [values.length / features, features]),
    exact: Float64Array.from(kept as ArrayLike<number>),
  };
}

/**
 * Largest angle between leading subspaces, as far as components go that have `faintest` of the first
 * deviation, and only where the next component is much smaller: others turn into each other freely.
 */
export function leadingAngle(
  components: Float64Array,
  wanted: { variances: Float64Array; vectors: Float64Array },
  features: number,
  faintest: number,
): number {
  const { variances, vectors } = wanted;
  let most = 0;
  for (let count = 1; count <= components.length / features; count++) {
    if (!(variances[count - 1]! >= faintest ** 2 * variances[0]!)) break;
    if (count < features && variances[count]! > 0.8 * variances[count - 1]!) continue;
    const [a, b] = [vectors, components].map((all) => all.subarray(0, count * features));
    most = Math.max(most, largestAngle(a!, b!, features));
  }
  return most;
}
