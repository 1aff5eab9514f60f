/**
 * Sums of Gaussian kernels at any place, of many places: what a grid has no bin for.
 *
 * Around the middle of a cell of half a standard deviation, a kernel is a Gaussian of the distance from there times an
 * exponential, whose series converges fast. So points are summed once for each cell that is asked for.
 *
 * @module
 */

/** Side of a cell, and how far points count, in standard deviations: what lies beyond adds 1e-24 of a point. */
const CELL = 0.5;
const REACH = 10.5;
/** Terms of the series along a dimension: what is left out is 1e-9 of the whole. */
const TERMS = 20;
/** Cells along a dimension that keys tell apart, far more than a track has. */
const MOST_CELLS = 2 ** 24;

const FACTORIALS = new Float64Array(TERMS).fill(1);
for (let i = 1; i < TERMS; i++) FACTORIALS[i] = FACTORIALS[i - 1]! * i;

/** Weighted points under a Gaussian of peak 1. */
export class KernelSum {
  readonly #dimensions: 1 | 2;
  readonly #std: number;
  /** [points, dimensions] in standard deviations. */
  readonly #points: Float64Array;
  readonly #weights: Float64Array;
  /** Coefficients of the series of each cell. */
  readonly #cells = new Map<number, Float64Array>();

  /** @param places [points, dimensions] */
  constructor(places: Float64Array, weights: Float64Array, dimensions: 1 | 2, std: number) {
    this.#dimensions = dimensions;
    this.#std = std;
    this.#points = places.map((value) => value / std);
    this.#weights = weights;
  }

  /** The sum at a place, without what lies further than 10.5 standard deviations away. */
  near(place: ArrayLike<number>): number {
    const x = place[0]! / this.#std;
    const y = this.#dimensions === 2 ? place[1]! / this.#std : 0;
    const [cellX, cellY] = [Math.round(x / CELL), Math.round(y / CELL)];
    const alongX = x - cellX * CELL;
    const alongY = y - cellY * CELL;
    const series = this.#seriesOf(cellX, cellY);
    let sum = 0;
    let at = 0;
    let powerX = 1;
    for (let i = 0; i < TERMS; i++) {
      let power = powerX;
      const end = this.#dimensions === 2 ? TERMS - i : 1;
      for (let j = 0; j < end; j++) {
        sum += power * series[at++]!;
        power *= alongY;
      }
      powerX *= alongX;
    }
    return sum * Math.exp(-0.5 * (alongX * alongX + alongY * alongY));
  }

  /** The sum at a place over all points, each for itself. */
  of(place: ArrayLike<number>): number {
    const x = place[0]! / this.#std;
    const y = this.#dimensions === 2 ? place[1]! / this.#std : 0;
    let sum = 0;
    this.#forEach((pointX, pointY, weight) => {
      sum += weight * Math.exp(-0.5 * ((pointX - x) ** 2 + (pointY - y) ** 2));
    });
    return sum;
  }

  #forEach(visit: (x: number, y: number, weight: number) => void): void {
    for (let i = 0; i < this.#weights.length; i++) {
      if (this.#dimensions === 1) visit(this.#points[i]!, 0, this.#weights[i]!);
      else visit(this.#points[2 * i]!, this.#points[2 * i + 1]!, this.#weights[i]!);
    }
  }

  #seriesOf(cellX: number, cellY: number): Float64Array {
    const key = cellX * MOST_CELLS + cellY;
    const known = this.#cells.get(key);
    if (known) return known;
    const flat = this.#dimensions === 1;
    const series = new Float64Array(flat ? TERMS : TERMS * (TERMS + 1) / 2);
    const powers = new Float64Array(TERMS).fill(1);
    this.#forEach((pointX, pointY, weight) => {
      const x = pointX - cellX * CELL;
      const y = pointY - cellY * CELL;
      const squared = x * x + y * y;
      if (squared > REACH * REACH) return;
      for (let j = 1; j < TERMS; j++) powers[j] = powers[j - 1]! * y;
      let power = weight * Math.exp(-0.5 * squared);
      let at = 0;
      for (let i = 0; i < TERMS; i++) {
        const end = flat ? 1 : TERMS - i;
        for (let j = 0; j < end; j++) series[at++]! += power * powers[j]!;
        power *= x;
      }
    });
    let at = 0;
    for (let i = 0; i < TERMS; i++) {
      const end = flat ? 1 : TERMS - i;
      for (let j = 0; j < end; j++) series[at++]! /= FACTORIALS[i]! * FACTORIALS[j]!;
    }
    this.#cells.set(key, series);
    return series;
  }
}
