/**
 * Genes that differ between cells that were perturbed and control: lists of names in `uns`, as one row of a
 * mask for each list and the list of each cell.
 *
 * @module
 */

import type { AnnData } from "../array/anndata/anndata.ts";
import { wantedNames } from "../math/format.ts";
import type { OptionsOf } from "../options.ts";
import { declare, text, whole } from "../options.ts";

export const degOptions = declare("read lists of genes", {
  key: text({ required: true, says: "name in uns of lists of genes, by category" }),
  categoryKey: text({ required: true, says: "column of obs with the category of a cell" }),
  top: whole({ otherwise: "all", from: 1, says: "genes of a list that count, from its start" }),
});

export interface DegMasks {
  genes: number;
  /** By row, after the first. */
  names: readonly string[];
  /** [1 + lists, genes] 0 and 1; the first row is of cells without a list, and has all genes. */
  rows: Uint8Array;
  /** [cells], into `rows`. */
  rowOf: Uint32Array;
  notes: readonly string[];
}

/**
 * Reads the lists. Cells whose category has none, as control, are compared on all genes; names of genes that
 * `var` does not have are left out. Both are stated in `notes`.
 *
 * @throws {RangeError} If there are no lists, none of them is of a category, or a list has no gene of `var`.
 */
export async function readDegMasks(
  adata: AnnData,
  options: OptionsOf<typeof degOptions>,
): Promise<DegMasks> {
  const { key, categoryKey, top = Infinity } = degOptions.check(options);
  const refuse = (reason: string) => new RangeError(`Cannot read lists of genes: ${reason}`);
  const lists = await adata.uns(key);
  if (lists === undefined) {
    throw refuse(`uns has no "${key}", ${wantedNames(key, await adata.names("uns"))}`);
  }
  const named = Object.entries(Object(lists)).filter((entry): entry is [string, string[]] =>
    Array.isArray(entry[1])
  );
  if (named.length === 0) throw refuse(`"${key}" of uns holds no lists of names by category`);
  const column = await adata.obs.column(categoryKey);
  if (column.kind !== "categories") throw refuse(`column "${categoryKey}" holds no categories`);

  const genes = new Map((await adata.var.names()).map((name, gene) => [name, gene]));
  const rows = new Uint8Array((1 + named.length) * adata.genes).fill(1, 0, adata.genes);
  let strangers = 0;
  named.forEach(([name, list], i) => {
    const first = (1 + i) * adata.genes;
    const counted = list.slice(0, top);
    const known = counted.map((gene) => genes.get(gene)).filter((gene) => gene !== undefined);
    if (known.length === 0) {
      throw refuse(`var has none of the ${counted.length} genes of "${name}"`);
    }
    strangers += counted.length - known.length;
    for (const gene of known) rows[first + gene] = 1;
  });
  const names = named.map(([name]) => name);
  const rowOfCategory = column.categories.map((name) => names.indexOf(name) + 1);
  const rowOf = Uint32Array.from(column.codes, (code) => code < 0 ? 0 : rowOfCategory[code]!);
  const without = rowOf.filter((row) => row === 0).length;
  if (without === adata.cells) {
    throw refuse(
      `no list of "${key}" is called as a category of "${categoryKey}": there are lists of ` +
        `${names.slice(0, 8).join(", ")}, and categories ${
          column.categories.slice(0, 8).join(", ")
        }`,
    );
  }
  const notes = [
    ...without > 0 ? [`${without} cells have no list of genes, and are compared on all`] : [],
    ...strangers > 0 ? [`${strangers} names of genes that var does not have were left out`] : [],
  ];
  return { genes: adata.genes, names, rows, rowOf, notes };
}
