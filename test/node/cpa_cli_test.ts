import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import { cpa } from "../../src/cli/cpa.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { openTrained } from "../../src/cpa/trained.ts";
import { OutputConflictError } from "../../src/errors.ts";
import { runCli } from "../support/cli.ts";
import { madeCells, putCells } from "../support/cpa_cells.ts";
import { pythonMissing, runPython } from "../support/python.ts";
import { overlaps, textBoxes } from "../support/text_boxes.ts";
import { elementsOf, parseHtml } from "../support/xml.ts";

const CELLS = 160;
const GENES = 12;
const COLUMNS = [
  ...["--perturbation-key", "given", "--dosage-key", "dose", "--control-group", "ctrl"],
  ...["--categorical-covariates", "cell", "--batch-key", "plate", "--split-key", "split"],
];
const SMALL = [
  ...["--latent", "4", "--epochs", "2", "--batch-size", "32", "--validate-every", "1"],
  ...["--encoder-layers", "1", "--encoder-width", "8", "--decoder-layers", "1"],
  ...["--decoder-width", "8", "--adversary-layers", "1", "--adversary-width", "4"],
];

let folder = "";
let adata = "";
let model = "";
const { signal } = new AbortController();

/** What the command prints, within this process: starting others takes longer than what they do. */
async function run(...args: string[]) {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    await cpa({ args: [...args, "--json", "--quiet"], signal });
    return JSON.parse(log.mock.calls[0]![0]);
  } finally {
    log.mockRestore();
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-cpa-"));
  adata = join(folder, "cells.zarr");
  model = join(folder, "model.cpa.zarr");
  await putCells(`file:${adata}`, madeCells(CELLS, GENES));
  const trained = await runCli([
    ...["cpa", "train", "--adata", adata, ...COLUMNS, ...SMALL, "--out", model],
    ...["--json", "--quiet"],
  ]);
  expect(trained.code, trained.stderr).toBe(0);
  expect(JSON.parse(trained.stdout)).toMatchObject({
    ...{ out: model, cells: CELLS, genes: GENES, epochsRun: 2, conditions: 4 },
    splits: { train: 96, valid: 24, ood: 40 },
    perturbations: ["ctrl", "A", "B"],
  });
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

describe("sluice cpa", () => {
  it("trains a model that knows how its cells are set up", async () => {
    const { facts } = await openTrained(model);
    expect(facts.setup).toMatchObject({
      ...{ perturbationKey: "given", categoricalCovariates: ["cell"], matrix: "X" },
      split: { key: "split" },
    });
    expect(facts.shape).toMatchObject({
      encoder: { widths: [8] },
      decoder: { widths: [8] },
      adversary: { widths: [4] },
    });
  });

  it("makes counterfactual cells and latents that are AnnData", async (context) => {
    const [cells, latents] = ["predicted", "latents"].map((name) => join(folder, `${name}.zarr`));
    const predicted = await run(
      ...["predict", model, "--adata", adata, "--perturbations", "A,B", "--doses", "1,0.5"],
      ...["--covariates", "cell=y,plate=q", "--out", cells!],
    );
    expect(predicted).toMatchObject({
      arrays: ["counterfactual"],
      genes: GENES,
    });
    const { cells: count } = predicted;
    const which = ["--which", "basal,noPert"];
    const made = await run("latents", model, "--adata", adata, ...which, "--out", latents!);
    expect(made).toMatchObject({ cells: CELLS });
    const written = await openAnnData(cells!);
    expect([written.cells, written.genes]).toEqual([count, GENES]);
    expect(await written.obs.column("given_doses")).toMatchObject({ categories: ["1+0.5"] });
    const { values } = await (await written.matrix("layers/counterfactual")).rows(0, count);
    await written.close();
    // and the package reads the same
    const missing = pythonMissing(["anndata", "zarr"]);
    if (missing) context.skip(missing);
    const script = `
import anndata, json, sys
a, b = [anndata.read_zarr(place) for place in sys.argv[1:]]
print(json.dumps({
  "values": a.layers["counterfactual"].ravel().tolist(), "given": list(set(a.obs["given"])),
  "type": list(set(a.obs["cell"])), "asked": list(set(a.obs["given_perturbations"])),
  "prediction": str(a.uns["prediction"]), "genes": list(a.var_names),
  "latents": {name: list(b.obsm[name].shape) for name in b.obsm}, "split": sorted(set(b.obs["split"])),
}))`;
    expect(runPython(script, cells!, latents!)).toEqual({
      ...{ values: [...values], given: ["ctrl"], type: ["y"], asked: ["A+B"] },
      ...{ prediction: "counterfactual", split: ["ood", "test", "train"] },
      genes: Array.from({ length: GENES }, (_, i) => `var${i}`),
      latents: { latent_basal: [CELLS, 4], latent_no_pert: [CELLS, 4] },
    });
  });

  it("reconstructs cells, if that is asked for by its name", async () => {
    const out = join(folder, "reconstructed.zarr");
    const args = ["predict", model, "--adata", adata, "--reconstruct", "--out", out];
    expect(await run(...args)).toMatchObject({
      ...{ cells: CELLS, arrays: ["reconstruction"] },
    });
    expect(await run(...args)).toMatchObject({ seconds: {} });
  });

  it("writes a page that says whether the model beats what needs no model", async () => {
    const out = join(folder, "report.html");
    const args = ["report", model, "--adata", adata, "--bootstraps", "100", "--out", out];
    const told = await run(...args);
    expect(told.headlines[0]).toContain("cannot be told from 2 conditions");
    expect(told.overCells.map(({ baseline }: { baseline: string }) => baseline)).toEqual([
      ...["no-change", "additive", "no-change", "additive"],
    ]);
    const page = await readFile(out, "utf8");
    for (
      const words of [
        ...["beats neither no-change nor additive", "How it learned", "Dose response"],
        ...["Embeddings of perturbations", "Uncertainty", "half-split ceiling", "A+B (1+1), x"],
        "nats per cell",
      ]
    ) expect(page).toContain(words);
    const pictures = [...elementsOf(parseHtml(page))].filter(({ name }) => name === "svg");
    expect(pictures.length).toBeGreaterThan(10);
    expect(pictures.flatMap((picture) => overlaps(textBoxes(picture)))).toEqual([]);
    await expect(run(...args)).rejects.toThrow(OutputConflictError);
  });

  it.each([
    [["train", "--adata", "a"], /--perturbation-key, --control-group and --out are missing/],
    [["predict", "m", "--out", "x"], /--adata is missing/],
    [
      ["latents", "m", "--adata", "a", "--degs-top", "2", "--out", "x"],
      /--degs-top is given, which/,
    ],
    [["predict", "--adata", "a", "--out", "x"], /MODEL is missing/],
    [["predict", "m", "--adata", "a", "--out", "x"], /neither --perturbations nor --reconstruct/],
    [["latents", "m", "--adata", "a", "--epochs", "2", "--out", "x"], /--epochs is given, which/],
    [
      ["predict", "m", "--adata", "a", "--perturbations", "A", "--covariates", "T", "--out", "x"],
      /got "T", wanted a covariate and its level/,
    ],
  ])("refuses %s", async (args, wanted) => {
    const refusal = run(...args);
    await expect(refusal).rejects.toThrow(wanted);
    await expect(refusal).rejects.toThrow(UsageError);
  });

  it("refuses cells whose genes have another order, by the model that is there", async () => {
    const made = madeCells(CELLS, GENES);
    const other = join(folder, "other.zarr");
    await putCells(`file:${other}`, made, "gene");
    const args = ["latents", model, "--adata", other, "--out", join(folder, "no.zarr")];
    await expect(run(...args)).rejects.toThrow("genes have other names than the model's");
  });
});
