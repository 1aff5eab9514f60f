/**
 * Options of principal components.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, flag, whole } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";

const components = {
  /** Components to keep. */
  components: whole({ required: true, from: 1, says: "components to keep" }),
  /** Divides scores by the standard deviation along their component. Default false. */
  whiten: flag({
    default: false,
    says: "divide scores by the standard deviation along their component",
  }),
};

const scores = {
  /** Projects the rows too, in a second sweep. Default: where there is an `out` for them. */
  scores: flag({
    otherwise: "true where there is an `out` for them",
    flag: "no-scores",
    stored: false,
    says: "project the rows too, in a second sweep",
    helps: "do not project the rows",
  }),
};

export const pcaOptions = declare("find components", components);

/** What {@link PCA} is told. */
export type PcaOptions = OptionsOf<typeof pcaOptions>;

export const pcaFitOptions = declare("find components", {
  ...planChoices,
  ...outputChoices,
  ...scores,
});

/** Options of {@link PCA.fit}. */
export type PcaFitOptions = OptionsOf<typeof pcaFitOptions>;

export const projectOptions = declare("project", { ...planChoices, ...outputChoices });

/** Options of `transform()`. */
export type TransformOptions = OptionsOf<typeof projectOptions>;

export const incrementalOptions = declare("find components", {
  ...components,
  /**
   * Directions that go from batch to batch, at least as many as components; twice the components and 24 when
   * not given. `"components"` keeps no more than those, as scikit-learn does.
   */
  keep: whole({
    or: ["components"],
    from: 1,
    otherwise: "twice the components and 24",
    says: `directions that go from batch to batch; "components" keeps no more than those, as ` +
      "scikit-learn does",
  }),
});

/** What {@link IncrementalPCA} is told. */
export type IncrementalPcaOptions = OptionsOf<typeof incrementalOptions>;

const { slots } = planChoices;

export const incrementalFitOptions = declare("find components", {
  /** Rows of a batch, which decide the result; 5 times the features when not given. */
  batchRows: whole({ from: 1, otherwise: "5 times the features", says: "rows of a batch" }),
  slots,
  ...outputChoices,
  ...scores,
});

/** Options of {@link IncrementalPCA.fit}. */
export type IncrementalFitOptions = OptionsOf<typeof incrementalFitOptions>;

export const stepOptions = declare("find components", { slots });
