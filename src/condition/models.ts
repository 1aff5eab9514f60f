/**
 * Models of conditions: components of contexts, and clusters or bins of either.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { fromTypedArray } from "../array/array.ts";
import { contexts } from "../array/contexts.ts";
import { KMeans } from "../cluster/kmeans.ts";
import type { PcaResult } from "../decompose/pca.ts";
import { PCA } from "../decompose/pca.ts";
import type { Gpu } from "../gpu/device.ts";
import { siblingPlace } from "../store/place.ts";
import { variable } from "../stream/output.ts";
import { storeResult } from "../stream/places.ts";
import type { MemoryBytes, NumericArray } from "../types.ts";
import type { Condition, Settings } from "./config.ts";
import type { EffectiveClusters } from "./diagnose.ts";
import type { ClusterMoments } from "./moments.ts";
import type { Normalizer } from "./normalizer.ts";
import { quartileEdges, quartileIds } from "./quartiles.ts";
import type { Rows } from "./rows.ts";
import { rowCount } from "./rows.ts";
import type { Steps } from "./steps.ts";

/** A fitted condition. */
export interface Model {
  /** Clusters there are, whether or not they have rows. */
  clusters: number;
  /** Ids of train rows. */
  ids: Int32Array;
  /** Ids of other contexts. */
  assign(view: ChunkedArray): Promise<Int32Array>;
  /** What is stored of it. */
  arrays: Record<string, StoredValues>;
}

interface StoredValues {
  dtype: "float32" | "float64" | "int32";
  shape: readonly number[];
  dims: readonly string[];
  values: NumericArray;
}

/** What stored models are. */
export const MODEL_FORMAT = { kind: "condition", formatVersion: 1 };

/** Principal components of the train contexts. */
interface Components {
  pca: PCA;
  fit: PcaResult;
}

/** What a stored model tells beside itself. */
interface Told {
  /** Hash of the analysis. */
  hash: string;
  lag: number;
  condition: Condition;
  normalizer: Normalizer;
  effective: EffectiveClusters;
  /** Of the deltas of train rows, by effective cluster. */
  moments: ClusterMoments;
}

/** Fits models, a lag after another. */
export class Models {
  readonly #gpu: Gpu;
  readonly #settings: Settings;
  readonly #steps: Steps;
  /** Of the lag that is under way, by context and number of components. */
  readonly #found = new Map<string, Components>();

  constructor(gpu: Gpu, settings: Settings, steps: Steps) {
    this.#gpu = gpu;
    this.#settings = settings;
    this.#steps = steps;
  }

  /** The frames before the targets of a split. */
  contexts(split: Rows, lag: number, { context }: Condition): ChunkedArray {
    const { frames, utterances, firstTarget } = split;
    const { window: width } = this.#settings;
    const segments = utterances.filter((utterance) => rowCount(utterance, firstTarget) > 0);
    return contexts(frames, { width, lag, mode: context, segments, firstTarget });
  }

