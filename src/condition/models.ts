/**
 * Models of conditions: components of contexts, and clusters or bins of either.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { fromTypedArray } from "../array/array.ts";
import { contexts } from "../array/contexts.ts";
import { KMeans } from "../cluster/kmeans.ts";
import type { Basis } from "../decompose/basis.ts";
import type { PcaResult } from "../decompose/pca.ts";
import { PCA } from "../decompose/pca.ts";
import type { Gpu } from "../gpu/device.ts";
import { siblingPlace } from "../store/place.ts";
import { variable } from "../stream/output.ts";
import { storeResult } from "../stream/places.ts";
import type { Plan } from "../stream/plan.ts";
import type { SeriesTurn } from "../stream/series.ts";
import type { Work } from "../stream/series_memory.ts";
import type { Stretch } from "../stream/series_progress.ts";
import type { NumericArray } from "../types.ts";
import type { AnalysisSplits } from "./analysis_splits.ts";
import type { Condition, Settings } from "./config.ts";
import type { EffectiveClusters } from "./diagnose.ts";
import type { ClusterMoments } from "./moments.ts";
import type { Normalizer } from "./normalizer.ts";
import { quartileEdges, quartileIds } from "./quartiles.ts";
import type { Rows } from "./rows.ts";
import { rowCount } from "./rows.ts";

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

/** What models need of the turn of a part. */
type Turn = Pick<SeriesTurn<unknown>, "run">;

/** Fits models, a lag after another. */
export class Models {
  readonly #gpu: Gpu;
  readonly #settings: Settings;
  /** Of the lag that is under way, by context and number of components. */
  readonly #found = new Map<string, Components>();
  #lag: number | undefined;

  constructor(gpu: Gpu, settings: Settings) {
    this.#gpu = gpu;
    this.#settings = settings;
  }

  /** The frames before the targets of a split. */
  contexts(split: Rows, lag: number, { context }: Condition): ChunkedArray {
    const { frames, utterances, firstTarget } = split;
    const { window: width } = this.#settings;
    const segments = utterances.filter((utterance) => rowCount(utterance, firstTarget) > 0);
    return contexts(frames, { width, lag, mode: context, segments, firstTarget });
  }

  /**
   * What the plans of a condition take, by plans of the same shapes: what they read is yet to come.
   *
   * @throws {BudgetError} If one does not fit.
   */
  work(splits: AnalysisSplits, lag: number, condition: Condition): Work[] {
    const { components, clusters } = condition;
    const views = splits.present.map((name) => this.contexts(splits[name], lag, condition));
    const train = views[0]!;
    const points = views.map((view) =>
      components === undefined ? view : emptyScores(view.shape[0]!, components)
    );
    const plans: Plan<unknown>[] = [];
    if (components !== undefined) {
      const model = PCA.of(basisOfOnes(components, train.shape[1]!));
      plans.push(new PCA({ components }).fit(this.#gpu, train));
      plans.push(...views.map((view) => model.transform(this.#gpu, view)));
    }
    if (clusters !== undefined) {
      const centroids = new Float64Array(clusters * points[0]!.shape[1]!);
      const model = KMeans.from(centroids, { k: clusters });
      plans.push(this.#kmeans(condition).fit(this.#gpu, points[0]!));
      plans.push(...points.slice(1).map((others) => model.predict(this.#gpu, others)));
    }
    // plans hold what they are made of
    return plans.map(({ name, projected }) => ({ name, projected }));
  }

  /** @param rows Of the train split. */
  async fit(rows: Rows, lag: number, condition: Condition, turn: Turn): Promise<Model> {
    const { components } = condition;
    const view = this.contexts(rows, lag, condition);
    if (components === undefined) return await this.#fitPoints(view, condition, "context", turn);
    if (lag !== this.#lag) this.#found.clear();
    this.#lag = lag;
    const { pca, fit } = await this.#components(view, condition, turn);
    const scores = async (view: ChunkedArray, stretch: Stretch) => {
      const values = await turn.run(pca.transform(this.#gpu, view), stretch);
      return fromTypedArray(values, [view.shape[0]!, components]);
    };
    const points = await scores(view, [0, 0.25]);
    const model = await this.#fitPoints(points, condition, "component", turn);
    return {
      ...model,
      assign: async (others) => await model.assign(await scores(others, [0.6, 0.8])),
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
  async #components(
    view: ChunkedArray,
    { context, components }: Condition,
    turn: Turn,
  ): Promise<Components> {
    const key = `${context} ${components}`;
    let found = this.#found.get(key);
    if (!found) {
      const pca = new PCA({ components: components! });
      found = { pca, fit: await turn.run(pca.fit(this.#gpu, view), [0, 0.25]) };
      this.#found.set(key, found);
    }
    return found;
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
  async #fitPoints(
    points: ChunkedArray,
    condition: Condition,
    dim: string,
    turn: Turn,
  ): Promise<Model> {
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
    const fit = await turn.run(kmeans.fit(this.#gpu, points), [0.25, 0.5]);
    const stored = {
      dtype: "float64" as const,
      shape: [clusters, features],
      dims: ["code", dim],
    };
    return {
      clusters,
      ids: fit.ids,
      assign: async (others) =>
        (await turn.run(kmeans.predict(this.#gpu, others), [0.75, 0.8])).ids,
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

/** Scores that are yet to come. */
function emptyScores(rows: number, components: number): ChunkedArray {
  const shape = [rows, components];
  return { ...fromTypedArray(new Float32Array(1)), shape, chunkRows: Math.max(1, rows) };
}

/** A basis that stands for one that is yet to be found. */
function basisOfOnes(components: number, features: number): Basis {
  return {
    mean: new Float64Array(features),
    components: new Float64Array(components * features),
    explainedVariance: new Float64Array(components).fill(1),
    whiten: false,
  };
}
