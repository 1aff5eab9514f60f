/**
 * Tables of text and numbers in CSV or parquet files.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { openSource } from "../files/byte_source.ts";
import type { TableRow } from "../files/csv.ts";
import { checkSize, readCsv } from "../files/csv.ts";
import { ParquetFile } from "../files/parquet.ts";

export type { TableRow };

/**
 * Reads a table, all of it: `.csv` or `.tsv` in UTF-8 (a line of names, then rows; fields may be quoted), or `.parquet`
 * through the optional package hyparquet.
 *
 * @throws {ChunkError} If there is no such file, or it cannot be read.
 * @throws {TypeError} If it is of another kind, or a package is not installed that it needs.
 */
export async function readTable(place: string): Promise<TableRow[]> {
  const kind = /\.(csv|tsv|parquet)(\?[^/]*)?$/i.exec(place)?.[1]?.toLowerCase();
  if (kind === undefined) {
    throw new TypeError(
      `Cannot read the table "${place}": wanted a name in .csv, .tsv or .parquet`,
    );
  }
  const source = await openSource(place);
  try {
    checkSize(source);
    if (kind === "parquet") return await parquetTable(await ParquetFile.open(source));
    return await readCsv(source, kind === "tsv" ? "\t" : ",");
  } catch (error) {
    if (error instanceof TypeError || error instanceof ChunkError) throw error;
    const reason = (error as Error).message;
    throw new ChunkError(`Cannot read the table "${place}": ${reason}`, place, error);
  } finally {
    await source.close();
  }
}

/** Columns of lists, records, bytes and decimals are left out: their texts could be those of others. */
async function parquetTable(file: ParquetFile): Promise<TableRow[]> {
  const columns = file.columns.filter(({ levels, stored }) =>
    levels === 0 && !/^records$|DECIMAL|FIXED_LEN|JSON/.test(stored)
  );
  const rows = await file.rows({ columns: columns.map(({ name }) => name) });
  return rows.map((row) =>
    Object.fromEntries(columns.map(({ name }) => [name, String(row[name] ?? "")]))
  );
}
