/** Small nets as probes have them, of which net and twin are made alike, and batches of uneven samples for them. */

import { Adam } from "../../src/net/adam.ts";
import { Net } from "../../src/net/net.ts";
import type { Batch } from "../../src/net/batch.ts";
import type { Value } from "../../src/net/value.ts";
import { rowStride } from "../../src/net/value.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Layers, TwinBatch, TwinValue } from "../reference/net_layers.ts";
import { NetTwin } from "../reference/net_layers.ts";
import { seeded } from "./random.ts";
import type { OpenNet } from "./run_net.ts";
import { openNet } from "./run_net.ts";

export interface Model {
  width: number;
  axis: "rows" | "samples";
  /** Declares layers and loss; gives the logits. */
  build<Own>(net: Layers<Own>, x: Own): Own;
}

export interface Problem {
  nets: number;
  /** Rows of each sample, of models of rows. */
  lengths: readonly number[];
  /** Whether all nets have the same input. */
  shared?: boolean;
  /** Rows and samples of the tile before the batch. */
  before?: number;
  /** Added to what batches have most. */
  room?: number;
  step?: number;
  scale?: number;
}

export interface OpenModel {
  net: Net;
  open: OpenNet;
  logits: Value;
  batch: Batch;
  adam: Adam;
  /** Values of every net's parameters, as torch has them. */
  parameters: Float64Array[];
  /** The twin of a net, gone forward; of other parameters where they are given. */
  twin(net: number, parameters?: ArrayLike<number>): { twin: NetTwin; logits: TwinValue };
}

/** Opens nets with random parameters on a random batch. */
export async function openModel(gpu: Gpu, model: Model, problem: Problem): Promise<OpenModel> {
  const { nets, lengths, shared = true, before = 0, room = 0, step, scale } = problem;
  const { width, axis } = model;
  const samples = lengths.length;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const random = seeded(7 * rows + samples + width);
  const seeds = Array.from({ length: nets }, (_, net) => 100 + net);
  const net = new Net({
    ...{ nets, seeds, samples: samples + room },
    ...axis === "rows" && { rows: Math.max(1, rows + room) },
  });
  const x = net.input("x", { axis, width, shared });
  const logits = model.build(net as Layers<Value>, x);

  const count = axis === "rows" ? rows : samples;
  const inputs = Array.from(
    { length: shared ? 1 : nets },
    () => Float32Array.from({ length: count * width }, () => 4 * random() - 2),
  );
  const stride = rowStride(width);
  const tile = new Float32Array((before + count) * inputs.length * stride);
  // what is not of the batch has to leave no trace
  tile.fill(77, 0, before * inputs.length * stride);
  inputs.forEach((own, k) => {
    for (let row = 0; row < count; row++) {
      const at = ((before + row) * inputs.length + k) * stride;
      tile.set(own.subarray(row * width, (row + 1) * width), at);
    }
  });
  const detected = Array.from({ length: rows }, () => Number(random() > 0.25));
  const starts = [0];
  for (const length of lengths) starts.push(starts.at(-1)! + length);
  // one sample has no row that counts
  const hidden = lengths.findIndex((length, i) => i > 0 && length > 0);
  if (hidden > 0) detected.fill(0, starts[hidden], starts[hidden + 1]);
  const labels = Float32Array.from({ length: samples }, () => Number(random() > 0.5));
  const weights = Float32Array.from({ length: samples }, () => Math.round(4 * random()) / 2);
  weights[0] = 1;
  const offset = (
    values: ArrayLike<number>,
    fill: number,
  ) => [...Array.from({ length: before }, () => fill), ...Array.from(values)];
  const count0 = net.parameters.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  const parameters = Array.from(
    { length: nets },
    () =>
      Float64Array.from(
        Float32Array.from(
          { length: count0 },
          () => (random() - 0.5) / Math.sqrt(width / 4 + 1) * 2,
        ),
      ),
  );
  const longest = Math.max(0, ...lengths);
  const batch: Batch = {
    ...{ firstSample: before, samples, longest },
    ...axis === "rows" && { firstRow: before, rows },
    ...step !== undefined && { step },
    ...scale !== undefined && { scale },
  };
  const adam = new Adam(net, { rates: Array.from({ length: nets }, () => [{ rate: 5e-4 }]) });
  const packed = () => {
    const all = new Float32Array(nets * net.stride);
    parameters.forEach((own, k) => all.set(net.pack(own), k * net.stride));
    return all;
  };
  const open = await openNet(
    gpu,
    [...net.sharedBuffers(packed), ...adam.sharedBuffers()],
    {
      x: tile,
      labels: Float32Array.from(offset(labels, 9)),
      weights: Float32Array.from(offset(weights, 9)),
      [net.losses.name]: 2 * net.losses.slotBytes,
      stored: 4 * (before + samples) * nets,
      ...axis === "rows" && {
        // `before` empty samples of one undetected row each
        starts: Uint32Array.from([
          ...Array.from({ length: before }, (_, i) => i),
          ...starts.map((start) => before + start),
        ]),
        detected: Uint32Array.from(offset(detected, 0)),
      },
    },
  );
  return {
    ...{ net, open, logits, batch, adam, parameters },
    twin(k, values = parameters[k]!) {
      const twinBatch: TwinBatch = {
        ...{ inputs: { x: inputs[shared ? 0 : k]! }, samples, starts, detected, longest },
        ...{ labels, weights, seed: seeds[k]! },
        ...step !== undefined && { step },
      };
      const twin = new NetTwin(values, twinBatch);
      return {
        twin,
        logits: model.build(twin as Layers<TwinValue>, twin.input("x", { axis, width })),
      };
    },
  };
}

