/** Fits of more rows than a section has: for tests of what parts of them come to. */

import { fromTypedArray } from "../../src/array/array.ts";
import { contexts } from "../../src/array/contexts.ts";
import type { KMeansOptions } from "../../src/cluster/kmeans.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import type { PcaFitOptions } from "../../src/decompose/pca.ts";
import { PCA } from "../../src/decompose/pca.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Plan } from "../../src/stream/plan.ts";
import { seeded } from "./random.ts";
import { cases } from "./tier.ts";

/** Three sections of 4096 rows or fewer; eight where nothing is left out. */
export const FIT_ROWS = cases(9001, 30_001);
/** How many parts they are tried in. */
export const FIT_PARTS = cases([3], [1, 2, 3, 7]);
export const FIT_FEATURES = 4;

const random = seeded(3);
/** Each feature a hundredth as wide as the one before: f32 sums are too coarse for the last. */
export const fitValues: Float32Array = Float32Array.from(
  { length: FIT_ROWS * FIT_FEATURES },
  (_, i) => (random() + random() - 1) * 10 ** (-2 * (i % FIT_FEATURES)) + 3,
);

export const fitPoints = () => fromTypedArray(fitValues, [FIT_ROWS, FIT_FEATURES]);

/** A plan that writes to a place. */
export type FitAt = (out: string, tileRows?: number) => Plan<unknown>;

export const kmeansAt = (gpu: Gpu, options: KMeansOptions): FitAt => (out, tileRows) =>
  new KMeans(options).fit(gpu, fitPoints(), { out, ...(tileRows && { tileRows }) });

export const pcaAt = (gpu: Gpu, components: number, options: PcaFitOptions = {}): FitAt =>
(
  out,
  tileRows,
) =>
  new PCA({ components }).fit(gpu, fitPoints(), { ...options, out, ...(tileRows && { tileRows }) });

/** Of rows of two frames each, of three segments. */
export const contextsAt = (gpu: Gpu, components: number): FitAt => (out) => {
  const segments = [0, 100, 5000];
  const rows = contexts(fitPoints(), { width: 2, lag: 1, mode: "flat", segments });
  return new PCA({ components }).fit(gpu, rows, { out });
};
