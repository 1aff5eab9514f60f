/**
 * What a model has to know of every cell beside its counts: small whole numbers, and the names they stand for.
 *
 * @module
 */

import type { DegMasks } from "./deg_masks.ts";
import type { SetupOptions } from "./setup_options.ts";

/** Cells that a model learns from, that say when to stop, and that it never sees. */
export const SPLITS = ["train", "valid", "ood"] as const;

export type Split = typeof SPLITS[number];

/** Of perturbations: a slot that holds none, and control. */
export const [PADDING, CONTROL] = [0, 1];

export interface Covariate {
  name: string;
  /** In use, sorted. */
  levels: readonly string[];
  /** [cells]. */
  codes: Uint16Array;
  /** Whether it is a batch, which corrected latents leave out. */
  isBatch: boolean;
}

/** Perturbations with doses that at least one cell was given. */
export interface Condition {
  /** Into the names of perturbations, ascending. */
  perturbations: readonly number[];
  doses: readonly number[];
  /** The same perturbations, whatever their doses: what an adversary tells apart. */
  combination: number;
}

export interface CellTable {
  cells: number;
  genes: number;
  /** Of the names of the genes, in order: cells of others are none of a model's. */
  genesDigest?: string;
  /** Of the AnnData. */
  place?: string;
  /** How it was made, so that other cells can be set up like it. */
  setup?: SetupOptions;
  /** By id: padding, which has no name, control, and all others, sorted. */
  perturbations: readonly string[];
  separator: string;
  conditions: readonly Condition[];
  /** Perturbations of every combination, ascending. */
  combinations: readonly (readonly number[])[];
  /** [cells], into `conditions`. */
  conditionIds: Uint32Array;
  covariates: readonly Covariate[];
  /** [cells], into {@link SPLITS}. */
  splits: Uint8Array;
  /** Genes that cells are compared on, where not on all. */
  degs?: DegMasks;
  /** What was understood in one of several ways, or passed over, in words. */
  notes: readonly string[];
}

/**
 * Refuses counts of AnnData that are not those that cells were set up for: who goes on with a model reads these.
 *
 * @param path Of the matrix, with its place.
 */
export function checkMatrix({ setup, place }: CellTable, path: string, action: string): void {
  const [, from, own] = /^(?:(.*)\/)?(raw\/X|layers\/[^/]+|X)$/.exec(path) ?? [];
  const wanted = setup?.matrix ?? "X";
  if (own === undefined || setup === undefined) return;
  if (own !== wanted) {
    throw new RangeError(
      `Cannot ${action}: counts are those of "${own}", cells were set up for "${wanted}" (matrix)`,
    );
  }
  if (from !== undefined && place !== undefined) checkPlace({ place }, from, action);
}

/** Refuses AnnData that is not that of which cells were set up: of as many cells, another order would go unseen. */
export function checkPlace(
  { place }: Pick<CellTable, "place">,
  from: string,
  action: string,
): void {
  if (place === undefined || from === place) return;
  throw new RangeError(`Cannot ${action}: cells are those of "${from}", "${place}" was set up`);
}

/** Slots that a cell has for perturbations. */
export function slotsOf({ conditions }: CellTable): number {
  return conditions.reduce((most, { perturbations }) => Math.max(most, perturbations.length), 1);
}

/**
 * Perturbations and doses of cells, as a model reads them.
 *
 * @returns `ids` and `doses`, both [cells, slots]; what is left over is padding of dose 0.
 */
export function fillSlots(
  table: CellTable,
  cells: ArrayLike<number>,
  slots = slotsOf(table),
): { ids: Uint32Array; doses: Float32Array } {
  const [ids, doses] = [
    new Uint32Array(cells.length * slots),
    new Float32Array(cells.length * slots),
  ];
  for (let i = 0; i < cells.length; i++) {
    const condition = table.conditions[table.conditionIds[cells[i]!]!]!;
    if (condition.perturbations.length > slots) {
      throw new RangeError(
        `Cannot fill slots: cell ${
          cells[i]
        } has ${condition.perturbations.length} perturbations, ` +
          `there are ${slots} slots`,
      );
    }
    ids.set(condition.perturbations, i * slots);
    doses.set(condition.doses, i * slots);
  }
  return { ids, doses };
}

/** `A+B (1+0.5)`. */
export function conditionLabel(table: CellTable, id: number): string {
  const { doses, combination } = table.conditions[id]!;
  return `${combinationLabel(table, combination)} (${doses.join(table.separator)})`;
}

/** `A+B`. */
export function combinationLabel(table: CellTable, id: number): string {
  const { combinations, perturbations, separator } = table;
  return combinations[id]!.map((one) => perturbations[one]!).join(separator);
}

/** Conditions within levels of the covariates that are no batches. */
export interface Strata {
  /** [cells]. */
  ids: Uint32Array;
  /** By id: the condition, and a level of every covariate that is no batch. */
  strata: readonly { condition: number; levels: readonly number[] }[];
}

/** Numbers each condition within each stratum that has a cell, in the order of the cells. */
export function strataOf({ conditionIds, covariates, cells }: CellTable): Strata {
  const own = covariates.filter(({ isBatch }) => !isBatch);
  const ids = new Uint32Array(cells);
  const found = new Map<string, number>();
  const strata: { condition: number; levels: readonly number[] }[] = [];
  for (let cell = 0; cell < cells; cell++) {
    const condition = conditionIds[cell]!;
    const levels = own.map(({ codes }) => codes[cell]!);
    const key = `${condition} ${levels.join(" ")}`;
    let id = found.get(key);
    if (id === undefined) {
      id = strata.length;
      found.set(key, id);
      strata.push({ condition, levels });
    }
    ids[cell] = id;
  }
  return { ids, strata };
}

/** By stratum, the number of its levels, whatever the condition. */
export function contextsOf({ strata }: Strata): Uint32Array {
  const contexts = new Map<string, number>();
  return Uint32Array.from(strata, ({ levels }) => {
    const key = levels.join(" ");
    if (!contexts.has(key)) contexts.set(key, contexts.size);
    return contexts.get(key)!;
  });
}

/** Of a condition in a context, `A+B (1+1), T cell`; `undefined` where no cell is of the context. */
export function stratumLabels(
  table: CellTable,
  own: Strata,
): (condition: number, context: number) => string | undefined {
  const contexts = contextsOf(own);
  const covariates = table.covariates.filter(({ isBatch }) => !isBatch);
  return (condition, context) => {
    const levels = own.strata[contexts.indexOf(context)]?.levels;
    const names = levels && covariates.map(({ levels: all }, i) => all[levels[i]!]!);
    return names && [conditionLabel(table, condition), ...names].join(", ");
  };
}

/**
 * One-against-all weights N / n - 1 of classes, from the training cells alone; 0 for classes without any.
 *
 * @param codes [cells].
 */
export function classWeights(
  codes: ArrayLike<number>,
  classes: number,
  splits: Uint8Array,
): Float64Array {
  const counts = new Float64Array(classes);
  let all = 0;
  for (let cell = 0; cell < splits.length; cell++) {
    if (splits[cell] !== 0) continue;
    counts[codes[cell]!]!++;
    all++;
  }
  return counts.map((count) => count === 0 ? 0 : all / count - 1);
}
