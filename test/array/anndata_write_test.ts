import { describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import { AnnDataWriter } from "../../src/array/anndata/write.ts";
import { OutputConflictError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open_store.ts";
import { smallAnnData } from "../support/anndata_store.ts";

async function written(place: string, overwrite = false): Promise<void> {
  const { tables, arrays, values } = smallAnnData();
  const writer = await AnnDataWriter.create(place, { tables, arrays, overwrite });
  for (const { path, columns } of arrays) {
    const all = values[path]!;
    await writer.write(path, 0, all.subarray(0, 2 * columns));
    await writer.write(path, 2, all.subarray(2 * columns));
  }
  await writer.finish();
}

async function emptyPlace(name: string): Promise<string> {
  const store = await openStore(`memory:${name}`, { mode: "write" });
  await store.deleteAll();
  await store.close();
  return `memory:${name}`;
}

describe("AnnDataWriter", () => {
  it("writes what openAnnData() reads", async () => {
    const place = await emptyPlace("written");
    await written(place);
    const { tables, arrays, values } = smallAnnData();
    const adata = await openAnnData(place);
    expect(await adata.obs.names()).toEqual(tables.cells);
    expect(await adata.var.names()).toEqual(tables.genes);
    expect(await adata.obs.column("type")).toEqual({ kind: "categories", ...tables.obs.type });
    expect(await adata.obs.column("score")).toMatchObject({ values: tables.obs.score });
    expect(await adata.obs.column("count")).toMatchObject({ isWhole: true });
    expect([await adata.uns("model"), await adata.uns("seed"), await adata.uns("names")]).toEqual(
      ["cpa", 7, ["a", "β"]],
    );
    expect(await adata.names("obsm")).toEqual(["latent_basal"]);
    const latent = await adata.array("obsm/latent_basal");
    expect(await latent.read(0, adata.cells)).toEqual(values["obsm/latent_basal"]);
    const rows = await (await adata.matrix("layers/CPA_pred")).rows(0, adata.cells);
    const layer = values["layers/CPA_pred"]! as Float32Array;
    expect([...rows.values]).toEqual([...layer].filter((value) => value !== 0));
    expect(arrays.length).toBe(2);
    await adata.close();
  });

  it("is not there before it is finished", async () => {
    const place = await emptyPlace("unfinished");
    const { tables, arrays } = smallAnnData();
    const writer = await AnnDataWriter.create(place, { tables, arrays });
    await writer.write("obsm/latent_basal", 0, new Float32Array(4));
    await expect(writer.finish()).rejects.toThrow(/rows 2 to 5|row 2/);
    await expect(openAnnData(place)).rejects.toThrow("it has no obs and var");
    await expect(AnnDataWriter.create(place, { tables, arrays })).rejects.toThrow(
      "there is AnnData that was not finished, allow overwriting",
    );
    await written(place, true);
    await (await openAnnData(place)).close();
  });

  it("leaves nothing of what it replaces, and replaces nothing but AnnData", async () => {
    const place = await emptyPlace("replaced");
    await written(place);
    await expect(written(place)).rejects.toThrow(OutputConflictError);
    const { tables } = smallAnnData();
    const writer = await AnnDataWriter.create(place, { tables, arrays: [], overwrite: true });
    await writer.finish();
    const adata = await openAnnData(place);
    expect([await adata.names("obsm"), await adata.names("layers")]).toEqual([[], []]);
    await adata.close();

    const other = await emptyPlace("other");
    const store = await openStore(other, { mode: "write" });
    await store.set("/notes.txt", Uint8Array.of(1));
    await expect(written(other, true)).rejects.toThrow("there is something else than AnnData");
    expect(await store.get("/notes.txt")).toEqual(Uint8Array.of(1));
    await store.close();
  });

  it.each<[string, (given: ReturnType<typeof smallAnnData>) => unknown, string]>([
    ["arrays elsewhere", ({ arrays }) => arrays[0]!.path = "obsp/x", 'called "obsp/x", wanted X'],
    [
      "layers that do not fit",
      ({ arrays }) => arrays[1]!.columns = 4,
      '"layers/CPA_pred" has 4 columns',
    ],
    ["cells of one name", ({ tables }) => tables.cells[1] = "c0", "two cells have one name"],
    [
      "columns that do not fit",
      ({ tables }) => tables.obs.score = new Float64Array(2),
      'column "score" has 2 rows, there are 5 cells',
    ],
    ["codes without a category", ({ tables }) => tables.obs.type.codes[0] = 2, "has code 2 of 2"],
  ])("refuses %s", async (_, spoil, message) => {
    const given = smallAnnData();
    spoil(given);
    await expect(AnnDataWriter.create(await emptyPlace("spoilt"), given)).rejects.toThrow(message);
  });
});
