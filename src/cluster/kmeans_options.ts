/**
 * Options of k-means.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, flag, number, numbers, whole } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";

export const kmeansOptions = declare("make k-means", {
  /** Clusters. */
  k: whole({ required: true, from: 1, takes: "K", says: "clusters" }),
  /** Seed of the first centroids, a whole number from 0 to 2^32 - 1. Default 42. */
  seed: whole({ default: 42, from: 0, to: 2 ** 32 - 1, says: "seed of the first centroids" }),
  /** Runs from different first centroids, of which the best is kept. Default 10; 1 with `init`. */
  inits: whole({
    from: 1,
    otherwise: "10, or 1 with first centroids",
    flag: "n-init",
    stored: "n_init",
    says: "runs, of which the best is kept",
  }),
  /** Iterations of a run at most. Default 100. */
  maxIterations: whole({
    default: 100,
    from: 0,
    flag: "max-iter",
    stored: "max_iter",
    says: "iterations of a run at most",
  }),
  /**
   * A run ends when the squared movement of all centroids together is at most this times the mean
   * variance of a feature, as in scikit-learn. Default 1e-4.
   */
  tolerance: number({
    default: 1e-4,
    from: 0,
    to: Infinity,
    takes: "T",
    says: "a run ends when centroids move less, relative to the variance",
  }),
  /** First centroids, `[k, features]`; drawn by greedy k-means++ when not given. */
  init: numbers({
    takes: "C",
    otherwise: "drawn by greedy k-means++",
    says: "first centroids, [k, features]; one run",
  }),
  /** Compares directions: rows and centroids have length 1. Default false. */
  spherical: flag({
    default: false,
    says: "compare directions: rows and centroids have length 1",
  }),
});

/** What {@link KMeans} is told. */
export type KMeansOptions = OptionsOf<typeof kmeansOptions>;

export const fitOptions = declare("cluster", { ...planChoices, ...outputChoices });

/** Options of {@link KMeans.fit}. */
export type KMeansFitOptions = OptionsOf<typeof fitOptions>;

const softOptions = {
  /** Centroids of a row. */
  topK: whole({ from: 1, otherwise: "the nearest alone", says: "centroids of a row, by weight" }),
  /** What squared distances are divided by, in the square of the array's unit. Default 1. */
  temperature: number({
    default: 1,
    above: 0,
    to: Infinity,
    says: "what squared distances are divided by, before weights come of them",
  }),
};

/** How {@link KMeans.predict} assigns rows to several centroids each. */
export type SoftOptions =
  & Required<Pick<OptionsOf<typeof predictOptions>, "topK">>
  & Pick<OptionsOf<typeof predictOptions>, "temperature">;

export const predictOptions = declare("assign", {
  ...planChoices,
  ...outputChoices,
  ...softOptions,
});

export const distanceOptions = declare("measure distances", {
  ...planChoices,
  ...outputChoices,
});

export const partialFitOptions = declare("cluster", planChoices);
