/**
 * The loss of a net, and what is added to it for the sake of parameters.
 *
 * @module
 */

import { netClassEntropy, netCrossEntropy, netRegularise } from "../kernels/net_training.ts";
import type { Frame, LayerKernel } from "./layer.ts";
import { bits, countOf, firstOf } from "./layer.ts";
import type { Parameter, Value } from "./value.ts";
import { parameterSize, quadsOf, rowStride } from "./value.ts";

/** Uploaded with every tile. */
export const LABELS = "labels";
export const WEIGHTS = "weights";

/** f32 of a net in the losses of a batch: weighted sum, sum of weights, what regularising adds. */
export const LOSS_PARTS = 3;

/** Words of a net in `progress`. */
export const PROGRESS_WORDS = 8;

export function crossEntropy(
  frame: Frame,
  logits: Value,
  gradient: string,
  shared: { labels: boolean; weights: boolean },
): LayerKernel {
  const { nets, names } = frame;
  const { axis } = logits;
  const place = (isShared: boolean, first: number) =>
    isShared ? [first, 1, 0] : [first * nets, nets, 1];
  return {
    kernel: netCrossEntropy,
    constants: { LANES: 64 },
    buffers: {
      logits: logits.name,
      labels: LABELS,
      weights: WEIGHTS,
      gradient,
      losses: names.losses,
      progress: names.progress,
    },
    params: (batch) => {
      const first = firstOf(axis, batch);
      return Uint32Array.of(
        ...[countOf(axis, batch), frame.capacity(axis)],
        ...[...place(shared.labels, first), ...place(shared.weights, first)],
        ...[batch.slot, Number(batch.adds), bits(batch.scale)],
      );
    },
    workgroups: () => [nets],
  };
}

export interface ClassEntropyParts {
  logits: Value;
  gradient: string;
  /** Of the tile: classes of rows, and of those they are mixed with. */
  classes: string;
  /** By class. */
  weights: ArrayLike<number>;
  losses: string;
  /** Whether rows of a pair share what is lost: else the second does not count at all. */
  mixes: boolean;
  focal: boolean;
}

/** Cross-entropy over classes, of rows that may be mixed in pairs. */
export function classEntropy(
  frame: Frame,
  { logits, gradient, classes, weights, losses, mixes, focal }: ClassEntropyParts,
): LayerKernel {
  const { axis, width } = logits;
  return {
    kernel: netClassEntropy,
    constants: { LANES: 64, FOCAL: focal ? 1 : 0 },
    buffers: {
      logits: logits.name,
      classes,
      class_weights: frame.filled(`${logits.name} class weights`, Float32Array.from(weights)),
      gradient,
      losses,
    },
    params: (batch) =>
      Uint32Array.of(
        ...[countOf(axis, batch), frame.capacity(axis), width, rowStride(width)],
        ...[firstOf(axis, batch), batch.slot, bits(batch.share)],
        ...[bits(mixes ? 1 - batch.share : 0), bits(batch.scale)],
      ),
    workgroups: () => [frame.nets],
  };
}

export interface RegulariseOptions {
  /** Times the sum of magnitudes. */
  l1?: number;
  /** Times |W W^T - I|^2, the sum of squares. */
  orthogonal?: number;
}

/** Adds to a gradient that is complete otherwise. */
export function regularise(
  frame: Frame,
  weight: Parameter,
  { l1 = 0, orthogonal = 0 }: RegulariseOptions,
): LayerKernel {
  const { nets, names } = frame;
  const [outputs, inputs] = parameterSize(weight);
  const products = frame.scratch(`${weight.name} products`, 4 * nets * outputs * outputs);
  return {
    kernel: netRegularise,
    constants: { LANES: 64 },
    buffers: {
      parameters: names.parameters,
      products,
      gradient: names.gradient,
      losses: names.losses,
    },
    params: (batch) =>
      Uint32Array.of(
        ...[quadsOf(inputs), outputs, frame.parameterQuads(), weight.offset / 4, batch.slot],
        ...[bits(l1), bits(orthogonal), bits(batch.scale)],
      ),
    workgroups: () => [nets],
  };
}
