/**
 * How rows are cut into batches.
 *
 * @module
 */

/** Which rows are a batch: the last one has as many as components, and a few more than the others if need be. */
export class Batches {
  readonly count: number;
  /** Of the largest. */
  readonly mostRows: number;
  readonly #rows: number;
  readonly #batchRows: number;

  constructor(rows: number, batchRows: number, components: number) {
    this.#rows = rows;
    this.#batchRows = batchRows;
    this.count = 1 + Math.max(0, Math.floor((rows - components) / batchRows));
    this.mostRows = Math.max(this.count > 1 ? batchRows : 0, this.#lastRows);
  }

  at(index: number): [start: number, end: number] {
    const start = index * this.#batchRows;
    return [start, index === this.count - 1 ? this.#rows : start + this.#batchRows];
  }

  /** Directions there are after the last one, where `before` were kept and `most` may be. */
  kept(before: number, most: number): number {
    // those kept, rows, and what the mean moves; a first batch moves nothing
    const rows = this.#rows + (before > 0 ? before : -1) + this.count;
    return Math.min(most, rows);
  }

  get #lastRows(): number {
    return this.#rows - (this.count - 1) * this.#batchRows;
  }
}
