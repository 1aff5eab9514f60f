/**
 * Options of linear probes.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { custom, declare, flag, isList, number, whole } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";

const isStrength = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const isStrengths = (value: unknown): value is number | readonly number[] =>
  isStrength(value) || isList(value) && value.length > 0 && Array.from(value).every(isStrength);

export const logisticOptions = declare("make a logistic probe", {
  /**
   * Inverse strength of the penalty |w|^2 / (2 c rows), or several, each a probe. 0 and less is no penalty.
   * Default 1.
   */
  c: custom("numbers, one or a list of them", isStrengths, {
    default: 1,
    takes: "X[,...]",
    read: (text: string) => {
      const values = text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
      return values.every(Number.isFinite) ? values : undefined;
    },
    says: "inverse strength of the penalty w^2 / (2 c rows), one or several; none at 0 and below",
  }),
  /**
   * How far weights may be from the optimum, of their length, at which a fit is done. Default 1e-5.
   */
  tolerance: number({
    default: 1e-5,
    above: 0,
    below: 1,
    says: "how far weights may be from the optimum, of their length",
  }),
  /** Times that rows are gone through, at most. Default 300. */
  maxPasses: whole({
    default: 300,
    from: 8,
    says: "times that rows are gone through, at most",
  }),
});

/** What {@link LogisticProbe} is told. */
export type LogisticOptions = OptionsOf<typeof logisticOptions>;

export const massMeanOptions = declare("make a mass-mean probe", {
  /** Makes the direction a unit long. Default false. */
  normalize: flag({ default: false, says: "make the direction a unit long" }),
  /**
   * Takes rows less their mean first, as in probelab. Logits count from midway between the class means either
   * way, so that they are the same with it and without. Default true.
   */
  center: flag({
    default: true,
    flag: "no-center",
    says: "take rows less their mean first, which changes no logit",
    helps: "do not take rows less their mean first, which changes no logit",
  }),
});

/** What {@link MassMeanProbe} is told. */
export type MassMeanOptions = OptionsOf<typeof massMeanOptions>;

export const probeFitOptions = declare("fit a probe", { ...planChoices, ...outputChoices });

/** Options of `fit()` of a linear probe. */
export type ProbeFitOptions = OptionsOf<typeof probeFitOptions>;

export const probePredictOptions = declare("predict", { ...planChoices, ...outputChoices });

/** Options of `predict()` of a linear probe. */
export type ProbePredictOptions = OptionsOf<typeof probePredictOptions>;
