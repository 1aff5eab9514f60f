/**
 * k-means over arrays larger than memory.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { Points, scaleToUnit } from "../feed/points.ts";
import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { PlanChoices } from "../stream/choices.ts";
import { Plan } from "../stream/plan.ts";
import { isPanelMultiple } from "./assignment.ts";
import { BatchJob } from "./batch_job.ts";
import type { FitSettings, KMeansResult } from "./fit_job.ts";
import { FitJob } from "./fit_job.ts";
import type { KMeansFitOptions, KMeansOptions, SoftOptions } from "./kmeans_options.ts";
import {
  distanceOptions,
  fitOptions,
  kmeansOptions,
  partialFitOptions,
  predictOptions,
} from "./kmeans_options.ts";
import type { Prediction, SoftPrediction } from "./predict_job.ts";
import { allDistances, DistanceJob, PredictJob, softNearest } from "./predict_job.ts";

export type { KMeansResult } from "./fit_job.ts";
export { openKMeans } from "./fit_job.ts";
export type { KMeansFitOptions, KMeansOptions, SoftOptions } from "./kmeans_options.ts";
export type { Prediction, SoftPrediction } from "./predict_job.ts";

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
  /** Rows every centroid is the mean of. */
  #seen: Float64Array | undefined;

  /**
   * @throws {TypeError} If an option is not known, missing or of another kind.
   * @throws {RangeError} If an option makes no sense; the message names it.
   */
  constructor(options: KMeansOptions) {
    const { init, ...told } = kmeansOptions.check(options);
    const { k, spherical, inits = init ? 1 : 10 } = told;
    if (init && inits !== 1) {
      throw new RangeError(
        `Cannot make k-means: init is given and inits is ${inits}, wanted 1, as all would be equal`,
      );
    }
    if (init && (init.length === 0 || init.length % k !== 0)) {
      throw new RangeError(
        `Cannot make k-means: init has ${init.length} numbers, wanted ${k} rows of equal length`,
      );
    }
    const bad = init && Array.prototype.findIndex.call(init, (value) => !Number.isFinite(value));
    if (bad !== undefined && bad >= 0) {
      throw new RangeError(
        `Cannot make k-means: number ${bad} of init is ${init![bad]}, wanted finite numbers`,
      );
    }
    const { seed, maxIterations, tolerance } = told;
    const first = init && firstCentroids(init, k, spherical);
    this.#settings = { k, seed, inits, maxIterations, tolerance, spherical, init: first };
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

  /**
   * Plans a fit. Nothing is read or allocated yet.
   *
   * @param points `[rows, features]` of any number type.
   * @throws {RangeError} If there are fewer rows than clusters, or `init` has other features.
   * @throws {BudgetError} If no tile fits the budget.
   */
  fit(gpu: Gpu, points: ChunkedArray, options: KMeansFitOptions = {}): Plan<KMeansResult> {
    const { out, overwrite, ...choices } = fitOptions.check(options);
    const { k, init } = this.#settings;
    const rows = this.#points(points);
    if (rows.rows < k) {
      throw new RangeError(
        `Cannot cluster: points have ${rows.rows} rows, wanted at least as many as clusters, ${k}`,
      );
    }
    if (init) checkFeatures(rows, init.length / k, "init");
    const plan = (resident: boolean) => {
      const job = new FitJob(this.#points(points), this.#settings, {
        adapter: gpu.adapter.name,
        resident,
        ...(out !== undefined && { out }),
        overwrite,
        onFit: ({ centroids, ids }) => {
          this.#centroids = centroids;
          this.#seen = new Float64Array(k);
          for (const id of ids) this.#seen[id]!++;
        },
      });
      return new Plan(gpu, job, choices);
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
  predict(gpu: Gpu, points: ChunkedArray, options?: PlanChoices): Plan<Prediction>;
  predict(
    gpu: Gpu,
    points: ChunkedArray,
    options: PlanChoices & SoftOptions,
  ): Plan<SoftPrediction>;
  predict(
    gpu: Gpu,
    points: ChunkedArray,
    options: PlanChoices & Partial<SoftOptions> = {},
  ): Plan<Prediction> | Plan<SoftPrediction> {
    const { topK, temperature, ...choices } = predictOptions.check(options);
    const { k } = this.#settings;
    const rows = this.#points(points);
    checkFeatures(rows, this.centroids.length / k, "the codebook");
    if (topK === undefined) return new Plan(gpu, new PredictJob(rows, this.centroids), choices);
    if (topK > k) {
      throw new RangeError(`Cannot assign: topK is ${topK}, wanted a whole number from 1 to ${k}`);
    }
    const taker = softNearest(rows, this.centroids, { topK, temperature });
    return new Plan(
      gpu,
      new DistanceJob("kmeans soft predict", rows, this.centroids, taker),
      choices,
    );
  }

  /**
   * Plans the Euclidean distances of rows to all centroids, `[rows, k]`: f64 of f64 rows, or f32.
   *
   * @throws {RangeError} If the model is not fitted, or has another number of features.
   */
  transform(
    gpu: Gpu,
    points: ChunkedArray,
    options: PlanChoices = {},
  ): Plan<Float32Array | Float64Array> {
    distanceOptions.check(options);
    const { k } = this.#settings;
    const rows = this.#points(points);
    checkFeatures(rows, this.centroids.length / k, "the codebook");
    const taker = allDistances(rows, this.centroids);
    return new Plan(
      gpu,
      new DistanceJob("kmeans transform", rows, this.centroids, taker),
      options,
    );
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
    const known = this.#centroids ?? init;
    if (known) checkFeatures(rows, known.length / k, "the codebook");
    if (!known && rows.rows < k) {
      throw new RangeError(
        `Cannot cluster: the first batch has ${rows.rows} rows, wanted at least as many as ` +
          `clusters, ${k}`,
      );
    }
    const job = new BatchJob(rows, { ...this.#settings, inits: 1 }, {
      centroids: known,
      seen: this.#seen ?? new Float64Array(k),
      onStep: (centroids, seen) => {
        this.#centroids = centroids;
        this.#seen = seen;
      },
    });
    return new Plan(gpu, job, options);
  }

  #points(array: ChunkedArray): Points {
    return new Points(array, {
      action: "cluster",
      normalize: this.#settings.spherical,
      exact: true,
    });
  }
}

function firstCentroids(init: ArrayLike<number>, k: number, spherical: boolean): Float64Array {
  const centroids = Float64Array.from(init);
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

function checkFeatures({ features }: Points, wanted: number, what: string): void {
  if (features !== wanted) {
    throw new RangeError(
      `Cannot cluster: points have ${features} features, ${what} has ${wanted}`,
    );
  }
}
