/**
 * Principal components of arrays larger than memory.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";
import type { Points } from "../feed/points.ts";
import { RowFrames } from "../feed/row_frames.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Stored } from "../stream/output.ts";
import { openStored } from "../stream/places.ts";
import { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import { unmeasured } from "../stream/task.ts";
import type { Basis } from "./basis.ts";
import { unproject } from "./basis.ts";
import type { PcaFitOptions, PcaOptions } from "./pca_options.ts";
import { pcaFitOptions, pcaOptions } from "./pca_options.ts";
import type { PcaResult } from "./pca_result.ts";
import { basisOf, hasScores, PCA_FORMAT, readNumbers } from "./pca_result.ts";
import { PcaTask } from "./pca_task.ts";
import type { TransformOptions } from "./pca_options.ts";
import type { StoredScores } from "./project_task.ts";
import { projectPlan, rowsFor } from "./project_task.ts";
import { ScoreView } from "./score_view.ts";

export type { PcaFitOptions, PcaOptions } from "./pca_options.ts";
export type { PcaResult } from "./pca_result.ts";
export type { TransformOptions } from "./pca_options.ts";
export type { StoredScores } from "./project_task.ts";

/** A fit that was stored. */
export interface StoredPca extends Omit<PcaResult, "scores"> {
  /** `[rows, components]` f32, if they were asked for. */
  scores: ChunkedArray<Float32Array> | undefined;
  place: string;
  /** Projects rows onto the components. */
  model: PCA;
  /** Closes `scores`. */
  close(): Promise<void>;
}

/**
 * Squares that a software adapter sums in a dispatch: it moves their sums in and out for every few rows,
 * which takes longer than a dispatch may, where there are hundreds.
 */
const SOFTWARE_SQUARES = 32;

/**
 * Principal components by the covariance, exactly: no sketch and no approximation by batches. Rows are
 * read once; four times where components are asked for whose variance is less than a ten-thousandth
 * of the first one's, which takes exact sums. Blocks are summed in f32 and merged in f64; eigenvectors
 * are found in f64.
 *
 * A variance below some 1e-12 of the first one's is rounding of f32: `IncrementalPCA` finds fainter components.
 *
 * It needs features^2 numbers; for more features than that allows there is `IncrementalPCA`. Results
 * are the same bits whatever tile, slots and budget.
 *
 * Flat {@link contexts} are taken by the frames they are made of: moments of frames up to width - 1
 * apart, corrected where segments end, instead of products of all features of a row. The rows are built
 * nowhere, and frames are read once for the moments and once for the scores.
 *
 * @example
 * ```ts
 * const pca = new PCA({ components: 8 });
 * const { explainedVarianceRatio } = await pca.fit(gpu, await openArray("latents.npy")).run();
 * const scores = await pca.transform(gpu, others).run();
 * ```
 */
export class PCA {
  readonly #components: number;
  readonly #whiten: boolean;
  #basis: Basis | undefined;

  /**
   * @throws {TypeError} If there is an option of another name or kind.
   * @throws {RangeError} If `components` is not a whole number from 1.
   */
  constructor(options: PcaOptions) {
    const { components, whiten } = pcaOptions.check(options);
    this.#components = components;
    this.#whiten = whiten;
  }

  /** A model that projects onto these components. */
  static of(basis: Basis): PCA {
    const model = new PCA({ components: basis.explainedVariance.length, whiten: basis.whiten });
    model.#basis = basis;
    return model;
  }

