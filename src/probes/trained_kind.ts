/**
 * What kinds of probes that are trained have to say: their layers, what those begin with, and their options.
 *
 * @module
 */

import type { Random } from "../math/random.ts";
import type { Net } from "../net/net.ts";
import { constant, xavierNormal } from "../net/initial.ts";
import type { Parameter, Value } from "../net/value.ts";
import type { CheckedOf, Options } from "../options.ts";
import { number, whole } from "../options.ts";

/** Options of every training, by what they are when nobody says. */
export interface TrainingDefaults {
  learningRate: number;
  weightDecay: number;
  epochs: number;
}

export function trainingChoices({ learningRate, weightDecay, epochs }: TrainingDefaults) {
  return {
    /** Step of AdamW. */
    learningRate: number({ default: learningRate, above: 0, says: "step of AdamW" }),
    /** Shrinks all parameters a little in every step. */
    weightDecay: number({
      default: weightDecay,
      from: 0,
      says: "what all parameters shrink by in a step, times the learning rate",
    }),
    /** Epochs at most. */
    epochs: whole({ default: epochs, from: 1, to: 100_000, says: "epochs at most" }),
    /** Samples of a batch. Default 32. */
    batchSize: whole({ default: 32, from: 1, to: 65_535, says: "samples of a batch" }),
    /** Batches whose gradients make a step together. Default 1. */
    accumulate: whole({
      default: 1,
      from: 1,
      says: "batches whose gradients make a step together",
    }),
    /** Seed of first parameters, batches and dropout. Default 42. */
    seed: whole({
      default: 42,
      from: 0,
      to: 2 ** 32 - 1,
      says: "seed of first parameters, batches and dropout",
    }),
  };
}

export function sequenceChoices(defaults: TrainingDefaults) {
  return {
    ...trainingChoices(defaults),
    /** Epochs without a lower validation loss after which it stops. Default 5. */
    patience: whole({
      default: 5,
      from: 1,
      says: "epochs without a lower validation loss after which it stops",
    }),
    /** Part of the samples that validates; at least one does. Default 0.2. */
    validationShare: number({
      default: 0.2,
      above: 0,
      below: 1,
      says: "part of the samples that validates",
    }),
    /** Samples of a batch times the tokens of its longest one, at most. */
    maxPaddedTokens: whole({
      from: 1,
      says: "samples of a batch times the tokens of its longest one, at most",
    }),
  };
}

export const dropoutChoice = <Default extends number>(value: Default) =>
  number({
    default: value,
    from: 0,
    below: 1,
    says: "part of hidden units that a step leaves out",
  });

/** Options that all kinds have. */
export type TrainingSettings =
  & CheckedOf<ReturnType<typeof trainingChoices>>
  & Partial<CheckedOf<ReturnType<typeof sequenceChoices>>>;

export interface TrainedKind<Own extends Options = Options> {
  /** Of stores and tables. */
  readonly name: string;
  readonly options: Own;
  /** Rows of features, or samples of tokens. */
  readonly takes: "features" | "sequences";
  /** Whether it matters where in its sample a token stands. */
  readonly hasPlaces?: boolean;
  /** Adds the layers to a net, from its input to logits of samples. */
  layers(net: Net, x: Value, settings: CheckedOf<Own>): Value;
  /** What a parameter begins with, among all of the net. */
  begin(
    parameter: Parameter,
    random: Random,
    parameters: readonly Parameter[],
  ): Float32Array<ArrayBuffer>;
}

/** As nets of sequences begin: weights by Xavier with gain 0.5, biases 0, norms 1. */
export function beginSequence(parameter: Parameter, random: Random): Float32Array<ArrayBuffer> {
  const { name, shape } = parameter;
  if (shape.length > 1) return xavierNormal(parameter, random, 0.5);
  return constant(parameter, name.endsWith("norm.weight") ? 1 : 0);
}

/** LayerNorm, a hidden layer, and another as wide: what several kinds make of a token. */
export function tokenLayers(
  net: Net,
  x: Value,
  { hidden, dropout }: { hidden: number; dropout: number },
): Value {
  const normed = net.layerNorm(x, { name: "norm" });
  const inner = net.linear(normed, { name: "mlp.0", to: hidden, activation: "relu", dropout });
  return net.linear(inner, { name: "mlp.3", to: hidden });
}
