/**
 * What a trained model knows, as data.
 *
 * @module
 */

import type { ModelShape } from "./model_shape.ts";
import type { SetupOptions } from "./setup_options.ts";
import type { Unlearned } from "./unlearned.ts";

/** What a model knows beside its parameters. */
export interface ModelFacts {
  shape: ModelShape;
  slots: number;
  perturbations: readonly string[];
  covariates: readonly { name: string; levels: readonly string[] }[];
  /** What no cell had that it was trained on: absent where there is nothing of the kind. */
  unlearned?: Unlearned;
  /** Of the names of its genes. */
  genesDigest?: string;
  /** How the cells were set up that it was trained on. */
  setup?: SetupOptions;
  epochsRun: number;
  bestEpoch: number;
}

export interface Learned {
  facts: ModelFacts;
  /** By net, one parameter after the other. */
  parameters: Readonly<Record<string, Float32Array>>;
}
