/**
 * Tables as text, whose fields are separated by commas or tabs.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { formatBytes } from "../math/format.ts";
import type { ByteSource } from "./byte_source.ts";
import { readExactly } from "./byte_source.ts";

/** A row, by the names of the columns; what is empty in the file is "". */
export type TableRow = Record<string, string>;

export type Separator = "," | "\t";

/** Tables are held as text. */
const MOST_BYTES = 512 * 2 ** 20;

/** @throws {RangeError} If a table is too large to be held. */
export function checkSize({ bytes }: ByteSource): void {
  if (bytes <= MOST_BYTES) return;
  throw new RangeError(`it has ${formatBytes(bytes)}, wanted at most ${formatBytes(MOST_BYTES)}`);
}

/** Rows of a file in UTF-8: a line of names, then rows; fields may be quoted. @throws {RangeError} If it is none. */
export async function readCsv(source: ByteSource, separator: Separator): Promise<TableRow[]> {
  checkSize(source);
  return parseCsv(decodeText(await readExactly(source, 0, source.bytes)), separator);
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
export function parseCsv(text: string, separator: Separator = ","): TableRow[] {
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

function csvLines(text: string, separator: Separator): string[][] {
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

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const WHOLE = /^[+-]?\d+$/;
/** What stands for a number that is not known: as pandas, R and MATLAB write it. */
const UNKNOWN = /^(|na|nan)$/i;

/** Columns of a table as numbers. */
export class CsvFile {
  readonly names: readonly string[];
  readonly #rows: TableRow[];
  readonly #path: string;

  private constructor(rows: TableRow[], path: string) {
    this.#rows = rows;
    this.#path = path;
    this.names = Object.keys(rows[0] ?? {});
  }

  /** @throws {ChunkError} If it is no table, or its first line has numbers in the place of names. */
  static async open(source: ByteSource, separator: Separator): Promise<CsvFile> {
    const { path } = source;
    try {
      const file = new CsvFile(await readCsv(source, separator), path);
      const number = file.names.find((name) => NUMBER.test(name.trim()));
      if (number === undefined) return file;
      throw new RangeError(`its first line has the number ${number}, wanted names of columns`);
    } catch (error) {
      throw new ChunkError(`Cannot open "${path}": ${(error as Error).message}`, path, error);
    }
  }

  /**
   * Columns beside one another, `x,y`, in C order; a field that is empty, NA or NaN is NaN.
   *
   * @throws {ChunkError} If there is no such column, or a field is no number.
   */
  read(columns: readonly string[]): Float64Array {
    const unknown = columns.find((name) => !this.names.includes(name));
    if (unknown !== undefined) {
      throw this.#refuse(
        `it has no column ${JSON.stringify(unknown)}, wanted of ${this.names.join(", ") || "none"}`,
      );
    }
    const values = new Float64Array(this.#rows.length * columns.length);
    this.#rows.forEach((row, i) =>
      columns.forEach((name, column) => {
        const text = row[name]!.trim();
        const value = UNKNOWN.test(text) ? NaN : NUMBER.test(text) ? Number(text) : undefined;
        const isLost = WHOLE.test(text) && !Number.isSafeInteger(value);
        if (value === undefined || value === Infinity || value === -Infinity || isLost) {
          throw this.#refuse(
            `row ${i + 1} has ${JSON.stringify(row[name])} as ${
              JSON.stringify(name)
            }, wanted a number ` +
              "that f64 holds",
          );
        }
        values[i * columns.length + column] = value;
      })
    );
    return values;
  }

  #refuse(reason: string): ChunkError {
    return new ChunkError(`Cannot open "${this.#path}": ${reason}`, this.#path);
  }
}
