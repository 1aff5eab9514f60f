/** Rows that are mostly zero, by their entries, for kernels that make them dense. */

import type { RowEntries } from "../../src/array/anndata/matrix.ts";
import { packCounts, packNumbers } from "../../src/cpa/counts.ts";
import type { PackedRows } from "../../src/cpa/counts.ts";
import type { Row } from "../reference/densify_rows.ts";
import { seeded } from "./random.ts";

function someRows(rows: number, genes: number, value: (random: () => number) => number): Row[] {
  const random = seeded(rows + genes);
  return Array.from({ length: rows }, (_, row) => {
    // some are empty, and some full
    const share = row % 5 === 3 ? 0 : row % 5 === 4 ? 1 : random();
    const all = Array.from({ length: genes }, (_, gene) => [gene, value(random)] as const);
    return all.filter(([, value]) => value !== 0 && random() <= share);
  });
}

function entriesOf(rows: readonly Row[]): RowEntries {
  const starts = Uint32Array.from(
    { length: rows.length + 1 },
    (_, i) => rows.slice(0, i).reduce((sum, row) => sum + row.length, 0),
  );
  const all = rows.flat();
  return {
    ...{ start: 0, end: rows.length, starts },
    genes: Uint32Array.from(all, ([gene]) => gene),
    values: Float64Array.from(all, ([, value]) => value),
    wholeBelow: 2 ** 53,
  };
}

/** Random rows of entries of a form, and packed. */
export function packedRows(
  form: PackedRows["form"],
  rows: number,
  genes: number,
): { rows: Row[]; packed: PackedRows } {
  const own = someRows(rows, genes, (random) => {
    if (form === "float") return Math.fround(random() - 0.5);
    const most = form === "wide" ? 2 ** 23 : 60_000;
    return 1 + Math.floor(most * random() ** 8);
  });
  if (form === "wide") own[0] = [[own[0]?.[0]?.[0] ?? 0, 2 ** 24], ...own[0]!.slice(1)];
  const read = entriesOf(own);
  return { rows: own, packed: form === "float" ? packNumbers(read) : packCounts(read, genes) };
}
