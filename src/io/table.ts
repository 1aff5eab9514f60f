/**
 * Tables of text and numbers in CSV or parquet files.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { splitPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/open_store.ts";

/** A row, by the names of the columns; what is empty in the file is "". */
export type TableRow = Record<string, string>;

/**
 * Reads a table, all of it: `.csv` (a line of names, then rows; fields may be quoted) or `.parquet`
 * through the optional package hyparquet, uncompressed or snappy.
 *
 * @throws {ChunkError} If there is no such file, or it cannot be read.
 * @throws {TypeError} If it is of another kind, or hyparquet is not installed.
 */
export async function readTable(place: string): Promise<TableRow[]> {
  const kind = /\.(csv|parquet)(\?[^/]*)?$/i.exec(place)?.[1]?.toLowerCase();
  if (kind === undefined) {
    throw new TypeError(`Cannot read the table "${place}": wanted a name in .csv or .parquet`);
  }
  const { folder, key } = splitPlace(place);
  const store = await openStore(folder);
  try {
    const bytes = await store.size(key);
    if (bytes === undefined) {
      throw new ChunkError(`Cannot read the table "${place}": there is no such file`, place);
    }
    try {
      if (kind === "parquet") return await readParquet(store, key, bytes);
      return parseCsv(new TextDecoder().decode(await store.get(key)));
    } catch (error) {
      if (error instanceof TypeError && /hyparquet/.test(error.message)) throw error;
      const reason = (error as Error).message;
      throw new ChunkError(`Cannot read the table "${place}": ${reason}`, place, error);
    }
  } finally {
    await store.close();
  }
}

/** @throws {RangeError} If a line has more or fewer fields than there are names. */
export function parseCsv(text: string): TableRow[] {
  const [names, ...lines] = csvLines(text.replace(/^\uFEFF/, ""));
  if (!names) throw new RangeError("it is empty, wanted a line of names");
  return lines.map((fields, i) => {
    if (fields.length !== names.length) {
      throw new RangeError(
        `row ${i + 1} has ${fields.length} fields, the first line names ${names.length}`,
      );
    }
    return Object.fromEntries(names.map((name, column) => [name, fields[column]!]));
  });
}

function csvLines(text: string): string[][] {
  const lines: string[][] = [];
  let fields: string[] = [];
  // a field, quoted or not, and what ends it
  const pattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (!match) throw new RangeError(`line ${lines.length + 1} has a quote out of place`);
    const [, quoted, plain, end] = match;
    fields.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    const last = pattern.lastIndex >= text.length;
    if (end === "," && last) fields.push("");
    if (end === "," && !last) continue;
    if (fields.length > 1 || fields[0] !== "") lines.push(fields);
    fields = [];
  }
  return lines;
}

async function readParquet(store: Store, key: string, byteLength: number): Promise<TableRow[]> {
  let parquet: typeof import("hyparquet");
  try {
    parquet = await import("hyparquet");
  } catch (error) {
    throw new TypeError(
      "Cannot use parquet files: the optional package hyparquet is not there, install it with " +
        "npm i hyparquet, or write the table as CSV",
      { cause: error },
    );
  }
  const file = {
    byteLength,
    slice: async (start: number, end = byteLength) => {
      const bytes = await store.getRange(key, { offset: start, length: end - start });
      return bytes!.slice().buffer as ArrayBuffer;
    },
  };
  const rows = await parquet.parquetReadObjects({ file });
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value ?? "")]))
  );
}
