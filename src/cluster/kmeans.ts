/**
 * k-means over arrays larger than memory.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { Points, scaleToUnit } from "../feed/points.ts";
import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Stored } from "../stream/output.ts";
import { openStored } from "../stream/places.ts";
import type { PlanChoices } from "../stream/choices.ts";
import { Plan } from "../stream/plan.ts";
import { isPanelMultiple } from "./assignment.ts";
import { BatchTask } from "./batch_task.ts";
import { allDistances, DistanceTask } from "./distance_task.ts";
import type { FitSettings } from "./fit_task.ts";
import { FitTask } from "./fit_task.ts";
import type { KMeansFitOptions, KMeansOptions, SoftOptions } from "./kmeans_options.ts";
import {
  distanceOptions,
  fitOptions,
  kmeansOptions,
  partialFitOptions,
  predictOptions,
} from "./kmeans_options.ts";
import { PredictTask } from "./predict_task.ts";
import type {
  FitAttributes,
  KMeansResult,
  Prediction,
  SoftPrediction,
  StoredDistances,
  StoredFit,
  StoredPrediction,
  StoredSoftPrediction,
} from "./results.ts";
import { countRows, KMEANS_FORMAT, openFit, readFit } from "./results.ts";
import { softNearest } from "./soft_nearest.ts";

export type { KMeansFitOptions, KMeansOptions, SoftOptions } from "./kmeans_options.ts";
export type {
  KMeansResult,
  Prediction,
  SoftPrediction,
  StoredDistances,
  StoredPrediction,
  StoredSoftPrediction,
} from "./results.ts";

/** A fit that is stored, to be read and to predict with. */
export interface StoredKMeans extends StoredFit {
  model: KMeans;
}

/** With a place. */
type ToStore = KMeansFitOptions & { out: string };
/** Without one. */
type ToReturn = KMeansFitOptions & { out?: never };

/** Rows that a tile should have at least, or the points are better read again every sweep. */
const FEWEST_RESIDENT_ROWS = 1024;

/**
 * k-means: Lloyd's algorithm from greedy k-means++, over chunks.
 *
 * Rows are read once an iteration, for all runs together, or once in all where they fit the budget
 * beside everything else. Nothing of size rows x k is ever held. Results are the same bits whatever
 * tile, slots and budget.
 *
 * @example
 * ```ts
 * const gpu = await openGpu({ budget: "512 MiB" });
 * const model = new KMeans({ k: 64, seed: 42 });
 * const { ids, inertia } = await model.fit(gpu, await openArray("latents.npy")).run();
 * ```
 */
export class KMeans {
  readonly #settings: FitSettings;
  /** `[k, features]` f64, once fitted. */
  #centroids: Float64Array | undefined;
  /** Rows that every centroid is the mean of, or the stored fit whose rows they are. */
  #seen: Float64Array | Stored | undefined;

  /**
   * @throws {TypeError} If an option is not known, missing or of another kind.
   * @throws {RangeError} If an option makes no sense; the message names it.
   */
  constructor(options: KMeansOptions) {
    this.#settings = fitSettings(options);
  }

  /**
   * `[k, features]` f64; of length 1 each where the model is spherical.
   *
   * @throws {RangeError} Before a fit has run.
   */
  get centroids(): Float64Array {
    if (!this.#centroids) {
      throw new RangeError("Cannot use k-means: it is not fitted, run fit() or partialFit() first");
    }
    return this.#centroids;
  }

  /**
   * A model with these centroids, `[k, features]`, as if it had been fitted; where it is spherical, with
   * their directions. No rows count for them in {@link KMeans.partialFit}.
   */
  static from(centroids: ArrayLike<number>, options: KMeansOptions): KMeans {
    const model = new KMeans({ ...options, init: centroids });
    model.#centroids = model.#settings.init!.slice();
    return model;
  }

  /** A model as a fit left it at a place. */
  static async fitted(stored: Stored): Promise<KMeans> {
    const { parameters } = stored.attributes as unknown as FitAttributes;
    const { k, seed, n_init: inits, max_iter: maxIterations, tolerance, spherical } = parameters;
    const model = new KMeans({
      k,
      seed,
      inits,
      maxIterations,
      tolerance: tolerance ?? Infinity,
      spherical,
    });
    model.#learn(Float64Array.from(await stored.read("centroids") as Float64Array), stored);
    return model;
  }

