/**
 * Linear layers, with the activation and the dropout that follow them.
 *
 * @module
 */

import * as kernels from "../kernels/net_linear.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, Gradients, Layer, LayerKernel } from "./layer.ts";
import { bits, countOf, groupsOf, placeOf } from "./layer.ts";
import type { Parameter, Value } from "./value.ts";
import { quadsOf } from "./value.ts";

/** What follows a product; GELU by the exact erf. */
export type Activation = "none" | "relu" | "gelu";

const ACTIVATIONS: Record<Activation, number> = { none: 0, relu: 1, gelu: 2 };

/** A product that fewer threads than this would make is cut along its inputs, into slices of at least so many quads. */
const BUSY_TILES = 1024;
const LEAST_SLICE = 32;
const MOST_SLICES = 16;

/** How the inputs of a product are cut. Part of what a net's bits depend on. */
function inputSlices(tiles: number, inputs4: number): { slices: number; share: number } {
  const wanted = Math.min(Math.floor(BUSY_TILES / tiles), Math.floor(inputs4 / LEAST_SLICE));
  const share = Math.ceil(inputs4 / Math.max(1, Math.min(MOST_SLICES, wanted)));
  return { slices: Math.ceil(inputs4 / share), share };
}

/** Threads that sums over rows are given at least, by cutting rows into blocks; and the fewest rows of a block. */
const BUSY_SUMS = 512;
const LEAST_BLOCK = 32;

/** How sums over rows are cut, for so many threads a block. Part of what a net's bits depend on. */
export function rowBlocks(capacity: number, threads: number): { blocks: number; rows: number } {
  const wanted = Math.min(Math.ceil(BUSY_SUMS / threads), Math.ceil(capacity / LEAST_BLOCK));
  const rows = 2 * Math.ceil(capacity / Math.max(1, wanted) / 2);
  return { blocks: Math.ceil(capacity / rows), rows };
}

/** Blocks of sums over rows, and how they are added up to the gradient of parameters that follow each other. */
export function sumPartials(
  frame: Frame,
  partials: string,
  blocks: number,
  { offset }: Parameter,
  quads: number,
): LayerKernel {
  return {
    kernel: kernels.netSumPartials,
    buffers: { partials, gradient: frame.names.gradient },
    params: ({ adds }) =>
      Uint32Array.of(quads, offset / 4, frame.parameterQuads(), blocks, Number(adds)),
    workgroups: () => [groupsOf(quads), frame.nets],
  };
}

export interface LinearParts {
  x: Value;
  /** `[to, from]`. */
  weight: Parameter;
  /** Follows the weight. */
  bias: Parameter | undefined;
  activation: Activation;
  dropout: number;
  /** Of all layers, from 0: dropout is drawn by it. */
  index: number;
  /** Of a normalised input: gamma, which beta follows, and the buffer of its rows' means and deviations. */
  norm: { gamma: Parameter; stats: string } | undefined;
}

