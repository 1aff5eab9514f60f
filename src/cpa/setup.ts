/**
 * Sets up the cells of AnnData for a model of perturbations.
 *
 * @module
 */

import type { AnnData } from "../array/anndata/anndata.ts";
import type { CategoryColumn } from "../array/anndata/frame.ts";
import { digestOf } from "../math/digest.ts";
import { wantedNames } from "../math/format.ts";
import { Random } from "../math/random.ts";
import type { CellTable, Condition, Covariate } from "./cell_table.ts";
import { CONTROL, SPLITS } from "./cell_table.ts";
import { readDegMasks } from "./deg_masks.ts";
import { isMissingName, lookAlikes } from "./names.ts";
import type { Reading } from "./perturbation_labels.ts";
import { readLabel } from "./perturbation_labels.ts";
import type { SetupOptions } from "./setup_options.ts";
import { setupOptions } from "./setup_options.ts";
import type { Unlearned } from "./unlearned.ts";
import { unlearnedOf, unlearnedText } from "./unlearned.ts";

/** Names that a model was trained with: other cells have to keep to them. */
export type KnownNames = Pick<CellTable, "perturbations"> & {
  covariates: readonly Pick<Covariate, "name" | "levels">[];
  /** What it knows by name alone. */
  unlearned?: Unlearned;
};

/**
 * Reads what is said of every cell, and numbers it. Counts are not read.
 *
 * Perturbations have their own doses, in whatever order they are named. Stated in `notes`: blanks around names,
 * which do not count, control beside a perturbation, which is left out, names that look alike, and what no training cell has.
 *
 * @param known Of a model that exists already: its numbers are kept, and what it does not know is refused.
 * @throws {RangeError} If there is no control, a value is missing or not understood, or a name is not known.
 */
export async function setup(
  adata: AnnData,
  options: SetupOptions,
  known?: KnownNames,
): Promise<CellTable> {
  const checked = setupOptions.check(options);
  checkColumns(checked);
  const notes: string[] = [];
  const treated = await readTreatments(adata, checked, known, notes);
  const wanted = [
    ...checked.categoricalCovariates,
    ...checked.batchKey === undefined ? [] : [checked.batchKey],
  ];
  const covariates: Covariate[] = [];
  for (const key of new Set(wanted)) {
    const isBatch = key === checked.batchKey;
    covariates.push(await readCovariate(adata, key, isBatch, known, notes));
  }
  const frame = checked.matrix === "raw/X" ? await adata.rawVar() : adata.var;
  const genes = await frame.names();
  // a model that exists learns no more
  const degs = checked.degs && !known ? await readDegMasks(adata, checked.degs, frame) : undefined;
  notes.push(...degs?.notes ?? []);
  const splits = await readSplits(adata, checked.split);
  const unlearned = known ? known.unlearned : unlearnedOf({ ...treated, covariates, splits });
  if (unlearned) {
    notes.push(`no training cell has ${unlearnedText(unlearned)}: a model learns nothing of that`);
  }
  return {
    place: adata.place,
    cells: adata.cells,
    genes: genes.length,
    genesDigest: await digestOf([JSON.stringify(genes)]),
    setup: checked,
    separator: checked.separator,
    ...treated,
    covariates,
    splits,
    ...degs && { degs },
    notes,
  };
}

type Checked = ReturnType<typeof setupOptions.check>;

function checkColumns(
  { perturbationKey, dosageKey, separator, categoricalCovariates, batchKey }: Checked,
): void {
  const refuse = (reason: string) => new RangeError(`Cannot set up cells: ${reason}`);
  if (dosageKey !== undefined && /^[+-]*[\d.e][\d.e+-]*$/i.test(separator)) {
    throw refuse(`the separator is "${separator}", wanted one that is no part of a number`);
  }
  if ([...categoricalCovariates, batchKey].includes(perturbationKey)) {
    throw refuse(`column "${perturbationKey}" is both perturbation and covariate`);
  }
  if (batchKey !== undefined && categoricalCovariates.includes(batchKey)) {
    throw refuse(`column "${batchKey}" is both covariate and batch, wanted one of them`);
  }
}

async function readTreatments(
  adata: AnnData,
  { perturbationKey, dosageKey, controlGroup, separator, compatDoses: compat }: Checked,
  known: KnownNames | undefined,
  notes: string[],
): Promise<
  Pick<CellTable, "perturbations" | "conditions" | "combinations" | "conditionIds">