  /**
   * Plans a fit. Nothing is read or allocated yet.
   *
   * @param points `[rows, features]` of any number type.
   * @throws {RangeError} If there are fewer rows than clusters, or `init` has other features.
   * @throws {BudgetError} If no tile fits the budget.
   */
  fit(gpu: Gpu, points: ChunkedArray, options: ToStore): Plan<StoredKMeans>;
  fit(gpu: Gpu, points: ChunkedArray, options?: ToReturn): Plan<KMeansResult>;
  fit(
    gpu: Gpu,
    points: ChunkedArray,
    options: KMeansFitOptions,
  ): Plan<KMeansResult | StoredKMeans>;
  fit(
    gpu: Gpu,
    points: ChunkedArray,
    options: KMeansFitOptions = {},
  ): Plan<unknown> {
    const { out, overwrite, ...choices } = fitOptions.check(options);
    const { k, init } = this.#settings;
    const rows = this.#points(points);
    checkRows(rows, k, "points have");
    if (init) checkFeatures(rows, init.length / k, "init");
    const plan = (resident: boolean): Plan<KMeansResult | StoredKMeans> => {
      const task = new FitTask(this.#points(points), this.#settings, {
        adapter: gpu.adapter.name,
        resident,
        out,
        overwrite,
        result: async (stored, measured, counts) => {
          const isStored = stored.place !== undefined;
          const fit = isStored ? await restoreKMeans(stored) : await readFit(stored);
          this.#learn(fit.centroids, counts ?? stored);
          return { ...fit, ...measured };
        },
      });
      return new Plan(gpu, task, choices);
    };
    return residentOrNot(plan, rows.rows);
  }

  /**
   * Plans an assignment of rows to the centroids: to the nearest, or with `topK` to several by weight.
   * Nothing of size rows x k is held.
   *
   * @throws {RangeError} If the model is not fitted, or has another number of features; if there are not as
   * many centroids as `topK`, or `temperature` is not above 0.
   */
  predict(
    gpu: Gpu,
    points: ChunkedArray,
    options: ToStore & SoftOptions,
  ): Plan<StoredSoftPrediction>;
  predict(gpu: Gpu, points: ChunkedArray, options: ToReturn & SoftOptions): Plan<SoftPrediction>;
  predict(gpu: Gpu, points: ChunkedArray, options: ToStore): Plan<StoredPrediction>;
  predict(gpu: Gpu, points: ChunkedArray, options?: ToReturn): Plan<Prediction>;
  predict(
    gpu: Gpu,
    points: ChunkedArray,
    options: KMeansFitOptions & Partial<SoftOptions> = {},
  ): Plan<unknown> {
    const { topK, temperature, out, overwrite, ...choices } = predictOptions.check(options);
    const { k } = this.#settings;
    const { rows, told } = this.#toAssign(gpu, points, { out, overwrite });
    if (topK === undefined) return new Plan(gpu, new PredictTask(rows, told), choices);
    if (topK > k) {
      throw new RangeError(`Cannot assign: topK is ${topK}, wanted a whole number from 1 to ${k}`);
    }
    const measure = softNearest(rows, this.centroids, { topK, temperature });
    return new Plan(gpu, new DistanceTask(rows, told, measure), choices);
  }

  /**
   * Plans the Euclidean distances of rows to all centroids, `[rows, k]`: f64 of f64 rows, or f32.
   *
   * @throws {RangeError} If the model is not fitted, or has another number of features.
   */
  transform(gpu: Gpu, points: ChunkedArray, options: ToStore): Plan<StoredDistances>;
  transform(
    gpu: Gpu,
    points: ChunkedArray,
    options?: ToReturn,
  ): Plan<Float32Array | Float64Array>;
  transform(gpu: Gpu, points: ChunkedArray, options: KMeansFitOptions = {}): Plan<unknown> {
    const { out, overwrite, ...choices } = distanceOptions.check(options);
    const { rows, told } = this.#toAssign(gpu, points, { out, overwrite });
    const measure = allDistances(rows, this.centroids);
    return new Plan(gpu, new DistanceTask(rows, told, measure), choices);
  }

  /**
   * Plans a step of mini-batch k-means: every centroid moves to the mean of all rows it has seen, those of
   * a fit before among them. The first batch draws the centroids where there are none.
   *
   * Source: Sculley 2010, "Web-scale k-means clustering".
   */
  partialFit(gpu: Gpu, batch: ChunkedArray, options: PlanChoices = {}): Plan<Float64Array> {
    partialFitOptions.check(options);
    const rows = this.#points(batch);
    const { k, init } = this.#settings;
    const seen = this.#seen;
    const known = this.#centroids ?? init;
    if (known) checkFeatures(rows, known.length / k, "the codebook");
    else checkRows(rows, k, "the first batch has");
    const task = new BatchTask(rows, { ...this.#settings, inits: 1 }, {
      centroids: known,
      seen: (signal) => countSeen(seen, k, signal),
      adapter: gpu.adapter.name,
      onStep: (centroids, seen) => this.#learn(centroids, seen),
    });
    return new Plan(gpu, task, options);
  }

  #learn(centroids: Float64Array, seen: Float64Array | Stored): void {
    this.#centroids = centroids;
    this.#seen = seen;
  }

  /** Rows that have as many features as the centroids, and what their task is told. */
  #toAssign(
    gpu: Gpu,
    points: ChunkedArray,
    place: { out: string | undefined; overwrite: boolean },
  ) {
    const { centroids } = this;
    const { k, spherical } = this.#settings;
    const rows = this.#points(points);
    checkFeatures(rows, centroids.length / k, "the codebook");
    return { rows, told: { centroids, spherical, adapter: gpu.adapter.name, ...place } };
  }

  #points(array: ChunkedArray): Points {
    return new Points(array, {
      action: "cluster",
      normalize: this.#settings.spherical,
      exact: true,
    });
  }
}

