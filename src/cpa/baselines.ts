/**
 * What is predicted without a model: profiles from training cells by rules that anybody can check.
 *
 * @module
 */

import type { CellTable } from "./cell_table.ts";
import { conditionLabel, CONTROL } from "./cell_table.ts";
import { fitLinear } from "./linear_baseline.ts";
import type { Profile, Seen } from "./profile_metrics.ts";

export const BASELINES = [
  "no-change",
  "perturbed mean",
  "matching mean",
  "additive",
  "additive over contexts",
  "linear PCA-ridge",
] as const;

export type BaselineName = typeof BASELINES[number];

/** A profile, or why there is none. */
export interface Baseline {
  name: BaselineName;
  profile?: Profile;
  missing?: string;
}

/** Baselines of one training set. */
export class Baselines {
  readonly #table: CellTable;
  readonly #seen: Seen;
  readonly #genes: readonly string[];
  readonly #linear = new Map<number, ReturnType<typeof fitLinear>>();

  /** @param genes Names, by which perturbations of genes are found. */
  constructor(table: CellTable, seen: Seen, genes: readonly string[]) {
    this.#table = table;
    this.#seen = seen;
    this.#genes = genes;
  }

  /**
   * Mean over the training conditions of this context, each as one, whatever its cells; of all contexts, each as one,
   * where this one has none.
   */
  perturbedMean(context: number): Profile | undefined {
    const { conditions, contexts } = this.#seen;
    const within = (one: number) =>
      meanOf(conditions.map((condition) => this.#seen.mean(condition, one)));
    return within(context) ?? meanOf(contexts.map(within));
  }

  /** Every baseline for a condition in a context, in their order. */
  of(condition: number, context: number): Baseline[] {
    const control = this.#seen.control(context);
    return BASELINES.map((name): Baseline => {
      if (!control) return { name, missing: "no control cells in this context" };
      const found = this.#profile(name, condition, context, control);
      return typeof found === "string" ? { name, missing: found } : { name, profile: found };
    });
  }

  #profile(
    name: BaselineName,
    condition: number,
    context: number,
    control: Profile,
  ): Profile | string {
    switch (name) {
      case "no-change":
        return control;
      case "perturbed mean":
        return this.perturbedMean(context) ?? "no training condition";
      case "matching mean":
        return this.#matchingMean(condition, context);
      case "additive":
        return this.#additive(condition, context, control);
      case "additive over contexts":
        return this.#overContexts(condition, context, control);
      case "linear PCA-ridge":
        return this.#linearOf(context)(condition, control);
    }
  }

  #matchingMean(condition: number, context: number): Profile | string {
    const stand = this.perturbedMean(context);
    if (!stand) return "no training condition";
    return meanOf(this.#singles(condition, context).map(({ profile }) => profile ?? stand))!;
  }

  #additive(condition: number, context: number, control: Profile): Profile | string {
    const singles = this.#singles(condition, context);
    const unseen = singles.filter(({ profile }) => !profile).map(({ label }) => label);
    if (unseen.length > 0) return `${unseen.join(", ")} unseen`;
    return control.map((own, gene) =>
      singles.reduce((sum, { profile }) => sum + profile![gene]! - own, own)
    );
  }

  #overContexts(condition: number, context: number, control: Profile): Profile | string {
    const changes = this.#seen.contexts.filter((other) => other !== context).flatMap((other) => {
      const own = this.#seen.mean(condition, other);
      const reference = this.#seen.control(other);
      return own && reference ? [own.map((value, gene) => value - reference[gene]!)] : [];
    });
    const mean = meanOf(changes);
    return mean ? mean.map((change, gene) => control[gene]! + change) : "unseen in other contexts";
  }

  #linearOf(context: number): ReturnType<typeof fitLinear> {
    const found = this.#linear.get(context) ??
      fitLinear(this.#table, this.#seen, context, this.#genes);
    this.#linear.set(context, found);
    return found;
  }

  /** The perturbations of a condition, each alone at its dose, as training cells of the context had them. */
  #singles(condition: number, context: number): { label: string; profile: Profile | undefined }[] {
    const { conditions } = this.#table;
    const { perturbations, doses } = conditions[condition]!;
    return perturbations.map((perturbation, slot) => {
      const dose = doses[slot]!;
      const single = conditions.findIndex((own) =>
        own.perturbations.length === 1 && own.perturbations[0] === perturbation &&
        Math.fround(own.doses[0]!) === Math.fround(dose)
      );
      const label = single < 0
        ? `${this.#table.perturbations[perturbation]} (${dose})`
        : conditionLabel(this.#table, single);
      return { label, profile: single < 0 ? undefined : this.#seen.mean(single, context) };
    });
  }
}

/** Whether a condition is control. */
export function isControl({ conditions }: CellTable, condition: number): boolean {
  return conditions[condition]!.perturbations[0] === CONTROL;
}

/** Mean of those that are there. */
function meanOf(profiles: readonly (Profile | undefined)[]): Profile | undefined {
  const found = profiles.filter((profile) => profile !== undefined);
  return found[0]?.map((_, gene) =>
    found.reduce((sum, profile) => sum + profile[gene]!, 0) / found.length
  );
}
