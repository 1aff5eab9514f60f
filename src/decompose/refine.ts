/**
 * Singular values and right singular vectors of rows, in f64, from directions that are nearly right: what
 * a device finds in the products of rows is made as good as the rows are.
 *
 * @module
 */

import { orthonormalize } from "../math/eigen.ts";
import { Random } from "../math/random.ts";

/** The rows of a matrix, in pieces that lie one below the other, `[any, features]`. */
export type Stack = readonly Float64Array[];

/** Directions and a singular value each, largest first. */
export interface Directions {
  values: Float64Array;
  /** `[count, features]`, a row each, orthonormal. */
  vectors: Float64Array;
}

/** Cosines between columns at which they are orthogonal: the rounding of their products. */
const ORTHOGONAL = 1e-13;
const MOST_SWEEPS = 40;

/** Host bytes of {@link refineDirections}. */
export function refineBytes(rows: number, features: number, count: number): number {
  return 8 * count * (rows + 3 * features + 3 * count);
}

/**
 * One step of subspace iteration, which divides what directions have of those outside by the ratio of
 * their squared singular values; and the singular value decomposition of the rows in the space they span.
 *
 * Products of rows with themselves, from which directions come, lose what is a ten-millionth of the first
 * singular value in f64 and what is a thousandth in f32; here a small singular value keeps its digits.
 *
 * @param directions `[count, features]`, largest singular value first; changed.
 */
export function refineDirections(
  stack: Stack,
  directions: Float64Array,
  features: number,
): Directions {
  const count = directions.length / features;
  const random = new Random(1);
  orthonormalize(directions, features, 0, count, random);
  // directions that are all there are need no step
  if (count < features) {
    directions = backProject(stack, project(stack, directions, features), features);
    orthonormalize(directions, features, 0, count, random);
  }
  const scores = project(stack, directions, features);
  return rotate(rootOf(productsOf(scores, count), count), directions, count);
}

/**
 * Eigenvectors of a positive matrix `[size, size]` whose features differ in size, with as many digits as it
 * has of each.
 *
 * @param vectors Those of a plain solve; changed.
 */
export function gradedEigen(matrix: Float64Array, size: number, vectors: Float64Array): Directions {
  const root = rootOf(matrix, size);
  const turned = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const weight = vectors[i * size + j]!;
      for (let k = 0; k < size; k++) turned[i * size + k]! += weight * root[j * size + k]!;
    }
  }
  const { values, vectors: found } = rotate(turned, vectors, size);
  return { values: values.map((value) => value * value), vectors: found };
}

/**
 * Columns, a row here each, that have the products of a matrix with each other: Cholesky's, of features in
 * units of their own lengths, lest a small one loses digits to a large one, and the one with most left first,
 * lest rounding grows where little is left. What is no more than rounding is 0.
 */
function rootOf(matrix: Float64Array, size: number): Float64Array {
  const lengths = Float64Array.from(
    { length: size },
    (_, i) => Math.sqrt(Math.max(0, matrix[i * (size + 1)]!)),
  );
  const root = new Float64Array(size * size);
  const left = lengths.map((length) => length > 0 ? 1 : 0);
  for (let k = 0; k < size; k++) {
    let pivot = 0;
    for (let j = 1; j < size; j++) if (left[j]! > left[pivot]!) pivot = j;
    if (!(left[pivot]! > size * Number.EPSILON)) break;
    const length = Math.sqrt(left[pivot]!);
    for (let j = 0; j < size; j++) {
      // 0 where a pivot was before, too
      if (left[j]! <= 0) continue;
      let sum = matrix[pivot * size + j]! / lengths[pivot]! / lengths[j]!;
      for (let i = 0; i < k; i++) sum -= root[pivot * size + i]! * root[j * size + i]!;
      root[j * size + k] = j === pivot ? length : sum / length;
      if (j !== pivot) left[j]! -= (sum / length) ** 2;
    }
    left[pivot] = 0;
  }
  for (let at = 0; at < root.length; at++) root[at]! *= lengths[Math.floor(at / size)]!;
  return root;
}

