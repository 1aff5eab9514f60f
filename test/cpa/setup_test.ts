import { describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import type { CellTable } from "../../src/cpa/cell_table.ts";
import { classWeights, conditionLabel, fillSlots, strataOf } from "../../src/cpa/cell_table.ts";
import { packCounts, packNumbers } from "../../src/cpa/counts.ts";
import { readDegMasks } from "../../src/cpa/deg_masks.ts";
import type { SetupOptions } from "../../src/cpa/setup_options.ts";
import { setup } from "../../src/cpa/setup.ts";
import type { StoredColumn } from "../support/anndata_store.ts";
import { categorical, categoriesOf, csr, putAnnData } from "../support/anndata_store.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

type Columns = Record<string, StoredColumn | Float64Array | Int32Array | readonly string[]>;

const rows = (count: number) => csr(Array.from({ length: count }, (_, i) => [i % 3, 1, 0]));

async function cellsOf(labels: readonly string[], doses?: readonly string[], more: Columns = {}) {
  const obs = { p: categoriesOf(labels), ...doses && { d: categoriesOf(doses) }, ...more };
  return await openAnnData(await putAnnData("setup", { x: rows(labels.length), obs }));
}

async function setupOf(
  labels: readonly string[],
  doses?: readonly string[],
  options: Partial<SetupOptions> & { more?: Columns } = {},
): Promise<CellTable> {
  const { more, ...own } = options;
  const adata = await cellsOf(labels, doses, more);
  return await setup(adata, {
    perturbationKey: "p",
    controlGroup: "ctrl",
    ...doses && { dosageKey: "d" },
    ...own,
  });
}

const labelsOf = (table: CellTable) =>
  Array.from(table.conditionIds, (id) => conditionLabel(table, id));

describe("setup()", () => {
  it("gives every perturbation its own dose, in whatever order they are named", async () => {
    const table = await setupOf(["Z+A", "A+Z", "ctrl", "Z"], ["1.0+0.1", "0.1+1.0", "1.0", "5"]);
    expect(table.perturbations).toEqual(["", "ctrl", "A", "Z"]);
    expect(labelsOf(table)).toEqual(["A+Z (0.1+1)", "A+Z (0.1+1)", "ctrl (1)", "Z (5)"]);
    expect(table.conditionIds).toEqual(Uint32Array.of(0, 0, 1, 2));
    expect(fillSlots(table, [3, 0, 2])).toEqual({
      ids: Uint32Array.of(3, 0, 2, 3, 1, 0),
      doses: Float32Array.of(5, 0, 0.1, 1, 1, 0),
    });
    expect(table.notes).toEqual([]);
  });

  it("leaves doses in the order of the label where it is to do as the original", async () => {
    const labels = ["Z+A", "A+Z", "ctrl"];
    const table = await setupOf(labels, ["1.0+0.1", "0.1+1.0", "1.0"], { compatDoses: true });
    expect(labelsOf(table)).toEqual(["A+Z (1+0.1)", "A+Z (0.1+1)", "ctrl (1)"]);
  });

  it("takes conditions of other doses for one combination", async () => {
    const table = await setupOf(["A", "A", "ctrl"], ["1.0", "10", "1"]);
    expect(table.conditions.map(({ combination }) => combination)).toEqual([0, 0, 1]);
    expect(table.combinations).toEqual([[2], [1]]);
  });

  it("leaves out control beside a perturbation with its dose, and says so", async () => {
    const table = await setupOf(["A+ctrl", "ctrl+B", "ctrl", "ctrl+ctrl"], [
      ...["0.3+1.0", "1.0+0.7", "1.0", "1.0+1.0"],
    ]);
    expect(labelsOf(table)).toEqual(["A (0.3)", "B (0.7)", "ctrl (1)", "ctrl (1)"]);
    expect(table.notes).toEqual([
      "control beside a perturbation was left out, with its dose (3 cells)",
    ]);
  });

  it("does not count blanks around names, and says so", async () => {
    const table = await setupOf(["A", "A ", " B", "B", "ctrl", "A + B"]);
    expect(table.perturbations).toEqual(["", "ctrl", "A", "B"]);
    expect(labelsOf(table).at(-1)).toBe("A+B (1+1)");
    expect(table.notes).toEqual(["blanks around names were left out (3 cells)"]);
  });

  it("does not count blanks around levels, and says so", async () => {
    const more = { c: categorical(["x", " x", "y", "x  "], [0, 1, 2, 1]) };
    const options = { more, categoricalCovariates: ["c"], split: { validShare: 0 } };
    const table = await setupOf(["A", "A", "ctrl", "ctrl"], undefined, options);
    expect(table.covariates[0]).toMatchObject({
      levels: ["x", "y"],
      codes: Uint16Array.of(0, 0, 1, 0),
    });
    expect(table.notes).toEqual([
      'blanks around levels of "c" were left out (2 cells)',
      '1 levels of "c" that no cell has were left out',
    ]);
  });

  it.each(["nan", "None", "<NA>", "", "  "])(
    "refuses the level %j, a missing value",
    async (level) => {
      const options = { more: { c: categoriesOf(["x", level]) }, categoricalCovariates: ["c"] };
      await expect(setupOf(["ctrl", "A"], undefined, options)).rejects.toThrow(
        `cell 1 ("obs1") has "${level}" in column "c", a missing value`,
      );
      // where no cell has it, nothing is missing
      const unused = { c: categorical(["x", level], [0, 0]) };
      await setupOf(["ctrl", "A"], undefined, { ...options, more: unused });
    },
  );

  it.each([
    ["ctrl", "Ctrl"],
    ["IFN-\u03b3", "IFN-\u0393"],
    ["TNF\u00b5", "TNF\u03bc"],
    ["1", "01"],
    ["1", "1.0"],
    ["T cell", "T  cell"],
  ])("says that %j and %j look alike, in any column", async (one, other) => {
    const split = { validShare: 0 };
    const labels = ["ctrl", one, other];
    const { notes } = await setupOf(labels, undefined, { split });
    expect(notes.map((note) => note.replace(/^.* look/, "look"))).toEqual([
      "look alike, and are taken for two",
    ]);
    const table = await setupOf(["ctrl", "A", "A"], undefined, {
      ...{ more: { c: categoriesOf(labels) }, categoricalCovariates: ["c"], split },
    });
    expect(table.covariates[0]!.levels.length).toBe(new Set(labels).size);
    expect(table.notes[0]).toMatch(/" of "c" look alike, and are taken for two$/);
  });

  it("refuses columns that are two things, and separators that numbers have", async () => {
    const more = { c: categoriesOf(["x", "y"]) };
    const refused = (options: Partial<SetupOptions>, doses?: string[]) =>
      expect(setupOf(["ctrl", "A"], doses, { more, ...options })).rejects;
    await refused({ categoricalCovariates: ["p"] }).toThrow(
      'column "p" is both perturbation and covariate',
    );
    await refused({ categoricalCovariates: ["c"], batchKey: "c" }).toThrow(
      'column "c" is both covariate and batch',
    );
    await refused({ separator: "." }, ["1.0", "2.5"]).toThrow(
      'the separator is ".", wanted one that is no part of a number',
    );
  });

  it("says what no training cell has, of which a model learns nothing", async () => {
    const more = {
      c: categoriesOf(["x", "x", "y", "x"]),
      s: categoriesOf(["train", "train", "ood", "test"]),
    };
    const options = { more, categoricalCovariates: ["c"], split: { key: "s" } };
    const { notes } = await setupOf(["ctrl", "A", "A+B", "C"], undefined, options);
    expect(notes).toEqual([
      'no training cell has "B", "C", "y" of "c": a model learns nothing of that',
    ]);
  });

  it.each<[string, string[], string[] | undefined, string]>([
    ["A+A", ["ctrl", "A+A"], ["1", "1+1"], `"A+A" names "A" twice, in cell 1 ("obs1")`],
    ["an empty name", ["ctrl", "A+"], undefined, `"A+" has an empty name`],
    ["a name that is missing", ["ctrl", "nan"], undefined, `"nan" names "nan", a missing value`],
    ["fewer doses than names", ["ctrl", "A+B"], ["1", "1"], `"A+B" has 2 names and 1 doses, "1"`],
    ["more doses than names", ["ctrl", "A"], ["1", "1+1"], `"A" has 1 names and 2 doses`],
    ["the dose nan", ["ctrl", "A"], ["1", "nan"], `"A" has the dose "nan", wanted numbers from 0`],
    ["a dose below 0", ["ctrl", "A"], ["1", "-1"], `"A" has the dose "-1"`],
    ["a dose beyond f32", ["ctrl", "A"], ["1", "1e39"], `"A" has the dose "1e39"`],
    ["a dose that is no number", ["ctrl", "A"], ["1", "high"], `"A" has the dose "high"`],
    ["control that is not there", ["ctl", "A"], undefined, `"ctl" may be meant`],
  ])("refuses %s", async (_, labels, doses, message) => {
    await expect(setupOf(labels, doses)).rejects.toThrow(message);
  });

  it("refuses what is missing in any column, by the name of the cell", async () => {
    const missing = { p: categorical(["ctrl", "A"], [0, 1, -1]) };
    await expect(setupOf(["ctrl", "A", "A"], undefined, { more: missing })).rejects.toThrow(
      `cell 2 ("obs2") has no value in column "p"`,
    );
    const more = { c: categorical(["x"], [0, -1, 0]), d: Float64Array.of(1, NaN, 2) };
    const options = { more, categoricalCovariates: ["c"] };
    await expect(setupOf(["ctrl", "A", "A"], undefined, options)).rejects.toThrow(
      `cell 1 ("obs1") has no value in column "c"`,
    );
    await expect(setupOf(["ctrl", "A", "A"], undefined, { more, dosageKey: "d" })).rejects.toThrow(
      `cell 1 ("obs1") has no value in column "d"`,
    );
  });

  it("takes doses that are numbers, where no cell has a combination", async () => {
    const more = { d: Float64Array.of(0, 0.1, 2) };
    const table = await setupOf(["ctrl", "A", "A"], undefined, { more, dosageKey: "d" });
    expect(labelsOf(table)).toEqual(["ctrl (0)", "A (0.1)", "A (2)"]);
    await expect(setupOf(["ctrl", "A", "A+B"], undefined, { more, dosageKey: "d" })).rejects
      .toThrow(`"A+B" has 2 names and 1 doses`);
  });

  it("numbers levels that are in use, of whole numbers too", async () => {
    const more = {
      c: categorical(["unused", "z", "y"], [1, 2, 1]),
      n: Int32Array.of(10, 9, 10),
    };
    const covariates = ["c"];
    const table = await setupOf(["ctrl", "A", "A"], undefined, {
      ...{ more, categoricalCovariates: covariates, batchKey: "n" },
    });
    expect(covariates).toEqual(["c"]);
    expect(table.covariates).toEqual([
      { name: "c", levels: ["y", "z"], codes: Uint16Array.of(1, 0, 1), isBatch: false },
      { name: "n", levels: ["10", "9"], codes: Uint16Array.of(0, 1, 0), isBatch: true },
    ]);
    expect(table.notes).toEqual(['1 levels of "c" that no cell has were left out']);
    expect(strataOf(table)).toEqual({
      ids: Uint32Array.of(0, 1, 2),
      strata: [[0, 1], [1, 0], [1, 1]].map(([condition, level]) => ({
        condition,
        levels: [level],
      })),
    });
    await expect(setupOf(["ctrl"], undefined, {
      more: { c: Float64Array.of(0.5) },
      categoricalCovariates: ["c"],
    })).rejects.toThrow("holds floats, wanted names or whole numbers");
  });

  it("divides cells by a column, whose every value is known, or by a seed", async () => {
    const labels = ["ctrl", "A", "A", "A"];
    const more = { s: categoriesOf(["train", "ood", "test", "train"]) };
    const table = await setupOf(labels, undefined, { more, split: { key: "s" } });
    expect(table.splits).toEqual(Uint8Array.of(0, 2, 1, 0));
    await expect(setupOf(labels, undefined, { more, split: { key: "s", valid: "valid" } })).rejects
      .toThrow(`cell 2 ("obs2") is "test" in "s", wanted "train" (train), "valid" (valid)`);
    const many = Array.from({ length: 2000 }, (_, i) => i % 2 ? "ctrl" : "A");
    const [first, again] = [await setupOf(many), await setupOf(many)];
    expect(first.splits).toEqual(again.splits);
    const valid = first.splits.filter((split) => split === 1).length;
    expect(valid).toBeGreaterThan(150);
    expect(valid).toBeLessThan(250);
    expect((await setupOf(many, undefined, { split: { seed: 1 } })).splits).not
      .toEqual(first.splits);
  });

  it("keeps to the numbers of a model, and refuses what it does not know", async () => {
    const more = { c: categoriesOf(["x", "y", "x"]) };
    const model = await setupOf(["ctrl", "B", "A"], undefined, {
      more,
      categoricalCovariates: ["c"],
    });
    const options = { perturbationKey: "p", controlGroup: "ctrl", categoricalCovariates: ["c"] };
    const asked = async (labels: string[], levels: string[]) =>
      await setup(await cellsOf(labels, undefined, { c: categoriesOf(levels) }), options, model);
    const table = await asked(["B", "A+B"], ["y", "y"]);
    expect(fillSlots(table, [0, 1]).ids).toEqual(Uint32Array.of(3, 0, 2, 3));
    expect(table.covariates[0]!.codes).toEqual(Uint16Array.of(1, 1));
    await expect(asked(["ctrl", "C"], ["x", "y"])).rejects.toThrow('the model does not know "C"');
    await expect(asked(["ctrl", "A"], ["x", "z"])).rejects.toThrow(
      'the model does not know "z" of "c"',
    );
  });

  it("weighs classes by training cells alone", () => {
    expect(classWeights([0, 0, 0, 1, 2], 3, Uint8Array.of(0, 0, 1, 0, 2))).toEqual(
      Float64Array.of(0.5, 2, 0),
    );
  });

  it("sets up a whole data set in little memory", async (context) => {
    const missing = runtime === "chromium" ? "browsers read no files" : sharedDataMissing();
    if (missing) context.skip(missing);
    const adata = await openAnnData(`${await sharedFile("data/perturbation/sim_combo.h5ad")}`);
    const table = await setup(adata, {
      perturbationKey: "perturbation",
      controlGroup: "control",
      dosageKey: "dose",
      categoricalCovariates: ["cell_type"],
      split: { key: "split" },
    });
    expect(table.perturbations).toEqual(["", "control", "A", "B", "C", "D", "E", "F"]);
    const labels = [...new Set(labelsOf(table))].sort();
    // stored as "B+A" with doses "0.1+10.0"
    expect(labels).toContain("A+B (10+0.1)");
    expect(strataOf(table).strata.length).toBe(2 * labels.length);
    await adata.close();
  });
});

describe("packCounts()", () => {
  const entries = (values: number[]) => ({
    ...{ start: 5, end: 7, starts: Uint32Array.of(0, 1, values.length) },
    genes: Uint32Array.from(values, (_, i) => i),
    values: Float64Array.from(values),
    wholeBelow: 2 ** 53,
  });

  it("takes a word for an entry where gene and count fit, else two", () => {
    const narrow = packCounts(entries([65_535, 2, 3]), 65_536);
    expect(narrow).toEqual({
      form: "narrow",
      starts: Uint32Array.of(0, 1, 3),
      entries: Uint32Array.of(0xffff0000, 0x00020001, 0x00030002),
      librarySizes: Float64Array.of(65_535, 5),
    });
    for (const [values, genes] of [[[65_536, 2, 3], 3], [[1, 2, 3], 65_537]] as const) {
      const wide = packCounts(entries([...values]), genes);
      expect([wide.form, wide.entries]).toEqual([
        "wide",
        Uint32Array.of(0, values[0], 1, values[1], 2, values[2]),
      ]);
    }
  });

  it.each([0.5, -1, 2 ** 32])("refuses %d by cell and gene", (value) => {
    const names = { cell: (cell: number) => `c${cell}`, gene: (gene: number) => `g${gene}` };
    expect(() => packCounts(entries([1, 2, value]), 3, names)).toThrow(
      `Cannot take counts: cell 6 ("c6") has ${value} of gene 2 ("g2"), wanted whole numbers`,
    );
  });

  it("refuses counts that were rounded when they were stored", () => {
    const halves = { ...entries([1, 2048, 2050]), wholeBelow: 2048 };
    expect(() => packCounts(halves, 3)).toThrow(
      "cell 6 has 2050 of gene 2, where what is stored has whole numbers to 2048 alone",
    );
  });

  it("leaves any numbers to Gaussian models, as f32", () => {
    const { form, entries: packed } = packNumbers(entries([0.5, -1, 3]));
    expect([form, new Float32Array(packed.buffer)[3]]).toEqual(["float", -1]);
    expect(() => packNumbers(entries([0.5, 1e39]))).toThrow("cell 6 has 1e+39 of gene 1");
  });
});

describe("readDegMasks()", () => {
  it("has a row for each list, and the row of each cell", async () => {
    const adata = await cellsOf(["ctrl", "A", "B", "A"]);
    const uns = { A: ["var2", "var0", "gone"], B: ["var1"], C: ["var0"] };
    const told = Object.assign(Object.create(adata), { uns: () => Promise.resolve(uns) });
    Object.defineProperties(told, {
      ...{ obs: { value: adata.obs }, var: { value: adata.var } },
      ...{ cells: { value: 4 }, genes: { value: 3 } },
    });
    const masks = await readDegMasks(told, { key: "degs", categoryKey: "p" });
    expect(masks.names).toEqual(["A", "B", "C"]);
    expect(masks.rows).toEqual(Uint8Array.of(1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 0));
    expect(masks.rowOf).toEqual(Uint32Array.of(0, 1, 2, 1));
    expect(masks.notes).toEqual([
      "1 cells have no list of genes, and are compared on all",
      "1 names of genes that var does not have were left out",
      "1 lists of genes are of no cell: C",
    ]);
    const top = await readDegMasks(told, { key: "degs", categoryKey: "p", top: 1 });
    expect(top.rows.subarray(3, 6)).toEqual(Uint8Array.of(0, 0, 1));
    // the original takes all of them
    const all = { key: "degs", categoryKey: "p", top: 1, compat: true };
    expect((await readDegMasks(told, all)).rows).toEqual(masks.rows);
    const degs = { key: "degs", categoryKey: "p" };
    const table = await setup(told, { perturbationKey: "p", controlGroup: "ctrl", degs });
    expect([table.degs, table.notes.slice(-3)]).toEqual([masks, masks.notes]);
  });

  it("refuses names that several genes have, and what is no list", async () => {
    const adata = await openAnnData(
      await putAnnData("genes of one name", {
        ...{ x: rows(2), obs: { p: categoriesOf(["ctrl", "A"]) } },
        geneNames: ["g", "h", "g"],
      }),
    );
    const masksOf = (uns: object) => {
      const told = Object.assign(Object.create(adata), { uns: () => Promise.resolve(uns) });
      Object.defineProperties(told, { obs: { value: adata.obs }, cells: { value: 2 } });
      return readDegMasks(told, { key: "degs", categoryKey: "p" }, adata.var);
    };
    await expect(masksOf({ A: ["h", "g"] })).rejects.toThrow(
      '"g" is the name of 2 genes of var (0, 2), and in the list of "A"',
    );
    // nobody asks for them
    expect((await masksOf({ A: ["h"] })).rows.subarray(3)).toEqual(Uint8Array.of(0, 1, 0));
    await expect(masksOf({ A: ["h"], params: { method: "t" } })).rejects.toThrow(
      '"params" in "degs" of uns is no list of names',
    );
  });
});
