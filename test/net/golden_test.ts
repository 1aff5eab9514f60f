/** Probes as another package trains them, in f64: logits, losses, gradients and AdamW's steps. */

import { describe, expect, it } from "vitest";
import { openArray } from "../../src/array/array.ts";
import { Adam } from "../../src/net/adam.ts";
import type { Batch } from "../../src/net/batch.ts";
import { Net } from "../../src/net/net.ts";
import type { Value } from "../../src/net/value.ts";
import { parameterSize, rowStride } from "../../src/net/value.ts";
import { useGpu } from "../support/gpu.ts";
import { openNet } from "../support/run_net.ts";
import { sharedDataMissing, sharedFile, sharedJson } from "../support/shared_data.ts";

const gpu = useGpu();

const FOLDER = "golden/probes";

async function numbers(name: string): Promise<number[]> {
  const array = await openArray(await sharedFile(`${FOLDER}/${name}.npy`));
  const values = await array.read(0, array.shape[0]!);
  return Array.from(values as unknown as ArrayLike<number | bigint>, Number);
}

interface Golden {
  /** Declares layers; gives the logits. `positions` are those of rows in their sample. */
  build(net: Net, x: Value, positions: () => Value): Value;
  sequences: boolean;
  /** Parameters that are stored as `[in, out]`. */
  transposed?: readonly string[];
}

const mlp = (activation: "relu" | "gelu"): Golden => ({
  sequences: false,
  build: (net, x) =>
    net.linear(net.linear(x, { name: "fc1", to: 16, activation }), { name: "fc2", to: 1 }),
});

function body(net: Net, x: Value, hidden: number): Value {
  const normed = net.layerNorm(x, { name: "norm" });
  const inner = net.linear(normed, { name: "mlp.0", to: hidden, activation: "relu" });
  return net.linear(inner, { name: "mlp.3", to: hidden });
}

const soft = (window?: number): Golden => ({
  sequences: true,
  build(net, x) {
    const inner = body(net, x, 6);
    const scores = net.linear(inner, { name: "q", weightName: "queries", to: 3, bias: false });
    const values = net.linear(inner, { name: "v", weightName: "values", to: 3, bias: false });
    const pooled = net.attend(scores, values, window === undefined ? {} : { window });
    return net.linear(pooled, { name: "output", to: 1 });
  },
});

const GOLDENS: Record<string, Golden> = {
  mlp_relu: mlp("relu"),
  mlp_gelu: mlp("gelu"),
  attention: {
    sequences: true,
    build(net, x) {
      const normed = net.layerNorm(x, { name: "attention_norm" });
      const relu = { activation: "relu" } as const;
      const inner = net.linear(normed, { name: "attention_scorer.0", to: 6, ...relu });
      const scores = net.linear(inner, { name: "attention_scorer.3", to: 1 });
      const pooled = net.attend(scores, x, { temperature: 2 });
      const again = net.layerNorm(pooled, { name: "classifier_norm" });
      const first = net.linear(again, { name: "classifier.0", to: 12, ...relu });
      const second = net.linear(first, { name: "classifier.3", to: 6, ...relu });
      return net.linear(second, { name: "classifier.6", to: 1 });
    },
  },
  multimax: {
    sequences: true,
    build(net, x) {
      const heads = net.linear(body(net, x, 7), { name: "head_projection", to: 3 });
      return net.linear(net.sampleMax(heads), { name: "output", to: 1 });
    },
  },
  gated: {
    sequences: true,
    build(net, x) {
      const inner = body(net, x, 7);
      const values = net.linear(inner, { name: "W_proj", to: 5 });
      const gated = net.gate(values, net.linear(inner, { name: "W_gate", to: 5 }));
      net.regularise("W_proj.weight", { l1: 1e-2, orthogonal: 1e-2 });
      return net.linear(net.sampleMax(gated, { bipolar: true }), { name: "output", to: 1 });
    },
  },
  soft: soft(),
  rollattn: soft(4),
  posattn: {
    sequences: true,
    transposed: ["query_proj", "value_proj"],
    build(net, x, positions) {
      const head = { to: 3, bias: false };
      const scores = net.add(
        net.linear(x, { name: "q", weightName: "query_proj", ...head }),
        net.linear(positions(), { name: "p", weightName: "position_weights", ...head }),
      );
      const values = net.linear(x, { name: "v", weightName: "value_proj", ...head });
      return net.addColumns(net.attend(scores, values), { name: "bias" });
    },
  },
};

