/**
 * Tables of text and numbers in CSV or parquet files.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { openSource, readExactly } from "../files/byte_source.ts";
import { ParquetFile } from "../files/parquet.ts";
import { formatBytes } from "../math/format.ts";

/** A row, by the names of the columns; what is empty in the file is "". */
export type TableRow = Record<string, string>;

/** Tables are held as text. */
const MOST_BYTES = 512 * 2 ** 20;

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
    if (source.bytes > MOST_BYTES) {
      throw new RangeError(
        `it has ${formatBytes(source.bytes)}, wanted at most ${formatBytes(MOST_BYTES)}`,
      );
    }
    if (kind === "parquet") return await parquetTable(await ParquetFile.open(source));
    const text = decodeText(await readExactly(source, 0, source.bytes));
    return parseCsv(text, kind === "tsv" ? "\t" : ",");
  } catch (error) {
    if (error instanceof TypeError || error instanceof ChunkError) throw error;
    const reason = (error as Error).message;
    throw new ChunkError(`Cannot read the table "${place}": ${reason}`, place, error);
  } finally {
    await source.close();
  }
}

/**
 * Text in UTF-8.
 *
 * @throws {RangeError} If it is in another encoding: two names could become one.
 */
export function decodeText(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const isWide = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  if (isWide || bytes.includes(0)) {
    throw new RangeError("it looks like UTF-16, wanted UTF-8 (save it as CSV UTF-8)");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const line = 1 + bytes.subarray(0, strayByte(bytes)).filter((byte) => byte === 0x0a).length;
    throw new RangeError(
      `line ${line} is not UTF-8, but looks like Latin-1 or another code page (save it as CSV UTF-8)`,
    );
  }
}

/** Place of the first byte that does not belong to a character. */
function strayByte(bytes: Uint8Array): number {
  // of what is no text all characters before it are
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  return new TextEncoder().encode(text.slice(0, text.indexOf("\uFFFD"))).length;
}

/** @throws {RangeError} If a line has more or fewer fields than there are names, or two names are one. */
export function parseCsv(text: string, separator: "," | "\t" = ","): TableRow[] {
  const [names, ...lines] = csvLines(text.replace(/^\uFEFF/, ""), separator);
  if (!names) throw new RangeError("it is empty, wanted a line of names");
  const twice = names.find((name, column) => names.indexOf(name) < column);
  if (twice !== undefined) throw new RangeError(`two columns are named ${JSON.stringify(twice)}`);
  return lines.map((fields, i) => {
    if (fields.length !== names.length) {
      throw new RangeError(
        `row ${i + 1} has ${fields.length} fields, the first line names ${names.length}`,
      );
    }
    return Object.fromEntries(names.map((name, column) => [name, fields[column]!]));
  });
}

function csvLines(text: string, separator: "," | "\t"): string[][] {
  const lines: string[][] = [];
  let fields: string[] = [];
  // a field, quoted or not, and what ends it
  const pattern = separator === ","
    ? /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/y
    : /(?:"((?:[^"]|"")*)"|([^"\t\r\n]*))(\t|\r?\n|\r|$)/y;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (!match) throw new RangeError(`line ${lines.length + 1} has a quote out of place`);
    const [, quoted, plain, end] = match;
    fields.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    const last = pattern.lastIndex >= text.length;
    if (end === separator && last) fields.push("");
    if (end === separator && !last) continue;
    if (fields.length > 1 || fields[0] !== "") lines.push(fields);
    fields = [];
  }
  return lines;
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
