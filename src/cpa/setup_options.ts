/**
 * How cells are set up: which columns say what.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, flag, list, number, record, text, whole } from "../options.ts";
import { degOptions } from "./deg_masks.ts";

const name = (says: string) => text({ says });

export const setupOptions = declare("set up cells", {
  perturbationKey: text({
    required: true,
    says: "column of obs with what a cell was given, such as A+B",
  }),
  controlGroup: text({ required: true, says: "what cells are called that were given nothing" }),
  dosageKey: text({
    otherwise: "all doses are 1",
    says: "column of obs with a dose for every perturbation, such as 1.0+0.5",
  }),
  matrix: text({ default: "X", says: "where counts are: X, layers/name or raw/X" }),
  separator: text({ default: "+", says: "what stands between perturbations, and between doses" }),
  compatDoses: flag({
    default: false,
    says:
      "as the original: names are sorted and their doses are not, so that B+A with 1+0.1 gives A the dose 1",
  }),
  categoricalCovariates: list(text({}), {
    default: [],
    says: "columns of obs that tell cells apart otherwise, as cell types",
  }),
  batchKey: text({ otherwise: "none", says: "column of obs with batches" }),
  split: record({
    key: name("column of obs that divides cells"),
    train: text({ default: "train", says: "its value for cells to learn from" }),
    valid: text({ default: "test", says: "its value for cells that say when to stop" }),
    ood: text({ default: "ood", says: "its value for cells that are never seen" }),
    validShare: number({
      default: 0.1,
      from: 0,
      below: 1,
      says: "without a column, how many cells say when to stop",
    }),
    seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "which ones those are" }),
  }, { default: {}, says: "how cells are divided" }),
  degs: record(degOptions.options, {
    otherwise: "none: all genes count",
    says: 'lists of genes by which judge "cpaMetric" compares cells that validate',
  }),
});

/** Options of `setup()`. */
export type SetupOptions = OptionsOf<typeof setupOptions>;
