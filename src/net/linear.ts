/**
 * Linear layers, with the activation and the dropout that follow them.
 *
 * @module
 */

import * as kernels from "../kernels/net_linear.ts";
import type { Ending } from "./activation.ts";
import { LayerEnd } from "./activation.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, Gradients, Layer, LayerKernel, SecondBuffers } from "./layer.ts";
import { countOf, groupsOf, placeOf } from "./layer.ts";
import type { Parameter, Value } from "./value.ts";
import { quadsOf } from "./value.ts";

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

/** Quads of outputs of a slice of gradients, about: its weights stay in a processor's cache while all rows come by. */
const LONGEST_SLICE = 128;

/** How the outputs of a product are cut for the gradient of its inputs. Part of what a net's bits depend on. */
function outputSlices(tiles: number, outputs4: number): { slices: number; share: number } {
  const wanted = tiles < BUSY_TILES ? Math.floor(outputs4 / LONGEST_SLICE) : 1;
  const share = Math.ceil(outputs4 / Math.max(1, Math.min(MOST_SLICES, wanted)));
  return { slices: Math.ceil(outputs4 / share), share };
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

/**
 * Blocks of sums over rows, and how they are added up to the gradient of parameters that follow each other.
 *
 * @param always Whether they are added to what is there, whatever the batch.
 */
export function sumPartials(
  frame: Frame,
  partials: string,
  blocks: number,
  { offset }: Parameter,
  quads: number,
  always = false,
): LayerKernel {
  return {
    kernel: kernels.netSumPartials,
    buffers: { partials, gradient: frame.names.gradient },
    params: ({ adds }) =>
      Uint32Array.of(quads, offset / 4, frame.parameterQuads(), blocks, Number(always || adds)),
    workgroups: () => [groupsOf(quads), frame.nets],
  };
}

export interface LinearParts extends Ending {
  x: Value;
  /** `[to, from]`. */
  weight: Parameter;
  /** Follows the weight. */
  bias: Parameter | undefined;
  /** Of a normalised input: gamma, which beta follows, and the buffer of its rows' means and deviations. */
  norm: { gamma: Parameter; stats: string } | undefined;
}

export function linearLayer(frame: Frame, output: Value, parts: LinearParts): Layer {
  const { weight, bias, activation, norm } = parts;
  const x = parts.x.normed?.input ?? parts.x;
  const { names, nets } = frame;
  const { axis } = output;
  const to = output.width;
  const capacity = frame.capacity(axis);
  const inputs4 = quadsOf(x.width);
  const end = new LayerEnd(frame, output, parts);
  const before = activation === "gelu"
    ? frame.scratch(`${output.name} before`, 4 * nets * capacity * 4 * quadsOf(to))
    : undefined;
  const statsNet = x.shared ? 0 : capacity;
  const tiles = (rows: number) => Math.ceil(rows / 8) * Math.ceil(to / 8);
  const { slices, share } = inputSlices(tiles(capacity), inputs4);
  const sliced = slices > 1
    ? frame.scratch(`${output.name} slices`, 16 * slices * nets * capacity * quadsOf(to))
    : undefined;
  const words = (batch: WholeBatch) => {
    const place = placeOf(frame, x, batch);
    return Uint32Array.of(
      ...[countOf(axis, batch), inputs4, to, end.code, place.at, place.net, place.row, capacity],
      ...[frame.parameterQuads(), weight.offset / 4, bias ? 1 : 0, (bias?.offset ?? 0) / 4],
      ...[(norm?.gamma.offset ?? 0) / 4, statsNet, before ? 1 : 0, ...end.drawWords(batch), share],
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
    // what is 0 is not left to rounding, by which Adam would move the bias
    const isIdle = end.isPlain && !norm && gradients.sumsToZero(output);
    const sumsCode = !withSums ? 0 : isIdle ? 2 : 1;
    const steps = end.backward(slope, before);
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
    const second = gradients.second(output);
    if (second) steps.push(...secondWeights(second));
    if (!x.isInput && !x.isFixed) {
      const { buffer, adds } = gradients.into(x, end.isPlain && gradients.sumsToZero(output));
      steps.push(...toInputs(slope, buffer, adds));
    }
    return steps;
  }

  const inputTiles = (rows: number) => Math.ceil(rows / 8) * Math.ceil(inputs4 / 2);
  const cutOutputs = outputSlices(inputTiles(capacity), quadsOf(to));
  const isCut = cutOutputs.slices > 1 && !x.isInput && !x.isFixed;
  const inputSums = isCut
    ? frame.scratch(`${output.name} sums`, 16 * cutOutputs.slices * nets * capacity * inputs4)
    : undefined;

  function toInputs(slope: string, into: string, adds: number): LayerKernel[] {
    const product: LayerKernel = {
      kernel: kernels.netLinearInputs,
      buffers: {
        y_gradient: slope,
        parameters: names.parameters,
        x_gradient: inputSums ?? into,
      },
      params: (batch) => {
        const rows = countOf(axis, batch);
        return Uint32Array.of(
          ...[rows, inputs4, to, isCut ? 0 : adds, capacity, isCut ? rows : capacity],
          ...[frame.parameterQuads(), weight.offset / 4, cutOutputs.share],
        );
      },
      workgroups: (batch) => [
        ...[groupsOf(inputTiles(countOf(axis, batch))), nets],
        cutOutputs.slices,
      ],
    };
    if (!inputSums) return [product];
    return [product, {
      kernel: kernels.netSumPartials,
      buffers: { partials: inputSums, gradient: into },
      params: (batch) =>
        Uint32Array.of(
          ...[countOf(axis, batch) * inputs4, 0, capacity * inputs4],
          ...[cutOutputs.slices, adds],
        ),
      workgroups: (batch) => [groupsOf(countOf(axis, batch) * inputs4), nets],
    }];
  }

  /** Slopes times changes, added to the gradient of the weights: the bias moves neither. */
  function secondWeights({ x: { change }, y: { slope } }: SecondBuffers): LayerKernel[] {
    const own = to * inputs4;
    const kernel: LayerKernel = {
      kernel: kernels.netLinearWeights,
      constants: { NORMED: 0 },
      buffers: { x: change, stats: names.unused, y_gradient: slope, partials },
      params: (batch) =>
        Uint32Array.of(
          ...[countOf(axis, batch), inputs4, to, direct ? 1 : 0],
          ...[0, capacity * inputs4, inputs4, capacity, 0, 0, cut.rows],
          ...direct ? [weight.offset / 4, 0, frame.parameterQuads()] : [0, nets * own, own],
        ),
      workgroups: () => [groupsOf(sums), nets, cut.blocks],
    };
    if (direct) return [kernel];
    return [kernel, sumPartials(frame, partials, cut.blocks, weight, own, true)];
  }

  // the slope of a GELU has a derivative, too
  const hasSecond = activation !== "gelu" && !norm && !x.isInput;
  return {
    output,
    forward: () => forward,
    backward,
    ...hasSecond && {
      second: {
        x,
        slopes: (buffers) => [
          ...end.backward(buffers.y.slope),
          ...toInputs(buffers.y.slope, buffers.x.slope, 0),
        ],
        changes: ({ x: { change }, y }) => [{
          kernel: kernels.netLinear,
          constants: { NORMED: 0 },
          buffers: { ...finished, x: change, stats: names.unused, y: y.change, z: names.spare },
          params: (batch) =>
            Uint32Array.of(
              ...[countOf(axis, batch), inputs4, to, 0, 0, capacity * inputs4, inputs4, capacity],
              ...[frame.parameterQuads(), weight.offset / 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, inputs4],
            ),
          workgroups: (batch) => [groupsOf(tiles(countOf(axis, batch))), nets],
        }, ...end.backward(y.change)],
      },
    },
  };
}
