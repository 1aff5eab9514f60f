import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import { AnnDataWriter } from "../../src/array/anndata/write.ts";
import { smallAnnData } from "../support/anndata_store.ts";
import { pythonMissing, runPython } from "../support/python.ts";

const folder = await mkdtemp(join(tmpdir(), "sluice-anndata-"));
afterAll(() => rm(folder, { recursive: true }));

describe("the anndata package", () => {
  it("opens what AnnDataWriter wrote", async (context) => {
    const missing = pythonMissing(["anndata", "zarr"]);
    if (missing) context.skip(missing);
    const { tables, arrays, values } = smallAnnData();
    const place = join(folder, "written.zarr");
    const writer = await AnnDataWriter.create(place, { tables, arrays });
    for (const { path } of arrays) await writer.write(path, 0, values[path]!);
    await writer.finish();
    const script = `
import anndata, json, sys, zarr
a = anndata.read_zarr(sys.argv[1])
consolidated = zarr.open_consolidated(sys.argv[1], mode="r")
print(json.dumps({
  "shape": a.shape, "cells": list(a.obs_names), "genes": list(a.var_names),
  "type": [None if t != t else t for t in a.obs["type"]], "kind": str(a.obs["type"].dtype),
  "score": a.obs["score"].tolist(), "count": a.obs["count"].tolist(),
  "latent": a.obsm["latent_basal"].tolist(), "layer": a.layers["CPA_pred"].tolist(),
  "uns": {"model": str(a.uns["model"]), "seed": float(a.uns["seed"]), "names": list(a.uns["names"])},
  "groups": sorted(consolidated.group_keys()),
}))`;
    const rows = (path: string, columns: number) =>
      tables.cells.map((_, i) => [...values[path]!.subarray(i * columns, (i + 1) * columns)]);
    expect(runPython(script, place)).toEqual({
      ...{ shape: [5, 3], cells: tables.cells, genes: tables.genes },
      ...{ type: ["β cell", "T", null, "β cell", "T"], kind: "category" },
      ...{ score: [...tables.obs.score], count: [1, 2, 3, 4, 5] },
      ...{ latent: rows("obsm/latent_basal", 2), layer: rows("layers/CPA_pred", 3) },
      ...{
        uns: tables.uns,
        groups: ["layers", "obs", "obsm", "obsp", "uns", "var", "varm", "varp"],
      },
    });
  });

  it("writes random AnnData that openAnnData() reads as it is", async (context) => {
    const missing = pythonMissing(["anndata", "zarr", "scipy"]);
    if (missing) context.skip(missing);
    const script = `
import anndata, json, numpy, pandas, scipy.sparse, sys
told = []
for seed in range(6):
  g = numpy.random.default_rng(seed)
  cells, genes = int(g.integers(1, 60)), int(g.integers(1, 40))
  x = g.poisson(g.random() * 2, (cells, genes)).astype(["float32", "float64", "int32"][seed % 3])
  form = [numpy.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix][(seed // 2) % 3]
  obs = pandas.DataFrame({"p": pandas.Categorical(g.choice(["ctrl", "A", "A+B"], cells)),
    "n": g.random(cells)}, index=[f"c{i}" for i in range(cells)])
  a = anndata.AnnData(form(x), obs=obs, dtype=x.dtype)
  for place in [f"{sys.argv[1]}/{seed}.h5ad", f"{sys.argv[1]}/{seed}.zarr"]:
    a.write_h5ad(place) if place.endswith("h5ad") else a.write_zarr(place)
    told.append({"place": place, "x": x.tolist(), "p": list(obs["p"]), "n": obs["n"].tolist()})
print(json.dumps(told))`;
    for (const { place, x, p, n } of runPython(script, folder)) {
      const adata = await openAnnData(place);
      const { starts, genes, values } = await (await adata.matrix()).rows(0, adata.cells);
      const read = x.map((row: number[], cell: number) => {
        const own = row.map(() => 0);
        for (let i = starts[cell]!; i < starts[cell + 1]!; i++) own[genes[i]!] = values[i]!;
        return own;
      });
      expect(read, place).toEqual(x);
      const column = await adata.obs.column("p");
      if (column.kind !== "categories") throw new Error(column.kind);
      expect(Array.from(column.codes, (code) => column.categories[code])).toEqual(p);
      expect(await adata.obs.column("n")).toMatchObject({ values: Float64Array.from(n) });
      await adata.close();
    }
  });
});
