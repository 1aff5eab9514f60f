/**
 * Attention to tokens and to their places.
 *
 * @module
 */

import { constant, xavierNormal } from "../net/initial.ts";
import type { Value } from "../net/value.ts";
import type { OptionsOf } from "../options.ts";
import { declare, whole } from "../options.ts";
import type { TrainedKind } from "./trained_kind.ts";
import { sequenceChoices } from "./trained_kind.ts";
import { TrainedProbe } from "./trained_probe.ts";

export const positionalAttentionOptions = declare("make a PositionalAttention probe", {
  /** Heads. Default 8. */
  heads: whole({ default: 8, from: 1, says: "heads" }),
  ...sequenceChoices({ learningRate: 5e-4, weightDecay: 1e-3, epochs: 20 }),
});

export type PositionalAttentionOptions = OptionsOf<typeof positionalAttentionOptions>;

export const positionalAttention: TrainedKind<typeof positionalAttentionOptions.options> = {
  name: "positional_attention",
  options: positionalAttentionOptions.options,
  takes: "sequences",
  hasPlaces: true,
  layers(net, x, { heads }) {
    const places = net.input("positions", { axis: "rows", width: 1 });
    const head = (from: Value, weightName: string) =>
      net.linear(from, { name: weightName, weightName, to: heads, bias: false });
    const scores = net.add(head(x, "query_proj"), head(places, "position_weights"));
    return net.addColumns(net.attend(scores, head(x, "value_proj")), { name: "bias" });
  },
  // attention begins as the mean: values alone tell heads apart
  begin: (parameter, random) =>
    parameter.name === "value_proj" ? xavierNormal(parameter, random, 0.5) : constant(parameter, 0),
};

/**
 * Heads attend to tokens as they are, by a linear score and by the place of a token in its sample; their sums and a
 * bias are the logit.
 */
export class PositionalAttentionProbe extends TrainedProbe {
  constructor(options: PositionalAttentionOptions = {}) {
    super(positionalAttention, positionalAttentionOptions.check(options));
  }
}
