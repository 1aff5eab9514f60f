/**
 * Attention of several heads over the tokens of a sample.
 *
 * @module
 */

import { xavierUniform } from "../net/initial.ts";
import type { OptionsOf } from "../options.ts";
import { declare, whole } from "../options.ts";
import type { TrainedKind } from "./trained_kind.ts";
import { beginSequence, dropoutChoice, sequenceChoices, tokenLayers } from "./trained_kind.ts";
import { TrainedProbe } from "./trained_probe.ts";

export const softAttentionOptions = declare("make a SoftAttention probe", {
  /** Heads. Default 10. */
  heads: whole({ default: 10, from: 1, says: "heads" }),
  /** Hidden units. Default 128. */
  hidden: whole({ default: 128, from: 1, says: "hidden units" }),
  /** Part of hidden units that a step leaves out. Default 0.1. */
  dropout: dropoutChoice(0.1),
  ...sequenceChoices({ learningRate: 5e-4, weightDecay: 1e-3, epochs: 20 }),
});

export type SoftAttentionOptions = OptionsOf<typeof softAttentionOptions>;

export const softAttention: TrainedKind<typeof softAttentionOptions.options> = {
  name: "soft_attention",
  options: softAttentionOptions.options,
  takes: "sequences",
  layers(net, x, { heads, hidden, dropout }) {
    const inner = tokenLayers(net, x, { hidden, dropout });
    const head = (weightName: string) =>
      net.linear(inner, { name: weightName, weightName, to: heads, bias: false });
    return net.linear(net.attend(head("queries"), head("values")), { name: "output", to: 1 });
  },
  begin: (parameter, random) =>
    parameter.name === "output.weight"
      ? xavierUniform(parameter, random)
      : beginSequence(parameter, random),
};

/**
 * Several heads, each with a softmax of its own over the tokens that count, weigh values of every token; a linear
 * layer gets the sums.
 */
export class SoftAttentionProbe extends TrainedProbe {
  constructor(options: SoftAttentionOptions = {}) {
    super(softAttention, softAttentionOptions.check(options));
  }
}
