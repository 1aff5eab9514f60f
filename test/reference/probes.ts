/**
 * The trained probes in f64: what each makes of a batch, from parameters in the order in which the library
 * they come from lists them. Weights are [out, in] unless a line says otherwise.
 */

import type { Samples, Tensor } from "./probe_layers.ts";
import { AdamW, Tape, tensor } from "./probe_layers.ts";

/** Shapes of parameters by name, in order. */
export type Shapes = Record<string, readonly number[]>;

/** Sizes of a probe, and numbers that are no parameters. */
export interface Sizes {
  features: number;
  hidden?: number;
  heads?: number;
  gates?: number;
  window?: number;
  gelu?: boolean;
  temperature?: number;
  /** Of the penalty of GatedBipolar. */
  sparse?: number;
  orthogonal?: number;
}

interface Model {
  shapes: Shapes;
  /** Logits of samples; a probe of features has one row in every sample. */
  forward(tape: Tape, x: Tensor, samples: Samples): Tensor;
  penalty?(tape: Tape): number;
  parameters: Tensor[];
}

type Create = (sizes: Sizes) => {
  shapes: Shapes;
  forward(tape: Tape, own: Record<string, Tensor>, x: Tensor, samples: Samples): Tensor;
  penalty?(tape: Tape, own: Record<string, Tensor>): number;
};

const layer = (name: string, out: number, inputs: number): Shapes => ({
  [`${name}.weight`]: [out, inputs],
  [`${name}.bias`]: [out],
});

const norm = (name: string, width: number): Shapes => ({
  [`${name}.weight`]: [width],
  [`${name}.bias`]: [width],
});

/** Through LayerNorm, a hidden layer and another as wide. */
const tokenShapes = ({ features, hidden }: Sizes): Shapes => ({
  ...norm("norm", features),
  ...layer("mlp.0", hidden!, features),
  ...layer("mlp.3", hidden!, hidden!),
});

function tokens(tape: Tape, own: Record<string, Tensor>, x: Tensor): Tensor {
  const normal = tape.layerNorm(x, own["norm.weight"]!, own["norm.bias"]!);
  const inner = tape.relu(tape.linear(normal, own["mlp.0.weight"]!, own["mlp.0.bias"]!));
  return tape.linear(inner, own["mlp.3.weight"]!, own["mlp.3.bias"]!);
}

const output = (tape: Tape, own: Record<string, Tensor>, x: Tensor): Tensor =>
  tape.linear(x, own["output.weight"]!, own["output.bias"]!);

/** Shapes of soft attention, and of rolling attention. */
const headShapes = (sizes: Sizes): Shapes => ({
  queries: [sizes.heads!, sizes.hidden!],
  values: [sizes.heads!, sizes.hidden!],
  ...tokenShapes(sizes),
  ...layer("output", 1, sizes.heads!),
});

