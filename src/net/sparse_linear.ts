/**
 * Linear layers of values that are mostly 0, which others compute: what is not 0 is listed, and products are made of lists. Weights lie
 * turned, `[from, to]`, so that neighbouring threads load neighbouring weights.
 *
 * @module
 */

import { foldWorkgroups } from "../gpu/kernel.ts";
import * as kernels from "../kernels/net_sparse.ts";
import type { Frame, Layer, LayerKernel } from "./layer.ts";
import { countOf, groupsOf } from "./layer.ts";
import type { Parameter, Value } from "./value.ts";
import { quadsOf } from "./value.ts";

/** Buffers of lists, each as large as the values. */
export function listsOf(output: Value): { indices: string; values: string } {
  return { indices: `${output.name} indices`, values: `${output.name} values` };
}

/** @param bias Follows the weight. */
export function sparseLinearLayer(
  frame: Frame,
  output: Value,
  { x, weight, bias }: { x: Value; weight: Parameter; bias: Parameter | undefined },
): Layer {
  if (!x.isFixed || frame.nets > 1) {
    throw new TypeError(
      `Cannot make lists of "${x.name}": wanted what others compute, of one net`,
    );
  }
  const { names } = frame;
  const { axis } = output;
  const capacity = frame.capacity(axis);
  const inputs4 = quadsOf(x.width);
  const outputs4 = quadsOf(output.width);
  const { indices, values } = listsOf(output);
  for (const name of [indices, values]) frame.scratch(name, 16 * capacity * inputs4);
  const counts = frame.scratch(`${output.name} counts`, 4 * Math.max(capacity, 4 * inputs4));
  const workgroups = (items: number) => [groupsOf(items * Math.ceil(outputs4 / 8))];
  const WHOLE = Number(outputs4 % 8 === 0);
  const lists = { indices, values, counts };

  const listRows: LayerKernel = {
    kernel: kernels.netListRows,
    buffers: { x: x.name, columns: indices, values, counts },
    params: (batch) => Uint32Array.of(countOf(axis, batch), inputs4),
    workgroups: (batch) => foldWorkgroups(countOf(axis, batch)),
  };
  const listColumns: LayerKernel = {
    kernel: kernels.netListColumns,
    buffers: { x: x.name, rows: indices, values, counts },
    params: (batch) => Uint32Array.of(countOf(axis, batch), x.width, 4 * inputs4, capacity),
    workgroups: () => [groupsOf(x.width)],
  };
  return {
    output,
    forward: () => [listRows, {
      kernel: kernels.netSparseLinear,
      constants: { BIAS: bias ? 1 : 0, WHOLE },
      buffers: {
        ...{ ...lists, matrix: names.parameters, parameters: names.parameters },
        made: output.name,
      },
      params: (batch) =>
        Uint32Array.of(
          ...[countOf(axis, batch), 4 * inputs4, outputs4, weight.offset / 4],
          ...[(bias?.offset ?? 0) / 4, 0, 0, 0, 0],
        ),
      workgroups: (batch) => workgroups(countOf(axis, batch)),
    }],
    backward(gradients) {
      // what is 0 is not left to rounding, by which Adam would move the bias
      const tail = !bias ? 0 : gradients.sumsToZero(output) ? 2 : 1;
      return [listColumns, {
        kernel: kernels.netSparseLinear,
        constants: { BIAS: 0, WHOLE },
        buffers: {
          ...{ ...lists, matrix: gradients.of(output), parameters: names.parameters },
          made: names.gradient,
        },
        params: (batch) =>
          Uint32Array.of(
            ...[x.width, capacity, outputs4, 0, 0, weight.offset / 4, Number(batch.adds)],
            ...[tail, countOf(axis, batch)],
          ),
        workgroups: () => workgroups(x.width + Math.min(tail, 1)),
      }];
    },
  };
}
