/**
 * The linear baseline: changes as a bilinear form of genes and perturbed genes. Source: Ahlmann-Eltze, Huber and Anders
 * 2025, "Deep-learning-based gene perturbation effect prediction does not yet outperform simple linear baselines".
 *
 * @module
 */

import { symmetricEigen } from "../math/eigen.ts";
import type { CellTable } from "./cell_table.ts";
import { placesByName, severalGenes } from "./names.ts";
import type { Profile, Seen } from "./profile_metrics.ts";

const COMPONENTS = 10;
const RIDGE = 0.1;

/** A profile of a condition, or why there is none. */
export type LinearPrediction = (condition: number, control: Profile) => Profile | string;

/**
 * Fits Y = G W P' + b to the changes Y [genes, conditions] of training conditions with one perturbation that is a
 * gene. G [genes, 10] are scores of the genes along the principal components of Y, P the rows of G of the
 * perturbed genes, b the mean change of each gene. A combination has the sum of their rows.
 *
 * @param genes Names. A perturbed gene whose name several have is none of them: there is no prediction then.
 */
export function fitLinear(
  table: CellTable,
  seen: Seen,
  context: number,
  genes: readonly string[],
): LinearPrediction {
  const places = placesByName(genes);
  const geneOf = (perturbation: number) => places.get(table.perturbations[perturbation]!)?.[0];
  const several = seen.conditions.flatMap((condition) => table.conditions[condition]!.perturbations)
    .map((one) => table.perturbations[one]!)
    .find((name) => (places.get(name)?.length ?? 0) > 1);
  if (several !== undefined) return () => severalGenes(several, places.get(several)!);
  const reference = seen.control(context);
  const training = seen.conditions.flatMap((condition) => {
    const { perturbations } = table.conditions[condition]!;
    const gene = perturbations.length === 1 ? geneOf(perturbations[0]!) : undefined;
    const mean = seen.mean(condition, context);
    return gene === undefined || !mean || !reference
      ? []
      : [{ gene, change: mean.map((value, g) => value - reference[g]!) }];
  });
  if (training.length < 2) return () => "fewer than 2 perturbed genes in training";

  const columns = training.length;
  const base = reference!.map((_, gene) =>
    training.reduce((sum, { change }) => sum + change[gene]!, 0) / columns
  );
  const { scores, count } = geneScores(training.map(({ change }) => change));
  const rowOf = (gene: number) => scores.subarray(gene * count, (gene + 1) * count);
  const rows = training.map(({ gene }) => rowOf(gene));
  // G' (Y - b) P, [count, count]
  const middle = new Float64Array(count * count);
  training.forEach(({ change }, column) => {
    for (let k = 0; k < count; k++) {
      let sum = 0;
      for (let gene = 0; gene < base.length; gene++) {
        sum += scores[gene * count + k]! * (change[gene]! - base[gene]!);
      }
      for (let l = 0; l < count; l++) middle[k * count + l]! += sum * rows[column]![l]!;
    }
  });
  const all = Array.from({ length: base.length }, (_, gene) => rowOf(gene));
  const left = invert(gram(all, count), count);
  const right = invert(gram(rows, count), count);
  const weights = multiply(multiply(left, middle, count), right, count);

  return (condition, control) => {
    const found = table.conditions[condition]!.perturbations.map((one) => ({
      name: table.perturbations[one]!,
      gene: geneOf(one),
    }));
    const strangers = found.filter(({ gene }) => gene === undefined).map(({ name }) => name);
    if (strangers.length > 0) return `${strangers.join(", ")} no gene of var`;
    const twice = found.find(({ name }) => places.get(name)!.length > 1);
    if (twice) return severalGenes(twice.name, places.get(twice.name)!);
    const row = new Float64Array(count);
    for (const { gene } of found) rowOf(gene!).forEach((value, k) => row[k]! += value);
    const factors = Array.from({ length: count }, (_, k) => {
      let sum = 0;
      for (let l = 0; l < count; l++) sum += weights[k * count + l]! * row[l]!;
      return sum;
    });
    return control.map((value, gene) =>
      factors.reduce(
        (sum, factor, k) => sum + scores[gene * count + k]! * factor,
        value + base[gene]!,
      )
    );
  };
}

/** Scores of genes, as observations, along the first components of columns that are centred: [genes, count]. */
function geneScores(columns: readonly Profile[]): { scores: Float64Array; count: number } {
  const genes = columns[0]!.length;
  const centred = columns.map((column) => {
    const mean = column.reduce((sum, value) => sum + value, 0) / genes;
    return column.map((value) => value - mean);
  });
  const size = columns.length;
  const products = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const sum = centred[i]!.reduce((all, value, gene) => all + value * centred[j]![gene]!, 0);
      products[i * size + j] = products[j * size + i] = sum;
    }
  }
  const { values, vectors } = symmetricEigen(products, size);
  const rank = values.filter((value) => value > 1e-12 * values[0]!).length;
  const count = Math.min(COMPONENTS, rank);
  const scores = new Float64Array(genes * count);
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < size; i++) {
      const weight = vectors[k * size + i]!;
      centred[i]!.forEach((value, gene) => scores[gene * count + k]! += weight * value);
    }
  }
  return { scores, count };
}

/** Sum of products of rows with themselves, and the ridge. */
function gram(rows: readonly Float64Array[], count: number): Float64Array {
  const sums = new Float64Array(count * count);
  for (let k = 0; k < count; k++) {
    for (let l = 0; l < count; l++) {
      sums[k * count + l] = rows.reduce((sum, row) => sum + row[k]! * row[l]!, 0) +
        (k === l ? RIDGE : 0);
    }
  }
  return sums;
}

/** Of a symmetric matrix whose eigenvalues are above 0. */
function invert(matrix: Float64Array, size: number): Float64Array {
  const { values, vectors } = symmetricEigen(matrix, size);
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    let sum = 0;
    for (let k = 0; k < size; k++) {
      sum += vectors[k * size + i]! * vectors[k * size + j]! / values[k]!;
    }
    return sum;
  });
}

function multiply(a: Float64Array, b: Float64Array, size: number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    let sum = 0;
    for (let k = 0; k < size; k++) sum += a[i * size + k]! * b[k * size + j]!;
    return sum;
  });
}
