/**
 * Second moments on the host, in f64: blocks are added in order, and eigenvectors found.
 *
 * @module
 */

import { forEachSquare, momentElements, SQUARE } from "../kernels/second_moments.ts";
import type { Eigen } from "../math/eigen.ts";
import { largestEigen, symmetricEigen } from "../math/eigen.ts";

/** Up to here all eigenvectors are found at once, which is exact and takes a second. */
const WHOLE_FEATURES = 512;

/** Host bytes of {@link Moments}, and of finding `count` eigenvectors. */
export function momentsBytes(features: number, count: number): number {
  const vectors = isWhole(features, count) ? 3 * features : 12 * (count + 4 + count / 2);
  return 8 * (momentElements(features) + features * Math.ceil(vectors));
}

function isWhole(features: number, count: number): boolean {
  return features <= WHOLE_FEATURES || 4 * count > features;
}

/** Sum of x x^T, in the squares that the kernel has. */
export class Moments {
  readonly features: number;
  readonly #squares: Float64Array;

  constructor(features: number) {
    this.features = features;
    this.#squares = new Float64Array(momentElements(features));
  }

  /** Adds the moments of a block. */
  add(block: Float32Array): void {
    const own = this.#squares;
    for (let i = 0; i < own.length; i++) own[i]! += block[i]!;
  }

  /** Adds `weight` v v^T. */
  addOuter(v: ArrayLike<number>, weight: number): void {
    const { features } = this;
    forEachSquare(features, (at, row, column) => {
      for (let i = row; i < Math.min(features, row + SQUARE); i++) {
        const own = at + (i - row) * SQUARE - column;
        const scaled = weight * v[i]!;
        for (let j = column; j < Math.min(features, column + SQUARE); j++) {
          this.#squares[own + j]! += scaled * v[j]!;
        }
      }
    });
  }

  get trace(): number {
    let sum = 0;
    forEachSquare(this.features, (at, row, column) => {
      if (row !== column) return;
      for (let i = 0; i < SQUARE; i++) sum += this.#squares[at + i * (SQUARE + 1)]!;
    });
    return sum;
  }

  /** The whole matrix, `[features, features]`. */
  toMatrix(): Float64Array {
    const { features } = this;
    const matrix = new Float64Array(features * features);
    forEachSquare(features, (at, row, column) => {
      for (let i = row; i < Math.min(features, row + SQUARE); i++) {
        for (let j = Math.max(i, column); j < Math.min(features, column + SQUARE); j++) {
          const value = this.#squares[at + (i - row) * SQUARE + j - column]!;
          matrix[i * features + j] = matrix[j * features + i] = value;
        }
      }
    });
    return matrix;
  }

  /** The `count` largest eigenvalues and their vectors; how far these are from being exact. */
  largest(count: number): Eigen & { residual: number } {
    const { features } = this;
    if (isWhole(features, count)) {
      const { values, vectors } = symmetricEigen(this.toMatrix(), features);
      return {
        values: values.slice(0, count),
        vectors: vectors.slice(0, count * features),
        residual: 0,
      };
    }
    return largestEigen((v, n, products) => this.#multiply(v, n, products), features, count);
  }

  #multiply(vectors: Float64Array, count: number, products: Float64Array): void {
    const { features } = this;
    const squares = this.#squares;
    forEachSquare(features, (at, row, column) => {
      const [rowEnd, columnEnd] = [row, column].map((first) => Math.min(features, first + SQUARE));
      for (let v = 0; v < count; v++) {
        const from = v * features;
        for (let i = row; i < rowEnd!; i++) {
          const own = at + (i - row) * SQUARE - column;
          const value = vectors[from + i]!;
          let sum = 0;
          for (let j = column; j < columnEnd!; j++) {
            const moment = squares[own + j]!;
            sum += moment * vectors[from + j]!;
            // a square above the diagonal stands for the one below it too
            if (row !== column) products[from + j]! += moment * value;
          }
          products[from + i]! += sum;
        }
      }
    });
  }
}

/** Turns every vector, a row each, so that its element of largest magnitude is positive. */
export function fixSigns(vectors: Float64Array, length: number): void {
  for (let start = 0; start < vectors.length; start += length) {
    const own = vectors.subarray(start, start + length);
    const largest = own.reduce((most, x) => Math.abs(x) > Math.abs(most) ? x : most, 0);
    if (largest < 0) own.forEach((x, i) => own[i] = -x);
  }
}
