import type { Row } from "./densify_rows.ts";
import { densifyRows } from "./densify_rows.ts";

/** Twin of `mix_rows`: rows made dense, and each mixed with its partner. */
export function mixRows(
  rows: readonly Row[],
  genes: number,
  partners: ArrayLike<number>,
  share: number,
): { mixed: Float64Array; libraries: Float64Array } {
  const dense = densifyRows(rows, genes, false);
  const mixed = dense.map((value, i) =>
    share * value +
    (1 - share) * dense[partners[Math.floor(i / genes)]! * genes + i % genes]!
  );
  const libraries = new Float64Array(rows.length);
  mixed.forEach((value, i) => libraries[Math.floor(i / genes)]! += value);
  return { mixed, libraries };
}
