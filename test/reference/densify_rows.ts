/** Entries of a row by gene. */
export type Row = readonly (readonly [gene: number, value: number])[];

/** Twin of `densify_rows`, from entries that were not packed: [rows, genes]. */
export function densifyRows(rows: readonly Row[], genes: number, log: boolean): Float64Array {
  const dense = new Float64Array(rows.length * genes);
  rows.forEach((row, i) => {
    for (const [gene, value] of row) dense[i * genes + gene] = log ? Math.log1p(value) : value;
  });
  return dense;
}