async function openGolden(name: string) {
  const { build, sequences, transposed = [] } = GOLDENS[name]!;
  const [x, y] = sequences
    ? [await numbers("seq_x"), await numbers("seq_y")]
    : [await numbers("mlp_X"), await numbers("mlp_y")];
  const samples = y.length;
  const width = sequences ? 8 : 12;
  const offsets = sequences ? await numbers("seq_offsets") : [];
  const detected = sequences ? await numbers("seq_det") : [];
  const rows = sequences ? detected.length : 0;
  const net = new Net({ nets: 1, samples, rows });
  const axis = sequences ? "rows" : "samples";
  const positions = () => net.input("positions", { axis, width: 1 });
  const logits = build(net, net.input("x", { axis, width }), positions);
  net.binaryCrossEntropy(logits);
  const rates = sequences ? { rate: 5e-4, decay: 1e-3 } : { rate: 1e-3, decay: 1e-2 };
  const adam = new Adam(net, { rates: [[rates]] });

  // parameters in the order and the shape in which they are stored
  const shapes = await sharedJson(`${FOLDER}/${name}_param_shapes.json`) as Record<
    string,
    number[]
  >;
  const places = new Map<string, number>();
  let length = 0;
  for (const [own, shape] of Object.entries(shapes)) {
    places.set(own, length);
    length += shape.reduce((product, size) => product * size, 1);
  }
  expect([...places.keys()].sort()).toEqual(net.parameters.map((own) => own.name).sort());
  const order = net.parameters.flatMap((parameter) => {
    const [down, across] = parameterSize(parameter);
    const at = places.get(parameter.name)!;
    return Array.from(
      { length: down * across },
      (_, i) =>
        at + (transposed.includes(parameter.name) ? i % across * down + Math.floor(i / across) : i),
    );
  });
  expect(order.length).toBe(length);
  const ordered = (stored: readonly number[]) => order.map((place) => stored[place]!);
  const params0 = await numbers(`${name}_params0`);

  const stride = rowStride(width);
  const open = await openNet(gpu(), [
    ...net.sharedBuffers(() => net.pack(ordered(params0))),
    ...adam.sharedBuffers(),
  ], {
    x: 4 * Math.max(rows, samples) * stride,
    positions: 16 * Math.max(rows, samples),
    starts: 4 * (samples + 1),
    detected: 4 * Math.max(rows, samples),
    labels: 4 * samples,
    weights: 4 * samples,
    stored: 4 * samples,
    [net.losses.name]: net.losses.slotBytes,
  });
  /** Uploads samples as a tile of one batch. */
  const upload = (chosen: readonly number[]): Batch => {
    const starts = [0];
    const [own, mask, at]: [number[], number[], number[]] = [[], [], []];
    let longest = 0;
    for (const sample of chosen) {
      const [first, end] = sequences
        ? [offsets[sample]!, offsets[sample + 1]!]
        : [sample, sample + 1];
      for (let row = first; row < end; row++) {
        own.push(row);
        mask.push(detected[row] ?? 1);
        at.push(row - first);
      }
      longest = Math.max(longest, end - first);
      starts.push(own.length);
    }
    const tile = new Float32Array(own.length * stride);
    own.forEach((row, i) => tile.set(x.slice(row * width, (row + 1) * width), i * stride));
    open.write("x", tile);
    open.write("positions", Float32Array.from(at.flatMap((position) => [position, 0, 0, 0])));
    open.write("starts", Uint32Array.from(starts));
    open.write("detected", Uint32Array.from(mask));
    open.write("labels", Float32Array.from(chosen, (sample) => y[sample]!));
    open.write("weights", new Float32Array(chosen.length).fill(1));
    const rowsOf = sequences ? { firstRow: 0, rows: own.length, longest } : {};
    return { firstSample: 0, samples: chosen.length, ...rowsOf };
  };
  return { net, adam, open, logits, upload, ordered, samples, sequences };
}

describe("nets give what another package gave", () => {
  for (const name of Object.keys(GOLDENS)) {
    it(name, async (context) => {
      const missing = sharedDataMissing();
      if (missing) context.skip(missing);
      const { net, adam, open, logits, upload, ordered, samples, sequences } = await openGolden(
        name,
      );
      const all = Array.from({ length: samples }, (_, i) => i);
      const { seq_batches } = await sharedJson(`${FOLDER}/meta.json`) as {
        seq_batches: number[][];
      };
      const batches = sequences
        ? seq_batches
        : [0, 32, 64].map((first) => all.slice(first, first + 32));

      const logitsAre = async (wanted: readonly number[]) => {
        const batchOf = () => batch;
        const batch = upload(all);
        await open.run([
          ...net.forward(batchOf, { loss: false }),
          ...net.store(logits, "stored", batchOf),
        ]);
        const got = await open.read("stored");
        wanted.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(1e-5));
      };
      await logitsAre(await numbers(`${name}_logits0`));

      const losses = await numbers(`${name}_losses`);
      const gradient = ordered(await numbers(`${name}_grad_batch0`));
      const norm = Math.hypot(...gradient);
      for (let step = 1; step <= 12; step++) {
        const batch: Batch = { ...upload(batches[(step - 1) % batches.length]!), step };
        const batchOf = () => batch;
        await open.run([
          ...net.forward(batchOf),
          ...net.backward(batchOf),
          ...adam.step(batchOf),
        ]);
        const [sum, weight, more] = await open.read(net.losses.name);
        expect(Math.abs(sum! / weight! + more! - losses[step - 1]!)).toBeLessThan(1e-5);
        if (step === 1) {
          const got = net.unpack((await open.read(net.names.gradient)).subarray(0, net.stride));
          gradient.forEach((value, i) =>
            expect(Math.abs(got[i]! - value) / norm).toBeLessThan(1e-5)
          );
        }
        if (![1, 3, 12].includes(step)) continue;
        const got = net.unpack((await open.read(net.names.parameters)).subarray(0, net.stride));
        ordered(await numbers(`${name}_params${step}`))
          .forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(1e-5));
      }
      await logitsAre(await numbers(`${name}_logits12`));
      open.close();
    });
  }
});