const PROBES = {
  mlp: ({ features, hidden, gelu }) => ({
    shapes: { ...layer("fc1", hidden!, features), ...layer("fc2", 1, hidden!) },
    forward(tape, own, x) {
      const inner = tape.linear(x, own["fc1.weight"]!, own["fc1.bias"]!);
      const active = gelu ? tape.gelu(inner) : tape.relu(inner);
      return tape.linear(active, own["fc2.weight"]!, own["fc2.bias"]!);
    },
  }),
  attention: ({ features, hidden, temperature = 2 }) => ({
    shapes: {
      ...norm("attention_norm", features),
      ...layer("attention_scorer.0", hidden!, features),
      ...layer("attention_scorer.3", 1, hidden!),
      ...norm("classifier_norm", features),
      ...layer("classifier.0", 2 * hidden!, features),
      ...layer("classifier.3", hidden!, 2 * hidden!),
      ...layer("classifier.6", 1, hidden!),
    },
    forward(tape, own, x, { rows }) {
      const dense = (name: string, x: Tensor) =>
        tape.linear(x, own[`${name}.weight`]!, own[`${name}.bias`]!);
      const normed = (name: string, x: Tensor) =>
        tape.layerNorm(x, own[`${name}.weight`]!, own[`${name}.bias`]!);
      const inner = tape.relu(dense("attention_scorer.0", normed("attention_norm", x)));
      const scores = tape.scale(dense("attention_scorer.3", inner), 1 / temperature);
      const pooled = normed("classifier_norm", tape.attend(scores, x, rows));
      const wide = tape.relu(dense("classifier.0", pooled));
      return dense("classifier.6", tape.relu(dense("classifier.3", wide)));
    },
  }),
  multimax: (sizes) => ({
    shapes: {
      ...tokenShapes(sizes),
      ...layer("head_projection", sizes.heads!, sizes.hidden!),
      ...layer("output", 1, sizes.heads!),
    },
    forward(tape, own, x, { rows }) {
      const heads = tape.linear(
        tokens(tape, own, x),
        own["head_projection.weight"]!,
        own["head_projection.bias"]!,
      );
      return output(tape, own, tape.largest(heads, rows));
    },
  }),
  gated: (sizes) => ({
    shapes: {
      ...tokenShapes(sizes),
      ...layer("W_proj", sizes.gates!, sizes.hidden!),
      ...layer("W_gate", sizes.gates!, sizes.hidden!),
      ...layer("output", 1, 2 * sizes.gates!),
    },
    forward(tape, own, x, { rows }) {
      const inner = tokens(tape, own, x);
      const values = tape.linear(inner, own["W_proj.weight"]!, own["W_proj.bias"]!);
      const gates = tape.linear(inner, own["W_gate.weight"]!, own["W_gate.bias"]!);
      const gated = tape.multiply(values, tape.softplus(gates));
      const least = tape.largest(tape.scale(gated, -1), rows);
      return output(tape, own, tape.beside(tape.largest(gated, rows), least));
    },
    penalty: (tape, own) =>
      tape.sparseAndOrthogonal(
        own["W_proj.weight"]!,
        sizes.sparse ?? 1e-5,
        sizes.orthogonal ?? 1e-4,
      ),
  }),
  soft: (sizes) => ({
    shapes: headShapes(sizes),
    forward(tape, own, x, { rows }) {
      const inner = tokens(tape, own, x);
      const scores = tape.linear(inner, own.queries!);
      return output(tape, own, tape.attend(scores, tape.linear(inner, own.values!), rows));
    },
  }),
  rollattn: (sizes) => ({
    shapes: headShapes(sizes),
    forward(tape, own, x, samples) {
      const inner = tokens(tape, own, x);
      const scores = tape.linear(inner, own.queries!);
      const values = tape.linear(inner, own.values!);
      const { window } = sizes;
      return output(tape, own, tape.attendWindows(scores, values, samples, window!));
    },
  }),
  posattn: ({ features, heads }) => ({
    shapes: {
      query_proj: [features, heads!],
      value_proj: [features, heads!],
      position_weights: [heads!],
      bias: [1],
    },
    forward(tape, own, x, { rows, positions }) {
      const scores = tape.addPositions(
        tape.product(x, own.query_proj!),
        own.position_weights!,
        positions,
      );
      const heads = tape.attend(scores, tape.product(x, own.value_proj!), rows);
      return tape.linear(
        heads,
        tensor(1, heads!.width, new Float64Array(heads.width).fill(1)),
        own.bias!,
      );
    },
  }),
} satisfies Record<string, Create>;

export type ProbeName = keyof typeof PROBES;
export const PROBE_NAMES = Object.keys(PROBES) as ProbeName[];

