/**
 * Second moments on the host, in f64: blocks are added in order, and eigenvectors found.
 *
 * @module
 */

import { forEachSquare, momentElements, SQUARE, squareIndex } from "../kernels/second_moments.ts";
import type { Eigen } from "../math/eigen.ts";
import { largestEigen, symmetricEigen } from "../math/eigen.ts";
import { gradedEigen } from "./refine.ts";

/** Up to here all eigenvectors are found at once, which is exact and takes a second. */
const WHOLE_SIZE = 512;

/** An eigenvalue that is less than this times the largest has lost digits to it. */
const GRADED = 1e-9;

/** Host bytes of {@link Moments}, and of finding `count` eigenvectors. */
export function momentsBytes(features: number, count: number, width = 1): number {
  const size = features * width;
  const vectors = isWhole(size, count) ? 6 * size : 12 * (count + 4 + count / 2);
  return 8 * (squaresLength(features, width) + size * Math.ceil(vectors));
}

/** Numbers that {@link Moments} are made of. */
export function squaresLength(features: number, width: number): number {
  let elements = 0;
  for (let frame = 0; frame < width; frame++) elements += momentElements(features, width - frame);
  return elements;
}

function isWhole(size: number, count: number): boolean {
  return size <= WHOLE_SIZE || 4 * count > size;
}

/**
 * What makes a deviation about 1, a power of two: what f32 loses of the products of two features is then a part
 * of their own deviations, and not of the largest one's.
 */
export function weightOf(variance: number): number {
  return variance > 0 ? 2 ** -Math.round(Math.log2(variance) / 2) : 1;
}

/**
 * Sum of x x^T over rows, in the squares that the kernel has, of which nothing below the diagonal is read. Where a row is `width` frames, the part of
 * frames w and w + lag of all rows is a sum over nearly the same pairs of frames for every w: over those
 * of w = 0, without the first w of every run of rows, and with the w that follow its last. So it is kept
 * as the part of w = 0, and what every further w adds to the one before: as many numbers as the part on
 * and above the diagonal has, however many runs there are, whereas the frames at the ends of 28,539
 * utterances of 512 features would be 0.8 GB for contexts of 8.
 */
export class Moments {
  /** Features of a row. */
  readonly size: number;
  readonly #features: number;
  readonly #width: number;
  /** By frame: lags 0, 1, ... up to the last frame of a row. */
  readonly #squares: readonly Float64Array[];