/** A stored fit, as it was left: its model predicts. */
export async function restoreKMeans(stored: Stored): Promise<StoredKMeans> {
  return { ...await openFit(stored), model: await KMeans.fitted(stored) };
}

/**
 * Opens a stored fit.
 *
 * @throws {ChunkError} If there is none at `place`, it is not finished, or a newer version wrote it.
 */
export async function openKMeans(place: string): Promise<StoredKMeans> {
  return await restoreKMeans(await openStored(place, KMEANS_FORMAT));
}

function fitSettings(options: KMeansOptions): FitSettings {
  const { init, ...told } = kmeansOptions.check(options);
  const { k, seed, inits = init ? 1 : 10, maxIterations, tolerance, spherical } = told;
  if (init && inits !== 1) {
    throw new RangeError(
      `Cannot make k-means: init is given and inits is ${inits}, wanted 1, as all would be equal`,
    );
  }
  const first = init && firstCentroids(init, k, spherical);
  return { k, seed, inits, maxIterations, tolerance, spherical, init: first };
}

function firstCentroids(init: ArrayLike<number>, k: number, spherical: boolean): Float64Array {
  if (init.length === 0 || init.length % k !== 0) {
    throw new RangeError(
      `Cannot make k-means: init has ${init.length} numbers, wanted ${k} rows of equal length`,
    );
  }
  const centroids = Float64Array.from(init);
  const bad = centroids.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new RangeError(
      `Cannot make k-means: number ${bad} of init is ${init[bad]}, wanted finite numbers`,
    );
  }
  const features = init.length / k;
  for (let at = 0; spherical && at < centroids.length; at += features) {
    if (!scaleToUnit(centroids.subarray(at, at + features))) {
      throw new RangeError(
        `Cannot make k-means: row ${at / features} of init has length 0, wanted rows that have a ` +
          "direction",
      );
    }
  }
  return centroids;
}

/** The plan that keeps the points on the device, where tiles are large enough beside them. */
function residentOrNot<Result>(
  plan: (resident: boolean) => Plan<Result>,
  rows: number,
): Plan<Result> {
  try {
    const resident = plan(true);
    const { tileRows } = resident;
    const enough = tileRows >= Math.min(rows, FEWEST_RESIDENT_ROWS);
    if (enough && isPanelMultiple(tileRows, rows)) return resident;
  } catch (error) {
    // one that does not fit may fit without
    if (!(error instanceof BudgetError || error instanceof RangeError)) throw error;
  }
  return plan(false);
}

async function countSeen(
  seen: Float64Array | Stored | undefined,
  k: number,
  signal: AbortSignal,
): Promise<Float64Array> {
  if (!seen) return new Float64Array(k);
  return seen instanceof Float64Array ? seen : await countRows(seen, k, signal);
}

function checkRows({ rows }: Points, k: number, what: string): void {
  if (rows < k) {
    throw new RangeError(
      `Cannot cluster: ${what} ${rows} rows, wanted at least as many as clusters, ${k}`,
    );
  }
}

function checkFeatures({ features }: Points, wanted: number, what: string): void {
  if (features !== wanted) {
    throw new RangeError(
      `Cannot cluster: points have ${features} features, ${what} has ${wanted}`,
    );
  }
}