  /**
   * Plans the fits of a condition without running them.
   *
   * @returns Host bytes of the one that holds most.
   * @throws {BudgetError} If one does not fit.
   */
  check(view: ChunkedArray, condition: Condition): number {
    const { components, clusters } = condition;
    const projected: MemoryBytes[] = [];
    if (components !== undefined) {
      projected.push(new PCA({ components }).fit(this.#gpu, view).projected);
    }
    if (clusters !== undefined) {
      // scores that are yet to come
      const shape = components === undefined ? view.shape : [view.shape[0]!, components];
      const points = { ...view, shape, dtype: "float32" as const, read: view.read };
      projected.push(this.#kmeans(condition).fit(this.#gpu, points).projected);
    }
    return Math.max(...projected.map(({ host }) => host));
  }

  /** Forgets the components of a lag that is done. */
  forget(): void {
    this.#found.clear();
  }

  /** @param view Contexts of the train split. */
  async fit(view: ChunkedArray, condition: Condition): Promise<Model> {
    const { components } = condition;
    if (components === undefined) return await this.#fitPoints(view, condition, "context");
    const { pca, fit } = await this.#components(view, condition);
    const scores = await this.#scores(pca, view, [0, 0.25]);
    const model = await this.#fitPoints(scores, condition, "component");
    return {
      ...model,
      assign: async (others) => await model.assign(await this.#scores(pca, others, [0.6, 0.8])),
      arrays: {
        components: {
          values: fit.components,
          dtype: "float64",
          shape: [components, fit.mean.length],
          dims: ["component", "context"],
        },
        context_mean: vector(fit.mean, "context"),
        explained_variance_ratio: vector(fit.explainedVarianceRatio, "component"),
        ...model.arrays,
      },
    };
  }

  /** Components of the train contexts, found once a lag for all conditions that want them. */
  async #components(view: ChunkedArray, { context, components }: Condition): Promise<Components> {
    const key = `${context} ${components}`;
    let found = this.#found.get(key);
    if (!found) {
      const pca = new PCA({ components: components! });
      found = { pca, fit: await this.#steps.run(pca.fit(this.#gpu, view), [0, 0.25]) };
      this.#found.set(key, found);
    }
    return found;
  }

  async #scores(pca: PCA, view: ChunkedArray, part: [number, number]): Promise<ChunkedArray> {
    const scores = await this.#steps.run(pca.transform(this.#gpu, view), part);
    return fromTypedArray(scores, [view.shape[0]!, scores.length / view.shape[0]!]);
  }

  #kmeans({ clusters, inits, maxIterations }: Condition): KMeans {
    return new KMeans({
      k: clusters!,
      seed: this.#settings.seed,
      ...(inits !== undefined && { inits }),
      ...(maxIterations !== undefined && { maxIterations }),
    });
  }

  /** Clusters or bins of contexts or of scores, which are points alike. */
  async #fitPoints(points: ChunkedArray, condition: Condition, dim: string): Promise<Model> {
    const { clusters } = condition;
    const features = points.shape[1]!;
    if (clusters === undefined) {
      const scores = points.values as Float32Array;
      const edges = quartileEdges(scores, features);
      const stored = { dtype: "float64" as const, shape: [features, 3], dims: [dim, "quartile"] };
      return {
        clusters: 4 ** features,
        ids: quartileIds(scores, edges),
        assign: (others) => Promise.resolve(quartileIds(others.values as Float32Array, edges)),
        arrays: { edges: { values: edges, ...stored } },
      };
    }
    const kmeans = this.#kmeans(condition);
    const fit = await this.#steps.run(kmeans.fit(this.#gpu, points), [0.25, 0.5]);
    const stored = {
      dtype: "float64" as const,
      shape: [clusters, features],
      dims: ["code", dim],
    };
    return {
      clusters,
      ids: fit.ids,
      assign: async (others) =>
        (await this.#steps.run(kmeans.predict(this.#gpu, others), [0.75, 0.8])).ids,
      arrays: { centroids: { values: fit.centroids, ...stored } },
    };
  }

  /** Stores a model with what its clusters tell of deltas, for other programs to use. */
  async store(
    model: Pick<Model, "arrays">,
    { hash, lag, condition, normalizer, effective, moments }: Told,
  ): Promise<void> {
    const { window, seed, out } = this.#settings;
    const { counts, sums, squares, dims } = moments;
    const count = (at: number) => counts[Math.floor(at / dims)]!;
    const means = Float32Array.from(sums, (sum, at) => sum / count(at));
    const variances = Float32Array.from(
      squares,
      (square, at) => Math.max(0, square / count(at) - (sums[at]! / count(at)) ** 2),
    );
    const table = { dtype: "float32" as const, shape: [counts.length, dims] };
    const arrays: Model["arrays"] = {
      ...model.arrays,
      normalizer_mean: vector(normalizer.mean, "feature"),
      normalizer_std: vector(normalizer.std, "feature"),
      cluster_ids: vector(effective.ids, "cluster"),
      cluster_rows: vector(effective.counts, "cluster"),
      // of normalised deltas
      delta_mean: { ...table, values: means, dims: ["cluster", "feature"] },
      delta_variance: { ...table, values: variances, dims: ["cluster", "feature"] },
    };
    const place = siblingPlace(out, `/models/lag${lag}_${condition.name}.zarr`);
    const values = Object.entries(arrays).map(([name, array]) => [name, array.values]);
    await storeResult(
      {
        ...MODEL_FORMAT,
        place,
        adapter: this.#gpu.adapter.name,
        streamed: [],
        whole: Object.entries(arrays).map(([name, { dtype, shape, dims }]) =>
          variable(name, dtype, shape, dims)
        ),
        attributes: { parameters: { lag, window, seed, ...condition } },
      },
      hash,
      { values: Object.fromEntries(values) },
    );
  }
}

function vector(
  values: Float32Array | Float64Array | Int32Array,
  dim: string,
): StoredValues {
  const dtype = values instanceof Float32Array
    ? "float32"
    : values instanceof Float64Array
    ? "float64"
    : "int32";
  return { values, dtype, shape: [values.length], dims: [dim] };
}
