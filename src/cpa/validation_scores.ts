/**
 * The original's score of a state, by cells that validate: r2 of means and variances of ln(1 + count) by category, and how many neighbours
 * of a cell are of its kind, among latents. It is stopped by `r2_mean + r2_var / 2 + e^(after - basal)`.
 *
 * @module
 */

import { profileErrors } from "../kernels/profile_errors.ts";
import type { LayerKernel } from "../net/layer.ts";
import type { Net } from "../net/net.ts";
import type { Value } from "../net/value.ts";
import type { CellFacts } from "./cell_uploads.ts";
import type { DegMasks } from "./deg_masks.ts";
import type { ModelShape } from "./model_shape.ts";
import { classifiersOf } from "./model_shape.ts";

/**
 * Upload `[tile cells, 4]` u32: of each category of a batch, one after the other, its first cell in the batch, how many it has, and which
 * of the {@link GENE_LISTS} is theirs.
 */
export const CATEGORIES = "categories";
/** `[lists, words]` u32, a bit for each gene that counts; the first list has all. */
export const GENE_LISTS = "gene lists";
/** Downloads: `[tile cells, 4]` f32 by category, and latents. */
export const PROFILE_ERRORS = "profile errors";
export const JUDGED_LATENTS = { basal: "judged basal", after: "judged after" } as const;

/** Neighbours that are looked at. */
const NEIGHBOURS = 30;
/** What the original makes of minus infinity. */
const LEAST = -3.4028234663852886e38;

export interface BatchScores {
  r2Mean: number;
  r2Var: number;
  /** Shares of neighbours that are alike, summed over perturbations and covariates. */
  basal: number;
  after: number;
  metric: number;
}

/** What a list of genes of every cell is. */
export type GeneLists = Pick<DegMasks, "genes" | "rows" | "rowOf">;

/**
 * What cells were given, batches and all covariates among it, and which genes they are compared on: [cells] numbers, alike for alike
 * cells; of the others nothing.
 */
export function categoriesOf(
  { combinations, covariates }: CellFacts,
  cells: Uint32Array,
  lists?: GeneLists,
): Uint32Array {
  const numbers = new Map<string, number>();
  const categories = new Uint32Array(combinations.length);
  for (const cell of cells) {
    const key = [combinations, ...covariates, ...lists ? [lists.rowOf] : []].map((codes) =>
      codes[cell]
    ).join(" ");
    const known = numbers.get(key) ?? numbers.size;
    numbers.set(key, known);
    categories[cell] = known;
  }
  return categories;
}

/** The lists as bits. */
export function packGeneLists(
  { genes, rows }: Pick<GeneLists, "genes" | "rows">,
): Uint32Array<ArrayBuffer> {
  const words = Math.ceil(genes / 32);
  const packed = new Uint32Array(rows.length / genes * words);
  rows.forEach((own, i) => {
    const gene = i % genes;
    if (own) packed[Math.floor(i / genes) * words + (gene >> 5)]! |= 1 << (gene & 31);
  });
  return packed;
}

/**
 * The upload, for batches whose cells lie by category.
 *
 * @param listOf Of a cell. Default: the first.
 */
export function categoryRanges(
  batches: readonly { cells: Uint32Array; validates: boolean }[],
  categories: ArrayLike<number>,
  listOf?: ArrayLike<number>,
): Uint32Array {
  const ranges: number[] = [];
  let first = 0;
  for (const { cells, validates } of batches) {
    let at = 4 * first;
    for (let i = 0; validates && i < cells.length;) {
      let end = i;
      while (end < cells.length && categories[cells[end]!] === categories[cells[i]!]) end++;
      for (const word of [i, end - i, listOf?.[cells[i]!] ?? 0, 0]) ranges[at++] = word;
      i = end;
    }
    first += cells.length;
    ranges.length = Math.max(ranges.length, at);
  }
  return Uint32Array.from({ length: 4 * first }, (_, i) => ranges[i] ?? 0);
}

/**
 * Errors and spreads of profiles, after a batch's means are made.
 *
 * @param zeros Whether genes of no list count as 0 with the original, instead of being left out.
 */
