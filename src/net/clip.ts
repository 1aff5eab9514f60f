/**
 * Gradients that are limited by their norm: scaled down where it is larger, over parameters of one group of one net or several.
 *
 * @module
 */

import { netClipGradient, netGradientSquares } from "../kernels/net_training.ts";
import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { BatchOf } from "./batch.ts";
import { bits, groupsOf } from "./layer.ts";
import type { Net } from "./net.ts";

/** Workgroups that add up squares of a net. Part of what bits depend on. */
const BLOCKS = 64;

/** A group of parameters of a net, of the buffer that says which parameters are of which. */
export interface Clipped {
  net: Net;
  group: number;
  groupOf: string;
}

/** @param name Of the buffer of its own. */
export class Clip {
  readonly #name: string;
  readonly #limit: number;
  readonly #clipped: readonly Clipped[];

  constructor(name: string, limit: number, clipped: readonly Clipped[]) {
    this.#name = name;
    this.#limit = limit;
    this.#clipped = clipped;
  }

  sharedBuffers(): SharedBuffer[] {
    const bytes = 4 * BLOCKS * this.#clipped.length;
    return [{ name: this.#name, bytes, kind: "storage", scratch: true }];
  }

  /** Where a batch updates, before the optimizers take their steps. */
  kernels(batchOf: BatchOf): LoopKernel[] {
    const [squares, count] = [this.#name, BLOCKS * this.#clipped.length];
    const lengthOf = (net: Net) => net.stride / 4;
    return [
      ...this.#clipped.flatMap(({ net, group, groupOf }, i) =>
        net.loop([{
          kernel: netGradientSquares,
          constants: { LANES: 64 },
          buffers: { gradient: net.names.gradient, group_of: groupOf, squares },
          params: () => Uint32Array.of(lengthOf(net), group, i * BLOCKS),
          workgroups: ({ updates }) => [updates ? BLOCKS : 0],
        }], batchOf)
      ),
      ...this.#clipped.flatMap(({ net, group, groupOf }) =>
        net.loop([{
          kernel: netClipGradient,
          constants: { LANES: 64 },
          buffers: { squares, group_of: groupOf, gradient: net.names.gradient },
          params: () => Uint32Array.of(lengthOf(net), group, count, bits(this.#limit)),
          workgroups: ({ updates }) => [updates ? groupsOf(lengthOf(net)) : 0],
        }], batchOf)
      ),
    ];
  }
}
