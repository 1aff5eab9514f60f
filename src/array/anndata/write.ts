/**
 * Writes AnnData as zarr version 2, which every anndata opens: tables at once, arrays by cells.
 *
 * @module
 */

import { OutputConflictError } from "../../errors.ts";
import { openStore } from "../../store/open_store.ts";
import type { Store } from "../../store/store.ts";
import type { NumericArray } from "../../types.ts";
import type { FileSums } from "../../zarr/checksums.ts";
import { sumOfFile } from "../../zarr/checksums.ts";
import { ChunkWriter } from "../../zarr/chunk_writer.ts";
import type { Codec } from "../../zarr/codecs.ts";
import type { NumericType } from "../../zarr/data_types.ts";
import { dataTypeOf, elementBytes } from "../../zarr/data_types.ts";
import { encodeStrings, writeArray } from "../../zarr/group_writer.ts";
import { parseJson } from "../../zarr/json.ts";
import type { ZarrArraySpec } from "../../zarr/metadata.ts";
import { isGroupFile, metadataFiles, ROOT_KEYS } from "../../zarr/metadata.ts";
import type { CategoryColumn } from "./frame.ts";

/** A column of a table: names by code, or a number for each row. */
export type WrittenColumn =
  | Pick<CategoryColumn, "categories" | "codes">
  | Float64Array
  | Float32Array
  | Int32Array;

/** What is said of cells and genes. */
export interface WrittenTables {
  /** Names of the cells, and of the genes. */
  cells: readonly string[];
  genes: readonly string[];
  obs?: Readonly<Record<string, WrittenColumn>>;
  var?: Readonly<Record<string, WrittenColumn>>;
  uns?: Readonly<Record<string, string | number | readonly string[]>>;
}

/** An array of a row for each cell: `X` and `layers/name` [cells, genes], `obsm/name` [cells, any]. */
export interface WrittenArray {
  path: string;
  dtype: NumericType;
  columns: number;
  codec?: Codec;
}

const CHUNK_BYTES = 4 * 2 ** 20;
const GROUPS = ["layers", "obsm", "obsp", "uns", "varm", "varp"];
/** There as long as what is written is not whole. */
const MARK = "/.incomplete";
const PATH = /^(X|(layers|obsm)\/[^/.][^/]*)$/;

type Json = Record<string, unknown>;

const encoding = (type: string, version: string) => ({
  "encoding-type": type,
  "encoding-version": version,
});
const ARRAY = encoding("array", "0.2.0");
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value, undefined, 2));

/** AnnData that is being written; until it is finished it cannot be opened. */
export class AnnDataWriter {
  readonly place: string;
  readonly #store: Store;
  readonly #tables: WrittenTables;
  readonly #writers: ReadonlyMap<string, ChunkWriter>;
  readonly #specs: readonly ZarrArraySpec[];
  readonly #unlock: () => Promise<void>;

