/**
 * Which cells a model is asked about, and what they are to have been given.
 *
 * @module
 */

import { wantedNames } from "../math/format.ts";
import type { CellTable } from "./cell_table.ts";
import { CONTROL } from "./cell_table.ts";
import type { CellFacts } from "./cell_uploads.ts";
import type { ModelFacts } from "./model_facts.ts";

export interface Given {
  id: number;
  dose: number;
}

const refuse = (reason: string) => new RangeError(`Cannot make counterfactuals: ${reason}`);

/**
 * Perturbations by their numbers, ascending.
 *
 * @param known Of the model, by number.
 */
export function givenOf(
  names: readonly string[],
  doses: readonly number[] | undefined,
  known: readonly string[],
): Given[] {
  if (doses && doses.length !== names.length) {
    throw refuse(`there are ${doses.length} doses for ${names.length} perturbations`);
  }
  if (new Set(names).size < names.length) {
    throw refuse(`${names.join(", ")} names a perturbation twice`);
  }
  return names.map((name, i) => {
    const id = known.indexOf(name, CONTROL);
    if (id < 0) {
      throw refuse(
        `the model was not shown "${name}", ${wantedNames(name, known.slice(CONTROL))}`,
      );
    }
    // labels leave it out beside others: a model has never seen both together
    if (id === CONTROL && names.length > 1) {
      throw refuse(
        `"${name}" is the control group beside ${names.length - 1} more, wanted it alone`,
      );
    }
    return { id, dose: doses?.[i] ?? 1 };
  }).sort((a, b) => a.id - b.id);
}

/** @throws {RangeError} If cells are asked about of which the model has learned nothing. */
export function checkLearned(
  { unlearned, perturbations }: Pick<ModelFacts, "unlearned" | "perturbations">,
  table: CellTable,
  given: readonly Given[],
  cells: Uint32Array,
): void {
  if (!unlearned) return;
  const names = given.map(({ id }) => perturbations[id]!)
    .filter((name) => unlearned.perturbations.includes(name))
    .map((name) => `"${name}"`);
  const levels = unlearned.covariates.flatMap(({ name, levels: all }) => {
    const own = table.covariates.find((covariate) => covariate.name === name)!;
    const found = new Set(Array.from(cells, (cell) => own.levels[own.codes[cell]!]!));
    return all.filter((level) => found.has(level)).map((level) => `"${level}" of "${name}"`);
  });
  const [strange] = [...names, ...levels];
  if (strange !== undefined) {
    throw refuse(
      `no cell that the model was trained on had ${strange}, wanted what it has learned`,
    );
  }
}

export function everyCell({ cells }: Pick<CellTable, "cells">): Uint32Array {
  return Uint32Array.from({ length: cells }, (_, cell) => cell);
}

export function isControlCell(table: CellTable, cell: number): boolean {
  return table.conditions[table.conditionIds[cell]!]!.perturbations[0] === CONTROL;
}

/**
 * Control cells that have levels of covariates.
 *
 * @throws {RangeError} If there are none, or no such level.
 */
export function controlCells(table: CellTable, wanted: Record<string, string>): Uint32Array {
  const codes = Object.entries(wanted).map(([name, level]) => {
    const covariate = table.covariates.find((own) => own.name === name);
    if (!covariate) {
      const names = table.covariates.map((own) => own.name);
      throw refuse(
        `there is no covariate "${name}", ${
          names.length === 0 ? "there are none" : wantedNames(name, names)
        }`,
      );
    }
    const code = covariate.levels.indexOf(level);
    if (code < 0) {
      throw refuse(
        `"${name}" has no level "${level}", ${wantedNames(level, [...covariate.levels])}`,
      );
    }
    return { codes: covariate.codes, code };
  });
  const cells = everyCell(table).filter((cell) =>
    isControlCell(table, cell) && codes.every((own) => own.codes[cell] === own.code)
  );
  if (cells.length === 0) {
    const levels = Object.entries(wanted).map(([name, level]) => `${name} ${level}`);
    throw refuse(`there is no control cell of ${levels.join(", ") || "any kind"}`);
  }
  return cells;
}

/** Facts of rows, each a cell that is given something: a row's are at its place. */
export function factsOfRows(
  facts: CellFacts,
  rows: readonly { cell: number; given: readonly Given[] }[],
): CellFacts {
  const { slots, covariates } = facts;
  const ids = new Uint32Array(rows.length * slots);
  const doses = new Float32Array(rows.length * slots);
  rows.forEach(({ given }, row) =>
    given.forEach(({ id, dose }, slot) => {
      ids[row * slots + slot] = id;
      doses[row * slots + slot] = dose;
    })
  );
  return {
    ...{ slots, ids, doses },
    combinations: new Uint32Array(rows.length),
    covariates: covariates.map((codes) => Uint32Array.from(rows, ({ cell }) => codes[cell]!)),
  };
}

/** Facts of cells of which some were given something else than they were. */
export function factsOfGiven(
  facts: CellFacts,
  cells: Uint32Array,
  given: readonly Given[],
): CellFacts {
  const count = facts.combinations.length;
  const slots = Math.max(facts.slots, given.length);
  const ids = new Uint32Array(count * slots);
  const doses = new Float32Array(count * slots);
  for (const cell of cells) {
    given.forEach(({ id, dose }, slot) => {
      ids[cell * slots + slot] = id;
      doses[cell * slots + slot] = dose;
    });
  }
  return { ...facts, slots, ids, doses };
}