  /** @param all Where they lie, {@link squaresLength} numbers; new ones, all 0, when not given. */
  constructor(
    features: number,
    width = 1,
    all: Float64Array = new Float64Array(squaresLength(features, width)),
  ) {
    this.size = features * width;
    this.#features = features;
    this.#width = width;
    let at = 0;
    this.#squares = Array.from(
      { length: width },
      (_, frame) => all.subarray(at, at += momentElements(features, width - frame)),
    );
  }

  /** Adds the moments of a block, of the first frame and those that follow it. */
  add(block: Float32Array): void {
    const own = this.#squares[0]!;
    for (let i = 0; i < own.length; i++) own[i]! += block[i]!;
  }

  /**
   * Adds what makes frame w + 1 different from frame w, for all of them: the moments of rows of
   * `width - 1` frames, features padded to whole squares.
   */
  addEnds(block: Float32Array, weight: number): void {
    const across = Math.ceil(this.#features / SQUARE);
    forEachSquare((this.#width - 1) * across * SQUARE, (from, row, column) => {
      const [down, along] = [row / SQUARE, column / SQUARE];
      const frame = Math.floor(down / across);
      const lag = Math.floor(along / across) - frame;
      const at = squareIndex(this.#features, down % across, along % across, lag);
      const own = this.#squares[frame + 1]!;
      for (let i = 0; i < SQUARE * SQUARE; i++) own[at + i]! += weight * block[from + i]!;
    });
  }

  /** Makes every frame's part whole, once all are added. */
  addUp(): void {
    for (let frame = 1; frame < this.#width; frame++) {
      const [before, own] = [this.#squares[frame - 1]!, this.#squares[frame]!];
      for (let i = 0; i < own.length; i++) own[i]! += before[i]!;
    }
  }

  /** Adds `weight` v v^T. */
  addOuter(v: ArrayLike<number>, weight: number): void {
    this.#forEach((squares, at, [row, rowEnd], [column, columnEnd]) => {
      for (let i = row; i < rowEnd; i++) {
        const own = at + (i - row) * SQUARE - column;
        const scaled = weight * v[i]!;
        for (let j = column; j < columnEnd; j++) squares[own + j]! += scaled * v[j]!;
      }
    });
  }

  /** Multiplies what belongs to features by a factor of each, the same for every frame of a row. */
  scaleFeatures(factors: Float64Array): void {
    const features = this.#features;
    this.#forEach((squares, at, [row, rowEnd], [column, columnEnd]) => {
      for (let i = row; i < rowEnd; i++) {
        const own = at + (i - row) * SQUARE - column;
        const factor = factors[i % features]!;
        for (let j = column; j < columnEnd; j++) {
          squares[own + j]! *= factor * factors[j % features]!;
        }
      }
    });
  }

  get trace(): number {
    let sum = 0;
    this.#forEach((squares, at, [row, rowEnd], [column]) => {
      if (row !== column) return;
      for (let i = 0; i < rowEnd - row; i++) sum += squares[at + i * (SQUARE + 1)]!;
    });
    return sum;
  }

  /** The whole matrix, `[size, size]`. */
  toMatrix(): Float64Array {
    const { size } = this;
    const matrix = new Float64Array(size * size);
    this.#forEach((squares, at, [row, rowEnd], [column, columnEnd]) => {
      for (let i = row; i < rowEnd; i++) {
        for (let j = Math.max(i, column); j < columnEnd; j++) {
          const value = squares[at + (i - row) * SQUARE + j - column]!;
          matrix[i * size + j] = matrix[j * size + i] = value;
        }
      }
    });
    return matrix;
  }

  /**
   * The `count` largest eigenvalues and their vectors, of which `wanted` are to be found well; how far these
   * are from being exact.
   */
  largest(count: number, wanted = count): Eigen & { residual: number } {
    const { size } = this;
    if (isWhole(size, count)) {
      const matrix = this.toMatrix();
      let { values, vectors } = symmetricEigen(matrix, size);
      if (values[count - 1]! <= GRADED * values[0]!) {
        ({ values, vectors } = gradedEigen(matrix, size, vectors));
      }
      return {
        values: values.slice(0, count),
        vectors: vectors.slice(0, count * size),
        residual: 0,
      };
    }
    return largestEigen((v, n, products) => this.#multiply(v, n, products), size, count, wanted);
  }

  #multiply(vectors: Float64Array, count: number, products: Float64Array): void {
    const { size } = this;
    this.#forEach((squares, at, [row, rowEnd], [column, columnEnd]) => {
      for (let v = 0; v < count; v++) {
        const from = v * size;
        for (let i = row; i < rowEnd; i++) {
          const own = at + (i - row) * SQUARE - column;
          const value = vectors[from + i]!;
          let sum = 0;
          for (let j = Math.max(i, column); j < columnEnd; j++) {
            const moment = squares[own + j]!;
            sum += moment * vectors[from + j]!;
            // what is above the diagonal stands for what is below it too
            if (j !== i) products[from + j]! += moment * value;
          }
          products[from + i]! += sum;
        }
      }
    });
  }

  /** Calls back for every square: where it is, and its rows and columns of the whole matrix. */
  #forEach(
    take: (
      squares: Float64Array,
      at: number,
      rows: [from: number, to: number],
      columns: [from: number, to: number],
    ) => void,
  ): void {
    const features = this.#features;
    const within = (first: number, frame: number): [number, number] => [
      frame * features + first,
      frame * features + Math.min(features, first + SQUARE),
    ];
    this.#squares.forEach((squares, frame) =>
      forEachSquare(features, (at, row, column, lag) => {
        take(squares, at, within(row, frame), within(column, frame + lag));
      }, this.#width - frame)
    );
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