> {
  const refuse = (reason: string) => new RangeError(`Cannot set up cells: ${reason}`);
  const labels = await readCategories(adata, perturbationKey);
  const doses = dosageKey === undefined ? undefined : await readDoseColumn(adata, dosageKey);
  const control = controlGroup.trim();
  // what a pair of label and dose says is read once
  const codes = new Uint32Array(adata.cells);
  const readings: Reading[] = [];
  const cellsOf: number[] = [];
  const places = new Map<string, number>();
  for (let cell = 0; cell < adata.cells; cell++) {
    const [label, dose] = [labels.codes[cell]!, doses?.codes[cell] ?? 0];
    const key = `${label} ${dose}`;
    let place = places.get(key);
    if (place === undefined) {
      place = readings.length;
      places.set(key, place);
      try {
        const rules = { control, separator, compat };
        readings.push(readLabel(labels.categories[label]!, doses?.values[dose], rules));
      } catch (error) {
        throw refuse(`${(error as Error).message}, in ${await nameOf(adata, cell)}`);
      }
      cellsOf.push(0);
    }
    codes[cell] = place;
    cellsOf[place]!++;
  }
  tellAll(readings, cellsOf, notes);

  const found = [...new Set(readings.flatMap(({ treatment }) => treatment.names))].sort();
  notes.push(...alikeNote(found, perturbationKey));
  // what is known already may be asked of cells without control
  if (!known && !found.includes(control)) {
    throw refuse(
      `no cell of "${perturbationKey}" is "${control}", the control group, ` +
        wantedNames(control, found),
    );
  }
  const perturbations = known?.perturbations ??
    ["", control, ...found.filter((name) => name !== control)];
  if (perturbations[CONTROL] !== control) {
    throw refuse(
      `the control group is "${control}", the model's is "${perturbations[CONTROL]}"`,
    );
  }
  const ids = new Map(perturbations.map((name, id) => [name, id]));
  const stranger = found.find((name) => !ids.has(name));
  if (stranger !== undefined) {
    throw refuse(
      `the model does not know "${stranger}", ${wantedNames(stranger, perturbations.slice(1))}`,
    );
  }
  const conditions: Condition[] = [];
  const combinations: number[][] = [];
  const [conditionAt, combinationAt] = [new Map<string, number>(), new Map<string, number>()];
  const conditionOf = readings.map(({ treatment }) => {
    const slots = treatment.names.map((name, i) => ({
      id: ids.get(name)!,
      dose: treatment.doses[i]!,
    }))
      .sort((a, b) => a.id - b.id);
    const own = slots.map(({ id }) => id);
    const combination = numbered(combinationAt, own.join(" "), () => combinations.push(own));
    // as f32, in which models take doses
    const given = slots.map(({ dose }) => Math.fround(dose));
    const key = `${combination} ${given.join(" ")}`;
    return numbered(conditionAt, key, () => {
      conditions.push({
        perturbations: own,
        doses: slots.map(({ dose }) => dose),
        combination,
      });
    });
  });
  return {
    perturbations,
    conditions,
    combinations,
    conditionIds: codes.map((place) => conditionOf[place]!),
  };
}

/** The number of a key, which is new where there is none. */
function numbered(numbers: Map<string, number>, key: string, add: () => void): number {
  const found = numbers.get(key);
  if (found !== undefined) return found;
  numbers.set(key, numbers.size);
  add();
  return numbers.size - 1;
}

function tellAll(
  readings: readonly Reading[],
  cellsOf: readonly number[],
  notes: string[],
): void {
  const count = (is: (reading: Reading) => boolean) =>
    readings.reduce((sum, reading, i) => is(reading) ? sum + cellsOf[i]! : sum, 0);
  const blanks = count(({ hadBlanks }) => hadBlanks);
  if (blanks > 0) notes.push(`blanks around names were left out (${blanks} cells)`);
  const controls = count(({ hadControl }) => hadControl);
  if (controls > 0) {
    notes.push(`control beside a perturbation was left out, with its dose (${controls} cells)`);
  }
}

/** Names that look alike may be one thing, which a model takes for several. */
function alikeNote(names: readonly string[], key: string): string[] {
  const alike = lookAlikes(names);
  if (!alike) return [];
  return [`"${alike[0]}" and "${alike[1]}" of "${key}" look alike, and are taken for two`];
}

/** A column of names in which no value is missing. Whole numbers are names, too. */
async function readCategories(adata: AnnData, key: string): Promise<CategoryColumn> {
  const column = await adata.obs.column(key);
  if (column.kind === "numbers") {
    if (!column.isWhole) {
      throw new RangeError(
        `Cannot set up cells: column "${key}" holds floats, wanted names or whole numbers`,
      );
    }
    await refuseMissing(adata, key, (cell) => Number.isNaN(column.values[cell]!));
    const levels = [...new Set(column.values)].sort((a, b) => a - b);
    const codes = new Map(levels.map((level, code) => [level, code]));
    return {
      kind: "categories",
      categories: levels.map(String),
      codes: Int32Array.from(column.values, (value) => codes.get(value)!),
    };
  }
  await refuseMissing(adata, key, (cell) => column.codes[cell]! < 0);
  return column;
}