export function linearLayer(frame: Frame, output: Value, parts: LinearParts): Layer {
  const { weight, bias, activation, dropout, index, norm } = parts;
  const x = parts.x.normed?.input ?? parts.x;
  const { names, nets } = frame;
  const { axis } = output;
  const to = output.width;
  const capacity = frame.capacity(axis);
  const inputs4 = quadsOf(x.width);
  const code = ACTIVATIONS[activation];
  const before = activation === "gelu"
    ? frame.scratch(`${output.name} before`, 4 * nets * capacity * 4 * quadsOf(to))
    : undefined;
  const statsNet = x.shared ? 0 : capacity;
  const drops = (batch: WholeBatch) => dropout > 0 && batch.step > 0;
  // never all: p < 1
  const threshold = Math.min(2 ** 32 - 1, Math.round(dropout * 2 ** 32));
  const drawWords = (batch: WholeBatch) =>
    drops(batch) ? [index, batch.step, threshold, bits(1 / (1 - dropout))] : [index, 0, 0, bits(1)];

  const tiles = (rows: number) => Math.ceil(rows / 8) * Math.ceil(to / 8);
  const { slices, share } = inputSlices(tiles(capacity), inputs4);
  const sliced = slices > 1
    ? frame.scratch(`${output.name} slices`, 16 * slices * nets * capacity * quadsOf(to))
    : undefined;
  const words = (batch: WholeBatch) => {
    const place = placeOf(frame, x, batch);
    return Uint32Array.of(
      ...[countOf(axis, batch), inputs4, to, code, place.at, place.net, place.row, capacity],
      ...[frame.parameterQuads(), weight.offset / 4, bias ? 1 : 0, (bias?.offset ?? 0) / 4],
      ...[(norm?.gamma.offset ?? 0) / 4, statsNet, before ? 1 : 0, ...drawWords(batch), share],
    );
  };
  const finished = {
    parameters: names.parameters,
    seeds: names.seeds,
    y: output.name,
    z: before ?? names.spare,
  };
  const forward: LayerKernel[] = [{
    kernel: kernels.netLinear,
    constants: { NORMED: norm ? 1 : 0 },
    buffers: {
      ...finished,
      x: x.name,
      stats: norm?.stats ?? names.unused,
      ...sliced && { z: sliced },
    },
    params: words,
    workgroups: (batch) => [groupsOf(tiles(countOf(axis, batch))), nets, slices],
  }];
  if (sliced) {
    forward.push({
      kernel: kernels.netLinearSlices,
      buffers: { ...finished, sums: sliced },
      params: words,
      workgroups: (batch) => [groupsOf(countOf(axis, batch) * quadsOf(to)), nets],
    });
  }

  const sums = Math.ceil(to / 8) * Math.ceil(inputs4 / 2);
  const cut = rowBlocks(capacity, sums);
  const direct = cut.blocks === 1 && !norm;
  // sums of a normalised input's rows are needed for its own gradient, too
  const withSums = bias !== undefined || norm !== undefined;
  const quads = to * inputs4 + (withSums ? quadsOf(to) : 0);
  const partials = direct
    ? names.gradient
    : frame.scratch(`${output.name} partials`, 16 * cut.blocks * nets * quads);

  function backward(gradients: Gradients): LayerKernel[] {
    const slope = gradients.of(output);
    const plain = activation === "none" && dropout === 0;
    // what is 0 is not left to rounding, by which Adam would move the bias
    const sumsCode = !withSums ? 0 : plain && !norm && gradients.sumsToZero(output) ? 2 : 1;
    const steps: LayerKernel[] = [];
    if (!plain) {
      steps.push({
        kernel: kernels.netActivationGradient,
        buffers: {
          source: before ?? (activation === "relu" ? output.name : names.unused),
          seeds: names.seeds,
          gradient: slope,
        },
        params: (batch) =>
          Uint32Array.of(
            ...[countOf(axis, batch), quadsOf(to), capacity, code, ...drawWords(batch)],
          ),
        workgroups: (batch) => [groupsOf(countOf(axis, batch) * quadsOf(to)), nets],
      });
    }
    steps.push({
      kernel: kernels.netLinearWeights,
      constants: { NORMED: norm ? 1 : 0 },
      buffers: { x: x.name, stats: norm?.stats ?? names.unused, y_gradient: slope, partials },
      params: (batch) => {
        const place = placeOf(frame, x, batch);
        return Uint32Array.of(
          ...[countOf(axis, batch), inputs4, to, direct && batch.adds ? 1 : 0],
          ...[place.at, place.net, place.row, capacity, statsNet, sumsCode, cut.rows],
          ...direct ? [weight.offset / 4, 0, frame.parameterQuads()] : [0, nets * quads, quads],
        );
      },
      workgroups: () => [groupsOf(sums), nets, cut.blocks],
    });
    if (norm) {
      steps.push({
        kernel: kernels.netNormedWeights,
        buffers: { parameters: names.parameters, partials, gradient: names.gradient },
        params: ({ adds }) =>
          Uint32Array.of(
            ...[inputs4, to, frame.parameterQuads(), weight.offset / 4, bias ? 1 : 0],
            ...[norm.gamma.offset / 4, cut.blocks, Number(adds)],
          ),
        workgroups: () => [groupsOf(Math.max(inputs4, quadsOf(to))), nets],
      });
    } else if (!direct) {
      steps.push(sumPartials(frame, partials, cut.blocks, weight, quads));
    }
    if (!x.isInput) {
      const { buffer, adds } = gradients.into(x);
      steps.push({
        kernel: kernels.netLinearInputs,
        buffers: { y_gradient: slope, parameters: names.parameters, x_gradient: buffer },
        params: (batch) =>
          Uint32Array.of(
            ...[countOf(axis, batch), inputs4, to, adds, capacity, capacity],
            ...[frame.parameterQuads(), weight.offset / 4],
          ),
        workgroups: (batch) => [
          groupsOf(Math.ceil(countOf(axis, batch) / 8) * Math.ceil(inputs4 / 2)),
          nets,
        ],
      });
    }
    return steps;
  }
  return { output, forward: () => forward, backward };
}
