import { beforeAll, describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import type { CellMatrix } from "../../src/array/anndata/matrix.ts";
import { setup } from "../../src/cpa/setup.ts";
import { train } from "../../src/cpa/train.ts";
import type { TrainedCpa } from "../../src/cpa/trained.ts";
import { openTrained } from "../../src/cpa/trained.ts";
import { open } from "../../src/open.ts";
import { openStore } from "../../src/store/open_store.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { MADE_SETUP, madeCells, putCells } from "../support/cpa_cells.ts";
import { useGpu } from "../support/gpu.ts";
import { paceStates } from "../support/kept_states.ts";

const CELLS = 60;
const GENES = 9;
const gpu = useGpu();
let place = "";
let model: TrainedCpa;

beforeAll(async () => {
  const made = madeCells(CELLS, GENES);
  place = await putCells("cpa-cells", made);
  const adata = await openAnnData(place);
  const table = await setup(adata, MADE_SETUP);
  await train(gpu(), await made.held(), table, {
    ...{ out: "memory:cpa-known", latent: 4, epochs: 1, batchSize: 16 },
    encoder: { layers: 1, width: 8 },
    decoder: { layers: 1, width: 8 },
    adversary: { layers: 1, width: 4 },
  }).run();
  model = await openTrained("memory:cpa-known");
  await adata.close();
});

/** Cells as the model knows how they are set up. */
async function openCells(own = place) {
  const adata = await openAnnData(own);
  const table = await setup(adata, model.facts.setup!, model.facts);
  return { adata, table, matrix: await adata.matrix(table.setup!.matrix) };
}

describe("predictions as AnnData", () => {
  it("take nothing over from another that was interrupted in their place", async () => {
    // more than a chunk
    const { adata, table, matrix } = await openCells(
      await putCells("cpa-many-cells", madeCells(2300, GENES)),
    );
    const out = "memory:cpa-interrupted";
    const filesOf = async (at: string) => await (await openStore(at)).list("/");
    const cancel = new AbortController();
    // cells are looked at before they are read
    let left = 2;
    const dying = {
      ...matrix,
      places: matrix.places,
      rows: async (start: number, end: number) => {
        if (start >= 2048 && --left === 0) cancel.abort(new Error("enough"));
        return await matrix.rows(start, end);
      },
    };
    const all = { annData: adata, tileRows: 256, slots: 1, out };
    const restore = paceStates();
    await expect(model.latents(gpu(), dying, table, all).run({ signal: cancel.signal }))
      .rejects.toThrow("enough").finally(restore);
    expect(await filesOf(out)).toContain("/obsm/latent_after/0.0");
    const other = { perturbations: ["A"], annData: adata };
    await model.counterfactual(gpu(), matrix, table, { ...other, out, overwrite: true }).run();
    const alone = "memory:cpa-uninterrupted";
    await model.counterfactual(gpu(), matrix, table, { ...other, out: alone }).run();
    expect(await filesOf(out)).toEqual(await filesOf(alone));
    expect(await filesOf(`${out}.journal`)).toEqual([]);
    await adata.close();
  });

  it("have the tables of their cells, and the numbers of arrays alone", async () => {
    const { adata, table, matrix } = await openCells();
    const asked = { perturbations: ["B", "A"], doses: [0.5, 1], covariates: { cell: "y" } };
    const alone = await model.counterfactual(gpu(), matrix, table, asked).run();
    const out = "memory:cpa-counterfactual-adata";
    const plan = model.counterfactual(gpu(), matrix, table, { ...asked, annData: adata, out });
    const stored = await plan.run();
    expect(stored.cells).toEqual(alone.cells);
    const count = stored.cells.length;
    const values = await alone.arrays.counterfactual!.read(0, count);
    expect(await stored.arrays.counterfactual!.read(0, count)).toEqual(values);

    const written = await openAnnData(out);
    expect(await written.names("layers")).toEqual(["counterfactual"]);
    const names = await adata.obs.names();
    expect(await written.obs.names()).toEqual(Array.from(alone.cells, (cell) => names[cell]));
    expect(await written.var.names()).toEqual(await adata.var.names());
    const read = await (await written.matrix("layers/counterfactual")).rows(0, count);
    expect(Float32Array.from(read.values)).toEqual(values);
    const textsOf = async (name: string) => {
      const column = await written.obs.column(name);
      if (column.kind !== "categories") throw new Error(column.kind);
      return [...new Set(Array.from(column.codes, (code) => column.categories[code]))];
    };
    expect(await textsOf("given")).toEqual(["ctrl"]);
    expect(await textsOf("cell")).toEqual(["y"]);
    expect(await textsOf("given_perturbations")).toEqual(["A+B"]);
    expect(await textsOf("given_doses")).toEqual(["1+0.5"]);
    expect(await written.obs.column("score")).toMatchObject({
      values: Float64Array.from(alone.cells, (cell) => cell / 3),
    });
    expect(await written.uns("prediction")).toBe("counterfactual");
    await written.close();

    expect(await checkStore(out)).toMatchObject({ state: "whole", damaged: [] });
    const opened = await open(out);
    expect(opened).toMatchObject({ kind: "arrays", format: "sluice.cpa.prediction" });
    await opened.close();
    // and the same plan finds it
    const again = await plan.run();
    expect([again.cells, again.seconds]).toEqual([stored.cells, {}]);

    // tables are watched as arrays are, and so are groups
    const store = await openStore(out, { mode: "write" });
    for (const key of ["/obs/score/0", "/obsp/.zgroup"]) {
      const bytes = (await store.get(key))!;
      await store.set(key, bytes.map((byte, i) => i === 0 ? byte ^ 1 : byte));
      expect(await checkStore(out)).toMatchObject({ state: "damaged" });
      await store.set(key, bytes);
    }
    await store.close();
    await adata.close();
  });

  it("cannot be opened while they are not whole, and are as they would have been after a kill", async () => {
    const { adata, table, matrix } = await openCells();
    const plan = (out: string, own: CellMatrix = matrix) =>
      model.latents(gpu(), own, table, {
        ...{ annData: adata, out },
        which: ["basal", "corrected"],
      });
    await plan("memory:cpa-latents").run();
    const restore = paceStates();
    const cancel = new AbortController();
    let left = 1; // looked at, then read
    const dying: CellMatrix = {
      ...matrix,
      rows(start, end, options) {
        if (left-- === 0) cancel.abort(new Error("killed"));
        return matrix.rows(start, end, options);
      },
    };
    const out = "memory:cpa-latents-killed";
    await expect(plan(out, dying).run({ signal: cancel.signal })).rejects.toThrow("killed");
    await expect(openAnnData(out)).rejects.toThrow("it has no obs and var");
    await plan(out).run();
    restore();
    expect(await contentsOf(out)).toEqual(await contentsOf("memory:cpa-latents"));
    const written = await openAnnData(out);
    expect(await written.names("obsm")).toEqual(["latent_basal", "latent_corrected"]);
    await written.close();

    // nothing of them is left where another result takes their place
    await model.latents(gpu(), matrix, table, { out, overwrite: true }).run();
    const keys = Object.keys(await contentsOf(out));
    expect(keys.filter((key) => /obs|var|uns|\.z/.test(key))).toEqual([]);
    await adata.close();
  });

  it("are refused for genes that are others, or in another order", async () => {
    const made = madeCells(CELLS, GENES);
    const { table, matrix, adata } = await openCells(await putCells("cpa-same", made));
    expect(() => model.latents(gpu(), matrix, table)).not.toThrow();
    const renamed = { ...table, genesDigest: "another" };
    expect(() => model.latents(gpu(), matrix, renamed)).toThrow(
      "Cannot predict: the genes have other names than the model's, or another order",
    );
    const layer = { ...matrix, path: "memory:cpa-same/layers/other" };
    expect(() => model.latents(gpu(), layer, table)).toThrow(
      'Cannot predict: counts are those of "layers/other", cells were set up for "X"',
    );
    expect(() => model.latents(gpu(), matrix, table, { annData: adata })).toThrow(
      "there is annData and no out",
    );
    await adata.close();
  });
});

async function contentsOf(own: string): Promise<Record<string, Uint8Array>> {
  const store = await openStore(own);
  const found: Record<string, Uint8Array> = {};
  for (const key of await store.list("/")) found[key] = (await store.get(key))!;
  await store.close();
  return found;
}
