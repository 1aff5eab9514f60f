/**
 * Adam for the three nets of a perturbation model, each with its own count of updates: autoencoder, doses, classifiers.
 *
 * @module
 */

import type { AdamRates } from "../net/adam.ts";
import { Adam } from "../net/adam.ts";
import type { Net } from "../net/net.ts";
import type { LoopKernel, SharedBuffer, Tile } from "../stream/pass.ts";
import type { CpaModel, TurnOf } from "./model.ts";
import { GROUPS } from "./model.ts";

export interface CpaRates {
  autoencoder: AdamRates;
  doser: AdamRates;
  adversary: AdamRates;
}

export const DEFAULT_RATES: CpaRates = {
  autoencoder: { rate: 5e-4, decay: 1e-6 },
  doser: { rate: 3e-4, decay: 4e-7 },
  adversary: { rate: 3e-4, decay: 4e-7 },
};

export interface CpaOptimizers {
  buffers: SharedBuffer[];
  /** An update of encoder, embeddings and decoder, where a turn is one. */
  improve(turnOf: TurnOf): LoopKernel[];
  /** An update of the classifiers. */
  oppose(turnOf: TurnOf): LoopKernel[];
}

export function cpaOptimizers(model: CpaModel, rates = DEFAULT_RATES): CpaOptimizers {
  const { body, head, adversary } = model;
  const adamOf = (net: Net, trained: AdamRates) => {
    const groups = 1 + Math.max(...net.parameters.map(({ group }) => group));
    const own: AdamRates[] = [];
    own[GROUPS.trained] = trained;
    own[GROUPS.statistics] = { rate: 0 };
    own[GROUPS.doser] = rates.doser;
    // decay is part of the gradient, as in the original
    return new Adam(net, { rates: [own.slice(0, groups)], decoupled: false });
  };
  const improvers = [adamOf(body, rates.autoencoder), adamOf(head, rates.autoencoder)];
  const opposer = adversary && adamOf(adversary, rates.adversary);
  const counting =
    (turnOf: TurnOf, which: "autoencoder" | "adversary") => (tile: Tile, row: number) => {
      const turn = turnOf(tile, row);
      const step = turn[which] ?? 0;
      const { firstSample, samples, rateScale = 1 } = turn;
      return { firstSample, samples, step, updates: step > 0, rateScale };
    };
  return {
    buffers: [...improvers, ...opposer ? [opposer] : []].flatMap((adam) => adam.sharedBuffers()),
    improve: (turnOf) => improvers.flatMap((adam) => adam.step(counting(turnOf, "autoencoder"))),
    oppose: (turnOf) => opposer?.step(counting(turnOf, "adversary")) ?? [],
  };
}
