/**
 * Early stopping, on the device: every net's parameters of the lowest validation loss so far are kept, and a net that
 * does not improve for some validations is frozen.
 *
 * @module
 */

import { netCountStale, netKeepBest } from "../kernels/net_training.ts";
import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { BatchOf } from "./batch.ts";
import { groupsOf } from "./layer.ts";
import type { Net } from "./net.ts";

/** Of a net, in the buffer `<net> progress`, `[nets, 8]` u32. */
export const PROGRESS = {
  /** f32 bits: sum of weighted losses, and of weights, since the last batch that did not add. */
  loss: 0,
  weight: 1,
  /** f32 bits: lowest validation loss so far. */
  best: 2,
  /** Validations since, and in all. */
  stale: 3,
  judged: 4,
  /** Which one was the best, from 1. */
  bestAt: 5,
  /** 1 where no more steps are taken. */
  frozen: 6,
} as const;

export class KeepBest {
  readonly #net: Net;
  readonly #patience: number;
  /** Of the buffer of the best parameters. */
  readonly name: string;

  /** @param options `patience`: validations without improvement (strictly lower) until a net is frozen; Infinity for never. */
  constructor(net: Net, { patience }: { patience: number }) {
    if (!(patience >= 1)) {
      throw new RangeError(`Cannot stop early: patience is ${patience}, wanted 1 or more`);
    }
    this.#net = net;
    this.name = `${net.name} best`;
    this.#patience = Math.min(patience, 2 ** 32 - 1);
  }

  /** `<net> best` `[nets, stride]` (kept). */
  sharedBuffers(): SharedBuffer[] {
    const { nets, stride } = this.#net;
    return [{ name: this.name, bytes: 4 * nets * stride, kind: "storage", kept: true }];
  }

  /** Compares, copies and counts where a batch {@link Batch.judges}, after its forward pass. */
  judge(batchOf: BatchOf): LoopKernel[] {
    const { nets, stride, names: { parameters, progress } } = this.#net;
    return this.#net.loop([
      {
        kernel: netKeepBest,
        buffers: { progress, parameters, best: this.name },
        params: () => Uint32Array.of(stride / 4),
        workgroups: ({ judges }) => [judges ? groupsOf(stride / 4) : 0, nets],
      },
      {
        kernel: netCountStale,
        buffers: { progress },
        params: () => Uint32Array.of(nets, this.#patience),
        workgroups: ({ judges }) => [judges ? Math.ceil(nets / 64) : 0],
      },
    ], batchOf);
  }
}
