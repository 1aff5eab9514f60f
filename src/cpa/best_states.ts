/**
 * States of nets that are kept on the device because they were the best so far, and the pass that brings back what was learned.
 *
 * @module
 */

import type { Net } from "../net/net.ts";
import type { CopyStep, Pass, SharedBuffer } from "../stream/pass.ts";

/** How far training is: see `TrainingRecord`. */
export interface BestEpoch {
  /** The epoch of the best state, from 1; 0 without. */
  bestAt: number;
  /** Whether that is the last one. */
  isBest: boolean;
}

export class BestStates {
  readonly #nets: readonly Net[];
  readonly #judged: readonly Net[];
  readonly #record: () => BestEpoch;

  /** @param judged Those of the nets whose best state counts; of the others it is the last. */
  constructor(nets: readonly Net[], judged: readonly Net[], record: () => BestEpoch) {
    this.#nets = nets;
    this.#judged = judged;
    this.#record = record;
  }

  /** f32 of all nets, one after the other. */
  get length(): number {
    return this.#nets.reduce((sum, { stride }) => sum + stride, 0);
  }

  sharedBuffers(): SharedBuffer[] {
    return this.#judged.map(({ name, stride }) => ({
      ...{ name: bestOf(name), bytes: 4 * stride, kind: "storage", kept: true },
    }));
  }

  /** Before the first tile of an epoch: keeps what was the best when the last one ended. */
  keep(): CopyStep[] {
    return this.#judged.map(({ name, stride, names }) => ({
      copy: { from: names.parameters, to: bestOf(name) },
      ranges: ({ start }) =>
        start === 0 && this.#record().isBest
          ? [{ fromOffset: 0, toOffset: 0, bytes: 4 * stride }]
          : [],
    }));
  }

  /** @param take Gets all that was learned. */
  takePass(take: (learned: Float32Array) => void): Pass {
    let at = 0;
    const copies = this.#nets.flatMap((net): CopyStep[] => {
      const bytes = 4 * net.stride;
      const own = [{ fromOffset: 0, toOffset: 4 * at, bytes }];
      at += net.stride;
      const isJudged = this.#judged.includes(net);
      const isCurrent = () => {
        const { bestAt, isBest } = this.#record();
        return !isJudged || bestAt === 0 || isBest;
      };
      const copy = (from: string, does: () => boolean): CopyStep => ({
        copy: { from, to: "learned" },
        ranges: () => does() ? own : [],
      });
      return [
        copy(net.names.parameters, isCurrent),
        ...isJudged ? [copy(bestOf(net.name), () => !isCurrent())] : [],
      ];
    });
    return {
      ...{ name: "take", direction: "forward", cost: 0, rows: 1 },
      slotBuffers: [{ name: "learned", bytes: 4 * this.length, role: "download" }],
      steps: copies,
      read: () => Promise.resolve({}),
      write: (_, { learned }) => take(new Float32Array(learned!, 0, this.length)),
    };
  }
}

const bestOf = (net: string) => `${net} best`;
