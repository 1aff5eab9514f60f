/**
 * The largest and the smallest of gated scores over the tokens of a sample.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, number, whole } from "../options.ts";
import type { TrainedKind } from "./trained_kind.ts";
import { beginSequence, dropoutChoice, sequenceChoices, tokenLayers } from "./trained_kind.ts";
import { TrainedProbe } from "./trained_probe.ts";

export const gatedBipolarOptions = declare("make a GatedBipolar probe", {
  /** Hidden units. Default 128. */
  hidden: whole({ default: 128, from: 1, says: "hidden units" }),
  /** Gated scores of a token. Default 64. */
  gates: whole({ default: 64, from: 1, says: "gated scores of a token" }),
  /** Part of hidden units that a step leaves out. Default 0.1. */
  dropout: dropoutChoice(0.1),
  /** Times the sum of the magnitudes of projection weights, added to the loss. Default 1e-5. */
  sparsity: number({
    default: 1e-5,
    from: 0,
    says: "times the magnitudes of projection weights, added to the loss",
  }),
  /** Times the squares by which projections differ from orthogonal ones of length 1. Default 1e-4. */
  orthogonality: number({
    default: 1e-4,
    from: 0,
    says: "times the squares by which projections are not orthonormal, added to the loss",
  }),
  ...sequenceChoices({ learningRate: 5e-4, weightDecay: 1e-3, epochs: 20 }),
});

export type GatedBipolarOptions = OptionsOf<typeof gatedBipolarOptions>;

export const gatedBipolar: TrainedKind<typeof gatedBipolarOptions.options> = {
  name: "gated_bipolar",
  options: gatedBipolarOptions.options,
  takes: "sequences",
  layers(net, x, { hidden, gates, dropout, sparsity, orthogonality }) {
    const inner = tokenLayers(net, x, { hidden, dropout });
    const values = net.linear(inner, { name: "W_proj", to: gates });
    const gated = net.gate(values, net.linear(inner, { name: "W_gate", to: gates }));
    net.regularise("W_proj.weight", { l1: sparsity, orthogonal: orthogonality });
    return net.linear(net.sampleMax(gated, { bipolar: true }), { name: "output", to: 1 });
  },
  begin: beginSequence,
};

/**
 * Projections of every token times the softplus of others; a linear layer gets the largest of each over the tokens
 * that count, and the smallest.
 */
export class GatedBipolarProbe extends TrainedProbe {
  constructor(options: GatedBipolarOptions = {}) {
    super(gatedBipolar, gatedBipolarOptions.check(options));
  }
}
