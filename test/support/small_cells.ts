/** Perturbation models of a few cells, all numbers from a seed. */

import type { Doser, Head, ModelShape } from "../../src/cpa/model_shape.ts";
import { classifiersOf } from "../../src/cpa/model_shape.ts";
import type { CellBatch, State } from "../reference/cpa_model.ts";
import { constant } from "../reference/differentiate.ts";
import { seeded } from "./random.ts";

export interface SmallOptions {
  head?: Head;
  doser?: Doser;
  cells?: number;
  genes?: number;
  width?: number;
  norms?: { batchNorm: boolean; layerNorm: boolean };
  /** Of classifiers. Default: batch norms. */
  classifierNorms?: { batchNorm: boolean; layerNorm: boolean };
  dropout?: number;
  variational?: boolean;
  seed?: number;
}

export function smallShape(options: SmallOptions = {}): ModelShape {
  const { head = "nb", doser = "logsigmoid", genes = 9, width = 6, dropout = 0 } = options;
  const { variational = false } = options;
  const batchNorms = { batchNorm: true, layerNorm: false };
  const { norms = batchNorms, classifierNorms = batchNorms } = options;
  return {
    ...{ genes, latent: 5, head, doser, variational },
    encoder: { widths: [width, width + 1], ...norms, dropout },
    decoder: { widths: [width + 2], ...norms, dropout },
    perturbations: 5,
    combinations: 4,
    covariates: [
      { name: "cell", levels: 3, isBatch: false },
      { name: "site", levels: 1, isBatch: false },
      { name: "plate", levels: 2, isBatch: true },
    ],
    adversary: { widths: [width, width - 1], ...classifierNorms, dropout },
  };
}

/** Names and sizes of parameters and statistics, in the order in which the net has them. */
export function stateSizes(shape: ModelShape): [name: string, rows: number, columns: number][] {
  const sizes: [string, number, number][] = [];
  const linear = (name: string, from: number, to: number) =>
    sizes.push([`${name}.weight`, to, from], [`${name}.bias`, 1, to]);
  const stack = (
    name: string,
    from: number,
    widths: readonly number[],
    batchNorm: boolean,
  ) =>
    widths.reduce((before, width, i) => {
      linear(`${name}.${i}`, before, width);
      if (batchNorm) {
        for (const part of ["weight", "bias", "running_mean", "running_var"]) {
          sizes.push([`${name}.${i}.norm.${part}`, 1, width]);
        }
      }
      return width;
    }, from);
  const { genes, latent, head, doser, encoder, decoder, adversary } = shape;
  if (head !== "gauss") sizes.push(["dispersions", 1, genes]);
  const encoded = stack("encoder", genes, encoder.widths, encoder.batchNorm);
  linear("encoder.z", encoded, latent);
  if (shape.variational) linear("encoder.variance", encoded, latent);
  const last = stack("decoder", latent, decoder.widths, decoder.batchNorm);
  linear("decoder.mean", last, genes);
  if (head === "zinb") linear("decoder.zeros", last, genes);
  if (head === "gauss") linear("decoder.variance", last, genes);
  sizes.push(["perturbations", shape.perturbations, latent]);
  for (const { name, levels } of shape.covariates) {
    sizes.push([`covariate ${name}`, levels, latent]);
  }
  if (doser !== "linear") {
    sizes.push(["doser.beta", 1, shape.perturbations], ["doser.bias", 1, shape.perturbations]);
  }
  for (const { name, classes } of classifiersOf(shape)) {
    linear(
      `adversary ${name}.out`,
      stack(`adversary ${name}`, latent, adversary.widths, adversary.batchNorm),
      classes,
    );
  }
  return sizes;
}

export function smallState(shape: ModelShape, seed = 1): State {
  const random = seeded(seed);
  return new Map(
    stateSizes(shape).map(([name, rows, columns]) => {
      const positive = name.endsWith("running_var") || name.endsWith("norm.weight");
      const data = Float32Array.from(
        { length: rows * columns },
        () => positive ? 0.5 + random() : 1.2 * (random() - 0.5),
      );
      return [name, constant(rows, columns, data)];
    }),
  );
}

export function smallBatch(shape: ModelShape, cells = 7, lambda = 0.3, seed = 2): CellBatch {
  const random = seeded(seed);
  const below = (most: number) => Math.floor(most * random());
  const { genes, head } = shape;
  const ids = new Uint32Array(2 * cells);
  const doses = new Float32Array(2 * cells);
  for (let cell = 0; cell < cells; cell++) {
    ids[2 * cell] = 1 + below(shape.perturbations - 1);
    if (random() < 0.5) ids[2 * cell + 1] = 1 + below(shape.perturbations - 1);
    doses[2 * cell] = 0.1 + random();
    doses[2 * cell + 1] = ids[2 * cell + 1] === 0 ? 0 : 0.1 + random();
  }
  const partners = Uint32Array.from({ length: cells }, (_, cell) => cell);
  for (let i = cells - 1; i > 0; i--) {
    const other = below(i + 1);
    [partners[i], partners[other]] = [partners[other]!, partners[i]!];
  }
  return {
    x: Float32Array.from(
      { length: cells * genes },
      () => head === "gauss" ? 2 * random() - 1 : random() < 0.4 ? 0 : 1 + below(20),
    ),
    ...{ ids, doses, partners, lambda },
    combinations: Uint32Array.from({ length: cells }, () => below(shape.combinations)),
    covariates: Object.fromEntries(
      shape.covariates.map((
        { name, levels },
      ) => [name, Uint32Array.from({ length: cells }, () => below(levels))]),
    ),
  };
}

export function smallWeights(shape: ModelShape): Record<string, number[]> {
  return Object.fromEntries(
    classifiersOf(shape).map((
      { name, classes },
    ) => [name, Array.from({ length: classes }, (_, i) => 0.5 + i)]),
  );
}
