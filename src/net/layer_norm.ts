/**
 * Layer norms: of inputs, which are never stored normalised, and of values.
 *
 * @module
 */

import * as kernels from "../kernels/net_layer_norm.ts";
import type { Ending } from "./activation.ts";
import { LayerEnd } from "./activation.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, Gradients, Layer, LayerKernel, SecondBuffers } from "./layer.ts";
import { countOf, groupsOf, lanesFor, placeOf } from "./layer.ts";
import { rowBlocks, sumPartials } from "./linear.ts";
import type { Parameter, Value } from "./value.ts";
import { quadsOf } from "./value.ts";

/** Mean and 1 / deviation of every row, into a buffer of `[nets, rows, 2]`; one net's where all share x. */
export function rowStats(frame: Frame, x: Value, stats: string): LayerKernel {
  const { axis } = x;
  const lanes = lanesFor(quadsOf(x.width));
  return {
    kernel: kernels.netRowStats,
    constants: { LANES: lanes },
    buffers: { x: x.name, stats },
    params: (batch) => {
      const { at, net, row } = placeOf(frame, x, batch);
      return Uint32Array.of(countOf(axis, batch), x.width, at, net, row, frame.capacity(axis));
    },
    workgroups: (batch) => [
      groupsOf(countOf(axis, batch), 64 / lanes),
      x.shared ? 1 : frame.nets,
    ],
  };
}

export function statsBytes(frame: Frame, x: Value): number {
  return 8 * (x.shared ? 1 : frame.nets) * frame.capacity(x.axis);
}

/** @param gamma Which beta follows; 1 and 0 without. */
export function layerNormLayer(
  frame: Frame,
  output: Value,
  x: Value,
  gamma: Parameter | undefined,
  ending: Ending,
): Layer {
  const { names, nets } = frame;
  const { axis, width } = x;
  const end = new LayerEnd(frame, output, ending);
  const normAt = (gamma?.offset ?? 0) / 4;
  const AFFINE = gamma ? 1 : 0;
  const capacity = frame.capacity(axis);
  const quads = quadsOf(width);
  const lanes = lanesFor(quads);
  const stats = frame.scratch(`${output.name} stats`, statsBytes(frame, x));
  const cut = rowBlocks(capacity, quads);
  const partials = gamma &&
    frame.scratch(`${output.name} partials`, 16 * cut.blocks * nets * 2 * quads);
  const rows = (batch: WholeBatch) => [groupsOf(countOf(axis, batch), 64 / lanes), nets];

  /** From what is by the result to what is by x, or from a change of x to one of the result. */
  const through = (from: string, to: string, adds: number): LayerKernel => ({
    kernel: kernels.netLayerNormInputs,
    constants: { LANES: lanes, AFFINE },
    buffers: {
      ...{ x: x.name, y_gradient: from, stats },
      ...{ parameters: names.parameters, x_gradient: to },
    },
    params: (batch) =>
      Uint32Array.of(
        ...[countOf(axis, batch), width, capacity, frame.parameterQuads()],
        ...[normAt, adds],
      ),
    workgroups: rows,
  });
  const second = (
    { x: { change }, y: { slope } }: SecondBuffers,
    from: string,
    into: string,
  ): LayerKernel => ({
    kernel: kernels.netLayerNormSecond,
    constants: { LANES: lanes },
    buffers: { x: x.name, y_gradient: from, y_slope: slope, change, stats, x_gradient: into },
    params: (batch) => Uint32Array.of(countOf(axis, batch), width, capacity),
    workgroups: rows,
  });
  return {
    output,
    forward: () => [rowStats(frame, x, stats), {
      kernel: kernels.netLayerNorm,
      constants: { AFFINE },
      buffers: { x: x.name, stats, parameters: names.parameters, y: output.name },
      params: (batch) =>
        Uint32Array.of(
          ...[countOf(axis, batch), quads, capacity, frame.parameterQuads(), normAt, width],
        ),
      workgroups: (batch) => [groupsOf(countOf(axis, batch) * quads), nets],
    }, ...end.forward()],
    backward(gradients: Gradients) {
      const slope = gradients.of(output);
      const slopes = gradients.second(output);
      const { buffer, adds } = gradients.into(x);
      if (slopes && adds) throw new TypeError(`Cannot penalise slopes: "${x.name}" has two uses`);
      return [
        ...end.backward(slope),
        ...(gamma && partials)
          ? [
            {
              kernel: kernels.netLayerNormWeights,
              buffers: { x: x.name, y_gradient: slope, stats, partials },
              params: (batch: WholeBatch) =>
                Uint32Array.of(countOf(axis, batch), quads, capacity, cut.rows),
              workgroups: () => [Math.ceil(quads / 64), nets, cut.blocks],
            } satisfies LayerKernel,
            sumPartials(frame, partials, cut.blocks, gamma, 2 * quads),
          ]
          : [],
        slopes ? second(slopes, slope, buffer) : through(slope, buffer, adds),
      ];
    },
    // gamma would have a derivative, too
    ...!gamma && {
      second: {
        x,
        slopes: (buffers) => [
          ...end.backward(buffers.y.slope),
          through(buffers.y.slope, buffers.x.slope, 0),
        ],
        changes: (buffers) => [
          through(buffers.x.change, buffers.y.change, 0),
          ...end.backward(buffers.y.change),
        ],
      },
    },
  };
}
