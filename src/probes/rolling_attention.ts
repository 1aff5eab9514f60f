/**
 * Attention of several heads in every window of a sample, of which the largest counts.
 *
 * @module
 */

import { xavierUniform } from "../net/initial.ts";
import type { OptionsOf } from "../options.ts";
import { declare, whole } from "../options.ts";
import type { TrainedKind } from "./trained_kind.ts";
import { beginSequence, dropoutChoice, sequenceChoices, tokenLayers } from "./trained_kind.ts";
import { TrainedProbe } from "./trained_probe.ts";

export const rollingAttentionOptions = declare("make a RollingAttention probe", {
  /** Heads. Default 10. */
  heads: whole({ default: 10, from: 1, says: "heads" }),
  /** Hidden units. Default 128. */
  hidden: whole({ default: 128, from: 1, says: "hidden units" }),
  /** Tokens of a window. Default 10. */
  window: whole({ default: 10, from: 1, says: "tokens of a window" }),
  /** Part of hidden units that a step leaves out. Default 0.1. */
  dropout: dropoutChoice(0.1),
  ...sequenceChoices({ learningRate: 5e-4, weightDecay: 1e-3, epochs: 20 }),
});

export type RollingAttentionOptions = OptionsOf<typeof rollingAttentionOptions>;

export const rollingAttention: TrainedKind<typeof rollingAttentionOptions.options> = {
  name: "rolling_attention",
  options: rollingAttentionOptions.options,
  takes: "sequences",
  hasPlaces: true,
  layers(net, x, { heads, hidden, window, dropout }) {
    const inner = tokenLayers(net, x, { hidden, dropout });
    const head = (weightName: string) =>
      net.linear(inner, { name: weightName, weightName, to: heads, bias: false });
    const found = net.attend(head("queries"), head("values"), { window });
    return net.linear(found, { name: "output", to: 1 });
  },
  begin: (parameter, random) =>
    parameter.name === "output.weight"
      ? xavierUniform(parameter, random)
      : beginSequence(parameter, random),
};

/**
 * {@link SoftAttentionProbe} in every window of a sample; a linear layer gets the largest of each head. Windows lie inside
 * of their own sample, whatever else is in its batch; a sample that is shorter than a window is one.
 */
export class RollingAttentionProbe extends TrainedProbe {
  constructor(options: RollingAttentionOptions = {}) {
    super(rollingAttention, rollingAttentionOptions.check(options));
  }
}
