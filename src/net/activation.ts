/**
 * What follows linear layers and norms: an activation and dropout, and how they are undone in a gradient.
 *
 * @module
 */

import { netActivate } from "../kernels/net_batch_norm.ts";
import { netActivationGradient } from "../kernels/net_linear.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, LayerKernel } from "./layer.ts";
import { bits, countOf, groupsOf } from "./layer.ts";
import type { Value } from "./value.ts";
import { quadsOf } from "./value.ts";

/** What follows a product; GELU by the exact erf. */
export type Activation = "none" | "relu" | "gelu";

const ACTIVATIONS: Record<Activation, number> = { none: 0, relu: 1, gelu: 2 };

export interface Ending {
  activation: Activation;
  /** Probability with which an element is dropped; the others grow by 1 / (1 - p). */
  dropout: number;
  /** Of all layers, from 0: dropout is drawn by it. */
  index: number;
}

/** How a layer ends. */
export class LayerEnd {
  readonly code: number;
  readonly #frame: Frame;
  readonly #output: Value;
  readonly #ending: Ending;

  constructor(frame: Frame, output: Value, ending: Ending) {
    this.#frame = frame;
    this.#output = output;
    this.#ending = ending;
    this.code = ACTIVATIONS[ending.activation];
  }

  get isPlain(): boolean {
    return this.code === 0 && this.#ending.dropout === 0;
  }

  /** Layer, step, threshold and scale of its dropout, as words of `params`. */
  drawWords({ step }: WholeBatch): number[] {
    const { index, dropout } = this.#ending;
    // never all: p < 1
    const threshold = Math.min(2 ** 32 - 1, Math.round(dropout * 2 ** 32));
    return dropout > 0 && step > 0
      ? [index, step, threshold, bits(1 / (1 - dropout))]
      : [index, 0, 0, bits(1)];
  }

  /** In place: ReLU, and dropout. */
  forward(): LayerKernel[] {
    if (this.isPlain) return [];
    return [{
      kernel: netActivate,
      buffers: { seeds: this.#frame.names.seeds, y: this.#output.name },
      ...this.#everyQuad(),
    }];
  }

  /**
   * From what is by the layer's result to what is by the number before its end, in place.
   *
   * @param before The value before GELU.
   */
  backward(gradient: string, before?: string): LayerKernel[] {
    if (this.isPlain) return [];
    const { seeds, unused } = this.#frame.names;
    const relu = this.#ending.activation === "relu";
    return [{
      kernel: netActivationGradient,
      buffers: { source: before ?? (relu ? this.#output.name : unused), seeds, gradient },
      ...this.#everyQuad(),
    }];
  }

  #everyQuad(): Pick<LayerKernel, "params" | "workgroups"> {
    const { axis, width } = this.#output;
    const quads = quadsOf(width);
    const capacity = this.#frame.capacity(axis);
    return {
      params: (batch) =>
        Uint32Array.of(countOf(axis, batch), quads, capacity, this.code, ...this.drawWords(batch)),
      workgroups: (batch) => [groupsOf(countOf(axis, batch) * quads, 256), this.#frame.nets],
    };
  }
}
