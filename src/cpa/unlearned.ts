/**
 * What a model knows by name alone: perturbations and levels that no cell has that it learns from. Their embeddings are as they
 * were drawn.
 *
 * @module
 */

import type { CellTable } from "./cell_table.ts";
import { PADDING } from "./cell_table.ts";

export interface Unlearned {
  perturbations: readonly string[];
  /** Those with such levels. */
  covariates: readonly { name: string; levels: readonly string[] }[];
}

/** `undefined` where training cells have all there is. */
export function unlearnedOf(
  { perturbations, conditions, conditionIds, covariates, splits }: Pick<
    CellTable,
    "perturbations" | "conditions" | "conditionIds" | "covariates" | "splits"
  >,
): Unlearned | undefined {
  const seen = new Set<number>([PADDING]);
  const seenConditions = new Set(conditionIds.filter((_, cell) => splits[cell] === 0));
  for (const condition of seenConditions) {
    for (const id of conditions[condition]!.perturbations) seen.add(id);
  }
  const strange = perturbations.filter((_, id) => !seen.has(id));
  const levels = covariates.flatMap(({ name, levels, codes }) => {
    const known = new Set(codes.filter((_, cell) => splits[cell] === 0));
    const own = levels.filter((_, level) => !known.has(level));
    return own.length === 0 ? [] : [{ name, levels: own }];
  });
  return strange.length === 0 && levels.length === 0
    ? undefined
    : { perturbations: strange, covariates: levels };
}

/** `"A", "B", "x" of "cell_type"`. */
export function unlearnedText({ perturbations, covariates }: Unlearned): string {
  const named = [
    ...perturbations.map((name) => `"${name}"`),
    ...covariates.flatMap(({ name, levels }) => levels.map((level) => `"${level}" of "${name}"`)),
  ];
  return named.length <= 8
    ? named.join(", ")
    : `${named.slice(0, 8).join(", ")} and ${named.length - 8} more`;
}
