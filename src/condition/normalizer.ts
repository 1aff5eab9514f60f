/**
 * Mean and deviation of deltas, delta(t) = x(t) - x(t - 1).
 *
 * @module
 */

import type { ReadOptions } from "../array/array.ts";
import type { Rows } from "./rows.ts";
import { rowBlocks } from "./rows.ts";

/** Deltas less `mean`, divided by `std`, have mean 0 and variance 1. */
export interface Normalizer {
  /** `[features]` f32. */
  mean: Float32Array;
  /** `[features]` f32, over all rows, at least 1e-6. */
  std: Float32Array;
  rows: number;
}

/** Least deviation that is divided by. */
const LEAST_STD = 1e-6;

/**
 * Reads all frames of all utterances once: checks them, and takes mean and population deviation of the
 * deltas of the rows in f64.
 *
 * @throws {RangeError} If a frame is not finite; names utterance, frame and feature. If there is no row, or
 * f32 does not hold a mean or deviation.
 */
export async function deltaNormalizer(rows: Rows, options?: ReadOptions): Promise<Normalizer> {
  const features = rows.frames.shape[1]!;
  // relative to the first delta, lest a steady drift takes digits
  let origin: Float64Array | undefined;
  const sums = new Float64Array(features);
  const squares = new Float64Array(features);
  let count = 0;
  // frames before the first row's count as context
  for await (const block of rowBlocks({ ...rows, firstTarget: 1 }, options)) {
    const { values, target } = block;
    checkFinite(values, features, rows, block);
    const skipped = Math.max(0, rows.firstTarget - target);
    for (let row = skipped; row < block.rows; row++) {
      const at = row * features;
      origin ??= Float64Array.from(
        { length: features },
        (_, d) => values[at + features + d]! - values[at + d]!,
      );
      for (let d = 0; d < features; d++) {
        const delta = values[at + features + d]! - values[at + d]! - origin[d]!;
        sums[d]! += delta;
        squares[d]! += delta * delta;
      }
      count++;
    }
  }
  if (count === 0) {
    throw new RangeError(
      `Cannot take deltas: none of ${rows.utterances.length} utterances has more than ` +
        `${rows.firstTarget} frames`,
    );
  }
  const variance = (d: number) => Math.max(0, squares[d]! / count - (sums[d]! / count) ** 2);
  const mean = Float32Array.from(sums, (sum, d) => origin![d]! + sum / count);
  const std = Float32Array.from(sums, (_, d) => Math.max(LEAST_STD, Math.sqrt(variance(d))));
  const large = std.findIndex((value, d) => !Number.isFinite(value + mean[d]!));
  if (large >= 0) {
    throw new RangeError(
      `Cannot take deltas: those of feature ${large} have a mean of ` +
        `${(origin![large]! + sums[large]! / count).toExponential(1)} and deviate by ` +
        `${
          Math.sqrt(variance(large)).toExponential(1)
        }, wanted less than 3.4e+38, as both are kept in ` +
        "f32; scale the frames",
    );
  }
  return { mean, std, rows: count };
}

/** @throws {RangeError} If one of the values is not finite; says where. */
function checkFinite(
  values: ArrayLike<number>,
  features: number,
  { utterances }: Rows,
  { utterance, target }: { utterance: number; target: number },
): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i]! - values[i]! === 0) continue;
    throw new RangeError(
      `Cannot take deltas of "${utterances[utterance]!.id}": frame ` +
        `${target - 1 + Math.floor(i / features)}, feature ${i % features} is ${
          values[i]
        }, wanted ` +
        "finite numbers",
    );
  }
}
