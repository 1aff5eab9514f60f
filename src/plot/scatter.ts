/**
 * Rows as points of a plane: one by one where they are few, as how many there are where they are many.
 *
 * @module
 */

import { formatCount } from "../math/format.ts";
import type { Mark, Range } from "../view/view.ts";
import { dots, heatMap } from "../view/view.ts";

/** Points that are drawn one by one. */
const MOST_DOTS = 3000;
/** Cells of a plane along either axis. */
const CELLS = 120;

/** Least and largest of the numbers that come; infinities have no place in a picture. */
export class Extent {
  low = Infinity;
  high = -Infinity;

  add(value: number): void {
    if (!Number.isFinite(value)) return;
    if (value < this.low) this.low = value;
    if (value > this.high) this.high = value;
  }

  /** A little more, so that no point lies on an edge. */
  get range(): Range {
    if (!(this.low <= this.high)) return { low: 0, high: 1 };
    const slack = 0.02 * (this.high - this.low) || 0.5;
    return { low: this.low - slack, high: this.high + slack };
  }
}

/** Points in a plane whose ends are known: what is held does not grow with them. */
export class Plane {
  readonly x: Range;
  readonly y: Range;
  #count = 0;
  #notDrawn = 0;
  readonly #cells = new Float64Array(CELLS * CELLS);
  readonly #dots: { x: number; y: number; group: number }[] = [];

  constructor(x: Range, y: Range) {
    this.x = x;
    this.y = y;
  }

  /** @param group Which of the clusters, where points are told apart. */
  add(x: number, y: number, group = 0): void {
    if (!(Number.isFinite(x) && Number.isFinite(y))) {
      this.#notDrawn++;
      return;
    }
    this.#count++;
    if (this.#dots.length < MOST_DOTS) this.#dots.push({ x, y, group });
    const at = (value: number, { low, high }: Range) =>
      Math.max(0, Math.min(CELLS - 1, Math.floor((value - low) / (high - low) * CELLS)));
    this.#cells[at(x, this.x) * CELLS + at(y, this.y)]!++;
  }

  get count(): number {
    return this.#count;
  }

  get isCrowded(): boolean {
    return this.#count > MOST_DOTS;
  }

  /** Dots in a colour for each of a few groups, or colours of counts. */
  marks(groups?: readonly string[]): Mark[] {
    if (this.isCrowded) {
      return [heatMap({
        ...{ values: this.#cells, columns: CELLS, rows: CELLS, x: this.x, y: this.y },
        ...{ name: "rows in a cell, colours by their root", range: { low: 0 }, power: 0.5 },
      })];
    }
    const own = groups ?? ["row"];
    return own.flatMap((name, group): Mark[] => {
      const some = groups ? this.#dots.filter((dot) => dot.group === group) : this.#dots;
      const [x, y] = [some.map(({ x }) => x), some.map(({ y }) => y)];
      return some.length === 0 ? [] : [dots({
        x,
        y,
        name,
        color: group,
        radius: 2.2,
        opacity: 0.7,
        hints: some.map(() => name),
      })];
    });
  }

  /** What is drawn, in words. */
  get rule(): string {
    const missing = this.#notDrawn === 0
      ? ""
      : ` ${formatCount(this.#notDrawn)} rows without a number are not drawn.`;
    return (this.isCrowded
      ? `All ${formatCount(this.#count)} rows are counted, in ${CELLS} x ${CELLS} cells.`
      : `All ${formatCount(this.#count)} rows are drawn.`) + missing;
  }
}

/** How often numbers come, in cells of equal width. */
export class Histogram {
  readonly range: Range;
  readonly counts: Float64Array;
  #notCounted = 0;

  constructor(range: Range, cells = 60) {
    this.range = range;
    this.counts = new Float64Array(cells);
  }

  add(value: number): void {
    const { low, high } = this.range;
    const cell = Math.floor((value - low) / (high - low) * this.counts.length);
    if (cell >= 0 && cell < this.counts.length) this.counts[cell]!++;
    else if (value === high) this.counts[this.counts.length - 1]!++;
    else this.#notCounted++;
  }

  /** What is counted of so many rows, in words. */
  ruleOf(rows: number): string {
    const counted = `${
      formatCount(rows - this.#notCounted)
    } rows are counted, in ${this.counts.length} cells of equal width.`;
    return this.#notCounted === 0
      ? `All ${counted}`
      : `${counted} ${formatCount(this.#notCounted)} rows without a number are not.`;
  }

  get boxes(): { x: Range; y: Range; hint: string }[] {
    const { low, high } = this.range;
    const width = (high - low) / this.counts.length;
    return Array.from(this.counts, (count, i) => ({
      x: { low: low + i * width, high: low + (i + 1) * width },
      y: { low: 0, high: count },
      hint: `${formatCount(count)} rows from ${(low + i * width).toPrecision(4)}`,
    }));
  }
}