export function profileErrorsKernel(
  shape: ModelShape,
  { names }: Net,
  means: Value,
  others: Value | undefined,
  zeros: boolean,
): LayerKernel {
  return {
    kernel: profileErrors,
    constants: { LANES: 64, GAUSS: shape.head === "gauss" ? 1 : 0, ZEROS: Number(zeros) },
    buffers: {
      counts: "cells mixed",
      means: means.name,
      raw_variances: shape.head === "gauss" ? others!.name : names.unused,
      lists: GENE_LISTS,
      categories: CATEGORIES,
      errors: PROFILE_ERRORS,
    },
    params: ({ samples, firstSample }) => Uint32Array.of(samples, firstSample, shape.genes, 0),
    workgroups: ({ samples }) => [samples],
  };
}

/**
 * @param errors `[categories, 4]`: squared errors and squares about their mean, of means and of variances over cells.
 * @param counts Cells of each category.
 * @param exactly Whether to do as the original with genes that do not differ: what is off by anything is off by the largest number.
 */
export function rSquaredByCategory(
  errors: ArrayLike<number>,
  counts: readonly number[],
  exactly: boolean,
): { r2Mean: number; r2Var: number } {
  const rSquared = (error: number, spread: number) => {
    if (spread > 0) return 1 - error / spread;
    return exactly && error > 0 ? LEAST : 0;
  };
  let [r2Mean, r2Var] = [0, 0];
  counts.forEach((cells, i) => {
    r2Mean += rSquared(errors[4 * i]!, errors[4 * i + 1]!) / counts.length;
    // one cell has no variance
    if (cells > 1) r2Var += rSquared(errors[4 * i + 2]!, errors[4 * i + 3]!) / counts.length;
  });
  return { r2Mean, r2Var };
}

/** Of every cell the nearest others, of equally near ones the first: [cells, neighbours]. */
export function nearestNeighbours(
  latents: Float32Array,
  width: number,
  cells: number,
): { neighbours: number; places: Uint32Array } {
  const neighbours = Math.min(cells - 1, NEIGHBOURS);
  const places = new Uint32Array(cells * neighbours);
  const [near, distances] = [new Uint32Array(neighbours), new Float64Array(neighbours)];
  for (let cell = 0; cell < cells; cell++) {
    let found = 0;
    for (let other = 0; other < cells; other++) {
      if (other === cell) continue;
      let distance = 0;
      for (let i = 0; i < width; i++) {
        distance += (latents[cell * width + i]! - latents[other * width + i]!) ** 2;
      }
      let at = found;
      while (at > 0 && distances[at - 1]! > distance) at--;
      if (at === neighbours) continue;
      found = Math.min(found + 1, neighbours);
      near.copyWithin(at + 1, at, found - 1);
      distances.copyWithin(at + 1, at, found - 1);
      [near[at], distances[at]] = [other, distance];
    }
    places.set(near, cell * neighbours);
  }
  return { neighbours, places };
}

/** The share of a cell's neighbours that have its label, averaged by label. */
export function neighbourPurity(
  { neighbours, places }: { neighbours: number; places: Uint32Array },
  labels: ArrayLike<number>,
): number {
  const sums = new Map<number, { share: number; cells: number }>();
  for (let cell = 0; cell < labels.length; cell++) {
    const label = labels[cell]!;
    let alike = 0;
    for (let i = 0; i < neighbours; i++) {
      alike += Number(labels[places[cell * neighbours + i]!] === label);
    }
    const own = sums.get(label) ?? { share: 0, cells: 0 };
    sums.set(label, { share: own.share + alike / neighbours, cells: own.cells + 1 });
  }
  const all = [...sums.values()];
  return all.reduce((sum, { share, cells }) => sum + share / cells, 0) / all.length;
}

/** Purities summed over what classifiers tell apart. */
export function summedPurity(
  shape: ModelShape,
  { combinations, covariates }: CellFacts,
  cells: Uint32Array,
  latents: Float32Array,
): number {
  const nearest = nearestNeighbours(latents, shape.latent, cells.length);
  return classifiersOf(shape).reduce((sum, { name }) => {
    const place = shape.covariates.findIndex((own) => name === `covariate ${own.name}`);
    const codes = place < 0 ? combinations : covariates[place]!;
    return sum + neighbourPurity(nearest, Array.from(cells, (cell) => codes[cell]!));
  }, 0);
}

export function scoresOf(
  r2: { r2Mean: number; r2Var: number },
  purity: { basal: number; after: number },
): BatchScores {
  const metric = r2.r2Mean + 0.5 * r2.r2Var + Math.exp(purity.after - purity.basal);
  return { ...r2, ...purity, metric };
}
