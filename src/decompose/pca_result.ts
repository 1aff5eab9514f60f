/**
 * Fits on the host's side: what they are, and how they are stored.
 *
 * @module
 */

import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Measured } from "../stream/task.ts";
import { openStore } from "../store/open_store.ts";
import { arrayNames } from "../zarr/group.ts";
import type { Basis } from "./basis.ts";
import { scoresArray } from "./projection.ts";

/** A fit. */
export interface PcaResult extends Measured {
  /** `[components, features]` f64, of length 1, the element of largest magnitude positive. */
  components: Float64Array;
  /** `[features]` f64. */
  mean: Float64Array;
  /** `[components]` f64, over rows - 1, descending. */
  explainedVariance: Float64Array;
  /** `[components]` f64: share of the variance of all features together. */
  explainedVarianceRatio: Float64Array;
  /** `[components]` f64, of the rows less their mean. */
  singularValues: Float64Array;
  /** `[rows, components]` f32, if they were asked for. */
  scores: Float32Array | undefined;
  /**
   * Largest |C v - variance v| over the largest variance, of eigenvectors that were found by iteration;
   * 0 where all were found at once, as for up to 512 features.
   */
  residual: number;
}

/** The numbers of a fit. */
export type PcaNumbers = Omit<PcaResult, "scores" | keyof Measured>;

/** What fits are stored as. */
export const PCA_FORMAT = { kind: "pca", formatVersion: 1 };

/** What a fit by batches goes on with. */
export interface KeptDirections {
  /** `[kept, features]`. */
  directions: Float64Array;
  /** `[kept]`. */
  singularValues: Float64Array;
  /** Root of the sum of squares of all features about their mean. */
  norm: number;
}

export interface PcaOutputOptions {
  place: string | undefined;
  overwrite: boolean;
  /** What decides the result, by the names it has in the store. */
  parameters: Record<string, unknown>;
  adapter: string;
  rows: number;
  features: number;
  components: number;
  /** Directions that a fit by batches stores to go on with, if it is one. */
  kept?: number | undefined;
  scores: boolean;
}

/** What a fit stores. */
export function pcaOutput(options: PcaOutputOptions): OutputSpec {
  const { place, overwrite, parameters, adapter, rows, features, components, kept } = options;
  const number = (name: string) => variable(name, "float64", [components], ["component"]);
  // no number is longer than this one
  const longest = -Number.MAX_VALUE;
  return {
    ...PCA_FORMAT,
    place,
    overwrite,
    adapter,
    streamed: options.scores ? [scoresArray(rows, components)] : [],
    whole: [
      variable("components", "float64", [components, features], ["component", "feature"]),
      variable("mean", "float64", [features], ["feature"]),
      number("explained_variance"),
      number("explained_variance_ratio"),
      number("singular_values"),
      ...(kept === undefined ? [] : [
        variable("kept_directions", "float64", [kept, features], ["direction", "feature"]),
        variable("kept_singular_values", "float64", [kept], ["direction"]),
      ]),
    ],
    attributes: { parameters },
    longest: { residual: longest, ...(kept !== undefined && { norm: longest }) },
  };
}

/** A fit by the names it has in the store. */
export function pcaOutcome(fit: PcaNumbers, kept?: KeptDirections): Outcome {
  return {
    values: {
      components: fit.components,
      mean: fit.mean,
      explained_variance: fit.explainedVariance,
      explained_variance_ratio: fit.explainedVarianceRatio,
      singular_values: fit.singularValues,
      ...(kept && {
        kept_directions: kept.directions,
        kept_singular_values: kept.singularValues,
      }),
    },
    facts: { residual: fit.residual, ...(kept && { norm: kept.norm }) },
  };
}

/** The numbers of a fit that was stored or is held in memory. */
export async function readNumbers(stored: Stored): Promise<PcaNumbers> {
  const read = async (name: string) => await stored.read(name) as Float64Array;
  return {
    components: await read("components"),
    mean: await read("mean"),
    explainedVariance: await read("explained_variance"),
    explainedVarianceRatio: await read("explained_variance_ratio"),
    singularValues: await read("singular_values"),
    residual: stored.attributes.residual as number,
  };
}

/** Of a fit by batches that was stored. */
export async function readKept(stored: Stored): Promise<KeptDirections> {
  return {
    directions: await stored.read("kept_directions") as Float64Array,
    singularValues: await stored.read("kept_singular_values") as Float64Array,
    norm: stored.attributes.norm as number,
  };
}

/** The basis of a fit that was stored or is held in memory. */
export function basisOf(
  { components, mean, explainedVariance }: PcaNumbers,
  { attributes }: Stored,
): Basis {
  const { whiten } = attributes.parameters as { whiten: boolean };
  return { components, mean, explainedVariance, whiten };
}

/** Whether rows were projected when a fit was stored at a place. */
export async function hasScores(place: string): Promise<boolean> {
  const store = await openStore(place);
  try {
    return (await arrayNames(store, 3)).includes("scores");
  } finally {
    await store.close();
  }
}
