/**
 * What a perturbation model is made of, as data: widths of layers, likelihood, doses, names of parameters.
 *
 * @module
 */

/** How counts, or other numbers, are distributed about what the decoder gives. */
export const HEADS = ["nb", "zinb", "gauss"] as const;
export type Head = typeof HEADS[number];

/** How an embedding grows with its dose. */
export const DOSERS = ["linear", "sigmoid", "logsigmoid"] as const;
export type Doser = typeof DOSERS[number];

/** Layers one after the other: linear, batch norm, layer norm, ReLU, dropout. */
export interface Stack {
  widths: readonly number[];
  batchNorm: boolean;
  layerNorm: boolean;
  dropout: number;
}

export interface ModelShape {
  genes: number;
  latent: number;
  head: Head;
  doser: Doser;
  encoder: Stack;
  decoder: Stack;
  /** Whether latents are drawn from normal distributions that the encoder gives. */
  variational?: boolean;
  /** Padding and control among them. */
  perturbations: number;
  /** Classes that the adversary tells apart. */
  combinations: number;
  covariates: readonly { name: string; levels: number; isBatch: boolean }[];
  /** Classifiers of latents. */
  adversary: Stack;
}

/** Of batch norms, as the original has them. */
export const BATCH_NORM = { epsilon: 1e-3, momentum: 0.01 } as const;

/** What adversaries tell apart: combinations, then covariates of more than one level. */
export function classifiersOf(
  { combinations, covariates }: ModelShape,
): { name: string; classes: number }[] {
  return [
    { name: "perturbations", classes: combinations },
    ...covariates.filter(({ levels }) => levels > 1)
      .map(({ name, levels }) => ({ name: `covariate ${name}`, classes: levels })),
  ];
}
