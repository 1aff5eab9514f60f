/**
 * How near a predicted profile comes to the truth. All profiles are [genes].
 *
 * @module
 */

import type { Moments } from "./group_sums.ts";

export type Profile = Float64Array;

/** Profiles of training cells. A context is a level of each covariate. */
export interface Seen {
  /** Perturbed conditions that have training cells in some context, and contexts, ascending. */
  conditions: readonly number[];
  contexts: readonly number[];
  control(context: number): Profile | undefined;
  mean(condition: number, context: number): Profile | undefined;
}

export interface Correlation {
  value: number;
  /** One of both does not vary: the value is 0, and says nothing. */
  isConstant: boolean;
}

/** Genes that count, by their numbers; all when not given. */
export type Genes = ArrayLike<number>;

function allOf({ length }: Profile): Uint32Array {
  const genes = new Uint32Array(length);
  for (let gene = 0; gene < length; gene++) genes[gene] = gene;
  return genes;
}

/** Pearson's correlation over genes of two changes from the same reference. */
export function deltaPearson(
  prediction: Profile,
  truth: Profile,
  reference: Profile,
  genes: Genes = allOf(truth),
): Correlation {
  return pearson(changes(prediction, reference, genes), changes(truth, reference, genes));
}

function changes(profile: Profile, reference: Profile, genes: Genes): Float64Array {
  const found = new Float64Array(genes.length);
  for (let i = 0; i < genes.length; i++) found[i] = profile[genes[i]!]! - reference[genes[i]!]!;
  return found;
}

export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): Correlation {
  const count = a.length;
  const meanOf = (values: ArrayLike<number>) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[i]!;
    return sum / count;
  };
  const [meanA, meanB] = [meanOf(a), meanOf(b)];
  let [aa, bb, ab, sizeA, sizeB] = [0, 0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const [da, db] = [a[i]! - meanA, b[i]! - meanB];
    aa += da * da;
    bb += db * db;
    ab += da * db;
    sizeA += a[i]! ** 2;
    sizeB += b[i]! ** 2;
  }
  // what is left of equal numbers are roundings
  const isConstant = !(aa > 1e-24 * sizeA && bb > 1e-24 * sizeB);
  return { value: isConstant ? 0 : ab / Math.sqrt(aa * bb), isConstant };
}

/** Euclidean distance over genes. */
export function distance(a: Profile, b: Profile, genes: Genes = allOf(a)): number {
  let sum = 0;
  for (let i = 0; i < genes.length; i++) sum += (a[genes[i]!]! - b[genes[i]!]!) ** 2;
  return Math.sqrt(sum);
}

/** The genes with the largest values, largest first; of equal ones the first come first. */
export function largestGenes(values: ArrayLike<number>, count: number): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, gene) => gene);
  order.sort((a, b) => values[b]! - values[a]! || a - b);
  return order.slice(0, count);
}

/**
 * Size of Welch's t between two groups of cells, [genes]; 0 where both do not vary and are equal, infinite where
 * they do not vary and differ.
 */
export function welchT(a: Moments, b: Moments): Float64Array {
  return a.mean.map((mean, gene) => {
    const difference = Math.abs(mean - b.mean[gene]!);
    const error = Math.sqrt(a.variance[gene]! / a.cells + b.variance[gene]! / b.cells);
    return difference === 0 ? 0 : difference / error;
  });
}

/**
 * 1 - squared errors / squared deviations of the truth from its own mean; -Infinity where the truth does not vary,
 * unless it is met.
 */
export function rSquared(
  prediction: ArrayLike<number>,
  truth: ArrayLike<number>,
): number {
  const count = truth.length;
  let mean = 0;
  for (let i = 0; i < count; i++) mean += truth[i]! / count;
  let [errors, deviations] = [0, 0];
  for (let i = 0; i < count; i++) {
    errors += (truth[i]! - prediction[i]!) ** 2;
    deviations += (truth[i]! - mean) ** 2;
  }
  return errors === 0 ? 1 : 1 - errors / deviations;
}

/** R2 of variances over cells; NaN where there are not two cells of both. */
export function varianceRSquared(
  prediction: Moments | undefined,
  truth: Moments | undefined,
  genes: Genes,
): number {
  if (!prediction || !truth || prediction.cells < 2 || truth.cells < 2) return NaN;
  const of = ({ variance }: Moments) => Float64Array.from(genes, (gene) => variance[gene]!);
  return rSquared(of(prediction), of(truth));
}

/** How well changes of some genes are met. */
export interface GeneMetrics {
  deltaPearson: Correlation;
  /** Of the changes. */
  rSquared: number;
  /** Share of the genes that change in the same direction. */
  signAgreement: number;
}

export function changesOf(
  prediction: Profile,
  truth: Profile,
  reference: Profile,
  genes: Genes,
): GeneMetrics {
  const own = changes(prediction, reference, genes);
  const wanted = changes(truth, reference, genes);
  const agreeing = own.filter((change, i) => Math.sign(change) === Math.sign(wanted[i]!));
  return {
    deltaPearson: pearson(own, wanted),
    rSquared: rSquared(own, wanted),
    signAgreement: agreeing.length / own.length,
  };
}

/**
 * Whether a prediction is told from others. `rank` is the share of other truths that are nearer to it than its own,
 * 0 at best; `centroidAccuracy` the share that are farther, 1 at best. Equally far ones are in neither. NaN where
 * there are no others.
 */
export function retrieval(
  prediction: Profile,
  truth: Profile,
  others: readonly Profile[],
): { rank: number; centroidAccuracy: number } {
  const own = distance(prediction, truth);
  const distances = others.map((other) => distance(prediction, other));
  return {
    rank: distances.filter((one) => one < own).length / others.length,
    centroidAccuracy: distances.filter((one) => one > own).length / others.length,
  };
}

/**
 * The original's r2_mean and r2_var: of means and variances over cells of ln(1 + count), with genes outside of
 * `mask` multiplied by 0 and left in. Means of noisy counts are compared with predicted ones, so that even the
 * truth does not reach 1: never to be read alone.
 *
 * @param mask [genes] 0 and 1; all when not given.
 */
export function originalR2(
  prediction: Moments,
  truth: Moments,
  mask?: Uint8Array,
): { originalR2Mean: number; originalR2Var: number } {
  const masked = (values: Float64Array) => values.map((v, gene) => mask?.[gene] === 0 ? 0 : v);
  // one cell has no variance, which the original counts as 0
  const few = prediction.cells < 2 || truth.cells < 2;
  return {
    originalR2Mean: rSquared(masked(prediction.mean), masked(truth.mean)),
    originalR2Var: few ? 0 : rSquared(masked(prediction.variance), masked(truth.variance)),
  };
}
