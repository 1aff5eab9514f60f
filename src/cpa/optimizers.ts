/**
 * Adam for the three nets of a perturbation model, each with its own count of updates: autoencoder, doses, classifiers.
 *
 * @module
 */

import type { AdamRates } from "../net/adam.ts";
import { Adam } from "../net/adam.ts";
import { Clip } from "../net/clip.ts";
import type { Net } from "../net/net.ts";
import type { LoopKernel, SharedBuffer, Tile } from "../stream/pass.ts";
import type { CpaModel } from "./model.ts";
import { GROUPS } from "./model_layers.ts";
import type { TurnOf } from "./turns.ts";

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

/** @param mostNorm Largest norm of a gradient: of encoder, embeddings and decoder, of doses, and of classifiers. */
export function cpaOptimizers(
  model: CpaModel,
  rates = DEFAULT_RATES,
  mostNorm?: number,
): CpaOptimizers {
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
  const part = (net: Net, adam: Adam, group: number) => ({ net, group, groupOf: adam.groupOf });
  const clip = (name: string, parts: ReturnType<typeof part>[]) =>
    mostNorm === undefined ? [] : [new Clip(`squares of ${name}`, mostNorm, parts)];
  const hasDoser = body.parameters.some(({ group }) => group === GROUPS.doser);
  const improved = [
    ...clip("the autoencoder's gradient", [
      part(body, improvers[0]!, GROUPS.trained),
      part(head, improvers[1]!, GROUPS.trained),
    ]),
    ...hasDoser ? clip("the doser's gradient", [part(body, improvers[0]!, GROUPS.doser)]) : [],
  ];
  const opposed = opposer
    ? clip("the classifiers' gradient", [part(adversary, opposer, GROUPS.trained)])
    : [];
  const counting =
    (turnOf: TurnOf, which: "autoencoder" | "adversary") => (tile: Tile, row: number) => {
      const turn = turnOf(tile, row);
      const step = turn[which] ?? 0;
      const { rateScale = 1 } = turn;
      // parameters have no samples, and a net may have fewer than a batch
      return { firstSample: 0, samples: 0, step, updates: step > 0, rateScale };
    };
  const kernels = (
    turnOf: TurnOf,
    which: "autoencoder" | "adversary",
    clips: readonly Clip[],
    adams: readonly Adam[],
  ) => {
    const batchOf = counting(turnOf, which);
    return [
      ...clips.flatMap((own) => own.kernels(batchOf)),
      ...adams.flatMap((adam) => adam.step(batchOf)),
    ];
  };
  const opposers = opposer ? [opposer] : [];
  return {
    buffers: [...improvers, ...opposers, ...improved, ...opposed]
      .flatMap((own) => own.sharedBuffers()),
    improve: (turnOf) => kernels(turnOf, "autoencoder", improved, improvers),
    oppose: (turnOf) => kernels(turnOf, "adversary", opposed, opposers),
  };
}
