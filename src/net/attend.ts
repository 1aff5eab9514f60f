/**
 * Attention over the rows of samples, and their largest values.
 *
 * @module
 */

import * as kernels from "../kernels/net_attend.ts";
import { netSampleMax, netSampleMaxGradient } from "../kernels/net_sample_max.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, Layer, LayerKernel } from "./layer.ts";
import { bits, groupsOf, lanesFor, placeOf } from "./layer.ts";
import type { Value } from "./value.ts";
import { quadsOf, rowStride } from "./value.ts";

/** Uploaded with every tile that has rows: where samples begin, and which rows count. */
export const STARTS = "starts";
export const DETECTED = "detected";

export interface AttendParts {
  scores: Value;
  values: Value;
  temperature: number;
  window: number | undefined;
}

export function attendLayer(
  frame: Frame,
  output: Value,
  { scores, values, temperature, window }: AttendParts,
): Layer {
  const { nets, names } = frame;
  const heads = scores.width;
  const width4 = quadsOf(values.width);
  const headWidth = values.width / heads;
  const [rows, samples] = [frame.capacity("rows"), frame.capacity("samples")];
  const stride = rowStride(heads);
  const inverse = bits(1 / temperature);
  const weights = frame.scratch(`${output.name} weights`, 4 * nets * rows * stride);
  const windows = window === undefined
    ? undefined
    : frame.scratch(`${output.name} windows`, 8 * nets * samples * heads);
  const lanes = lanesFor(quadsOf(headWidth));

  const choose = (buffer: string, reach: number): LayerKernel => ({
    kernel: kernels.netAttendWindow,
    buffers: {
      starts: STARTS,
      detected: DETECTED,
      scores: scores.name,
      values: values.name,
      windows: buffer,
    },
    params: (batch) =>
      Uint32Array.of(
        ...[batch.firstRow, batch.firstSample, batch.longest, reach],
        ...[inverse, stride, rows, samples],
      ),
    workgroups: (batch) => [batch.samples, heads, nets],
  });
  const weigh: LayerKernel = {
    kernel: kernels.netAttendWeights,
    constants: { LANES: 64 },
    buffers: {
      starts: STARTS,
      detected: DETECTED,
      scores: scores.name,
      windows: windows ?? names.unused,
      weights,
    },
    params: (batch) =>
      Uint32Array.of(
        ...[batch.firstRow, batch.firstSample, windows ? 1 : 0],
        ...[inverse, stride, rows, samples],
      ),
    workgroups: (batch) => [batch.samples, heads, nets],
  };
  const sum: LayerKernel = {
    kernel: kernels.netAttend,
    buffers: { starts: STARTS, weights, values: values.name, y: output.name },
    params: (batch) => {
      const { at, net, row } = placeOf(frame, values, batch);
      return Uint32Array.of(
        ...[batch.firstRow, batch.firstSample, width4, heads, headWidth],
        ...[stride, rows, samples, at, net, row],
      );
    },
    workgroups: (batch) => [Math.ceil(width4 / 64), batch.samples, nets],
  };
  const shape = (batch: WholeBatch) => [
    ...[batch.firstRow, batch.rows, batch.firstSample, batch.samples, width4],
    ...[heads, headWidth, stride, rows, samples],
  ];
  return {
    output,
    forward: () => [...windows ? [choose(windows, window!)] : [], weigh, sum],
    backward(gradients) {
      const slope = gradients.of(output);
      // a softmax is the same for scores that are all higher by something
      const { buffer, adds } = gradients.into(scores, true);
      const steps: LayerKernel[] = [{
        kernel: kernels.netAttendScores,
        constants: { LANES: lanes },
        buffers: {
          starts: STARTS,
          weights,
          values: values.name,
          y: output.name,
          y_gradient: slope,
          scores_gradient: buffer,
        },
        params: (batch) => {
          const { at, net, row } = placeOf(frame, values, batch);
          return Uint32Array.of(...shape(batch), at, net, row, inverse, adds);
        },
        workgroups: (batch) => [groupsOf(batch.rows * heads, 64 / lanes), nets],
      }];
      if (!values.isInput) {
        const own = gradients.into(values);
        steps.push({
          kernel: kernels.netAttendValues,
          buffers: { starts: STARTS, weights, y_gradient: slope, values_gradient: own.buffer },
          params: (batch) => Uint32Array.of(...shape(batch), own.adds),
          workgroups: (batch) => [groupsOf(batch.rows * width4), nets],
        });
      }
      return steps;
    },
  };
}

/** Threads that share a column of a sample. */
const MAX_LANES = 8;

export function sampleMaxLayer(frame: Frame, output: Value, x: Value, bipolar: boolean): Layer {
  const { nets } = frame;
  const [rows, samples] = [frame.capacity("rows"), frame.capacity("samples")];
  const strides = [rowStride(x.width), rows, rowStride(output.width), samples];
  const chosen = frame.scratch(`${output.name} chosen`, 4 * nets * samples * strides[2]!);
  return {
    output,
    forward: () => [{
      kernel: netSampleMax,
      constants: { LANES: MAX_LANES },
      buffers: { starts: STARTS, detected: DETECTED, x: x.name, y: output.name, chosen },
      params: (batch) =>
        Uint32Array.of(
          ...[batch.firstRow, batch.firstSample, x.width, Number(bipolar), ...strides],
        ),
      workgroups: (
        batch,
      ) => [groupsOf(output.width, 64 / MAX_LANES), batch.samples, nets],
    }],
    backward(gradients) {
      const { buffer, adds } = gradients.into(x);
      return [{
        kernel: netSampleMaxGradient,
        buffers: {
          starts: STARTS,
          chosen,
          y_gradient: gradients.of(output),
          x_gradient: buffer,
        },
        params: (batch) =>
          Uint32Array.of(
            ...[batch.firstRow, batch.rows, batch.firstSample, batch.samples, x.width],
            ...[Number(bipolar), ...strides, adds],
          ),
        workgroups: (batch) => [groupsOf(batch.rows * x.width), nets],
      }];
    },
  };
}
