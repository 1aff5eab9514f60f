/** Rows at unkind offsets and scales, in several types: problems of test/fixtures/make_sklearn.py. */

import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { decode, sklearn } from "./sklearn.ts";

const { base: encoded, labels, first, cases } = sklearn.unkind_kmeans;
const base = decode(encoded);
const [rows, features] = encoded.shape as [number, number];

export type UnkindCase = typeof cases[number];

/** Every case, with its rows, its first centroids, and what scikit-learn finds in f64. */
export const unkindCases = cases.map((one) => ({
  ...one,
  name: `${one.dtype}, offset ${one.offset}, scale ${one.scale}` +
    (one.gap > 0 ? `, groups ${one.gap} apart` : ""),
  k: first.length,
  wanted: { ids: Array.from(one.ids, Number), inertia: one.inertia, iterations: one.iterations },
  ...problemOf(one),
}));

function problemOf(
  { dtype, offset, scale, gap }: UnkindCase,
): { points: ChunkedArray; values: Float64Array; features: number; init: Float64Array } {
  const wide = Float64Array.from(
    base,
    (value, i) => offset + scale * value + gap * Number(labels[Math.floor(i / features)]),
  );
  const typed = typedArray(dtype, wide);
  const values = Float64Array.from(typed as Float64Array, Number);
  const init = new Float64Array(first.length * features);
  first.forEach((row, code) =>
    init.set(values.subarray(row * features, (row + 1) * features), code * features)
  );
  return { points: fromTypedArray(typed, [rows, features]), values, features, init };
}

function typedArray(dtype: string, values: Float64Array) {
  switch (dtype) {
    case "uint8":
      return Uint8Array.from(values);
    case "int32":
      return Int32Array.from(values);
    case "int64":
      return BigInt64Array.from(
        values as unknown as ArrayLike<bigint>,
        (value) => BigInt(value as unknown as number),
      );
    case "float32":
      return Float32Array.from(values);
    default:
      return values;
  }
}
