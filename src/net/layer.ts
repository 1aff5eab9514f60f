/**
 * What a layer is made of: kernels of its forward and backward pass, over buffers that the net names and counts.
 *
 * @module
 */

import type { KernelSpec } from "../gpu/kernel.ts";
import type { WholeBatch } from "./batch.ts";
import type { Axis, Parameter, Value } from "./value.ts";
import { quadsOf } from "./value.ts";

/** A kernel over a batch. */
export interface LayerKernel {
  kernel: KernelSpec;
  constants?: Record<string, number>;
  /** Buffer of each binding. */
  buffers: Record<string, string>;
  params(batch: WholeBatch): Uint32Array<ArrayBuffer>;
  workgroups(batch: WholeBatch): readonly number[];
}

/** Gradients of values, as a backward pass comes by. */
export interface Gradients {
  /**
   * The buffer of a value's gradient, and 1 if something is there already that has to be added to.
   *
   * @param sumsToZero Whether what is added is 0 in sum over rows, whatever the numbers.
   */
  into(value: Value, sumsToZero?: boolean): { buffer: string; adds: number };
  /** The buffer of a gradient that is complete. */
  of(value: Value): string;
  /** Whether all that a gradient is made of is 0 in sum over rows. */
  sumsToZero(value: Value): boolean;
  /** Where the loss has slopes by way of the layer that gives a value. */
  second(output: Value): SecondBuffers | undefined;
}

/** Buffers of the slopes of a sum by a value, and of a change of the value: see `penalty.ts`. */
export interface SlopeBuffers {
  slope: string;
  change: string;
}

/** Of what a layer takes and gives. */
export interface SecondBuffers {
  x: SlopeBuffers;
  y: SlopeBuffers;
}

export interface Layer {
  /** What it gives. */
  output: Value;
  forward(): LayerKernel[];
  backward(gradients: Gradients): LayerKernel[];
  /** Of layers whose slopes can be in a loss; their {@link backward} then looks for {@link Gradients.second}. */
  second?: {
    x: Value;
    /** From the slopes of a sum by what it gives to those by what it takes. */
    slopes(buffers: SecondBuffers): LayerKernel[];
    /** From a change of what it takes to that of what it gives. */
    changes(buffers: SecondBuffers): LayerKernel[];
  };
}

/** What layers know of their net. */
export interface Frame {
  readonly nets: number;
  /** Most rows or samples of a batch. */
  capacity(axis: Axis): number;
  /** Quads of f32 of one net's parameters; known when all are declared. */
  parameterQuads(): number;
  parameter(name: string): Parameter;
  /** Names a buffer that all tiles share. */
  scratch(name: string, bytes: number): string;
  /** Names a buffer that is filled once. */
  filled(name: string, contents: Float32Array): string;
  /** Names of buffers every net has. */
  readonly names: {
    readonly parameters: string;
    readonly gradient: string;
    readonly seeds: string;
    readonly progress: string;
    readonly losses: string;
    /** Where a kernel has a binding that it does not use: read, or written. */
    readonly unused: string;
    readonly spare: string;
  };
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** The bits of an f32, as a word of `params`. */
export function bits(value: number): number {
  single[0] = value;
  return singleBits[0]!;
}

/** Rows or samples of a batch. */
export function countOf(axis: Axis, batch: WholeBatch): number {
  return axis === "rows" ? batch.rows : batch.samples;
}

/** The first row or sample of a batch, counted through the tile. */
export function firstOf(axis: Axis, batch: WholeBatch): number {
  return axis === "rows" ? batch.firstRow : batch.firstSample;
}

/** Where a batch's rows of a value lie, in quads: the first, and from one net and one row to the next. */
export function placeOf(
  { nets, capacity }: Frame,
  { axis, width, isInput, shared }: Value,
  batch: WholeBatch,
): { at: number; net: number; row: number } {
  const quads = quadsOf(width);
  if (!isInput) return { at: 0, net: capacity(axis) * quads, row: quads };
  const row = shared ? quads : nets * quads;
  return { at: firstOf(axis, batch) * row, net: shared ? 0 : quads, row };
}

/** Workgroups along one dimension: kernels go on where there are more items. */
export function groupsOf(items: number, perGroup = 64): number {
  return Math.min(65535, Math.ceil(items / perGroup));
}

/**
 * Threads that share a sum over the quads of a row, a power of two: 8 of them take 128 bytes at a time, and more
 * cost software adapters more barriers.
 */
export function lanesFor(quads: number): number {
  return 2 ** Math.min(3, Math.max(0, Math.floor(Math.log2(quads))));
}