function rowsOf(stack: Stack, features: number): number {
  return stack.reduce((sum, piece) => sum + piece.length / features, 0);
}

/** Products of directions with rows, `[count, rows]`. */
function project(stack: Stack, directions: Float64Array, features: number): Float64Array {
  const count = directions.length / features;
  const rows = rowsOf(stack, features);
  const scores = new Float64Array(count * rows);
  let row = 0;
  for (const piece of stack) {
    for (let at = 0; at < piece.length; at += features, row++) {
      for (let i = 0; i < count; i++) {
        let sum = 0;
        for (let d = 0, from = i * features; d < features; d++) {
          sum += piece[at + d]! * directions[from + d]!;
        }
        scores[i * rows + row] = sum;
      }
    }
  }
  return scores;
}

/** Rows weighted by scores, summed: `[count, features]`. */
function backProject(stack: Stack, scores: Float64Array, features: number): Float64Array {
  const rows = rowsOf(stack, features);
  const count = scores.length / rows;
  const sums = new Float64Array(count * features);
  let row = 0;
  for (const piece of stack) {
    for (let at = 0; at < piece.length; at += features, row++) {
      for (let i = 0; i < count; i++) {
        const score = scores[i * rows + row]!;
        for (let d = 0, to = i * features; d < features; d++) {
          sums[to + d]! += score * piece[at + d]!;
        }
      }
    }
  }
  return sums;
}

/** Products of scores, `[count, any]`, with each other. */
function productsOf(scores: Float64Array, count: number): Float64Array {
  const rows = scores.length / count;
  const products = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let j = i; j < count; j++) {
      let sum = 0;
      for (let r = 0; r < rows; r++) sum += scores[i * rows + r]! * scores[j * rows + r]!;
      products[i * count + j] = products[j * count + i] = sum;
    }
  }
  return products;
}

/**
 * Turns pairs of directions until their scores are orthogonal, and the scores, `[count, any]`, with them; both
 * are changed.
 *
 * Source: Hestenes 1958, "Inversion of matrices by biorthogonalization and related results"; Demmel and
 * Veselić 1992, "Jacobi's method is more accurate than QR".
 */
function rotate(scores: Float64Array, directions: Float64Array, count: number): Directions {
  const row = (of: Float64Array, i: number) => {
    const length = of.length / count;
    return of.subarray(i * length, (i + 1) * length);
  };
  for (let sweep = 0, turned = true; turned && sweep < MOST_SWEEPS; sweep++) {
    turned = false;
    for (let i = 0; i < count; i++) {
      for (let j = i + 1; j < count; j++) {
        const [a, b] = [row(scores, i), row(scores, j)];
        let [squares, others, product] = [0, 0, 0];
        for (let r = 0; r < a.length; r++) {
          const [x, y] = [a[r]!, b[r]!];
          squares += x * x;
          others += y * y;
          product += x * y;
        }
        if (Math.abs(product) <= ORTHOGONAL * Math.sqrt(squares) * Math.sqrt(others)) continue;
        turned = true;
        const zeta = (others - squares) / (2 * product);
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, tangent);
        turnPair(a, b, cosine, cosine * tangent);
        turnPair(row(directions, i), row(directions, j), cosine, cosine * tangent);
      }
    }
  }
  const lengths = Float64Array.from(
    { length: count },
    (_, i) => Math.sqrt(row(scores, i).reduce((sum, x) => sum + x * x, 0)),
  );
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[b]! - lengths[a]!);
  const vectors = new Float64Array(directions.length);
  order.forEach((from, to) => vectors.set(row(directions, from), to * directions.length / count));
  return { values: Float64Array.from(order, (i) => lengths[i]!), vectors };
}

function turnPair(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}
