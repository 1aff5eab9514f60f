/**
 * Slopes of a net as part of its loss: the mean over entries of the squared derivatives of summed logits by a value.
 *
 * The derivative of that has no automatic differentiation behind it. With u the slopes by a value and v = d penalty / du,
 * it is the derivative of how the sum of logits changes when the value changes by v: a pass forward with changes, and one backward
 * with slopes and changes beside the gradient, both layer by layer.
 *
 * @module
 */

import { netSlopePenalty } from "../kernels/net_training.ts";
import type { Frame, Layer, LayerKernel, SecondBuffers, SlopeBuffers } from "./layer.ts";
import { bits, countOf } from "./layer.ts";
import type { Value } from "./value.ts";
import { rowStride } from "./value.ts";

/** f32 of a net in the losses of a batch: cross-entropy, penalty without its weight. */
export const CLASS_LOSS_PARTS = 2;

export interface Penalty {
  /** Slopes and changes, before a backward pass. */
  kernels: LayerKernel[];
  /** By the value that a layer gives. */
  buffers: Map<string, SecondBuffers>;
}

/** @param losses Buffer of the losses of these logits. */
export function slopePenalty(
  frame: Frame,
  layers: readonly Layer[],
  { x, logits, weight, losses }: { x: Value; logits: Value; weight: number; losses: string },
): Penalty {
  const path: Required<Layer>[] = [];
  for (let value = logits; value.name !== x.name;) {
    const layer = layers.find(({ output }) => output.name === value.name);
    if (!layer?.second) {
      throw new TypeError(
        `Cannot penalise slopes by "${x.name}": "${value.name}" is of no layer that has slopes of slopes`,
      );
    }
    path.unshift({ ...layer, second: layer.second });
    value = layer.second.x;
  }
  const { nets } = frame;
  const bytesOf = ({ axis, width }: Value) => 4 * nets * frame.capacity(axis) * rowStride(width);
  const ofX = frame.scratch(`${logits.name} slope by ${x.name}`, bytesOf(x));
  const known = new Map<string, SlopeBuffers>([
    // the change is made of the slope, in its place
    [x.name, { slope: ofX, change: ofX }],
    [logits.name, {
      slope: frame.filled(`${logits.name} slope`, ones(frame, logits)),
      change: frame.names.spare,
    }],
  ]);
  const bufferOf = (value: Value): SlopeBuffers => {
    const found = known.get(value.name) ?? {
      slope: frame.scratch(`${value.name} slope`, bytesOf(value)),
      change: frame.scratch(`${value.name} change`, bytesOf(value)),
    };
    known.set(value.name, found);
    return found;
  };
  const buffers = new Map(
    path.map((layer) => [
      layer.output.name,
      { x: bufferOf(layer.second.x), y: bufferOf(layer.output) },
    ]),
  );
  return {
    buffers,
    kernels: [
      ...path.toReversed().flatMap(({ output, second }) =>
        second.slopes(buffers.get(output.name)!)
      ),
      {
        kernel: netSlopePenalty,
        constants: { LANES: 64 },
        buffers: { slopes: ofX, losses },
        params: (batch) =>
          Uint32Array.of(
            ...[countOf(x.axis, batch), x.width, frame.capacity(x.axis), batch.slot],
            bits(weight * batch.scale),
          ),
        workgroups: () => [nets],
      },
      // no change of the logits themselves is asked for
      ...path.slice(0, -1).flatMap(({ output, second }) =>
        second.changes(buffers.get(output.name)!)
      ),
    ],
  };
}

function ones(frame: Frame, { axis, width }: Value): Float32Array {
  const stride = rowStride(width);
  return Float32Array.from(
    { length: frame.nets * frame.capacity(axis) * stride },
    (_, i) => Number(i % stride < width),
  );
}
