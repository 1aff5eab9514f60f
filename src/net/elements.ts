/**
 * Layers that take values element by element: gates, sums, and sums of columns.
 *
 * @module
 */

import * as kernels from "../kernels/net_elements.ts";
import type { Frame, Layer, LayerKernel } from "./layer.ts";
import { countOf, firstOf, groupsOf } from "./layer.ts";
import type { Parameter, Value } from "./value.ts";
import { quadsOf, rowStride } from "./value.ts";

export function gateLayer(frame: Frame, output: Value, values: Value, gates: Value): Layer {
  const { nets } = frame;
  const { axis, width } = output;
  const quads = quadsOf(width);
  const every = (
    kernel: LayerKernel["kernel"],
    buffers: Record<string, string>,
    more: number[],
  ) => ({
    kernel,
    buffers,
    params: (batch) => Uint32Array.of(countOf(axis, batch), quads, frame.capacity(axis), ...more),
    workgroups: (batch) => [groupsOf(countOf(axis, batch) * quads), nets],
  } satisfies LayerKernel as LayerKernel);
  return {
    output,
    forward: () => [
      every(kernels.netGate, { values: values.name, gates: gates.name, y: output.name }, []),
    ],
    backward(gradients) {
      const own = gradients.into(values);
      const other = gradients.into(gates);
      const buffers = {
        values: values.name,
        gates: gates.name,
        y_gradient: gradients.of(output),
        values_gradient: own.buffer,
        gates_gradient: other.buffer,
      };
      return [every(kernels.netGateGradient, buffers, [own.adds, other.adds])];
    },
  };
}

export function addLayer(frame: Frame, output: Value, a: Value, b: Value): Layer {
  const { nets, names } = frame;
  const { axis, width } = output;
  const quads = quadsOf(width);
  const sum = (buffers: Record<string, string>, pair: number, adds: number): LayerKernel => ({
    kernel: kernels.netAdd,
    buffers,
    params: (batch) =>
      Uint32Array.of(countOf(axis, batch), quads, frame.capacity(axis), pair, adds),
    workgroups: (batch) => [groupsOf(countOf(axis, batch) * quads), nets],
  });
  return {
    output,
    forward: () => [sum({ a: a.name, b: b.name, y: output.name }, 1, 0)],
    backward: (gradients) =>
      [a, b].map((value) => {
        const { buffer, adds } = gradients.into(value);
        return sum({ a: gradients.of(output), b: names.unused, y: buffer }, 0, adds);
      }),
  };
}

export function addColumnsLayer(frame: Frame, output: Value, x: Value, bias: Parameter): Layer {
  const { nets, names } = frame;
  const { axis, width } = x;
  const capacity = frame.capacity(axis);
  return {
    output,
    forward: () => [{
      kernel: kernels.netAddColumns,
      buffers: { x: x.name, parameters: names.parameters, y: output.name },
      params: (batch) =>
        Uint32Array.of(
          ...[countOf(axis, batch), quadsOf(width), capacity, frame.parameterQuads()],
          bias.offset / 4,
        ),
      workgroups: (batch) => [groupsOf(countOf(axis, batch)), nets],
    }],
    backward(gradients) {
      const { buffer, adds } = gradients.into(x);
      return [{
        kernel: kernels.netAddColumnsGradient,
        constants: { LANES: 64 },
        buffers: {
          y_gradient: gradients.of(output),
          x_gradient: buffer,
          gradient: names.gradient,
        },
        params: (batch) =>
          Uint32Array.of(
            ...[countOf(axis, batch), width, capacity, frame.parameterQuads()],
            ...[bias.offset / 4, adds, Number(batch.adds)],
          ),
        workgroups: () => [nets],
      }];
    },
  };
}

/** Copies a value to `[tile rows | samples, nets, width]`, not padded. */
export function storeKernel(frame: Frame, value: Value, buffer: string): LayerKernel {
  const { axis, width } = value;
  return {
    kernel: kernels.netStore,
    buffers: { x: value.name, stored: buffer },
    params: (batch) =>
      Uint32Array.of(
        ...[countOf(axis, batch), width, frame.capacity(axis), rowStride(width)],
        firstOf(axis, batch),
      ),
    workgroups: (batch) => [groupsOf(countOf(axis, batch) * width), frame.nets],
  };
}
