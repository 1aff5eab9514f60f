/**
 * Which rows of an array are wanted, in which order: stretches of it, one after the other.
 *
 * @module
 */

/** Stretches of rows, numbered from 0 as they follow each other. */
export class RowMap {
  /** Where each stretch begins in the array. */
  readonly #starts: Float64Array;
  /** Number of its first row, and at the end the number of all rows. */
  readonly #numbers: Float64Array;

  private constructor(starts: readonly number[], numbers: readonly number[]) {
    this.#starts = Float64Array.from(starts);
    this.#numbers = Float64Array.from(numbers);
  }

  /** Of stretches `[start, end)`; those that touch are joined. */
  static of(stretches: Iterable<readonly [start: number, end: number]>): RowMap {
    const starts: number[] = [];
    const numbers = [0];
    for (const [start, end] of stretches) {
      if (start === end) continue;
      const rows = numbers.at(-1)!;
      const last = starts.at(-1);
      const joins = last !== undefined && last + rows - numbers.at(-2)! === start;
      if (joins) numbers[numbers.length - 1] = rows + end - start;
      else {
        starts.push(start);
        numbers.push(rows + end - start);
      }
    }
    return new RowMap(starts, numbers);
  }

  get rows(): number {
    return this.#numbers.at(-1)!;
  }

  /** What tells it from others. */
  get arrays(): readonly Float64Array[] {
    return [this.#starts, this.#numbers];
  }

  /** Host bytes of the lists. */
  get bytes(): number {
    return this.#starts.byteLength + this.#numbers.byteLength;
  }

  /** Stretches of the array that rows [from, to) lie in. */
  *stretches(from = 0, to = this.rows): Generator<[start: number, end: number]> {
    let [low, high] = [0, this.#starts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#numbers[middle]! <= from) low = middle;
      else high = middle;
    }
    for (let i = low, row = from; row < to; i++) {
      const end = Math.min(to, this.#numbers[i + 1]!);
      const shift = this.#starts[i]! - this.#numbers[i]!;
      yield [row + shift, end + shift];
      row = end;
    }
  }
}
