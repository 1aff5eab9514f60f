/** Numbers of cells and genes, and what they come to. */

/** Numbers that numpy was given, too. */
export const some = (length: number, shift: number) =>
  Float64Array.from({ length }, (_, i) => ((i + shift) * (7 * (i + shift) + 3) % 23) / 10);

/** Means and variances (ddof 1) of values [cells, genes]. */
export const momentsOf = (values: Float64Array, genes: number) => {
  const cells = values.length / genes;
  const mean = new Float64Array(genes);
  values.forEach((value, i) => mean[i % genes]! += value / cells);
  const variance = new Float64Array(genes);
  values.forEach((value, i) =>
    variance[i % genes]! += (value - mean[i % genes]!) ** 2 / (cells - 1)
  );
  return { cells, mean, variance };
};
