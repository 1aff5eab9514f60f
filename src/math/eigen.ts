/**
 * Eigenvectors of symmetric matrices in f64.
 *
 * @module
 */

import { Random } from "./random.ts";

/** Largest first; each row of `vectors` is one, of length 1. */
export interface Eigen {
  values: Float64Array;
  vectors: Float64Array;
}

/**
 * All eigenvalues and eigenvectors of a symmetric matrix, `[size, size]`.
 *
 * Source: Householder's tridiagonal form and the QL method with implicit shifts, as in EISPACK's tred2
 * and tql2 (Bowdler, Martin, Reinsch and Wilkinson 1968).
 */
export function symmetricEigen(matrix: Float64Array, size: number): Eigen {
  const diagonal = new Float64Array(size);
  const off = new Float64Array(size);
  // rows are what EISPACK has as columns: inner loops run along memory
  const vectors = matrix.slice();
  tridiagonalize(vectors, size, diagonal, off);
  solveTridiagonal(vectors, size, diagonal, off);
  const order = Array.from(diagonal.keys()).sort((a, b) => diagonal[b]! - diagonal[a]!);
  const sorted = new Float64Array(size * size);
  order.forEach((from, to) =>
    sorted.set(vectors.subarray(from * size, (from + 1) * size), to * size)
  );
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: sorted };
}

/** Leaves the transposed transformation in `z`, `T`'s diagonal and what lies beside it. */
function tridiagonalize(z: Float64Array, n: number, d: Float64Array, e: Float64Array): void {
  const scales = new Float64Array(n);
  const reflectors: Float64Array[] = [];
  const p = new Float64Array(n);
  // reflect columns 0, 1, ... of the trailing block; z stays symmetric
  for (let k = 0; k < n - 2; k++) {
    const v = new Float64Array(n);
    let norm = 0;
    for (let i = k + 1; i < n; i++) {
      v[i] = z[k * n + i]!;
      norm = Math.hypot(norm, v[i]!);
    }
    const alpha = v[k + 1]! > 0 ? -norm : norm;
    d[k] = z[k * n + k]!;
    e[k + 1] = alpha;
    reflectors.push(v);
    if (norm === 0) continue;
    v[k + 1]! -= alpha;
    let squares = 0;
    for (let i = k + 1; i < n; i++) squares += v[i]! * v[i]!;
    const beta = squares === 0 ? 0 : 2 / squares;
    scales[k] = beta;
    let dot = 0;
    for (let i = k + 1; i < n; i++) {
      const row = i * n;
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += z[row + j]! * v[j]!;
      p[i] = beta * sum;
      dot += p[i]! * v[i]!;
    }
    const shift = beta * dot / 2;
    for (let i = k + 1; i < n; i++) p[i]! -= shift * v[i]!;
    for (let i = k + 1; i < n; i++) {
      const row = i * n;
      const [vi, pi] = [v[i]!, p[i]!];
      for (let j = k + 1; j < n; j++) z[row + j]! -= vi * p[j]! + pi * v[j]!;
    }
  }
  if (n > 1) {
    d[n - 2] = z[(n - 2) * n + n - 2]!;
    e[n - 1] = z[(n - 2) * n + n - 1]!;
  }
  d[n - 1] = z[n * n - 1]!;
  // rows of z become columns of the product of all reflections, the last one applied first
  z.fill(0);
  for (let i = 0; i < n; i++) z[i * n + i] = 1;
  for (let k = n - 3; k >= 0; k--) {
    const beta = scales[k]!;
    if (beta === 0) continue;
    const v = reflectors[k]!;
    for (let i = k + 1; i < n; i++) {
      const row = i * n;
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += z[row + j]! * v[j]!;
      sum *= beta;
      for (let j = k + 1; j < n; j++) z[row + j]! -= sum * v[j]!;
    }
  }
}

/**
 * Turns after which an eigenvalue counts as found where what is beside it is no more than the rounding of the largest: of a matrix
 * without full rank it gets no smaller.
 */
const PATIENT_TURNS = 20;

/** QL with implicit shifts; row i of `z` becomes the eigenvector of `d[i]`. */
function solveTridiagonal(z: Float64Array, n: number, d: Float64Array, e: Float64Array): void {
  for (let i = 1; i < n; i++) e[i - 1] = e[i]!;
  e[n - 1] = 0;
  const norm = d.reduce((most, value, i) => Math.max(most, Math.abs(value) + Math.abs(e[i]!)), 0);
  for (let l = 0; l < n; l++) {
    for (let turns = 0;; turns++) {
      let m = l;
      while (m < n - 1) {
        const own = Math.abs(d[m]!) + Math.abs(d[m + 1]!);
        const scale = turns < PATIENT_TURNS ? own : Math.max(own, norm);
        if (Math.abs(e[m]!) <= Number.EPSILON * scale) break;
        m++;
      }
      if (m === l) break;
      if (turns === 60) {
        throw new Error(`Cannot find eigenvalue ${l} of ${n}: 60 turns were not enough`);
      }
      let g = (d[l + 1]! - d[l]!) / (2 * e[l]!);
      let r = Math.hypot(g, 1);
      g = d[m]! - d[l]! + e[l]! / (g + (g >= 0 ? r : -r));
      let [s, c, p] = [1, 1, 0];
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * e[i]!;
        const b = c * e[i]!;
        r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1]! -= p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1]! - p;
        r = (d[i]! - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        const [low, high] = [i * n, (i + 1) * n];
        for (let k = 0; k < n; k++) {
          const above = z[high + k]!;
          const below = z[low + k]!;
          z[high + k] = s * below + c * above;
          z[low + k] = c * below - s * above;
        }
      }
      if (r === 0 && i >= l) continue;
      d[l]! -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
}

