/**
 * Options of what a trained model says of cells.
 *
 * @module
 */

import { AnnData } from "../array/anndata/anndata.ts";
import type { OptionsOf } from "../options.ts";
import { custom, declare, flag, list, number, oneOf, text, whole } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import { LATENTS } from "./model.ts";

const likeOriginal = {
  compat: flag({
    default: false,
    says:
      "as the original: means of zinb without the extra zeros, and of variational models one draw of latents",
  }),
};

const predictChoices = {
  ...{ ...planChoices, ...outputChoices, ...likeOriginal },
  annData: custom(
    "AnnData that is open",
    (value): value is AnnData => value instanceof AnnData,
    {
      otherwise: "arrays alone",
      flag: false,
      stored: false,
      says: "what the cells are of: what is stored is AnnData then, with its tables",
    },
  ),
};

export const latentOptions = declare("make latents", {
  ...predictChoices,
  which: list(oneOf(LATENTS, { says: "a latent" }), {
    default: ["basal", "after"],
    says: "which latents: basal, after, corrected, noPert, noPertCorrected",
  }, 1),
});

const draws = {
  nSamples: whole({
    default: 5,
    from: 1,
    to: 100_000,
    says:
      "draws of variational latents that expected counts are averaged over; other models have none",
  }),
};

export const reconstructOptions = declare("reconstruct cells", { ...predictChoices, ...draws });

export type PredictChoices = OptionsOf<typeof reconstructOptions>;

const isLevels = (value: unknown): value is Record<string, string> =>
  typeof value === "object" && value !== null &&
  Object.values(value).every((level) => typeof level === "string");

export const counterfactualOptions = declare("make counterfactuals", {
  ...{ ...predictChoices, ...draws },
  perturbations: list(text({}), {
    required: true,
    says: "what control cells are to be given",
  }, 1),
  doses: list(number({ from: 0, to: 1e9, says: "a dose" }), {
    otherwise: "all doses are 1",
    says: "of each perturbation",
  }),
  covariates: custom("levels by covariate", isLevels, {
    otherwise: "all control cells",
    says: "levels of covariates that the control cells have",
  }),
});
