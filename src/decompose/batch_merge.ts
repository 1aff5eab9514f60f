/**
 * A batch on the host: how it is read for the device, and put together with what earlier ones left.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import * as kernel from "../kernels/second_moments.ts";
import { largestEigen, symmetricEigen } from "../math/eigen.ts";
import type { BatchState } from "./batch_state.ts";
import { fixSigns, Moments, momentsBytes, weightOf } from "./moments.ts";
import { refineBytes, refineDirections } from "./refine.ts";

/** Up to here all eigenvectors of a batch are found at once. */
const WHOLE_SIZE = 512;

/** A batch on the host. */
export interface Batch extends Record<string, Float64Array> {
  /** `[rows, features]`, less their mean, in the device's units. */
  centered: Float64Array;
  /** What the device has of its features, or of its rows where it multiplies rows, is multiplied by these. */
  weights: Float64Array;
  /** In the device's coordinates. */
  mean: Float64Array;
  /** `[1]` root of the sum of squares about the mean, in the device's units. */
  norm: Float64Array;
}

export interface MergeOptions {
  points: Points;
  /** Rows of the largest batch. */
  mostRows: number;
  components: number;
  /** Directions that go from batch to batch, at most. */
  keep: number;
}

/** Takes batch after batch, as the device multiplies it. */
export class BatchMerge {
  /** Of what the device multiplies. */
  readonly shape: kernel.MomentsShape;
  readonly #points: Points;
  readonly #mostRows: number;
  readonly #components: number;
  readonly #keep: number;
  /** Whether the device multiplies features, x^T x, or rows, x x^T: whichever is smaller. */
  readonly #tall: boolean;

  constructor({ points, mostRows, components, keep }: MergeOptions) {
    this.#points = points;
    this.#mostRows = mostRows;
    this.#components = components;
    this.#keep = Math.min(keep, points.features);
    this.#tall = mostRows >= points.features;
    const [across, along] = this.#tall ? [points.features, mostRows] : [mostRows, points.features];
    this.shape = {
      features: across,
      blockRows: kernel.momentBlockRows(across),
      tileRows: along,
    };
  }

  /** Rows of the kernel that a batch has: its own, or its features. */
  along(batchRows: number): number {
    return this.#tall ? batchRows : this.#points.features;
  }

