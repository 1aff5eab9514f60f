/**
 * Natural cubic splines: cubic between knots with two continuous derivatives, straight beyond the outermost knots.
 *
 * As many functions as knots span them, each of which is 0 but over a few intervals: B-splines, of which the outermost
 * two are shared out to their neighbours so that nothing bends at the ends. They sum to 1 everywhere.
 *
 * @module
 */

/** Functions that are not 0 at a place: from `first` on. */
export interface SplineRow {
  first: number;
  values: Float64Array;
}

/** Functions beside each other that may not be 0 at a place. */
const REACHED = 4;

/** The functions of a sequence of knots. */
export class NaturalSpline {
  /** [functions] ascending, at least two. */
  readonly knots: Float64Array;
  /** Share of the outermost B-splines in the first two functions, and in the last two. */
  readonly #low: readonly [number, number];
  readonly #high: readonly [number, number];

  constructor(knots: ArrayLike<number>) {
    this.knots = Float64Array.from(knots);
    const { length } = this.knots;
    const at = (knot: number) => this.knots[Math.min(length - 1, Math.max(0, knot))]!;
    const shares = (interval: number, two: number): [number, number] => [
      1 + interval / two,
      -interval / two,
    ];
    this.#low = shares(at(1) - at(0), at(2) - at(0));
    this.#high = shares(at(length - 1) - at(length - 2), at(length - 1) - at(length - 3));
  }

  get size(): number {
    return this.knots.length;
  }

  /** How many values a row has. */
  get width(): number {
    return Math.min(REACHED, this.size);
  }

  rowAt(x: number): SplineRow {
    const { knots, size, width } = this;
    const last = size - 1;
    const interval = this.#intervalOf(x);
    const pieces = x < knots[0]! || x > knots[last]!
      ? this.#straight(x, interval)
      : this.#bSplines(x, interval);
    const first = Math.min(Math.max(interval - 1, 0), size - width);
    const values = new Float64Array(width);
    const add = (column: number, value: number) => values[column - first]! += value;
    pieces.forEach((value, i) => {
      const piece = interval + i;
      if (piece === 0) this.#low.forEach((share, column) => add(column, share * value));
      else if (piece === size + 1) {
        this.#high.forEach((share, back) => add(last - back, share * value));
      } else add(piece - 1, value);
    });
    return { first, values };
  }

  #intervalOf(x: number): number {
    let interval = 0;
    while (interval < this.size - 2 && x >= this.knots[interval + 1]!) interval++;
    return interval;
  }

  /** The four B-splines over an interval, by their recurrence; outer knots count four times. */
  #bSplines(x: number, interval: number): Float64Array {
    const { knots, size } = this;
    const at = (knot: number) => knots[Math.min(size - 1, Math.max(0, knot))]!;
    const values = Float64Array.of(1, 0, 0, 0);
    for (let degree = 1; degree <= 3; degree++) {
      let carried = 0;
      for (let i = 0; i < degree; i++) {
        const right = at(interval + i + 1);
        const left = at(interval + i + 1 - degree);
        const part = values[i]! / (right - left);
        values[i] = carried + (right - x) * part;
        carried = (x - left) * part;
      }
      values[degree] = carried;
    }
    return values;
  }

  /** The four B-splines of the first or last interval, continued by their tangents. */
  #straight(x: number, interval: number): Float64Array {
    const { knots, size } = this;
    if (x < knots[0]!) {
      const way = 3 * (x - knots[0]!) / (knots[1]! - knots[0]!);
      return Float64Array.of(1 - way, way, 0, 0);
    }
    const way = 3 * (x - knots[size - 1]!) / (knots[interval + 1]! - knots[interval]!);
    return Float64Array.of(0, 0, -way, 1 + way);
  }
}
