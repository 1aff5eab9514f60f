import { describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import type { CellMatrix } from "../../src/array/anndata/matrix.ts";
import { floatText } from "../../src/array/anndata/python_text.ts";
import { ChunkError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import fixture from "../fixtures/anndata.json" with { type: "json" };
import type { StoredMatrix } from "../support/anndata_store.ts";
import { categorical, csr, putAnnData } from "../support/anndata_store.ts";
import { putFiles } from "../support/library_files.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";
import { runtime } from "../support/runtime.ts";

const { files, held } = fixture;

async function placeOf(name: string): Promise<string> {
  const packed = Uint8Array.from(atob(files[name as keyof typeof files]), (l) => l.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return `${await putFiles("anndata_test", { [name]: bytes })}/${name}`;
}

/** Rows as numbers for every gene. */
async function dense(matrix: CellMatrix, start = 0, end = matrix.shape[0]): Promise<number[][]> {
  const { starts, genes, values } = await matrix.rows(start, end);
  return Array.from({ length: end - start }, (_, row) => {
    const own = new Array<number>(matrix.shape[1]).fill(0);
    for (let i = starts[row]!; i < starts[row + 1]!; i++) own[genes[i]!] = values[i]!;
    return own;
  });
}

describe("openAnnData() of what the anndata package wrote", () => {
  it.each(Object.keys(files))("reads the matrix of %s by rows, all and in parts", async (name) => {
    const adata = await openAnnData(await placeOf(name));
    expect([adata.cells, adata.genes]).toEqual([11, 7]);
    const x = await adata.matrix();
    expect(name).toContain(x.layout);
    expect(await dense(x)).toEqual(held.x);
    expect(await dense(x, 3, 8)).toEqual(held.x.slice(3, 8));
    expect(await dense(x, 4, 4)).toEqual([]);
    const twice = await adata.matrix("layers/twice");
    expect(await dense(twice, 9, 11)).toEqual(
      held.x.slice(9).map((row) => row.map((count) => 2 * count)),
    );
    const raw = await adata.matrix("raw/X");
    expect(await dense(raw)).toEqual(held.x.map((row) => [...row, ...row]));
    expect((await (await adata.rawVar()).names())[13]).toBe("raw13");
    await expect(x.rows(3, 12)).rejects.toThrow("Cannot read rows 3 to 12: the array has 11 rows");
    await adata.close();
  });

  it.each(["csr.h5ad", "dense32.zarr.zip"])("reads the tables of %s", async (name) => {
    const adata = await openAnnData(await placeOf(name));
    expect(await adata.obs.names()).toEqual(held.names);
    for (const [column, values] of Object.entries(held.categories)) {
      const read = await adata.obs.column(column);
      if (read.kind !== "categories") throw new Error(`${column} is ${read.kind}`);
      const names = Array.from(read.codes, (code) => code < 0 ? null : read.categories[code]);
      expect(names, column).toEqual(values);
    }
    const perturbation = await adata.obs.column("perturbation");
    expect(perturbation).toMatchObject({ categories: ["A", "A+B", "B", "ctrl", "unused"] });
    for (const [column, values] of Object.entries(held.numbers)) {
      const read = await adata.obs.column(column);
      if (read.kind !== "numbers") throw new Error(`${column} is ${read.kind}`);
      expect(Array.from(read.values, (v) => Number.isNaN(v) ? null : v), column).toEqual(values);
      expect(read.isWhole).toBe(column !== "depth");
    }
    expect(await adata.var.column("theta")).toMatchObject({
      values: Float64Array.from(held.theta),
    });
    await expect(adata.obs.column("perturbatoin")).rejects.toThrow(
      /there is none, "perturbation" may be meant, wanted one of perturbation, dose/,
    );
    await adata.close();
  });

  it.each(["csc.h5ad", "csc.zarr.zip"])(
    "reads arrays and what is unstructured of %s",
    async (name) => {
      const adata = await openAnnData(await placeOf(name));
      expect(await adata.names("layers")).toEqual(["twice"]);
      const pca = await adata.array("obsm/X_pca");
      expect(await pca.read(9, 11)).toEqual(Float32Array.of(18, 19, 20, 21));
      expect(await adata.uns("genes_of")).toEqual({ A: ["gene1", "gene2"], depth: { most: 3.5 } });
      expect([await adata.uns("title"), await adata.uns("is_small")]).toEqual(["small", true]);
      expect(await adata.uns("nothing")).toBeUndefined();
      await expect(adata.matrix("layers/counts")).rejects.toThrow("there is no such matrix");
      await expect(adata.array("obsm/X_umap")).rejects.toThrow("there is no such array");
      await adata.close();
    },
  );

  it("collects the rows of a matrix stored by genes in as little memory as it is told", async () => {
    const adata = await openAnnData(await placeOf("csc.h5ad"), { transposeBytes: 12 * 8 });
    const x = await adata.matrix();
    const parts = await Promise.all(
      [[0, 1], [1, 2], [10, 11], [5, 7]].map(([a, b]) => dense(x, a, b)),
    );
    expect(parts.flat()).toEqual([0, 1, 10, 5, 6].map((row) => held.x[row]));
    await expect(x.rows(0, 11)).rejects.toThrow(
      /cells 0 to 11 of a matrix that is stored by genes take more than 96 B/,
    );
    await adata.close();
  });
});

describe("openAnnData()", () => {
  const sound = csr([[1, 0, 2], [0, 0, 0], [0, 3, 4]]);
  const opened = async (changes: Partial<StoredMatrix>, given = {}) =>
    await (await openAnnData(
      await putAnnData("damaged", { x: { ...sound, ...changes }, ...given }),
    ))
      .matrix();

  it("sorts entries that are out of order, and adds up those of one gene", async () => {
    const indices = Int32Array.of(2, 0, 1, 1);
    expect(await dense(await opened({ indices }))).toEqual([[2, 0, 1], [0, 0, 0], [0, 7, 0]]);
  });

  it.each<[string, Partial<StoredMatrix>, RegExp]>([
    ["starts that do not ascend", { indptr: Int32Array.of(0, 3, 2, 4) }, /does not ascend at 2: 2/],
    ["starts beyond the end", { indptr: Int32Array.of(0, 9, 2, 4) }, /does not ascend at 1: 9/],
    [
      "starts that end too soon",
      { indptr: Int32Array.of(0, 2, 2, 3) },
      /from 0 to 3, wanted 0 to 4/,
    ],
    ["too few starts", { indptr: Int32Array.of(0, 2, 4) }, /indptr has 3 elements, wanted 4/],
    ["genes that there are not", { indices: Int32Array.of(0, 3, 1, 2) }, /gene 3, and there are 3/],
    ["genes below 0", { indices: Int32Array.of(0, -1, 1, 2) }, /cell 0 has an entry of gene -1/],
    ["too few genes", { indices: Int32Array.of(0, 1, 2) }, /3 indices and 4 values/],
    ["genes that are no whole numbers", { indices: Float32Array.of(0, 2, 1, 2) }, /holds float32/],
    ["a value that is none", { data: Float32Array.of(1, 2, NaN, 4) }, /cell 2 has NaN of gene 1/],
    ["another shape", { shape: [3, 4] }, /shape is \[3, 4\], and there are 3 cells and 3 genes/],
    ["no shape", { shape: [] }, /its shape is \[\]/],
  ])("refuses %s", async (_, changes, message) => {
    const error = await opened(changes, { cells: 3, genes: 3 }).then((x) => x.rows(0, 3))
      .catch((error) => error);
    expect(error).toBeInstanceOf(ChunkError);
    expect(error.message).toMatch(message);
  });

  it("refuses damage of a matrix stored by genes, too", async () => {
    const csc = { ...sound, encoding: "csc_matrix", indptr: Int32Array.of(0, 1, 2, 4) } as const;
    const rows = async (changes: Partial<StoredMatrix>) =>
      await (await opened({ ...csc, ...changes })).rows(0, 3);
    await expect(rows({ indices: Int32Array.of(0, 1, 2, 3) })).rejects.toThrow(
      "gene 2 has an entry of cell 3, and there are 3 cells",
    );
    await expect(rows({ indptr: Int32Array.of(0, 3, 2, 4) })).rejects.toThrow("does not ascend");
    await expect(rows({ data: Float32Array.of(1, Infinity, 3, 4) })).rejects.toThrow(
      /has Infinity of gene 1/,
    );
  });

  it.each([
    ["a code without a category", { p: categorical(["A"], [0, 1, 0]) }, /row 1 has code 1/],
    ["a code below -1", { p: categorical(["A"], [0, -2, 0]) }, /row 1 has code -2/],
    ["too few codes", { p: categorical(["A"], [0, 0]) }, /it has 2 rows, its table 3/],
    [
      "a category that comes twice",
      { p: categorical(["A", "A"], [0, 1, 0]) },
      /two categories "A"/,
    ],
    ["too few strings", { p: ["A", "B"] }, /it has 2 rows, its table 3/],
    [
      "columns of a kind that is not known",
      { p: { encoding: "awkward-array", parts: { a: Int8Array.of(1) } } },
      /it is of encoding "awkward-array", wanted categories/,
    ],
  ])("refuses %s", async (_, obs, message) => {
    const adata = await openAnnData(await putAnnData("damaged", { x: sound, obs }));
    const error = await adata.obs.column("p").catch((error) => error);
    expect(error).toBeInstanceOf(ChunkError);
    expect(error.message).toMatch(message);
  });

  it("reads categories as anndata 0.7 wrote them", async () => {
    const legacy = { p: { codes: Int8Array.of(1, -1, 0), categories: ["A", "B"] } };
    const adata = await openAnnData(await putAnnData("legacy", { x: sound, legacy }));
    expect(await adata.obs.column("p")).toEqual({
      ...{ kind: "categories", categories: ["A", "B"], codes: Int32Array.of(1, -1, 0) },
    });
  });

  it("reads zarr of version 3, whose groups say what they are in other files", async () => {
    const store = await openStore("memory:version3", { mode: "write" });
    const array = (name: string, values: Int32Array | Float32Array | string[]) => ({
      values,
      spec: {
        ...{ name, shape: [values.length], chunkShape: [values.length], dims: ["row"] },
        dtype: values instanceof Int32Array
          ? "int32" as const
          : values instanceof Float32Array
          ? "float32" as const
          : "string" as const,
        ...Array.isArray(values) && { attributes: { "encoding-type": "string-array" } },
      },
    });
    const arrays = [
      array("obs/_index", ["c0", "c1"]),
      array("obs/p/categories", ["A", "β"]),
      array("obs/p/codes", Int32Array.of(1, 0)),
      array("var/_index", ["g0", "g1", "g2"]),
      array("X/data", Float32Array.of(5, 6, 7)),
      array("X/indices", Int32Array.of(2, 0, 1)),
      array("X/indptr", Int32Array.of(0, 1, 3)),
    ];
    await writeGroup(store, { attributes: {}, arrays: arrays.map(({ spec }) => spec) });
    for (const { spec, values } of arrays) await writeArray(store, spec, values);
    const table = { "encoding-type": "dataframe", _index: "_index" };
    for (
      const [path, attributes] of [
        ["/obs", { ...table, "column-order": ["p"] }],
        ["/obs/p", { "encoding-type": "categorical" }],
        ["/var", { ...table, "column-order": [] }],
        ["/X", { "encoding-type": "csr_matrix", shape: [2, 3] }],
      ] as const
    ) {
      const group = { zarr_format: 3, node_type: "group", attributes };
      await store.set(`${path}/zarr.json`, new TextEncoder().encode(JSON.stringify(group)));
    }
    const adata = await openAnnData("memory:version3");
    expect(await dense(await adata.matrix())).toEqual([[0, 0, 5], [6, 7, 0]]);
    expect(await adata.obs.column("p")).toMatchObject({ categories: ["A", "β"] });
    await store.close();
  });

  it("takes a code of -1 for a value that is missing", async () => {
    const obs = { p: categorical(["A", "B"], [1, -1, 0]) };
    const adata = await openAnnData(await putAnnData("missing", { x: sound, obs }));
    expect(await adata.obs.column("p")).toMatchObject({ codes: Int32Array.of(1, -1, 0) });
  });

  it("refuses what is no AnnData", async () => {
    await expect(openAnnData("memory:nothing")).rejects.toThrow("it has no obs and var");
    await expect(openAnnData("x.npy")).rejects.toThrow("it is a npy file, wanted .h5ad or zarr");
    await expect(openAnnData("x.h5ad/X")).rejects.toThrow(
      'it is a part of a file, wanted "x.h5ad"',
    );
  });

  it("writes categories of numbers as Python does", () => {
    expect([1, 0.1, 1e-5, 1e16, 123456.75, 0, -0, 1.5e-7, 1e22].map((v) => floatText(v))).toEqual(
      ["1.0", "0.1", "1e-05", "1e+16", "123456.75", "0.0", "-0.0", "1.5e-07", "1e+22"],
    );
    expect(floatText(Math.fround(0.1), 32)).toBe("0.1");
  });

  it("reads whole data sets", async (context) => {
    const missing = runtime === "chromium" ? "browsers read no files" : sharedDataMissing();
    if (missing) context.skip(missing);
    const place = `${await sharedFile("data/perturbation/sim_combo.h5ad")}`;
    const adata = await openAnnData(place);
    const x = await adata.matrix();
    expect([x.layout, x.shape]).toEqual(["csr", [4400, 400]]);
    const { values } = await x.rows(0, 4400);
    expect(values.length).toBe(558_862);
    expect(await adata.uns("sim")).toMatchObject({ W: { shape: [400, 8] } });
    await adata.close();
  });
});
