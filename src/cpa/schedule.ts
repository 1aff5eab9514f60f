/**
 * Which cells make a batch, how they are mixed, and what a batch is for: functions of a seed and of the batch's place, so that a run that
 * goes on needs to know its epoch alone.
 *
 * @module
 */

import { permutation } from "../feed/order.ts";
import { Random } from "../math/random.ts";
import { drawGamma } from "./cell_distributions.ts";
import type { TrainOptions } from "./train_options.ts";

// what keeps uses of one seed apart
const STREAMS = { order: 0xc9a1, partners: 0xc9a2, shares: 0xc9a3 };

/** Epochs until the original decays its rates for the first time: it counts steps of a schedule that counts for itself. */
const ORIGINAL_DECAY = 45 * 45;

export type Settings =
  & Required<
    Pick<
      TrainOptions,
      | "seed"
      | "adversarySteps"
      | "adversaryWeight"
      | "adversaryWarmup"
      | "pretraining"
      | "mixupAlpha"
      | "mixupWarmup"
      | "decayEpochs"
      | "decayFactor"
      | "compat"
      | "divergenceWeight"
      | "divergenceWarmup"
    >
  >
  & { batchSize: number };

/** What is done with a batch of an epoch. */
export interface TrainingTurn {
  cells: Uint32Array;
  /** With whom each is mixed, a place in the batch. */
  partners: Uint32Array;
  share: number;
  /** From 1, of all batches. */
  step: number;
  /** Updates so far, with this one, where it is one. */
  autoencoder: number;
  adversary: number;
  coupling: number;
  rateScale: number;
  /** Times how far variational latents are from normal ones; they are drawn by the step. */
  divergence: number;
  draw: number;
}

export class Schedule {
  /** Batches of an epoch. */
  readonly batches: number;
  /** Most cells of a batch. */
  readonly most: number;
  readonly #cells: Uint32Array;
  readonly #settings: Settings;
  #order: { epoch: number; at(position: number): number } | undefined;

  /** @param cells That are learned from. */
  constructor(cells: Uint32Array, settings: Settings) {
    if (cells.length < 2) {
      throw new RangeError(`Cannot train: there are ${cells.length} cells to learn from, wanted 2`);
    }
    this.#cells = cells;
    this.#settings = settings;
    // as even as can be: no batch is left with a single cell
    this.batches = Math.max(
      1,
      Math.min(Math.ceil(cells.length / settings.batchSize), cells.length >> 1),
    );
    this.most = Math.ceil(cells.length / this.batches);
  }

  at(epoch: number, batch: number): TrainingTurn {
    const { seed } = this.#settings;
    const first = Math.floor(batch * this.#cells.length / this.batches);
    const end = Math.floor((batch + 1) * this.#cells.length / this.batches);
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, ...permutation(this.#cells.length, seed, epoch, STREAMS.order) };
    }
    const order = this.#order;
    const place = epoch * this.batches + batch;
    const share = this.#share(epoch, place);
    const partners = permutation(end - first, seed, place, STREAMS.partners);
    const { improves, opposes } = this.#kind(epoch, batch);
    const before = this.#before(epoch, batch);
    return {
      cells: Uint32Array.from(
        { length: end - first },
        (_, i) => this.#cells[order.at(first + i)]!,
      ),
      // whoever is not mixed is his own partner
      partners: Uint32Array.from(
        { length: end - first },
        (_, i) => share < 1 ? partners.at(i) : i,
      ),
      share,
      step: place + 1,
      autoencoder: improves ? before.autoencoder + 1 : 0,
      adversary: opposes ? before.adversary + 1 : 0,
      coupling: this.#coupling(epoch),
      rateScale: this.#rateScale(epoch),
      divergence: this.#settings.divergenceWeight *
        (this.#settings.divergenceWarmup === 0
          ? 1
          : Math.min(1, (epoch + 1) / this.#settings.divergenceWarmup)),
      draw: place + 1,
    };
  }

  /** Epochs in which classifiers and autoencoder learn side by side, and nothing of each other. */
  get #pretraining(): number {
    const { pretraining, compat } = this.#settings;
    return pretraining > 0 && compat ? pretraining + 1 : pretraining;
  }

  #kind(epoch: number, batch: number): { improves: boolean; opposes: boolean } {
    const { adversarySteps } = this.#settings;
    if (epoch < this.#pretraining || adversarySteps === 0) return { improves: true, opposes: true };
    const improves = batch % adversarySteps === 0;
    return { improves, opposes: !improves };
  }

  #before(epoch: number, batch: number): { autoencoder: number; adversary: number } {
    const { adversarySteps } = this.#settings;
    const together = Math.min(epoch, this.#pretraining) * this.batches;
    const later = Math.max(0, epoch - this.#pretraining);
    const both = epoch < this.#pretraining || adversarySteps === 0;
    const improving = (batches: number) =>
      adversarySteps === 0 ? batches : Math.ceil(batches / adversarySteps);
    const opposing = (batches: number) =>
      adversarySteps === 0 ? batches : batches - improving(batches);
    return {
      autoencoder: together + later * improving(this.batches) + (both ? batch : improving(batch)),
      adversary: together + later * opposing(this.batches) + (both ? batch : opposing(batch)),
    };
  }

  /** How far a warm-up that begins after pretraining is, from above 0 to 1. */
  #warmth(epoch: number, epochs: number): number {
    return epochs === 0 ? 1 : Math.min(1, (epoch - this.#pretraining + 1) / epochs);
  }

  #coupling(epoch: number): number {
    const { adversaryWeight, adversaryWarmup } = this.#settings;
    return epoch < this.#pretraining ? 0 : adversaryWeight * this.#warmth(epoch, adversaryWarmup);
  }

  /** A cell's own share in its batch: drawn from Beta(alpha, alpha). */
  #share(epoch: number, place: number): number {
    const { mixupAlpha, mixupWarmup, seed, compat } = this.#settings;
    // the original's warm-up never begins where there is pretraining
    const never = compat && this.#pretraining > 0 && mixupWarmup > 0;
    const warmth = mixupWarmup === 0 ? 1 : Math.max(0, this.#warmth(epoch, mixupWarmup));
    const alpha = never ? 0 : mixupAlpha * warmth;
    if (alpha === 0) return 1;
    const random = new Random(seed, STREAMS.shares + 16 * place);
    const [own, other] = [drawGamma(alpha, random), drawGamma(alpha, random)];
    const sum = own + other;
    // both may be too small for numbers
    return Math.fround(sum > 0 ? own / sum : 0.5);
  }

  #rateScale(epoch: number): number {
    const { decayEpochs, decayFactor, compat } = this.#settings;
    if (decayEpochs === 0) return 1;
    return decayFactor ** Math.floor(epoch / (compat ? ORIGINAL_DECAY : decayEpochs));
  }
}
