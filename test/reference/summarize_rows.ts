/** Twin of `summarize_rows` in f64; the highest-density region by sorting, as it is defined. */

export interface RowSummary {
  mapBin: number;
  peak: number;
  entropy: number;
  mean: [number, number];
  variance: [number, number];
  hpdThreshold: number;
  hpdSize: number;
}

/** @param positions [width, 2]. */
export function summarizeRow(
  row: Float32Array,
  positions: Float32Array,
  coverage: number,
): RowSummary {
  const total = row.reduce((sum, p) => sum + p, 0);
  const peak = Math.max(...row);
  const moment = (d: number, power: number, center: number) =>
    row.reduce((sum, p, bin) => sum + p * (positions[2 * bin + d]! - center) ** power, 0) / total;
  const mean: [number, number] = [moment(0, 1, 0), moment(1, 1, 0)];
  let mass = 0;
  let hpdThreshold = 0;
  for (const p of [...row].sort((a, b) => b - a)) {
    mass += p;
    hpdThreshold = p;
    if (mass >= coverage * total) break;
  }
  return {
    mapBin: row.indexOf(peak),
    peak,
    entropy: -row.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0),
    mean,
    variance: [moment(0, 2, mean[0]), moment(1, 2, mean[1])],
    hpdThreshold,
    hpdSize: row.filter((p) => p >= hpdThreshold).length,
  };
}
