/** AnnData of a few cells in memory, as zarr version 2, of whatever a test says: sound or not. */

import { openStore } from "../../src/store/open_store.ts";
import { dataTypeOf } from "../../src/zarr/data_types.ts";
import type { NumericArray } from "../../src/types.ts";

/** An array that is written as it is. */
export type Stored = NumericArray | readonly string[];

export interface StoredColumn {
  encoding?: string;
  /** Arrays of a group by their names, or the column itself. */
  parts: Record<string, Stored>;
}

export interface StoredMatrix {
  encoding: "csr_matrix" | "csc_matrix";
  shape: readonly number[];
  data: NumericArray;
  indices: NumericArray;
  indptr: NumericArray;
}

const V2_NAMES: Record<string, string> = {
  int8: "|i1",
  uint8: "|u1",
  uint16: "<u2",
  int32: "<i4",
  uint32: "<u4",
  int64: "<i8",
  float32: "<f4",
  float64: "<f8",
};

/** Categories and a code for each row; a code of -1 is a missing value. */
export function categorical(categories: readonly string[], codes: readonly number[]): StoredColumn {
  return { encoding: "categorical", parts: { codes: Int8Array.from(codes), categories } };
}

/** Categories in the order in which they come. */
export function categoriesOf(values: readonly string[]): StoredColumn {
  const names = [...new Set(values)];
  return categorical(names, values.map((value) => names.indexOf(value)));
}

/** Rows of numbers as CSR. */
export function csr(rows: readonly (readonly number[])[]): StoredMatrix {
  const [data, indices, indptr]: [number[], number[], number[]] = [[], [], [0]];
  for (const row of rows) {
    row.forEach((value, gene) => {
      if (value === 0) return;
      data.push(value);
      indices.push(gene);
    });
    indptr.push(data.length);
  }
  return {
    encoding: "csr_matrix",
    shape: [rows.length, rows[0]?.length ?? 0],
    data: Float32Array.from(data),
    indices: Int32Array.from(indices),
    indptr: Int32Array.from(indptr),
  };
}

/** Puts it into a memory store, or at a place, and gives that. */
export async function putAnnData(name: string, content: {
  x: StoredMatrix;
  obs?: Record<string, StoredColumn | NumericArray | readonly string[]>;
  cells?: number;
  genes?: number;
  /** What names of genes begin with. */
  geneName?: string;
  /** Or the names themselves. */
  geneNames?: readonly string[];
  /** Columns as anndata 0.7 wrote categories: codes, and names elsewhere. */
  legacy?: Record<string, { codes: Int8Array; categories: readonly string[] }>;
}): Promise<string> {
  const { x, geneName = "var", legacy = {}, cells = x.shape[0]!, genes = x.shape[1]! } = content;
  const codes = Object.entries(legacy).map(([name, { codes }]) => [name, codes] as const);
  const obs = { ...content.obs, ...Object.fromEntries(codes) };
  const place = name.includes(":") ? name : `memory:${name}`;
  const store = await openStore(place, { mode: "write" });
  await store.deleteAll();
  const json = (key: string, value: unknown) =>
    store.set(key, new TextEncoder().encode(JSON.stringify(value)));
  const group = async (path: string, attributes: object) => {
    await json(`${path}/.zgroup`, { zarr_format: 2 });
    await json(`${path}/.zattrs`, attributes);
  };
  const array = async (path: string, values: Stored) => {
    const isText = Array.isArray(values);
    await json(`${path}/.zarray`, {
      ...{ zarr_format: 2, shape: [values.length], chunks: [Math.max(1, values.length)] },
      ...{ compressor: null, order: "C", fill_value: isText ? "" : 0 },
      dtype: isText ? "|O" : V2_NAMES[dataTypeOf(values as NumericArray)],
      filters: isText ? [{ id: "vlen-utf8" }] : null,
    });
    await json(`${path}/.zattrs`, { "encoding-type": isText ? "string-array" : "array" });
    const bytes = isText ? vlen(values as string[]) : asBytes(values as NumericArray);
    if (values.length > 0) await store.set(`${path}/0`, bytes);
  };
  const table = async (path: string, rows: number, columns: typeof obs) => {
    await group(path, {
      ...{ "encoding-type": "dataframe", "encoding-version": "0.2.0" },
      ...{ _index: "_index", "column-order": Object.keys(columns) },
    });
    const own = path === "/var" ? geneName : path.slice(1);
    const names = path === "/var" ? content.geneNames : undefined;
    await array(`${path}/_index`, names ?? Array.from({ length: rows }, (_, i) => `${own}${i}`));
    for (const [name, column] of Object.entries(columns)) {
      if (!("parts" in column)) await array(`${path}/${name}`, column);
      else {
        await group(`${path}/${name}`, { "encoding-type": column.encoding });
        for (const [part, values] of Object.entries(column.parts)) {
          await array(`${path}/${name}/${part}`, values);
        }
      }
    }
  };
  await group("", { "encoding-type": "anndata", "encoding-version": "0.1.0" });
  await table("/obs", cells, obs);
  for (const [name, { categories }] of Object.entries(legacy)) {
    await array(`/obs/__categories/${name}`, categories);
  }
  await table("/var", genes, {});
  await group("/X", { "encoding-type": x.encoding, shape: x.shape });
  for (const part of ["data", "indices", "indptr"] as const) await array(`/X/${part}`, x[part]);
  await store.close();
  return place;
}

function asBytes(values: NumericArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
}

/** A count, then the length and UTF-8 of each string. */
function vlen(texts: readonly string[]): Uint8Array {
  const encoded = texts.map((text) => new TextEncoder().encode(text));
  const bytes = [...word(texts.length), ...encoded.flatMap((own) => [...word(own.length), ...own])];
  return Uint8Array.from(bytes);
}

const word = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)];

/** What an AnnDataWriter is given of five cells. */
export function smallAnnData() {
  return {
    tables: {
      cells: Array.from({ length: 5 }, (_, i) => `c${i}`),
      genes: ["g0", "g1", "γ2"],
      obs: {
        type: { categories: ["T", "β cell"], codes: Int32Array.of(1, 0, -1, 1, 0) },
        score: Float64Array.of(0.5, -1, 2, 3, 1e-300),
        count: Int32Array.of(1, 2, 3, 4, 5),
      },
      uns: { model: "cpa", seed: 7, names: ["a", "β"] },
    },
    arrays: [
      { path: "obsm/latent_basal", dtype: "float32" as const, columns: 2 },
      { path: "layers/CPA_pred", dtype: "float32" as const, columns: 3 },
    ],
    values: {
      "obsm/latent_basal": Float32Array.from({ length: 10 }, (_, i) => i / 4),
      "layers/CPA_pred": Float32Array.from({ length: 15 }, (_, i) => i % 4),
    } as Record<string, Float32Array>,
  };
}
