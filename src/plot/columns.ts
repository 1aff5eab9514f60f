/**
 * Many rows as few columns of a picture. Nothing is left out: a column has the mean of its rows, and the least and
 * the largest of them.
 *
 * @module
 */

import type { Mark, Range } from "../view/view.ts";
import { band, line } from "../view/view.ts";
import { formatCount } from "../math/format.ts";

/** As many as a picture 1,100 px wide shows at two for each px. */
export const MOST_COLUMNS = 2200;

/** Columns of equal width along an axis. */
export class Columns {
  readonly range: Range;
  readonly count: number;

  constructor(range: Range, count: number) {
    this.range = range;
    this.count = Math.max(1, count);
  }

  /** The column of a number; -1 of one that lies outside. */
  at(value: number): number {
    const { low, high } = this.range;
    if (!(value >= low && value <= high)) return -1;
    return Math.min(this.count - 1, Math.floor((value - low) / (high - low) * this.count));
  }

  /** Middles. */
  centers(): Float64Array {
    const { low, high } = this.range;
    const width = (high - low) / this.count;
    return Float64Array.from({ length: this.count }, (_, i) => low + (i + 0.5) * width);
  }
}

/** Numbers by column: how many there are, their mean, the least and the largest. */
export class SeriesColumns {
  readonly columns: Columns;
  readonly #counts: Float64Array;
  readonly #sums: Float64Array;
  readonly #low: Float64Array;
  readonly #high: Float64Array;

  constructor(columns: Columns) {
    this.columns = columns;
    this.#counts = new Float64Array(columns.count);
    this.#sums = new Float64Array(columns.count);
    this.#low = new Float64Array(columns.count).fill(Infinity);
    this.#high = new Float64Array(columns.count).fill(-Infinity);
  }

  /** NaN is no number, and counts for nothing. */
  add(x: number, value: number): void {
    const column = this.columns.at(x);
    if (column < 0 || Number.isNaN(value)) return;
    this.#counts[column]!++;
    this.#sums[column]! += value;
    this.#low[column] = Math.min(this.#low[column]!, value);
    this.#high[column] = Math.max(this.#high[column]!, value);
  }

  get means(): Float64Array {
    return this.#sums.map((sum, i) => sum / this.#counts[i]!);
  }

  get low(): Float64Array {
    return this.#low.map((value) => value === Infinity ? NaN : value);
  }

  get high(): Float64Array {
    return this.#high.map((value) => value === -Infinity ? NaN : value);
  }

  /** Whether a column has more than one number. */
  get isThinned(): boolean {
    return this.#counts.some((count) => count > 1);
  }

  /** A line of means, and a band from the least to the largest where a column has several. */
  marks(name: string, color: number, { dash }: { dash?: string } = {}): Mark[] {
    const x = this.columns.centers();
    const mean = line({ x, y: this.means, name, color, ...(dash !== undefined && { dash }) });
    if (!this.isThinned) return [mean];
    const { low, high } = this;
    return [band({ x, low, high, name: `${name}, least to largest`, color }), mean];
  }
}

/** Points of a line, of which each column keeps the first, the lowest, the highest and the last. */
export class LineColumns {
  readonly #columns: Columns;
  #column = -1;
  #held: [x: number, y: number][] = [];
  readonly #x: number[] = [];
  readonly #y: number[] = [];

  constructor(columns: Columns) {
    this.#columns = columns;
  }

  /** Points come with ascending x; one without a number is a gap. */
  add(x: number, y: number): void {
    const column = this.#columns.at(x);
    if (column < 0) return;
    if (column !== this.#column || Number.isNaN(y)) this.#flush();
    this.#column = column;
    if (Number.isNaN(y)) {
      if (this.#y.length > 0 && !Number.isNaN(this.#y.at(-1)!)) this.#push([x, NaN]);
      return;
    }
    const own: [number, number] = [x, y];
    const [first, lowest, highest] = this.#held;
    this.#held = [
      first ?? own,
      lowest && lowest[1] <= y ? lowest : own,
      highest && highest[1] >= y ? highest : own,
      own,
    ];
  }

  get points(): { x: Float64Array; y: Float64Array } {
    this.#flush();
    return { x: Float64Array.from(this.#x), y: Float64Array.from(this.#y) };
  }

  #flush(): void {
    for (const point of [...new Set(this.#held)].sort((a, b) => a[0] - b[0])) this.#push(point);
    this.#held = [];
  }

  #push([x, y]: [number, number]): void {
    this.#x.push(x);
    this.#y.push(y);
  }
}

/** What was done to the rows of a picture, in words. */
export function ruleOf(rows: number, columns: number, what: string): string {
  if (rows <= columns) return `All ${formatCount(rows)} ${what} are drawn.`;
  return `${formatCount(rows)} ${what} are drawn as ${
    formatCount(columns)
  } columns at most: colours and lines are ` +
    "the means of their rows, bands go from the least to the largest.";
}
