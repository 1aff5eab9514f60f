/** Samples that can be told apart, and how well something does. */

import { fromTypedArray } from "../../src/array/array.ts";
import type { RaggedArray } from "../../src/feed/ragged.ts";
import { seeded } from "./random.ts";

export const FEATURES = 6;

/** Texts whose tokens are 2 along the first feature, or -2 where the label is 0, and noise. */
export function texts(count: number, seed = 5): { data: RaggedArray; y: Uint8Array } {
  const random = seeded(seed);
  const y = Uint8Array.from({ length: count }, (_, i) => i % 2);
  const lengths = Array.from({ length: count }, () => 1 + Math.floor(9 * random()));
  const offsets = new Float64Array(count + 1);
  lengths.forEach((length, i) => offsets[i + 1] = offsets[i]! + length);
  const values = new Float32Array(offsets[count]! * FEATURES);
  const detected = new Uint8Array(offsets[count]!);
  for (let sample = 0; sample < count; sample++) {
    for (let row = offsets[sample]!; row < offsets[sample + 1]!; row++) {
      for (let d = 0; d < FEATURES; d++) values[row * FEATURES + d] = 0.2 * (random() - 0.5);
      values[row * FEATURES]! += y[sample] ? 2 : -2;
      detected[row] = row === offsets[sample] || random() < 0.8 ? 1 : 0;
    }
  }
  return {
    data: { rows: fromTypedArray(values, [offsets[count]!, FEATURES]), offsets, detected },
    y,
  };
}

/** Features of the same kind. */
export function rows(count: number, seed = 6) {
  const random = seeded(seed);
  const y = Uint8Array.from({ length: count }, (_, i) => i % 2);
  const values = Float32Array.from(
    { length: count * FEATURES },
    (_, i) => 0.2 * (random() - 0.5) + (i % FEATURES ? 0 : y[i / FEATURES]! ? 2 : -2),
  );
  return { data: fromTypedArray(values, [count, FEATURES]), y };
}

/** Share of pairs of either class that logits rank right. */
export function auroc(logits: ArrayLike<number>, y: ArrayLike<number>): number {
  let [right, pairs] = [0, 0];
  for (let i = 0; i < y.length; i++) {
    for (let j = 0; j < y.length; j++) {
      if (!(y[i] === 1 && y[j] === 0)) continue;
      pairs++;
      right += logits[i]! > logits[j]! ? 1 : logits[i] === logits[j] ? 0.5 : 0;
    }
  }
  return right / pairs;
}
