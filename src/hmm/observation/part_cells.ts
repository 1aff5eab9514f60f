/**
 * Where likelihoods of bins lie in a row: those of each environment and group of samples that states differ in, one part
 * after the other.
 *
 * @module
 */

/** Cells of 4 bins, of the parts that states over bins have. */
export interface PartCells {
  /** Which of those that were encoded each is. */
  parts: readonly number[];
  /** [parts] first cell of each, and how many it has. */
  ranges: readonly { first: number; cells: number }[];
  /** Of a whole row. */
  cells: number;
  /** Places values of bins, `part` being counted in `parts`, with `outside` where there is none. */
  toCells(values: (bin: number, part: number) => number, outside: number): Float64Array;
}

/** Ranges that follow one another. */
export function rangesOf(counts: readonly number[]): PartCells["ranges"] {
  let first = 0;
  return counts.map((cells) => ({ first: (first += cells) - cells, cells }));
}

/**
 * Values [units, bins] of each part as `[units, parts, widest]`: those of smaller parts are filled up with one of their
 * own, which no bin reads.
 */
export function besideEachOther(
  tables: readonly Float64Array[],
  units: number,
): { values: Float64Array; bins: number } {
  const widths = tables.map(({ length }) => length / units);
  const bins = Math.max(...widths);
  const values = new Float64Array(units * tables.length * bins);
  tables.forEach((own, part) => {
    const width = widths[part]!;
    for (let unit = 0; unit < units; unit++) {
      const first = (unit * tables.length + part) * bins;
      values.fill(own[unit * width]!, first, first + bins);
      values.set(own.subarray(unit * width, (unit + 1) * width), first);
    }
  });
  return { values, bins };
}