  /**
   * Plans a fit. Nothing is read or allocated yet.
   *
   * @param points `[rows, features]` of any number type.
   * @throws {TypeError} If there is an option of another name or kind.
   * @throws {RangeError} If there are fewer rows or features than components, or one row alone.
   * @throws {BudgetError} If no tile fits the budget.
   */
  fit(gpu: Gpu, points: ChunkedArray, options: PcaFitOptions & { out: string }): Plan<StoredPca>;
  fit(
    gpu: Gpu,
    points: ChunkedArray,
    options?: PcaFitOptions & { out?: undefined },
  ): Plan<PcaResult>;
  fit(gpu: Gpu, points: ChunkedArray, options: PcaFitOptions): Plan<PcaResult | StoredPca>;
  fit(
    gpu: Gpu,
    points: ChunkedArray,
    options: PcaFitOptions = {},
  ): Plan<PcaResult | StoredPca> {
    const { out, overwrite, scores = out !== undefined, ...choices } = pcaFitOptions.check(options);
    const source = RowFrames.of(points, ACTION);
    checkShape(source.rows, this.#components);
    const task = new PcaTask(source, {
      components: this.#components,
      whiten: this.#whiten,
      adapter: gpu.adapter.name,
      mostSquares: gpu.adapter.software ? SOFTWARE_SQUARES : Infinity,
      scores,
      out,
      overwrite,
      result: async (stored, measured) => {
        const { result, basis } = await resultOf(stored, measured, scores);
        this.#basis = basis;
        return result;
      },
    });
    return new Plan(gpu, task, choices);
  }

  /**
   * Plans a projection: `[rows, components]` f32, which is stored as it is found where `out` is given. The
   * rows are not copied or centred anywhere.
   *
   * @throws {TypeError} If there is an option of another name or kind.
   * @throws {RangeError} If nothing is fitted, or rows have another number of features.
   */
  transform(
    gpu: Gpu,
    points: ChunkedArray,
    options: TransformOptions & { out: string },
  ): Plan<StoredScores>;
  transform(
    gpu: Gpu,
    points: ChunkedArray,
    options?: TransformOptions & { out?: undefined },
  ): Plan<Float32Array>;
  transform(
    gpu: Gpu,
    points: ChunkedArray,
    options: TransformOptions = {},
  ): Plan<Float32Array | StoredScores> {
    return projectPlan(gpu, points, fitted(this.#basis), options);
  }

  /**
   * A view of rows as their scores, `[rows, components]` f32, computed whenever some are read: what another
   * fit takes, without a store in between. It has a name of its own, since `transform` plans work that is
   * still to be run, and this is an array as it is.
   *
   * Scores are computed on the host, in f64, and only rounded to f32: the same bits as those of `transform`
   * where the last component has less than a ten-thousandth of the first one's variance, and within the
   * rounding of f32, some 1e-6 of the first component's deviation, elsewhere. A fit that sweeps over
   * rows many times computes them as often: there `transform` with `out` is faster.
   *
   * @param points `[rows, features]` of any number type. They stay the caller's to close.
   * @throws {RangeError} If nothing is fitted, or rows have another number of features.
   */
  project(points: ChunkedArray): ChunkedArray<Float32Array> {
    const basis = fitted(this.#basis);
    return new ScoreView(rowsFor(basis, points), basis);
  }

  /** Rows `[rows, features]` f32 from scores `[rows, components]`, on the host. */
  inverseTransform(scores: ArrayLike<number>): Float32Array {
    return unproject(fitted(this.#basis), scores);
  }
}

const ACTION = "find components";

export function fitted(basis: Basis | undefined): Basis {
  if (!basis) throw new RangeError("Cannot project: no components are fitted, run fit() first");
  return basis;
}

/** @throws {RangeError} If rows of this shape have no such components. */
export function checkShape({ rows, features }: Points, components: number): void {
  const most = Math.min(rows, features);
  if (components > most) {
    throw new RangeError(
      `Cannot find ${components} components: points have ${rows} rows and ${features} features, ` +
        `wanted at most ${most} components`,
    );
  }
  if (rows < 2) {
    throw new RangeError("Cannot find components: points have 1 row, wanted at least 2");
  }
}

/** What callers get of a fit that just ran, or is found; and its basis. */
export async function resultOf(
  stored: Stored,
  measured: Measured,
  scores: boolean,
): Promise<{ result: PcaResult | StoredPca; basis: Basis }> {
  if (stored.place !== undefined) {
    const result = await restorePca(stored, measured);
    return { result, basis: basisOf(result, stored) };
  }
  const numbers = await readNumbers(stored);
  const own = scores ? await stored.read("scores") as Float32Array : undefined;
  return { result: { ...numbers, scores: own, ...measured }, basis: basisOf(numbers, stored) };
}

/** A stored fit, as callers get it. */
export async function restorePca(
  stored: Stored,
  measured: Measured = unmeasured(),
): Promise<StoredPca> {
  const place = stored.place!;
  const numbers = await readNumbers(stored);
  const scores = await hasScores(place)
    ? ofType(await stored.open("scores"), "float32")
    : undefined;
  return {
    ...numbers,
    scores,
    place,
    model: PCA.of(basisOf(numbers, stored)),
    close: async () => await scores?.close(),
    ...measured,
  };
}

/**
 * Opens a stored fit.
 *
 * @throws {ChunkError} If there is none at `place`, or a newer version wrote it.
 */
export async function openPca(place: string): Promise<StoredPca> {
  return await restorePca(await openStored(place, PCA_FORMAT));
}
