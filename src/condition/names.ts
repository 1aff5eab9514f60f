/**
 * Names of speakers and utterances, and tables that tell whose utterances are.
 *
 * @module
 */

import { openArray, readAll } from "../array/array.ts";
import { ChunkError } from "../errors.ts";
import { readTable } from "../io/table.ts";
import { splitPlace } from "../store/place.ts";
import { openStore } from "../store/open_store.ts";
import type { IdKind } from "./rows.ts";

/** A name as it is compared and stored, and what it was. */
export interface Name {
  text: string;
  kind: IdKind;
}

/** `undefined` of nothing: null, NaN (Python's word for a missing number) or an empty text. */
export function nameOf(value: unknown, what: () => string): Name | undefined {
  if (value === undefined || value === null || value === "" || Number.isNaN(value)) {
    return undefined;
  }
  if (typeof value === "string") return { text: value, kind: "text" };
  const isWhole = Number.isSafeInteger(value) || typeof value === "bigint";
  if (isWhole) return { text: String(value), kind: "number" };
  throw new RangeError(
    `Cannot tell speakers and utterances apart: ${what()} is ${
      JSON.stringify(value)
    }, wanted a text or ` +
      "a whole number up to 2^53",
  );
}

/** What all names are. `1` and `"1"` would be two where a program tells numbers from texts, and one here. */
export function oneKind(names: readonly (readonly [string, Name])[], what: string): IdKind {
  const first = names.find(([, { kind }]) => kind !== undefined);
  const other = names.find(([, { kind }]) => kind !== undefined && kind !== first![1].kind);
  if (!first || !other) return first?.[1].kind;
  const tell = ([id, { text, kind }]: readonly [string, Name]) =>
    `${kind === "text" ? JSON.stringify(text) : text} of ${id}`;
  throw new RangeError(
    `Cannot tell names apart: ${what} is ${tell(first)} and ${
      tell(other)
    }, wanted numbers or texts alone`,
  );
}

/** A row of an index. */
export interface IndexRow {
  id: Name;
  speaker: Name | undefined;
  frames: number | undefined;
}

export async function readIndex(place: string, columns: readonly string[]): Promise<IndexRow[]> {
  const isJson = /\.json$/i.test(place);
  const table: readonly Record<string, unknown>[] = isJson
    ? await readList(place) as Record<string, unknown>[]
    : await readTable(place);
  const problem = (what: string) => new RangeError(`Cannot use the index "${place}": ${what}`);
  if (table.length === 0) throw problem("it has no rows");
  const stray = table.findIndex((row) => typeof row !== "object" || row === null);
  if (stray >= 0) {
    throw problem(`row ${stray} is ${JSON.stringify(table[stray])}, wanted an object`);
  }
  const missing = columns.filter((name) => !table.some((row) => name in row));
  if (missing.length > 0) {
    throw problem(
      `it has no column ${missing.join(", ")}, only ${Object.keys(table[0]!).join(", ")}`,
    );
  }
  const seen = new Set<string>();
  return table.map((row, i) => {
    const name = (column: string) => {
      const found = nameOf(row[column], () => `${column} of row ${i} of the index`);
      // a table of text does not tell what a name was
      return found && { text: found.text, kind: isJson ? found.kind : undefined };
    };
    const id = name("utterance_id");
    if (!id) throw problem(`row ${i} has no utterance_id`);
    if (seen.has(id.text)) throw problem(`"${id.text}" is in it twice`);
    seen.add(id.text);
    const { n_frames } = row;
    const isTold = n_frames !== undefined && n_frames !== null && n_frames !== "" &&
      !Number.isNaN(n_frames);
    const frames = isTold ? Number(n_frames) : undefined;
    if (frames !== undefined && !(Number.isInteger(frames) && frames >= 0)) {
      throw problem(`"${id.text}" has "${n_frames}" frames, wanted a whole number`);
    }
    return { id, speaker: name("speaker_id"), frames };
  });
}

export async function readNames(place: string): Promise<unknown[]> {
  return /\.json$/i.test(place) ? await readList(place) : Array.from(await readValues(place));
}

async function readList(place: string): Promise<unknown[]> {
  const { folder, key } = splitPlace(place);
  const store = await openStore(folder);
  try {
    const list: unknown = parseJson(await store.get(key), place);
    if (Array.isArray(list)) return list;
    throw new ChunkError(`Cannot read "${place}": it holds no list, wanted one`, place);
  } finally {
    await store.close();
  }
}

/** JSON as Python writes it, with NaN and infinities; those are read as null. */
export function parseJson(bytes: Uint8Array | undefined, place: string) {
  if (!bytes) throw new ChunkError(`Cannot read "${place}": there is no such file`, place);
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(replaceBareNumbers(text, () => "null"));
  } catch (error) {
    throw new ChunkError(`Cannot read "${place}": it is not JSON`, place, error);
  }
}

/** Replaces NaN, Infinity and -Infinity where they stand outside texts. */
export function replaceBareNumbers(json: string, by: (word: string) => string): string {
  return json.replace(
    /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/gs,
    (part) => part.startsWith('"') ? part : by(part),
  );
}

export async function readValues(place: string): Promise<ArrayLike<number>> {
  const array = await openArray(place);
  try {
    return await readAll(array) as ArrayLike<number>;
  } finally {
    await array.close();
  }
}
