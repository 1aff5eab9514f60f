/**
 * Predictions as AnnData: the tables of the cells they are of, beside arrays that are streamed.
 *
 * @module
 */

import type { AnnData } from "../array/anndata/anndata.ts";
import type { Column, DataFrame } from "../array/anndata/frame.ts";
import type { WrittenColumn, WrittenTables } from "../array/anndata/write.ts";
import { ANNDATA_ATTRIBUTES, writeAnnDataTables } from "../array/anndata/write.ts";
import { ChunkError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import type { Companion } from "../stream/output.ts";
import type { Feed } from "../stream/task.ts";
import type { CellTable } from "./cell_table.ts";
import { checkPlace } from "./cell_table.ts";

/** Column of obs: which row of the AnnData that was read a cell is. */
export const SOURCE_ROW = "source_row";

export interface AnnDataResult {
  companion: Companion;
  /** Of the tables, since what is stored depends on them. */
  feed: Feed;
  /** While tables are written, about. */
  hostBytes: number;
}

/** What is said of all, and of every cell alike. */
export interface Says {
  uns?: Record<string, string>;
  obs?: Record<string, string>;
}

/** Of a name in memory, and on disk, about. */
const [NAME_BYTES, STORED_NAME_BYTES] = [96, 64];
const COLUMN_BYTES = 12;
const METADATA_BYTES = 4096;

/**
 * @param cells Rows that are predicted, ascending.
 * @throws {RangeError} If the AnnData is not that of the table.
 */
export function annDataResult(
  adata: AnnData,
  table: CellTable,
  cells: Uint32Array,
  says: Says,
): AnnDataResult {
  const read = () => readTables(adata, table, cells, says);
  if (adata.cells !== table.cells) {
    throw new RangeError(
      `Cannot predict: annData has ${adata.cells} cells, ${table.cells} are set up`,
    );
  }
  checkPlace(table, adata.place, "predict");
  const columns = adata.obs.columns.length + 1 + Object.keys(says.obs ?? {}).length;
  const genes = table.genes * (1 + adata.var.columns.length);
  return {
    companion: {
      attributes: ANNDATA_ATTRIBUTES,
      bytes: cells.length * (STORED_NAME_BYTES + COLUMN_BYTES * columns) +
        STORED_NAME_BYTES * genes + METADATA_BYTES * (columns + adata.var.columns.length + 16),
      write: async (store, sums) => await writeAnnDataTables(store, await read(), sums),
    },
    feed: {
      places: [adata.place],
      look: async ({ digest }) => digest ? { digest: await digestTables(await read()) } : {},
    },
    hostBytes: cells.length * (NAME_BYTES + COLUMN_BYTES * columns) + NAME_BYTES * genes,
  };
}

async function readTables(
  adata: AnnData,
  table: CellTable,
  cells: Uint32Array,
  says: Says,
): Promise<WrittenTables> {
  const ofGenes = table.setup?.matrix === "raw/X" ? await adata.rawVar() : adata.var;
  if (ofGenes.rows !== table.genes) {
    throw new RangeError(
      `Cannot predict: annData has ${ofGenes.rows} genes, ${table.genes} are set up`,
    );
  }
  const genes = await ofGenes.names();
  if (
    table.genesDigest !== undefined && await digestOf([JSON.stringify(genes)]) !== table.genesDigest
  ) {
    throw new RangeError("Cannot predict: annData has other genes than those that are set up");
  }
  const names = await adata.obs.names();
  const obs = await readColumns(adata.obs, cells);
  const others = await readColumns(ofGenes);
  const leftOut = [...obs.leftOut, ...others.leftOut];
  return {
    cells: Array.from(cells, (cell) => names[cell]!),
    genes,
    obs: {
      ...obs.columns,
      ...Object.fromEntries(
        Object.entries(says.obs ?? {}).map(([name, value]) => [
          name,
          { categories: [value], codes: new Int32Array(cells.length) },
        ]),
      ),
      [SOURCE_ROW]: Int32Array.from(cells),
    },
    var: others.columns,
    uns: { ...says.uns, ...leftOut.length > 0 && { columns_left_out: leftOut } },
  };
}

/** Columns as they are written; those of a kind that is not understood are named. */
async function readColumns(frame: DataFrame, rows?: Uint32Array) {
  const columns: Record<string, WrittenColumn> = {};
  const leftOut: string[] = [];
  for (const name of frame.columns) {
    try {
      columns[name] = writtenColumn(await frame.column(name), rows);
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      leftOut.push(`${frame.path}/${name}`);
    }
  }
  return { columns, leftOut };
}

function writtenColumn(column: Column, rows?: Uint32Array): WrittenColumn {
  if (column.kind === "categories") {
    const { categories, codes } = column;
    return { categories, codes: rows ? Int32Array.from(rows, (row) => codes[row]!) : codes };
  }
  const values = rows
    ? Float64Array.from(rows, (row) => column.values[row]!)
    : Float64Array.from(column.values);
  // what is missing is no whole number
  const isSmall = column.isWhole && values.every((value) => value === (value | 0));
  return isSmall ? Int32Array.from(values) : values;
}

async function digestTables({ cells, genes, obs = {}, var: ofGenes = {}, uns }: WrittenTables) {
  const columns = [...Object.entries(obs), ...Object.entries(ofGenes)];
  return await digestOf([
    JSON.stringify([cells, genes, uns]),
    ...columns.flatMap(([name, column]) =>
      "codes" in column ? [JSON.stringify([name, column.categories]), column.codes] : [name, column]
    ),
  ]);
}