  private constructor(
    store: Store,
    tables: WrittenTables,
    specs: readonly ZarrArraySpec[],
    unlock: () => Promise<void>,
  ) {
    this.place = store.place;
    this.#store = store;
    this.#tables = tables;
    this.#specs = specs;
    this.#unlock = unlock;
    this.#writers = new Map(
      specs.map((spec) => [spec.name, new ChunkWriter(store, spec, { format: 2 })]),
    );
  }

  /**
   * @throws {RangeError} If an array has no place in AnnData, or another size, or names do not tell rows apart.
   * @throws {OutputConflictError} If there is anything already; with `overwrite` if that is no AnnData.
   */
  static async create(
    place: string,
    { tables, arrays, overwrite = false }: {
      tables: WrittenTables;
      arrays: readonly WrittenArray[];
      overwrite?: boolean;
    },
  ): Promise<AnnDataWriter> {
    const specs = arrays.map((array) => specOf(array, tables));
    checkTables(tables, specs);
    const store = await openStore(place, { mode: "write" });
    try {
      const unlock = await store.lock("/.lock/lock");
      try {
        await makeRoom(store, overwrite);
        await store.set(MARK, new Uint8Array(0));
        return new AnnDataWriter(store, tables, specs, unlock);
      } catch (error) {
        await unlock();
        throw error;
      }
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Takes rows from `start` on. Rows of an array come in order. */
  async write(path: string, start: number, rows: NumericArray): Promise<void> {
    const writer = this.#writers.get(path);
    if (!writer) {
      throw new RangeError(
        `Cannot write "${path}" of ${this.place}: there is no such array, wanted one of ` +
          [...this.#writers.keys()].join(", "),
      );
    }
    await writer.write(start, rows);
  }

  /** @throws {RangeError} If rows are missing. What is there stays then, and cannot be opened. */
  async finish(): Promise<void> {
    try {
      for (const writer of this.#writers.values()) await writer.finish();
      const tables = await writeAnnDataTables(this.#store, this.#tables);
      await writeGroupItself(this.#store, tables, this.#specs);
      await this.#store.delete(MARK);
    } finally {
      await this.close();
    }
  }

  /** Lets go of the place. What is not finished cannot be opened. */
  async close(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.close();
    await this.#unlock();
    await this.#store.close();
  }
}

/** What an array of AnnData is in zarr. */
export function annDataSpec(
  { path, dtype, columns, codec = "zstd" }: WrittenArray,
  rows: number,
): ZarrArraySpec {
  const rowBytes = Math.max(1, columns * elementBytes(dtype));
  const chunkRows = Math.max(1, Math.min(rows, Math.floor(CHUNK_BYTES / rowBytes)));
  return {
    ...{ name: path, dtype, codec, attributes: ARRAY },
    shape: [rows, columns],
    chunkShape: [chunkRows, Math.max(1, columns)],
    dims: ["cell", path === "X" || path.startsWith("layers/") ? "gene" : path.slice(5)],
  };
}

/** What a group has that is AnnData. */
export const ANNDATA_ATTRIBUTES = encoding("anndata", "0.1.0");

/**
 * Writes the tables of AnnData and the groups that it has: all but its arrays, and the group itself.
 *
 * @param sums Takes checksums of files, but of those of JSON.
 * @returns What these hold, by key without the first slash.
 */
export async function writeAnnDataTables(
  store: Store,
  tables: WrittenTables,
  sums?: FileSums,
): Promise<Json> {
  const others: Json = {};
  const group = (path: string, attributes: Json) => {
    others[`${path}/.zgroup`] = { zarr_format: 2 };
    others[`${path}/.zattrs`] = attributes;
  };
  const numbers = async (name: string, values: NumericArray) => {
    const spec = {
      ...{ name, dtype: dataTypeOf(values), shape: [values.length], dims: ["row"] },
      ...{ chunkShape: [Math.max(1, values.length)], attributes: ARRAY },
    };
    Object.assign(others, metadataOf([spec]));
    await writeArray(store, spec, values, 2, sums);
  };
  const put = async (key: string, bytes: Uint8Array) => {
    sums?.set(key, sumOfFile(bytes));
    await store.set(key, bytes);
  };
  const texts = async (name: string, values: readonly string[]) => {
    others[`${name}/.zarray`] = {
      ...{ zarr_format: 2, shape: [values.length], chunks: [Math.max(1, values.length)] },
      ...{ dtype: "|O", filters: [{ id: "vlen-utf8" }], compressor: null, order: "C" },
      fill_value: "",
    };
    others[`${name}/.zattrs`] = encoding("string-array", "0.2.0");
    // as in version 3, where strings are stored so
    const spec = { name, dtype: "string", shape: [values.length], dims: ["row"] } as const;
    const bytes = encodeStrings({ ...spec, chunkShape: spec.shape }, values);
    if (values.length > 0) await put(`/${name}/0`, bytes);
  };
  const table = async (path: string, names: readonly string[], columns: WrittenTables["obs"]) => {
    group(path, {
      ...encoding("dataframe", "0.2.0"),
      ...{ _index: "_index", "column-order": Object.keys(columns ?? {}) },
    });
    await texts(`${path}/_index`, names);
    for (const [name, column] of Object.entries(columns ?? {})) {
      if (!("codes" in column)) await numbers(`${path}/${name}`, column);
      else {
        group(`${path}/${name}`, { ...encoding("categorical", "0.2.0"), ordered: false });
        await texts(`${path}/${name}/categories`, column.categories);
        await numbers(`${path}/${name}/codes`, column.codes);
      }
    }
  };

  await table("obs", tables.cells, tables.obs);
  await table("var", tables.genes, tables.var);
  for (const name of GROUPS) group(name, encoding("dict", "0.1.0"));
  for (const [name, value] of Object.entries(tables.uns ?? {})) {
    if (typeof value === "object") await texts(`uns/${name}`, value);
    else await put(`/uns/${name}/0`, describeScalar(others, `uns/${name}`, value));
  }
  for (const [key, value] of Object.entries(others)) await store.set(`/${key}`, bytesOf(value));
  return others;
}

/** Files of JSON of arrays. */
function metadataOf(arrays: readonly ZarrArraySpec[]): Json {
  const files = metadataFiles({ zarrFormat: 2, attributes: {}, arrays });
  return Object.fromEntries(
    files.filter(({ key }) => !isGroupFile(key))
      .map(({ key, bytes }) => [key.slice(1), parseJson(bytes)]),
  );
}

/** Shows the group, last. */
async function writeGroupItself(
  store: Store,
  tables: Json,
  arrays: readonly ZarrArraySpec[],
): Promise<void> {
  const own = metadataOf(arrays);
  for (const [key, value] of Object.entries(own)) await store.set(`/${key}`, bytesOf(value));
  // without the files of the group itself nothing is there
  const root: Json = { ".zgroup": { zarr_format: 2 }, ".zattrs": ANNDATA_ATTRIBUTES };
  for (const [key, value] of Object.entries(root)) await store.set(`/${key}`, bytesOf(value));
  const metadata = { ...tables, ...own, ...root };
  await store.set(ROOT_KEYS[2], bytesOf({ zarr_consolidated_format: 1, metadata }));
}

/** Adds what describes a value; gives its bytes. */
function describeScalar(metadata: Json, name: string, value: string | number): Uint8Array {
  const characters = typeof value === "string" ? [...value] : [];
  metadata[`${name}/.zarray`] = {
    ...{ zarr_format: 2, shape: [], chunks: [], compressor: null, filters: null, order: "C" },
    // numpy has no strings of no characters
    dtype: typeof value === "string" ? `<U${Math.max(1, characters.length)}` : "<f8",
    fill_value: typeof value === "string" ? "" : 0,
  };
  metadata[`${name}/.zattrs`] = typeof value === "string"
    ? encoding("string", "0.2.0")
    : encoding("numeric-scalar", "0.2.0");
  const points = Uint32Array.from(characters, (character) => character.codePointAt(0)!);
  const bytes = typeof value === "number"
    ? Float64Array.of(value)
    : points.length > 0
    ? points
    : new Uint32Array(1);
  return new Uint8Array(bytes.buffer);
}

function specOf(array: WrittenArray, { cells, genes }: WrittenTables): ZarrArraySpec {
  const { path, columns } = array;
  if (!PATH.test(path)) {
    throw new RangeError(
      `Cannot write AnnData: an array is called "${path}", wanted X, layers/name or obsm/name`,
    );
  }
  if (!path.startsWith("obsm/") && columns !== genes.length) {
    throw new RangeError(
      `Cannot write AnnData: "${path}" has ${columns} columns, there are ${genes.length} genes`,
    );
  }
  return annDataSpec(array, cells.length);
}

function checkTables(
  { cells, genes, obs, var: ofGenes }: WrittenTables,
  specs: readonly ZarrArraySpec[],
) {
  const refuse = (reason: string) => new RangeError(`Cannot write AnnData: ${reason}`);
  const paths = specs.map(({ name }) => name);
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice !== undefined) throw refuse(`there are two arrays "${twice}"`);
  for (
    const [what, names, columns] of [["cells", cells, obs], ["genes", genes, ofGenes]] as const
  ) {
    if (new Set(names).size < names.length) throw refuse(`two ${what} have one name`);
    for (const [name, column] of Object.entries(columns ?? {})) {
      if (name === "" || name === "_index" || /^\.|\//.test(name)) {
        throw refuse(`a column of ${what} is called "${name}", wanted a name without a slash`);
      }
      const values = "codes" in column ? column.codes : column;
      if (values.length !== names.length) {
        throw refuse(
          `column "${name}" has ${values.length} rows, there are ${names.length} ${what}`,
        );
      }
      if (!("codes" in column)) continue;
      const { categories } = column;
      if (new Set(categories).size < categories.length) {
        throw refuse(`column "${name}" has two categories of one name`);
      }
      const stray = column.codes.find((code) => code < -1 || code >= categories.length);
      if (stray !== undefined) {
        throw refuse(`column "${name}" has code ${stray} of ${categories.length} categories`);
      }
    }
  }
}

/** Leaves nothing of what was there: zarr takes every folder for an array that belongs to it. */
async function makeRoom(store: Store, overwrite: boolean): Promise<void> {
  const keys = (await store.list("/")).filter((key) => !key.startsWith("/.lock/"));
  if (keys.length === 0) return;
  const { place } = store;
  const conflict = (reason: string) =>
    new OutputConflictError(`Cannot write ${place}: ${reason}`, place);
  const isOurs = keys.includes(MARK);
  if (!overwrite) {
    throw conflict(
      isOurs
        ? "there is AnnData that was not finished, allow overwriting or name another place"
        : "there is something already, allow overwriting or name another place",
    );
  }
  const attributes = await store.get("/.zattrs");
  const type = attributes && Object(parseJson(attributes))["encoding-type"];
  if (!isOurs && type !== "anndata") throw conflict("there is something else than AnnData");
  await store.deleteAll("/", (key) => !key.startsWith("/.lock/"));
}
