/**
 * Options of perturbation models and their training.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, flag, number, oneOf, record, whole } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import { DOSERS, HEADS } from "./model_shape.ts";
import { JUDGES } from "./training_record.ts";

const stack = (
  { layers, least = 1, width, dropout = 0, says }:
    & Record<"layers" | "width", number>
    & { least?: number; dropout?: number; says: string },
) =>
  record({
    layers: whole({ default: layers, from: least, to: 16, says: "layers" }),
    width: whole({ default: width, from: 1, to: 4096, says: "width of a layer" }),
    batchNorm: flag({ default: true, says: "normalise columns over a batch" }),
    layerNorm: flag({ default: false, says: "normalise rows" }),
    dropout: number({
      default: dropout,
      from: 0,
      below: 1,
      says: "probability that a number is dropped",
    }),
  }, { default: {}, says });

const rates = (rate: number, decay: number, says: string) =>
  record({
    rate: number({ default: rate, above: 0, to: 1, says: "learning rate" }),
    decay: number({
      default: decay,
      from: 0,
      to: 1,
      says: "times a parameter, added to its gradient",
    }),
  }, { default: {}, says });

export const trainOptions = declare("train a model of perturbations", {
  ...{ ...planChoices, ...outputChoices },
  head: oneOf(HEADS, {
    default: "nb",
    says: "likelihood of counts, of counts with extra zeros, or of any numbers",
  }),
  doser: oneOf(DOSERS, {
    default: "logsigmoid",
    says: "how an embedding grows with its dose",
  }),
  latent: whole({ default: 128, from: 1, to: 4096, says: "width of latents and embeddings" }),
  encoder: stack({ layers: 3, width: 256, says: "layers of the encoder" }),
  decoder: stack({ layers: 3, width: 256, says: "layers of the decoder" }),
  adversary: stack({
    ...{ layers: 3, least: 0, width: 64, dropout: 0.1 },
    says: "classifiers that are to find nothing in basal latents",
  }),
  variational: flag({
    default: false,
    says: "draw latents from normal distributions that the encoder gives",
  }),
  divergenceWeight: number({
    default: 1,
    from: 0,
    to: 1e6,
    says: "times how far these are from mean 0 and variance 1",
  }),
  divergenceWarmup: whole({ default: 0, from: 0, says: "epochs until that weight is reached" }),
  batchSize: whole({
    default: 128,
    or: ["auto"],
    from: 2,
    to: 65535,
    says: "cells of a batch at most; auto: 4,096, or the half, quarter, ... that fits the budget",
  }),
  partSize: whole({
    otherwise: "all of them",
    or: ["auto"],
    from: 1,
    to: 65535,
    says:
      "cells of a batch whose genes are on the device at a time, which changes rounding alone; auto: as many as " +
      "fit the budget",
  }),
  checkpointing: flag({
    default: false,
    stored: false,
    says: "make layers again for gradients instead of keeping them: less memory, the same bits",
  }),
  precision: oneOf(["float32", "float16"], {
    default: "float32",
    stored: false,
    says:
      "of values between layers; float16 is refused, since checkpointing and partSize save more",
  }),
  mostNorm: number({
    otherwise: "none",
    above: 0,
    to: 1e6,
    says: "largest norm of a gradient, which is scaled down to it",
  }),
  epochs: whole({ otherwise: "400, fewer of more than 20,000 cells", from: 1, says: "epochs" }),
  adversarySteps: whole({
    default: 3,
    from: 0,
    says:
      "every so many batches teach the autoencoder, the others the classifiers; 0: all teach both",
  }),
  adversaryWeight: number({
    default: 1,
    from: 0,
    to: 1e6,
    says: "times the loss of classifiers, which the autoencoder is to raise",
  }),
  adversaryWarmup: whole({ default: 0, from: 0, says: "epochs until that weight is reached" }),
  focal: flag({
    default: false,
    says: "classifiers are to care less for cells whose class they know well",
  }),
  penaltyWeight: number({
    default: 1,
    from: 0,
    to: 1e6,
    says: "times the squared slopes of classifiers",
  }),
  pretraining: whole({
    default: 0,
    from: 0,
    says: "epochs in which autoencoder and classifiers learn nothing of each other",
  }),
  mixupAlpha: number({
    default: 0,
    from: 0,
    to: 100,
    says: "cells are mixed in pairs by shares from Beta(alpha, alpha); 0: they are not",
  }),
  mixupWarmup: whole({ default: 0, from: 0, says: "epochs until that alpha is reached" }),
  autoencoderRates: rates(5e-4, 1e-6, "of encoder, decoder and embeddings"),
  doserRates: rates(3e-4, 4e-7, "of what doses make of embeddings"),
  adversaryRates: rates(3e-4, 4e-7, "of classifiers"),
  decayEpochs: whole({ default: 45, from: 0, says: "epochs until rates decay; 0: never" }),
  decayFactor: number({ default: 0.9, above: 0, to: 1, says: "by which they decay" }),
  validateEvery: whole({ default: 10, from: 1, says: "epochs from validation to validation" }),
  judge: oneOf(JUDGES, {
    default: "likelihood",
    says:
      "what is best: how likely counts of cells that validate are, or the original's score of r2 and neighbours",
  }),
  patience: whole({
    default: 10,
    from: 1,
    says: "validations without a better one until training ends",
  }),
  seed: whole({
    default: 0,
    from: 0,
    to: 2 ** 32 - 1,
    says: "of first parameters, batches, mixing and dropout",
  }),
  compat: flag({
    default: false,
    says:
      "keep to the original's slips: one epoch more of pretraining, no mixing where it and a warm-up are asked " +
      "for, rates that decay after 2,025 epochs, covariates of mixed cells that count once and have no weights, weights " +
      "of all cells, no dropout in decoders of counts, scores that genes without change make meaningless",
  }),
});

/** Options of {@link train}. */
export type TrainOptions = OptionsOf<typeof trainOptions>;
