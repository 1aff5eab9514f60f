/**
 * The largest of several scores over the tokens of a sample.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, whole } from "../options.ts";
import type { TrainedKind } from "./trained_kind.ts";
import { beginSequence, dropoutChoice, sequenceChoices, tokenLayers } from "./trained_kind.ts";
import { TrainedProbe } from "./trained_probe.ts";

export const multimaxOptions = declare("make a MultiMax probe", {
  /** Heads. Default 10. */
  heads: whole({ default: 10, from: 1, says: "heads" }),
  /** Hidden units. Default 128. */
  hidden: whole({ default: 128, from: 1, says: "hidden units" }),
  /** Part of hidden units that a step leaves out. Default 0.1. */
  dropout: dropoutChoice(0.1),
  ...sequenceChoices({ learningRate: 5e-4, weightDecay: 1e-3, epochs: 20 }),
});

export type MultiMaxOptions = OptionsOf<typeof multimaxOptions>;

export const multimax: TrainedKind<typeof multimaxOptions.options> = {
  name: "multimax",
  options: multimaxOptions.options,
  takes: "sequences",
  layers(net, x, { heads, hidden, dropout }) {
    const scores = net.linear(tokenLayers(net, x, { hidden, dropout }), {
      name: "head_projection",
      to: heads,
    });
    return net.linear(net.sampleMax(scores), { name: "output", to: 1 });
  },
  begin: beginSequence,
};

/**
 * Several heads score every token by a hidden layer; the largest score of each head over the tokens that count is
 * what a linear layer gets.
 */
export class MultiMaxProbe extends TrainedProbe {
  constructor(options: MultiMaxOptions = {}) {
    super(multimax, multimaxOptions.check(options));
  }
}
