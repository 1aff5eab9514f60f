/**
 * How near cells come to cells, beyond their means: distances of distributions, and counts drawn from a model.
 *
 * @module
 */

import { symmetricEigen } from "../math/eigen.ts";
import { quantiles } from "../math/quantiles.ts";
import type { Random } from "../math/random.ts";

/** Points in a row, `[count, dim]`. */
export interface Points {
  values: Float64Array;
  dim: number;
}

const countOf = ({ values, dim }: Points) => values.length / dim;

function squaredDistance(a: Points, i: number, b: Points, j: number): number {
  let sum = 0;
  for (let d = 0; d < a.dim; d++) sum += (a.values[i * a.dim + d]! - b.values[j * a.dim + d]!) ** 2;
  return sum;
}

/** Mean of a function of squared distances over all pairs; within one set over pairs of different points. */
function meanOverPairs(a: Points, b: Points, of: (squared: number) => number): number {
  const [rows, columns] = [countOf(a), countOf(b)];
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = a === b ? i + 1 : 0; j < columns; j++) sum += of(squaredDistance(a, i, b, j));
  }
  return a === b ? sum / (rows * (rows - 1) / 2) : sum / (rows * columns);
}

function checkPoints(what: string, ...sets: readonly Points[]): void {
  const dims = sets.map(({ dim }) => dim);
  const few = sets.find((points) => countOf(points) < 2);
  if (few) {
    throw new RangeError(`Cannot take ${what}: got ${countOf(few)} cells, wanted 2 at least`);
  }
  if (new Set(dims).size > 1) {
    throw new RangeError(`Cannot take ${what}: cells have ${dims.join(" and ")} coordinates`);
  }
}

/**
 * The energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'|, by Euclidean distances between different cells: about 0
 * for cells of one distribution, and below it as well.
 */
export function energyDistance(a: Points, b: Points): number {
  checkPoints("an energy distance", a, b);
  const within = meanOverPairs(a, a, Math.sqrt) + meanOverPairs(b, b, Math.sqrt);
  return 2 * meanOverPairs(a, b, Math.sqrt) - within;
}

/** Widths of kernels, as shares of gamma. */
const WIDTHS = [0.25, 1, 4];

/**
 * The squared maximum mean discrepancy, unbiased, summed over Gaussian kernels of gamma / 4, gamma and 4 gamma.
 *
 * @param gamma As {@link kernelWidth} has it of truth and control: the same for all that is compared.
 */
export function squaredMmd(a: Points, b: Points, gamma: number): number {
  checkPoints("a mean discrepancy", a, b);
  const kernel = (squared: number) =>
    WIDTHS.reduce((sum, width) => sum + Math.exp(-width * gamma * squared), 0);
  return meanOverPairs(a, a, kernel) + meanOverPairs(b, b, kernel) -
    2 * meanOverPairs(a, b, kernel);
}

/** 1 / (2 median^2) of the distances between the cells of two sets. */
export function kernelWidth(a: Points, b: Points): number {
  checkPoints("the width of a kernel", a, b);
  const [rows, columns] = [countOf(a), countOf(b)];
  const squares = Float64Array.from(
    { length: rows * columns },
    (_, i) => squaredDistance(a, Math.floor(i / columns), b, i % columns),
  ).map(Math.sqrt).sort();
  const [median] = quantiles(squares, [0.5]);
  return 1 / (2 * median! ** 2);
}

/** Directions in which points spread most, and the middle of them. */
export interface Axes {
  mean: Float64Array;
  /** [count, dim], of length 1. */
  directions: Float64Array;
  count: number;
}

/**
 * Principal axes of some points, from the products between them: for hundreds of points of any dimension.
 *
 * @param wanted As many as there are points, less one, at most.
 */
export function principalAxes(points: Points, wanted: number): Axes {
  const { values, dim } = points;
  const rows = countOf(points);
  checkPoints("principal axes", points);
  const mean = new Float64Array(dim);
  values.forEach((value, i) => mean[i % dim]! += value / rows);
  const centred = values.map((value, i) => value - mean[i % dim]!);
  const products = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let d = 0; d < dim; d++) sum += centred[i * dim + d]! * centred[j * dim + d]!;
      products[i * rows + j] = products[j * rows + i] = sum;
    }
  }
  const { values: sizes, vectors } = symmetricEigen(products, rows);
  // beyond the rank there are no axes
  const rank = sizes.filter((size) => size > 1e-12 * sizes[0]!).length;
  const count = Math.min(wanted, rank);
  const directions = new Float64Array(count * dim);
  for (let axis = 0; axis < count; axis++) {
    const scale = 1 / Math.sqrt(sizes[axis]!);
    for (let i = 0; i < rows; i++) {
      const weight = vectors[axis * rows + i]! * scale;
      for (let d = 0; d < dim; d++) {
        directions[axis * dim + d]! += weight * centred[i * dim + d]!;
      }
    }
  }
  return { mean, directions, count };
}

/** Coordinates of points along axes. */
export function project({ values, dim }: Points, { mean, directions, count }: Axes): Points {
  const rows = values.length / dim;
  const projected = new Float64Array(rows * count);
  for (let i = 0; i < rows; i++) {
    for (let axis = 0; axis < count; axis++) {
      let sum = 0;
      for (let d = 0; d < dim; d++) {
        sum += (values[i * dim + d]! - mean[d]!) * directions[axis * dim + d]!;
      }
      projected[i * count + axis] = sum;
    }
  }
  return { values: projected, dim: count };
}

/** Means of Poisson counts that are drawn at once: e^-mean is far from underflow. */
const MOST_AT_ONCE = 16;

/** A count of a negative binomial of this mean and dispersion: a Poisson count of a gamma variable. */
export function drawCount(mean: number, dispersion: number, random: Random): number {
  if (mean === 0) return 0;
  let rate = mean * drawGamma(dispersion, random) / dispersion;
  let count = 0;
  for (; rate > MOST_AT_ONCE; rate -= MOST_AT_ONCE) count += random.poisson(MOST_AT_ONCE);
  return count + random.poisson(rate);
}

/** A gamma variable of scale 1. Source: Marsaglia and Tsang 2000, "A simple method for generating gamma variables". */
export function drawGamma(shape: number, random: Random): number {
  if (shape < 1) {
    // 1 - uniform is never 0
    return drawGamma(shape + 1, random) * (1 - random.uniform()) ** (1 / shape);
  }
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    if (Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