/** Adds a symmetric matrix times every row of `vectors`, `[count, size]`, to `products`. */
export type SymmetricProduct = (
  vectors: Float64Array,
  count: number,
  products: Float64Array,
) => void;

/**
 * Residual at which an eigenvector is good enough: relative to the largest eigenvalue, and to its own, since
 * an angle is a residual over a distance between eigenvalues, which is no more than the smaller of them.
 */
const RESIDUAL = 1e-10;
const OWN_RESIDUAL = 1e-5;
/** Below this, relative to the largest eigenvalue, residuals are the rounding of f64 products. */
const LEAST_RESIDUAL = 1e-14;
const MOST_CYCLES = 200;
/** Blocks of the Krylov space that is searched in a cycle. */
const KRYLOV_BLOCKS = 4;

/**
 * The largest eigenvalues of a symmetric matrix that is only known by its products, and how far their
 * vectors are from being exact: the largest residual, relative to the largest eigenvalue.
 *
 * Subspace iteration on blocks, each cycle of which takes the best of the space of B, AB, A^2 B, ...
 * (Rayleigh-Ritz). Source: Golub and Underwood 1977, "The block Lanczos method for computing
 * eigenvalues".
 *
 * @param count Wanted; at most `size`.
 * @param wanted How many of them are to be found well; the others are what the search has of them.
 */
export function largestEigen(
  product: SymmetricProduct,
  size: number,
  count: number,
  wanted = count,
): Eigen & { residual: number } {
  const block = Math.min(size, Math.max(count, wanted + Math.max(4, Math.ceil(wanted / 2))));
  const width = Math.min(size, KRYLOV_BLOCKS * block);
  const random = new Random(1);
  let start = Float64Array.from({ length: block * size }, () => random.normal());
  let values = new Float64Array(block);
  let residual = Infinity;
  /** The largest residual, in units of what is good enough. */
  let worst = Infinity;
  for (let cycle = 0; cycle < MOST_CYCLES && worst > 1; cycle++) {
    const basis = new Float64Array(width * size);
    const images = new Float64Array(width * size);
    basis.set(start);
    let have = orthonormalize(basis, size, 0, block, random);
    let done = 0;
    while (done < have) {
      product(basis.subarray(done * size, have * size), have - done, images.subarray(done * size));
      const next = Math.min(width, have + (have - done));
      if (next > have) {
        basis.set(images.subarray(done * size, (done + next - have) * size), have * size);
        orthonormalize(basis, size, have, next, random);
      }
      [done, have] = [have, next];
    }
    const small = new Float64Array(width * width);
    for (let i = 0; i < width; i++) {
      for (let j = i; j < width; j++) {
        small[i * width + j] = small[j * width + i] = dot(basis, i, images, j, size);
      }
    }
    const ritz = symmetricEigen(small, width);
    start = combine(ritz.vectors, block, basis, width, size);
    const moved = combine(ritz.vectors, block, images, width, size);
    values = ritz.values.slice(0, block);
    const largest = Math.max(Math.abs(values[0]!), Number.MIN_VALUE);
    const before = worst;
    [residual, worst] = [0, 0];
    for (let i = 0; i < wanted; i++) {
      let squares = 0;
      for (let d = i * size; d < (i + 1) * size; d++) {
        squares += (moved[d]! - values[i]! * start[d]!) ** 2;
      }
      const own = Math.sqrt(squares) / largest;
      residual = Math.max(residual, own);
      const enough = Math.max(LEAST_RESIDUAL, OWN_RESIDUAL * Math.abs(values[i]!) / largest);
      worst = Math.max(worst, own / Math.min(RESIDUAL, enough));
    }
    // rounding of products is all that is left of it, in a large matrix
    if (residual <= RESIDUAL && worst > before / 2) break;
  }
  return {
    values: values.slice(0, count),
    vectors: start.slice(0, count * size),
    residual,
  };
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, size: number): number {
  let sum = 0;
  for (let d = 0; d < size; d++) sum += a[i * size + d]! * b[j * size + d]!;
  return sum;
}

/** The first `count` rows of weights times rows. */
function combine(
  weights: Float64Array,
  count: number,
  rows: Float64Array,
  width: number,
  size: number,
): Float64Array<ArrayBuffer> {
  const combined = new Float64Array(count * size);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) {
      const weight = weights[i * width + j]!;
      for (let d = 0; d < size; d++) combined[i * size + d]! += weight * rows[j * size + d]!;
    }
  }
  return combined;
}

/**
 * Makes rows [from, to) orthonormal to each other and to those before, each as much as it can stay what it
 * is; one of which nothing is left becomes any other direction. Returns `to`.
 */
export function orthonormalize(
  rows: Float64Array,
  size: number,
  from: number,
  to: number,
  random: Random,
): number {
  for (let i = from; i < to; i++) {
    for (let attempts = 0;; attempts++) {
      const before = Math.sqrt(dot(rows, i, rows, i, size));
      // twice is enough
      for (let again = 0; again < 2; again++) {
        for (let j = 0; j < i; j++) {
          const along = dot(rows, i, rows, j, size);
          for (let d = 0; d < size; d++) rows[i * size + d]! -= along * rows[j * size + d]!;
        }
      }
      const norm = Math.sqrt(dot(rows, i, rows, i, size));
      if (norm > 1e-12 * before && norm > 0) {
        for (let d = 0; d < size; d++) rows[i * size + d]! /= norm;
        break;
      }
      // nothing new in it: any other direction serves
      for (let d = 0; d < size; d++) rows[i * size + d] = random.normal();
      if (attempts > 8) throw new Error(`Cannot find ${to} directions in ${size} dimensions`);
    }
  }
  return to;
}
