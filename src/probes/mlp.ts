/**
 * A hidden layer over features, or over every token.
 *
 * @module
 */

import { uniform } from "../net/initial.ts";
import { declare, oneOf, whole } from "../options.ts";
import type { OptionsOf } from "../options.ts";
import type { TrainedKind } from "./trained_kind.ts";
import { dropoutChoice, trainingChoices } from "./trained_kind.ts";
import { TrainedProbe } from "./trained_probe.ts";

export const mlpOptions = declare("make an MLP probe", {
  /** Hidden units. Default 128. */
  hidden: whole({ default: 128, from: 1, says: "hidden units" }),
  /** What follows the hidden layer; GELU is that of the exact erf. Default `relu`. */
  activation: oneOf(["relu", "gelu"], { default: "relu", says: "what follows the hidden layer" }),
  /** Part of hidden units that a step leaves out. Default 0. */
  dropout: dropoutChoice(0),
  ...trainingChoices({ learningRate: 1e-3, weightDecay: 0.01, epochs: 100 }),
});

export type MlpOptions = OptionsOf<typeof mlpOptions>;

export const mlp: TrainedKind<typeof mlpOptions.options> = {
  name: "mlp",
  options: mlpOptions.options,
  takes: "features",
  layers(net, x, { hidden, activation, dropout }) {
    const inner = net.linear(x, { name: "fc1", to: hidden, activation, dropout });
    return net.linear(inner, { name: "fc2", to: 1 });
  },
  // as torch begins: weights and biases alike, by the inputs of the layer
  begin(parameter, random, parameters) {
    const weight = parameter.name.replace(".bias", ".weight");
    const { shape } = parameters.find(({ name }) => name === weight)!;
    return uniform(parameter, random, 1 / Math.sqrt(shape[1]!));
  },
};

/**
 * An MLP over features: a linear layer, ReLU or GELU, another linear layer, trained by AdamW without validation. Given
 * samples of tokens it learns from every token that counts.
 */
export class MlpProbe extends TrainedProbe {
  constructor(options: MlpOptions = {}) {
    super(mlp, mlpOptions.check(options));
  }
}
