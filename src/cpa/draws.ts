/**
 * Variational latents that are drawn again and again: means and variances of what counts are expected to be, in memory that does not grow
 * with the draws.
 *
 * @module
 */

import { runningMoments } from "../kernels/running_moments.ts";
import { groupsOf } from "../net/layer.ts";
import type { Value } from "../net/value.ts";
import { quadsOf } from "../net/value.ts";
import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { CpaModel } from "./model.ts";
import type { TurnOf } from "./turns.ts";
import { passing } from "./turns.ts";

export class Draws {
  readonly count: number;
  readonly means: Value;
  readonly variances: Value;
  readonly #model: CpaModel;
  readonly #cells: number;

  /** @param cells Most cells of a batch. */
  constructor(model: CpaModel, cells: number, count: number) {
    this.#model = model;
    this.#cells = cells;
    this.count = count;
    const { genes: width } = model.shape;
    this.means = model.head.given("means over draws", { axis: "samples", width });
    this.variances = model.head.given("variances over draws", { axis: "samples", width });
  }

  sharedBuffers(): SharedBuffer[] {
    const bytes = 16 * this.#cells * quadsOf(this.means.width);
    return [this.means, this.variances].map(({ name }) => ({
      ...{ name, bytes, kind: "storage", scratch: true },
    }));
  }

  /** Takes what is expected of a draw: a turn says which. */
  take(turnOf: TurnOf): LoopKernel[] {
    const quads = quadsOf(this.means.width);
    return this.#model.head.loop([{
      kernel: runningMoments,
      buffers: {
        values: this.#model.means.name,
        means: this.means.name,
        variances: this.variances.name,
      },
      params: ({ samples, draw }) => Uint32Array.of(quads * samples, draw, this.count),
      workgroups: ({ samples }) => [groupsOf(quads * samples)],
    }], passing(turnOf));
  }
}
