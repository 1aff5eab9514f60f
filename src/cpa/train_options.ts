/**
 * Options of perturbation models and their training.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, flag, number, oneOf, record, whole } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import { DOSERS, HEADS } from "./model_shape.ts";

const stack = (layers: number, width: number, says: string) =>
  record({
    layers: whole({ default: layers, from: 1, to: 16, says: "layers" }),
    width: whole({ default: width, from: 1, to: 4096, says: "width of a layer" }),
    batchNorm: flag({ default: true, says: "normalise columns over a batch" }),
    layerNorm: flag({ default: false, says: "normalise rows" }),
    dropout: number({
      default: 0,
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
  encoder: stack(3, 256, "layers of the encoder"),
  decoder: stack(3, 256, "layers of the decoder"),
  adversary: record({
    layers: whole({ default: 3, from: 0, to: 16, says: "layers of a classifier" }),
    width: whole({ default: 64, from: 1, to: 4096, says: "width of a layer" }),
    dropout: number({
      default: 0.1,
      from: 0,
      below: 1,
      says: "probability that a number is dropped",
    }),
  }, { default: {}, says: "classifiers that are to find nothing in basal latents" }),
  batchSize: whole({ default: 128, from: 2, to: 65535, says: "cells of a batch at most" }),
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
  patience: whole({
    default: 10,
    from: 1,
    says: "validations without a lower loss until training ends",
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
      "for, rates that decay after 2,025 epochs, covariates of mixed cells that count once",
  }),
});

/** Options of {@link train}. */
export type TrainOptions = OptionsOf<typeof trainOptions>;