/** Doses by code: as text, or as the numbers they are. */
async function readDoseColumn(
  adata: AnnData,
  key: string,
): Promise<{ codes: ArrayLike<number>; values: readonly (string | number)[] }> {
  const column = await adata.obs.column(key);
  if (column.kind === "categories") {
    await refuseMissing(adata, key, (cell) => column.codes[cell]! < 0);
    return { codes: column.codes, values: column.categories };
  }
  await refuseMissing(adata, key, (cell) => !Number.isFinite(column.values[cell]!));
  const values = [...new Set(column.values)];
  const codes = new Map(values.map((value, code) => [value, code]));
  return { codes: Int32Array.from(column.values, (value) => codes.get(value)!), values };
}

async function refuseMissing(
  adata: AnnData,
  key: string,
  isMissing: (cell: number) => boolean,
): Promise<void> {
  for (let cell = 0; cell < adata.cells; cell++) {
    if (!isMissing(cell)) continue;
    throw new RangeError(
      `Cannot set up cells: ${await nameOf(adata, cell)} has no value in column "${key}"`,
    );
  }
}

async function readCovariate(
  adata: AnnData,
  key: string,
  isBatch: boolean,
  known: KnownNames | undefined,
  notes: string[],
): Promise<Covariate> {
  const { categories: written, codes } = await readCategories(adata, key);
  const categories = written.map((name) => name.trim());
  const used = new Set(codes);
  const missing = codes.findIndex((code) => isMissingName(categories[code]!));
  if (missing >= 0) {
    throw new RangeError(
      `Cannot set up cells: ${await nameOf(adata, missing)} has "${
        written[codes[missing]!]
      }" in column "${key}", ` +
        "a missing value",
    );
  }
  const blanks = codes.filter((code) => categories[code] !== written[code]).length;
  if (blanks > 0) notes.push(`blanks around levels of "${key}" were left out (${blanks} cells)`);
  const unused = categories.filter((_, code) => !used.has(code));
  if (unused.length > 0) {
    notes.push(`${unused.length} levels of "${key}" that no cell has were left out`);
  }
  const model = known?.covariates.find(({ name }) => name === key);
  if (known && !model) {
    const names = known.covariates.map(({ name }) => name);
    throw new RangeError(
      `Cannot set up cells: the model has no covariate "${key}", it has [${names.join(", ")}]`,
    );
  }
  const own = [...new Set(categories.filter((_, code) => used.has(code)))].sort();
  notes.push(...alikeNote(own, key));
  const levels = model?.levels ?? own;
  if (levels.length > 2 ** 16) {
    throw new RangeError(
      `Cannot set up cells: "${key}" has ${levels.length} levels, wanted at most ${2 ** 16}`,
    );
  }
  const stranger = own.find((level) => !levels.includes(level));
  if (stranger !== undefined) {
    throw new RangeError(
      `Cannot set up cells: the model does not know "${stranger}" of "${key}", ` +
        wantedNames(stranger, levels),
    );
  }
  const places = new Map(levels.map((level, place) => [level, place]));
  const placeOf = categories.map((level) => places.get(level) ?? 0);
  return { name: key, levels, codes: Uint16Array.from(codes, (code) => placeOf[code]!), isBatch };
}

async function readSplits(adata: AnnData, split: Checked["split"]): Promise<Uint8Array> {
  const { key, train = "train", valid = "test", ood = "ood", validShare = 0.1, seed = 0 } = split;
  const splits = new Uint8Array(adata.cells);
  if (key === undefined) {
    // a cell is where its own draw puts it, whatever cells there are besides
    const random = new Random(seed, 17);
    return splits.map(() => random.uniform() < validShare ? 1 : 0);
  }
  const { categories, codes } = await readCategories(adata, key);
  const names = [train, valid, ood];
  if (new Set(names).size < names.length) {
    throw new RangeError(`Cannot set up cells: splits are called [${names}], wanted three names`);
  }
  const splitOf = categories.map((name) => names.indexOf(name));
  for (let cell = 0; cell < adata.cells; cell++) {
    const own = splitOf[codes[cell]!]!;
    if (own < 0) {
      throw new RangeError(
        `Cannot set up cells: ${await nameOf(adata, cell)} is "${categories[codes[cell]!]}" in ` +
          `"${key}", wanted ${SPLITS.map((split, i) => `"${names[i]}" (${split})`).join(", ")}`,
      );
    }
    splits[cell] = own;
  }
  if (!splits.includes(0)) {
    throw new RangeError(`Cannot set up cells: no cell is "${train}" in "${key}"`);
  }
  return splits;
}

/** What a message calls a cell. */
async function nameOf(adata: AnnData, cell: number): Promise<string> {
  return `cell ${cell} ("${(await adata.obs.names())[cell]}")`;
}
