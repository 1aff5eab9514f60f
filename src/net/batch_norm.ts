/**
 * Batch norms: over the rows of a batch while a net learns, by running statistics otherwise.
 *
 * @module
 */

import * as kernels from "../kernels/net_batch_norm.ts";
import type { Ending } from "./activation.ts";
import { LayerEnd } from "./activation.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, Layer, LayerKernel, SecondBuffers } from "./layer.ts";
import { bits, countOf } from "./layer.ts";
import type { Parameter, Value } from "./value.ts";
import { quadsOf } from "./value.ts";

/** Threads that share a quad of columns. Part of what a net's bits depend on. */
const LANES = 16;

export interface BatchNormParts extends Ending {
  /** Which beta, running mean and running variance follow. */
  gamma: Parameter;
  epsilon: number;
  momentum: number;
}

export function batchNormLayer(
  frame: Frame,
  output: Value,
  x: Value,
  { gamma, epsilon, momentum, ...ending }: BatchNormParts,
): Layer {
  const { names, nets } = frame;
  const { axis, width } = x;
  const quads = quadsOf(width);
  const end = new LayerEnd(frame, output, ending);
  const stats = frame.scratch(`${output.name} stats`, 32 * nets * quads);
  const own = { x: x.name, stats, parameters: names.parameters };
  const trains = (batch: WholeBatch) => {
    const rows = countOf(axis, batch);
    if (batch.step > 0 && rows < 2) {
      throw new RangeError(`Cannot learn from a batch of ${rows}: its norms want 2 at least`);
    }
    return Number(batch.step > 0);
  };
  const words = (batch: WholeBatch) => [
    ...[countOf(axis, batch), width, frame.capacity(axis), frame.parameterQuads()],
    gamma.offset / 4,
  ];
  const each = () => [quads, nets];

  /** From what is by the result to what is by x, or from a change of x to one of the result. */
  const through = (
    from: string,
    to: string,
    adds: number,
    learns: (batch: WholeBatch) => number,
  ): LayerKernel => ({
    kernel: kernels.netBatchNormGradient,
    constants: { LANES },
    buffers: { ...own, y_gradient: from, x_gradient: to, gradient: names.gradient },
    params: (batch) => Uint32Array.of(...words(batch), trains(batch), adds, learns(batch)),
    workgroups: each,
  });
  const second = (
    { x: { change }, y: { slope } }: SecondBuffers,
    from: string,
    into: string,
  ): LayerKernel => ({
    kernel: kernels.netBatchNormSecond,
    constants: { LANES },
    buffers: {
      ...own,
      y_gradient: from,
      y_slope: slope,
      change,
      x_gradient: into,
      gradient: names.gradient,
    },
    params: (batch) => Uint32Array.of(...words(batch), Number(batch.adds)),
    workgroups: each,
  });

  return {
    output,
    forward: () => [
      {
        kernel: kernels.netBatchNorm,
        constants: { LANES },
        buffers: { ...own, y: output.name },
        params: (batch) =>
          Uint32Array.of(
            ...[...words(batch), trains(batch), bits(epsilon), bits(batch.again ? 0 : momentum)],
          ),
        workgroups: each,
      },
      ...end.forward(),
    ],
    backward(gradients) {
      const slope = gradients.of(output);
      const buffers = gradients.second(output);
      const { buffer, adds } = gradients.into(x, true);
      if (buffers && adds) throw new TypeError(`Cannot penalise slopes: "${x.name}" has two uses`);
      return [
        ...end.backward(slope),
        buffers
          ? second(buffers, slope, buffer)
          : through(slope, buffer, adds, (batch) => batch.adds ? 2 : 1),
      ];
    },
    second: {
      x,
      slopes: (buffers) => [
        ...end.backward(buffers.y.slope),
        through(buffers.y.slope, buffers.x.slope, 0, () => 0),
      ],
      changes: (buffers) => [
        through(buffers.x.change, buffers.y.change, 0, () => 0),
        ...end.backward(buffers.y.change),
      ],
    },
  };
}