const mlp = (width: number, hidden: number, activation: "relu" | "gelu", dropout = 0): Model => ({
  width,
  axis: "samples",
  build(net, x) {
    const inner = net.linear(x, { name: "fc1", to: hidden, activation, dropout });
    const logits = net.linear(inner, { name: "fc2", to: 1 });
    net.binaryCrossEntropy(logits);
    return logits;
  },
});

/** A norm and two linear layers, as the probes of sequences begin. */
function body<Own>(net: Layers<Own>, x: Own, hidden: number, dropout = 0): Own {
  const normed = net.layerNorm(x, { name: "norm" });
  const inner = net.linear(normed, { name: "mlp.0", to: hidden, activation: "relu", dropout });
  return net.linear(inner, { name: "mlp.3", to: hidden });
}

export const models = {
  relu: (width: number, hidden: number, dropout = 0) => mlp(width, hidden, "relu", dropout),
  gelu: (width: number, hidden: number, dropout = 0) => mlp(width, hidden, "gelu", dropout),
  attention: (width: number, hidden: number, dropout = 0): Model => ({
    width,
    axis: "rows",
    build(net, x) {
      const normed = net.layerNorm(x, { name: "attention_norm" });
      const inner = net.linear(normed, { name: "s0", to: hidden, activation: "relu", dropout });
      const scores = net.linear(inner, { name: "s3", to: 1 });
      const pooled = net.attend(scores, x, { temperature: 2 });
      const again = net.layerNorm(pooled, { name: "classifier_norm" });
      const first = net.linear(again, { name: "c0", to: 2 * hidden, activation: "relu", dropout });
      const second = net.linear(first, { name: "c3", to: hidden, activation: "relu", dropout });
      const logits = net.linear(second, { name: "c6", to: 1 });
      net.binaryCrossEntropy(logits);
      return logits;
    },
  }),
  /** From few columns to many, twice. */
  spread: (width: number, hidden: number, wide: number): Model => ({
    width,
    axis: "samples",
    build(net, x) {
      const inner = net.linear(x, { name: "fc1", to: hidden });
      const one = net.linear(inner, { name: "one", to: wide, activation: "relu" });
      const other = net.linear(inner, { name: "other", to: wide, activation: "relu" });
      const logits = net.linear(net.add(one, other), { name: "fc2", to: 1 });
      net.binaryCrossEntropy(logits);
      return logits;
    },
  }),
  multimax: (width: number, hidden: number, heads: number): Model => ({
    width,
    axis: "rows",
    build(net, x) {
      const projected = net.linear(body(net, x, hidden), { name: "heads", to: heads });
      const logits = net.linear(net.sampleMax(projected), { name: "output", to: 1 });
      net.binaryCrossEntropy(logits);
      return logits;
    },
  }),
  gated: (width: number, hidden: number, gate: number): Model => ({
    width,
    axis: "rows",
    build(net, x) {
      const inner = body(net, x, hidden);
      const values = net.linear(inner, { name: "W_proj", to: gate });
      const gated = net.gate(values, net.linear(inner, { name: "W_gate", to: gate }));
      const pooled = net.sampleMax(gated, { bipolar: true });
      const logits = net.linear(pooled, { name: "output", to: 1 });
      net.binaryCrossEntropy(logits);
      net.regularise("W_proj.weight", { l1: 0.01, orthogonal: 0.01 });
      return logits;
    },
  }),
  soft: (width: number, hidden: number, heads: number, window?: number): Model => ({
    width,
    axis: "rows",
    build(net, x) {
      const inner = body(net, x, hidden);
      const head = { to: heads, bias: false };
      const scores = net.linear(inner, { name: "q", weightName: "queries", ...head });
      const values = net.linear(inner, { name: "v", weightName: "values", ...head });
      const pooled = net.attend(scores, values, window === undefined ? {} : { window });
      const logits = net.linear(pooled, { name: "output", to: 1 });
      net.binaryCrossEntropy(logits);
      return logits;
    },
  }),
  /** Several heads of several columns, sums of values and of columns, a norm of rows in the middle. */
  mixed: (width: number, heads: number): Model => ({
    width,
    axis: "rows",
    build(net, x) {
      const scores = net.add(
        net.linear(x, { name: "a", to: heads }),
        net.linear(x, { name: "b", to: heads, bias: false, activation: "gelu" }),
      );
      const values = net.layerNorm(net.linear(x, { name: "c", to: 3 * heads }), { name: "n" });
      const pooled = net.attend(scores, values, { temperature: 0.5 });
      const logits = net.addColumns(net.linear(pooled, { name: "d", to: 5 }), { name: "bias" });
      net.binaryCrossEntropy(logits);
      return logits;
    },
  }),
} as const;
