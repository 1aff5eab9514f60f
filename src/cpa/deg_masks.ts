/**
 * Genes that differ between cells that were perturbed and control: lists of names in `uns`, as one row of a
 * mask for each list and the list of each cell.
 *
 * @module
 */

import type { AnnData } from "../array/anndata/anndata.ts";
import type { DataFrame } from "../array/anndata/frame.ts";
import { wantedNames } from "../math/format.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag, text, whole } from "../options.ts";
import { placesByName, severalGenes } from "./names.ts";

export const degOptions = declare("read lists of genes", {
  key: text({ required: true, says: "name in uns of lists of genes, by category" }),
  categoryKey: text({ required: true, says: "column of obs with the category of a cell" }),
  top: whole({ otherwise: "all", from: 1, says: "genes of a list that count, from its start" }),
  compat: flag({ default: false, says: "as the original: all genes of a list, whatever top says" }),
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
 * `var` does not have, and lists that are of no cell, are left out. All of it is stated in `notes`.
 *
 * @param frame With the names of the genes. Default: `var`.
 * @throws {RangeError} If there are no lists, none of them is of a category, a list has no gene of `var`, or a name that several
 * genes have.
 */
export async function readDegMasks(
  adata: AnnData,
  options: OptionsOf<typeof degOptions>,
  frame: DataFrame = adata.var,
): Promise<DegMasks> {
  const { key, categoryKey, top: first = Infinity, compat } = degOptions.check(options);
  const top = compat ? Infinity : first;
  const refuse = (reason: string) => new RangeError(`Cannot read lists of genes: ${reason}`);
  const lists = await adata.uns(key);
  if (lists === undefined) {
    throw refuse(`uns has no "${key}", ${wantedNames(key, await adata.names("uns"))}`);
  }
  const found = Array.isArray(lists) ? [] : Object.entries(Object(lists) as object);
  if (found.length === 0) throw refuse(`"${key}" of uns holds no lists of names by category`);
  const named = found.map(([name, list]): [string, readonly string[]] => {
    if (Array.isArray(list)) return [name, list];
    throw refuse(`"${name}" in "${key}" of uns is no list of names`);
  });
  const column = await adata.obs.column(categoryKey);
  if (column.kind !== "categories") throw refuse(`column "${categoryKey}" holds no categories`);

  const genes = placesByName(await frame.names());
  const count = frame.rows;
  const rows = new Uint8Array((1 + named.length) * count).fill(1, 0, count);
  let strangers = 0;
  named.forEach(([name, list], i) => {
    const start = (1 + i) * count;
    const counted = list.slice(0, top);
    const known = counted.flatMap((gene) => {
      const places = genes.get(gene) ?? [];
      if (places.length > 1) {
        throw refuse(`${severalGenes(gene, places)}, and in the list of "${name}"`);
      }
      return places;
    });
    if (known.length === 0) {
      throw refuse(`var has none of the ${counted.length} genes of "${name}"`);
    }
    strangers += counted.length - known.length;
    for (const gene of known) rows[start + gene] = 1;
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
  const used = new Set(rowOf);
  const unused = names.filter((_, i) => !used.has(i + 1));
  const notes = [
    ...without > 0 ? [`${without} cells have no list of genes, and are compared on all`] : [],
    ...strangers > 0 ? [`${strangers} names of genes that var does not have were left out`] : [],
    ...unused.length > 0
      ? [`${unused.length} lists of genes are of no cell: ${unused.slice(0, 8).join(", ")}`]
      : [],
  ];
  return { genes: count, names, rows, rowOf, notes };
}
