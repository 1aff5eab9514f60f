/**
 * Fits on the host's side: what they are, and how they are stored.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { ResultArray } from "../array/result_store.ts";
import { readResult, ResultStore } from "../array/result_store.ts";
import { digestOf } from "../math/digest.ts";
import type { FoundOutput, Measured, MemoryItem } from "../stream/plan.ts";
import { VERSION } from "../version.ts";

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

const KIND = "pca";

export interface PcaOutputOptions {
  place: string;
  overwrite: boolean;
  /** What decides the result, by the names it has in the store. */
  parameters: Record<string, unknown>;
  adapter: string;
  components: number;
  /** Directions that a fit by batches keeps to go on with, if it is one. */
  kept?: number;
  scores: boolean;
}

/** What a fit by batches goes on with. */
export interface KeptDirections {
  /** `[kept, features]`. */
  directions: Float64Array;
  /** `[kept]`. */
  singularValues: Float64Array;
  /** Root of the sum of squares of all features about their mean. */
  norm: number;
}

/** The numbers of a fit that are stored; `residual` goes to the attributes. */
export type StoredPca = Pick<
  PcaResult,
  | "components"
  | "mean"
  | "explainedVariance"
  | "explainedVarianceRatio"
  | "singularValues"
  | "scores"
  | "residual"
>;

/** The place of one fit. */
export class PcaOutput {
  readonly place: string;
  readonly #points: Points;
  readonly #options: PcaOutputOptions;
  readonly #store: ResultStore;
  #hash = "";

  constructor(points: Points, options: PcaOutputOptions) {
    this.place = options.place;
    this.#points = points;
    this.#options = options;
    const arrays = resultArrays(points, options);
    this.#store = new ResultStore({ ...options, kind: KIND, arrays });
  }

  memory(): MemoryItem {
    // no number is longer than this one
    const attributes = this.#attributes(-Number.MAX_VALUE, -Number.MAX_VALUE);
    return { what: "result", kind: "disk", bytes: this.#store.diskBytes(attributes) };
  }

  /** @param digest Of all that is read. */
  async hash(digest: string): Promise<string> {
    const { rows, features, array } = this.#points;
    const { parameters, scores, adapter } = this.#options;
    const settings = [parameters, scores, rows, features, array.dtype, adapter];
    this.#hash = await digestOf([JSON.stringify([VERSION, KIND, settings]), digest]);
    return this.#hash;
  }

  /** Looks at the place. */
  async check(begun: boolean): Promise<FoundOutput<PcaResult>> {
    const kind = await this.#store.check(this.#hash, begun);
    return kind === "finished" ? { kind, result: await openPca(this.place) } : { kind };
  }

  /** Of a finished fit by batches. */
  async readKept(): Promise<KeptDirections> {
    const { attributes, arrays } = await readResult(this.place, KIND);
    return {
      directions: arrays.kept_directions as Float64Array,
      singularValues: arrays.kept_singular_values as Float64Array,
      norm: attributes.norm as number,
    };
  }

  /** Returns the bytes written. */
  write(fit: StoredPca, kept?: KeptDirections): Promise<number> {
    return this.#store.write(this.#hash, {
      components: fit.components,
      mean: fit.mean,
      explained_variance: fit.explainedVariance,
      explained_variance_ratio: fit.explainedVarianceRatio,
      singular_values: fit.singularValues,
      ...(fit.scores && { scores: fit.scores }),
      ...(kept && {
        kept_directions: kept.directions,
        kept_singular_values: kept.singularValues,
      }),
    }, this.#attributes(fit.residual, kept?.norm));
  }

  #attributes(residual: number, norm?: number): Record<string, unknown> {
    const { parameters, adapter, kept } = this.#options;
    return { parameters, adapter, residual, ...(kept !== undefined && { norm }) };
  }
}

function resultArrays(
  { rows, features }: Points,
  { components, kept, scores }: PcaOutputOptions,
): Record<string, ResultArray> {
  const numbers: ResultArray = { dtype: "float64", shape: [components], dims: ["component"] };
  return {
    components: {
      dtype: "float64",
      shape: [components, features],
      dims: ["component", "feature"],
    },
    mean: { dtype: "float64", shape: [features], dims: ["feature"] },
    explained_variance: numbers,
    explained_variance_ratio: numbers,
    singular_values: numbers,
    ...(scores && {
      scores: { dtype: "float32" as const, shape: [rows, components], dims: ["row", "component"] },
    }),
    ...(kept !== undefined && {
      kept_directions: {
        dtype: "float64" as const,
        shape: [kept, features],
        dims: ["direction", "feature"],
      },
      kept_singular_values: {
        dtype: "float64" as const,
        shape: [kept],
        dims: ["direction"],
      },
    }),
  };
}

/**
 * Opens a stored fit.
 *
 * @throws {ChunkError} If there is none at `place`, or a newer version wrote it.
 */
export async function openPca(place: string): Promise<PcaResult> {
  const { attributes, arrays } = await readResult(place, KIND);
  const nothing = () => ({ gpu: 0, host: 0, disk: 0 });
  return {
    components: arrays.components as Float64Array,
    mean: arrays.mean as Float64Array,
    explainedVariance: arrays.explained_variance as Float64Array,
    explainedVarianceRatio: arrays.explained_variance_ratio as Float64Array,
    singularValues: arrays.singular_values as Float64Array,
    scores: arrays.scores as Float32Array | undefined,
    residual: attributes.residual as number,
    projectedBytes: nothing(),
    peakBytes: nothing(),
    seconds: {},
  };
}
