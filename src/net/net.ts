/**
 * Nets of a few layers, many of them side by side: a net is declared once, layer by layer, and gives the
 * buffers it needs and the kernels of its forward and backward pass in their order, for a `LoopStep`.
 *
 * Every value is `[nets, rows | samples, width]`; nothing of one net depends on another. Rows of a batch are
 * those of its samples, one after the other (ragged): nothing is padded. All sums are made in f32 in an order
 * that the declaration fixes, so that tiles, budgets and what else the device does change no bit.
 *
 * @example A classifier of features
 * ```ts
 * const net = new Net({ nets: 16, samples: 32 });
 * const features = net.input("features", { axis: "samples", width: 512 });
 * const hidden = net.linear(features, { name: "fc1", to: 128, activation: "relu", dropout: 0.1 });
 * const logits = net.linear(hidden, { name: "fc2", to: 1 });
 * net.binaryCrossEntropy(logits);
 * const loop = [...net.forward(batchOf), ...net.backward(batchOf), ...adam.step(batchOf)];
 * ```
 *
 * @module
 */

import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { BatchOf } from "./batch.ts";
import type { Axis, Parameter, Value } from "./value.ts";

export interface NetOptions {
  /** Nets side by side. */
  nets: number;
  /** Most rows of a batch; left out where there are samples alone. Decides how sums are cut: never take it from a budget. */
  rows?: number;
  /** Most samples of a batch. */
  samples: number;
  /** What the names of its buffers begin with. Default `net`. */
  name?: string;
}

/** What follows a product. */
export type Activation = "none" | "relu" | "gelu";

export interface LinearOptions {
  /** Of its parameters: `<name>.weight` `[to, from]` and `<name>.bias` `[to]`. */
  name: string;
  to: number;
  /** Default true. */
  bias?: boolean;
  /** Names where they are others, such as `queries` for a weight. */
  weightName?: string;
  /** GELU by the exact erf. Default `none`. */
  activation?: Activation;
  /** Probability with which an element is dropped after the activation. Default 0. */
  dropout?: number;
  /** Of the optimizer's settings. Default 0. */
  group?: number;
}

export interface AttendOptions {
  /** What scores are divided by. Default 1. */
  temperature?: number;
  /**
   * Rows of a window: the softmax is taken in every window, and the window whose result is largest counts, head
   * by head. Windows begin at rows 0 to longest - window of every sample, and those without a detected row are
   * left out; where no sample of the batch is longer than a window, it is the whole sample. Needs values of
   * one column a head.
   */
  window?: number;
}

export interface RegulariseOptions {
  /** Times the sum of magnitudes. */
  l1?: number;
  /** Times |W W^T - I|^2, the sum of squares. */
  orthogonal?: number;
}

/** Buffers of a tile that whoever runs the net uploads, by what every row or sample of the tile takes. */
export interface TileInput {
  name: string;
  axis: Axis;
  /** Bytes of a row or sample; `starts` has an element more than samples. */
  bytes: number;
}

export declare class Net {
  constructor(options: NetOptions);
  readonly nets: number;
  /** In the order of their declaration. */
  readonly parameters: readonly Parameter[];
  /** Elements of one net in buffers of parameters, gradients and moments: those of net k begin at k times this. */
  readonly stride: number;
  /** What has to be uploaded with every tile. */
  readonly tileInputs: readonly TileInput[];

  /**
   * Values that are uploaded with the tile, in a buffer of that name: `[tile rows | samples, width]` where all
   * nets share them, or `[tile rows | samples, nets, width]`; rows are padded with 0 to `rowStride(width)`.
   */
  input(name: string, options: { axis: Axis; width: number; shared?: boolean }): Value;

  /** x W^T + b, an activation, dropout. */
  linear(x: Value, options: LinearOptions): Value;
  /**
   * Normalises every row to mean 0 and variance 1 (population, eps 1e-5), times `<name>.weight` plus `<name>.bias`. Of an
   * input it takes no memory, and only {@link Net.linear} can take it.
   */
  layerNorm(x: Value, options: { name: string; group?: number }): Value;
  /** values * softplus(gates), element by element. */
  gate(values: Value, gates: Value): Value;
  add(a: Value, b: Value): Value;
  /** The sum of the columns and a `<name>` `[1]`. */
  addColumns(x: Value, options: { name: string; group?: number }): Value;
  /**
   * For every sample: sums of values over its detected rows, weighted by a softmax of the scores. Scores have
   * a column a head, and the columns of values are cut into as many equal runs. A sample without detected
   * rows gives 0.
   */
  attend(scores: Value, values: Value, options?: AttendOptions): Value;
  /**
   * The largest of every column over the detected rows of each sample, the first of equal ones; 0 where there is
   * none, which has no gradient. `bipolar` appends the largest of -x, which is -min x: twice the width.
   */
  sampleMax(x: Value, options?: { bipolar?: boolean }): Value;
  /**
   * The loss, of logits of one column: for every net the mean of -y log p - (1 - y) log(1 - p), weighted, over the batch. Uploads:
   * `labels` f32 and `weights` f32, each `[tile samples]` or, not shared, `[tile samples, nets]`. A net
   * whose weights are all 0 has loss 0 and no gradient.
   */
  binaryCrossEntropy(
    logits: Value,
    options?: { sharedLabels?: boolean; sharedWeights?: boolean },
  ): void;
  /** Adds to the loss for the sake of a parameter; not to the losses by which states are judged. */
  regularise(parameter: string, options: RegulariseOptions): void;

  /** Buffers for all tiles: parameters (kept), gradient, values of a batch. */
  sharedBuffers(parameters: () => Float32Array<ArrayBuffer>): SharedBuffer[];
  /** Losses that a tile gives, to be downloaded: `[slots, nets, 3]` f32: weighted sum, sum of weights, what regularising adds. */
  readonly losses: { name: string; slotBytes: number };

  /** Kernels that make all values, and the losses where there are any. */
  forward(batchOf: BatchOf): LoopKernel[];
  /** Kernels that make the gradient, after those of forward. */
  backward(batchOf: BatchOf): LoopKernel[];
  /** Stores a value in a buffer of the tile: `[tile rows | samples, nets, width]`, not padded. */
  store(value: Value, buffer: string, batchOf: BatchOf): LoopKernel[];

  /** One net's parameters, padded, from values as torch has them, one parameter after the other. */
  pack(values: ArrayLike<number>): Float32Array<ArrayBuffer>;
  /** The reverse. */
  unpack(padded: ArrayLike<number>): Float32Array<ArrayBuffer>;
}
