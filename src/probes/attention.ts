/**
 * Attention over the tokens of a sample, and a classifier of what it finds.
 *
 * @module
 */

import type { Value } from "../net/value.ts";
import type { OptionsOf } from "../options.ts";
import { declare, number, whole } from "../options.ts";
import type { TrainedKind } from "./trained_kind.ts";
import { beginSequence, dropoutChoice, sequenceChoices } from "./trained_kind.ts";
import { TrainedProbe } from "./trained_probe.ts";

export const attentionOptions = declare("make an attention probe", {
  /** Hidden units. Default 128. */
  hidden: whole({ default: 128, from: 1, says: "hidden units" }),
  /** Part of hidden units that a step leaves out. Default 0.2. */
  dropout: dropoutChoice(0.2),
  /** What scores are divided by before the softmax. Default 2. */
  temperature: number({
    default: 2,
    above: 0,
    says: "what scores are divided by before the softmax",
  }),
  ...sequenceChoices({ learningRate: 5e-4, weightDecay: 1e-3, epochs: 1000 }),
});

export type AttentionOptions = OptionsOf<typeof attentionOptions>;

export const attention: TrainedKind<typeof attentionOptions.options> = {
  name: "attention",
  options: attentionOptions.options,
  takes: "sequences",
  layers(net, x, { hidden, dropout, temperature }) {
    const dense = (x: Value, name: string, to: number) =>
      net.linear(x, { name, to, activation: "relu", dropout });
    const scored = dense(
      net.layerNorm(x, { name: "attention_norm" }),
      "attention_scorer.0",
      hidden,
    );
    const scores = net.linear(scored, { name: "attention_scorer.3", to: 1 });
    const found = net.layerNorm(net.attend(scores, x, { temperature }), {
      name: "classifier_norm",
    });
    const inner = dense(dense(found, "classifier.0", 2 * hidden), "classifier.3", hidden);
    return net.linear(inner, { name: "classifier.6", to: 1 });
  },
  begin: beginSequence,
};

/**
 * Attention over tokens: a hidden layer scores every token, a softmax over those that count weighs the tokens as
 * they are, and two hidden layers classify their sum.
 */
export class AttentionProbe extends TrainedProbe {
  constructor(options: AttentionOptions = {}) {
    super(attention, attentionOptions.check(options));
  }
}
