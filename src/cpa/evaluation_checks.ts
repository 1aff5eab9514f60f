/**
 * What an evaluation would mix up if it went on.
 *
 * @module
 */

import { BASELINES } from "./baselines.ts";
import type { Profile } from "./profile_metrics.ts";

/** How well half of the truth predicts its other half. */
export const CEILING = "half-split ceiling";

/** @param summed What was summed up; `asked` what is asked of that. */
export function checkAsked(
  summed: { genes: number; split: string },
  asked: { names: readonly string[]; genes: readonly string[]; split: string | undefined },
): void {
  const refuse = (reason: string) => new RangeError(`Cannot evaluate predictions: ${reason}`);
  if (asked.genes.length !== summed.genes) {
    throw refuse(`there are names of ${asked.genes.length} genes, cells have ${summed.genes}`);
  }
  if (asked.split !== undefined && asked.split !== summed.split) {
    throw refuse(`split "${asked.split}" is asked for, cells of "${summed.split}" were summed up`);
  }
  const names = [...BASELINES, CEILING, ...asked.names];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw refuse(`two predictors are called "${twice}", wanted a name of its own for each`);
  }
}

/** @param taken What a predictor takes for `label`, if it says so. */
export function checkLabel(
  name: string,
  taken: string | undefined,
  label: string | undefined,
): void {
  if (taken === undefined || taken === label) return;
  throw new RangeError(
    `Cannot evaluate predictions: "${name}" is of other cells, for which ${label} is ${taken}`,
  );
}

export function checkProfile(
  name: string,
  profile: Profile,
  genes: readonly string[],
  condition: string,
): void {
  const refuse = (reason: string) =>
    new RangeError(`Cannot evaluate predictions: "${name}" ${reason} for ${condition}`);
  if (profile.length !== genes.length) {
    throw refuse(`predicts ${profile.length} genes, wanted ${genes.length},`);
  }
  const stray = profile.findIndex((value) => !Number.isFinite(value));
  if (stray >= 0) throw refuse(`predicts ${profile[stray]} of gene ${stray} ("${genes[stray]}")`);
}