  /** Bytes of a {@link Batch}, at most. */
  get batchBytes(): number {
    const { features } = this.#points;
    return 8 * (this.#mostRows * features + this.shape.features + features + 1);
  }

  /** Host bytes of {@link merge}, at most. */
  get mergeBytes(): number {
    const { features } = this.#points;
    const kept = this.#keep;
    const stack = this.#mostRows + kept + 1;
    const eigen = this.#tall ? momentsBytes(features, kept) : 8 * 4 * stack * stack;
    return eigen + refineBytes(stack, features, kept) +
      8 * (3 * kept + 2 * this.#components) * features;
  }

  /** Reads rows [start, end): what the device gets, and what is needed when it is done. */
  async read(start: number, end: number, signal: AbortSignal) {
    const { features } = this.#points;
    const stride = kernel.rowStride(this.shape.features);
    const centered = await this.#points.readScaled(start, end, { signal });
    const count = end - start;
    const mean = new Float64Array(features);
    for (let at = 0; at < centered.length; at++) mean[at % features]! += centered[at]! / count;
    const tall = this.#tall;
    const squares = new Float64Array(this.shape.features);
    const largest = new Float64Array(this.shape.features);
    for (let row = 0, at = 0; row < count; row++) {
      for (let d = 0; d < features; d++, at++) {
        const value = centered[at]! - mean[d]!;
        centered[at] = value;
        const across = tall ? d : row;
        squares[across]! += value * value;
        largest[across] = Math.max(largest[across]!, Math.abs(value));
      }
    }
    const along = this.along(count);
    const weights = squares.map((sum) => weightOf(sum / along));
    const rows = new Float32Array(stride * along);
    for (let row = 0, at = 0; row < count; row++) {
      for (let d = 0; d < features; d++, at++) {
        if (tall) rows[row * stride + d] = centered[at]! * weights[d]!;
        else rows[d * stride + row] = centered[at]! * weights[row]!;
      }
    }
    const weighted = largest.map((value, i) => value * weights[i]!);
    const norm = Float64Array.of(Math.sqrt(squares.reduce((sum, own) => sum + own, 0)));
    return {
      rows,
      grains: kernel.momentGrains(weighted, this.shape),
      ...({ centered, weights, mean, norm } satisfies Batch),
    };
  }

  /**
   * Principal components of what was kept and of a batch.
   *
   * @param sums Parts of the batch's moments, block after block.
   */
  merge(
    before: BatchState | undefined,
    batch: Batch,
    sums: readonly Float32Array[],
  ): { state: BatchState; residual: number } {
    const { features, scale, shift } = this.#points;
    const { centered, weights } = batch;
    const count = centered.length / features;
    const moments = new Moments(this.shape.features);
    const length = kernel.momentElements(this.shape.features);
    for (let block = 0; block * this.shape.blockRows < this.along(count); block++) {
      for (const part of sums) moments.add(part.subarray(block * length, (block + 1) * length));
    }
    moments.scaleFeatures(weights.map((weight) => 1 / weight));
    const rows = (before?.rows ?? 0) + count;
    const origin = before?.origin ?? shift;
    const own = batch.mean.map((value, d) => value / scale + (shift[d]! - origin[d]!));
    const above = this.#above(before, own, count);
    const kept = Math.min(this.#keep, above.length / features + count);
    const { vectors, residual } = this.#tall
      ? this.#eigenOfFeatures(moments, above, kept)
      : this.#eigenOfRows(moments, above, centered, kept);
    const refined = refineDirections([above, centered], vectors, features);
    fixSigns(refined.vectors, features);
    const mean = before?.mean ?? own;
    const moved = above.subarray(-features).reduce((sum, value) => sum + value * value, 0);
    const state = {
      rows,
      origin,
      mean: mean.map((value, d) => value + (own[d]! - value) * count / rows),
      norm: Math.hypot(before?.norm ?? 0, batch.norm[0]! / scale, Math.sqrt(moved) / scale),
      directions: refined.vectors,
      singularValues: refined.values.map((value) => value / scale),
    };
    return { state, residual };
  }

  /**
   * What earlier batches left and a row of what a batch's mean moves, `[any, features]`, in the device's
   * units.
   */
  #above(before: BatchState | undefined, mean: Float64Array, count: number): Float64Array {
    const { features, scale } = this.#points;
    if (!before) return new Float64Array(0);
    const kept = before.singularValues.length;
    const above = new Float64Array((kept + 1) * features);
    before.singularValues.forEach((value, i) => {
      for (let d = i * features; d < (i + 1) * features; d++) {
        above[d] = value * scale * before.directions[d]!;
      }
    });
    const weight = scale * Math.sqrt(before.rows / (before.rows + count) * count);
    before.mean.forEach((value, d) => above[kept * features + d] = weight * (value - mean[d]!));
    return above;
  }

  /** By x^T x, `[features, features]`, of all rows. */
  #eigenOfFeatures(moments: Moments, above: Float64Array, kept: number) {
    const { features } = this.#points;
    for (let at = 0; at < above.length; at += features) {
      moments.addOuter(above.subarray(at, at + features), 1);
    }
    return moments.largest(kept, Math.min(kept, this.#components));
  }

  /** By x x^T, `[rows, rows]`, and back to features. */
  #eigenOfRows(moments: Moments, above: Float64Array, centered: Float64Array, kept: number) {
    const { features } = this.#points;
    const count = centered.length / features;
    const rowAt = (i: number) =>
      i < count
        ? centered.subarray(i * features, (i + 1) * features)
        : above.subarray((i - count) * features, (i - count + 1) * features);
    const size = count + above.length / features;
    const products = productsOf(moments, count, size, rowAt);
    const wanted = Math.min(kept, this.#components);
    const { vectors: weights, residual } = size <= WHOLE_SIZE
      ? { ...symmetricEigen(products, size), residual: 0 }
      : largestEigen((v, n, out) => multiply(products, size, v, n, out), size, kept, wanted);
    const vectors = new Float64Array(kept * features);
    for (let i = 0; i < kept; i++) {
      const target = vectors.subarray(i * features, (i + 1) * features);
      for (let j = 0; j < size; j++) {
        const weight = weights[i * size + j]!;
        const row = rowAt(j);
        for (let d = 0; d < features; d++) target[d]! += weight * row[d]!;
      }
    }
    return { vectors, residual };
  }
}

/** Products of rows with each other, `[size, size]`, of which moments have those of the first `count`. */
function productsOf(
  moments: Moments,
  count: number,
  size: number,
  rowAt: (i: number) => Float64Array,
): Float64Array {
  const products = new Float64Array(size * size);
  const own = moments.toMatrix();
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) products[i * size + j] = own[i * moments.size + j]!;
  }
  for (let i = count; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const [a, b] = [rowAt(i), rowAt(j)];
      let sum = 0;
      for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!;
      products[i * size + j] = products[j * size + i] = sum;
    }
  }
  return products;
}

function multiply(
  matrix: Float64Array,
  size: number,
  vectors: Float64Array,
  count: number,
  products: Float64Array,
): void {
  for (let v = 0; v < count; v++) {
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < size; j++) sum += matrix[i * size + j]! * vectors[v * size + j]!;
      products[v * size + i]! += sum;
    }
  }
}