/** A probe with parameters, all of them after one another. */
export function createProbe(name: ProbeName, sizes: Sizes, parameters?: ArrayLike<number>): Model {
  const create: Create = PROBES[name];
  const { shapes, forward, penalty } = create(sizes);
  const counts = Object.values(shapes).map((shape) => shape.reduce((a, b) => a * b, 1));
  const all = parameters ?? new Float64Array(counts.reduce((a, b) => a + b, 0));
  let at = 0;
  const own = Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => {
      const values = Array.prototype.slice.call(all, at, at += counts[i]!);
      return [name, tensor(shape.length === 2 ? shape[0]! : 1, shape.at(-1)!, values)];
    }),
  );
  if (at !== all.length) throw new RangeError(`${all.length} parameters, wanted ${at}`);
  return {
    shapes,
    parameters: Object.values(own),
    forward: (tape, x, samples) => forward(tape, own, x, samples),
    ...(penalty && { penalty: (tape: Tape) => penalty(tape, own) }),
  };
}

/** Rows of samples [start, end) that count, and those of the others left out. */
export interface Batch {
  x: Tensor;
  samples: Samples;
  labels: number[];
}

/**
 * Samples of rows as a batch.
 *
 * @param chosen Samples, in the order of the batch.
 * @param padded Whether windows run over the longest sample of the batch, not over their own.
 */
export function batchOf(
  rows: ArrayLike<number>,
  { features, offsets, detected, labels, chosen, padded = true }: {
    features: number;
    offsets: ArrayLike<number>;
    detected?: ArrayLike<number>;
    labels: ArrayLike<number>;
    chosen: readonly number[];
    padded?: boolean;
  },
): Batch {
  const values: number[] = [];
  const samples: Samples = { rows: [], positions: [], extents: [] };
  const lengths = chosen.map((sample) => Number(offsets[sample + 1]!) - Number(offsets[sample]!));
  chosen.forEach((sample, i) => {
    const first = Number(offsets[sample]!);
    const own: number[] = [];
    for (let position = 0; position < lengths[i]!; position++) {
      if (detected && !detected[first + position]) continue;
      own.push(samples.positions.push(position) - 1);
      const at = (first + position) * features;
      values.push(...Array.prototype.slice.call(rows, at, at + features));
    }
    samples.rows.push(own);
    samples.extents.push(padded ? Math.max(...lengths) : lengths[i]!);
  });
  return {
    x: tensor(values.length / features, features, values),
    samples,
    labels: chosen.map((sample) => labels[sample]!),
  };
}

export function logitsOf(model: Model, { x, samples }: Batch): Float64Array {
  return model.forward(new Tape(), x, samples).values;
}

/** The loss of a batch; gradients of parameters are added to what they have. */
export function lossOf(model: Model, { x, samples, labels }: Batch, share = 1): number {
  const tape = new Tape();
  const before = model.parameters.map(({ gradient }) => gradient.slice());
  model.parameters.forEach(({ gradient }) => gradient.fill(0));
  const loss = tape.crossEntropy(model.forward(tape, x, samples), labels) +
    (model.penalty?.(tape) ?? 0);
  tape.backward();
  x.gradient.fill(0);
  model.parameters.forEach(({ gradient }, i) =>
    gradient.forEach((value, d) => gradient[d] = before[i]![d]! + share * value)
  );
  return loss;
}

export interface Training {
  rate: number;
  decay: number;
  /** Batches of a step. */
  accumulate?: number;
}

/** Losses of batches, one after the other, and the parameters after each step. */
export function train(
  model: Model,
  batches: readonly Batch[],
  { rate, decay, accumulate = 1 }: Training,
  optimizer: AdamW = new AdamW(),
): { losses: number[]; parameters: Float64Array[] } {
  const losses: number[] = [];
  const parameters: Float64Array[] = [];
  batches.forEach((batch, i) => {
    losses.push(lossOf(model, batch, 1 / accumulate));
    if ((i + 1) % accumulate !== 0 && i + 1 !== batches.length) return;
    optimizer.step(model.parameters, rate, decay);
    for (const { gradient } of model.parameters) gradient.fill(0);
    parameters.push(flat(model.parameters, "values"));
  });
  return { losses, parameters };
}

/** Parameters or their gradients after one another. */
export function flat(parameters: readonly Tensor[], what: "values" | "gradient"): Float64Array {
  return Float64Array.from(parameters.flatMap((tensor) => [...tensor[what]]));
}
