import { describe, expect, it } from "vitest";
import type { Model, Problem } from "../support/net_models.ts";
import { models, openModel } from "../support/net_models.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

const LENGTHS = [5, 3, 0, 17, 1];

/** Largest difference, over the norm of what is wanted. */
function off(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let norm = 0;
  let most = 0;
  for (let i = 0; i < wanted.length; i++) {
    norm += wanted[i]! ** 2;
    most = Math.max(most, Math.abs(got[i]! - wanted[i]!));
  }
  return most / Math.max(Math.sqrt(norm), 1e-3);
}

/** Logits, losses and gradient of nets side by side are those of their twins. */
async function agree(model: Model, problem: Problem) {
  const { net, open, logits, batch, twin } = await openModel(gpu(), model, problem);
  const batchOf = () => batch;
  await open.run([
    ...net.forward(batchOf),
    ...net.store(logits, "stored", batchOf),
    ...net.backward(batchOf),
  ]);
  const { nets, lengths, before = 0, scale = 1 } = problem;
  const stored = await open.read("stored");
  const losses = await open.read(net.losses.name);
  const gradient = await open.read(net.names.gradient);
  open.close();
  for (let k = 0; k < nets; k++) {
    const own = twin(k);
    const wanted = own.twin.backward();
    lengths.forEach((_, i) => {
      const got = stored[(before + i) * nets + k]!;
      expect(Math.abs(got - own.logits.data[i]!)).toBeLessThan(1e-5);
    });
    expect(Math.abs(losses[3 * k]! / losses[3 * k + 1]! - own.twin.loss)).toBeLessThan(1e-5);
    expect(Math.abs(losses[3 * k + 2]! - own.twin.regularised)).toBeLessThan(
      1e-5 * (1 + own.twin.regularised),
    );
    const padded = gradient.subarray(k * net.stride, (k + 1) * net.stride);
    const got = net.unpack(padded).map((value) => value / scale);
    expect(off(got, wanted)).toBeLessThan(2e-5);
    // what pads parameters never moves
    const padding = padded.slice();
    for (const [i, value] of net.pack(net.unpack(padded)).entries()) padding[i]! -= value;
    expect(Math.max(...padding.map(Math.abs))).toBe(0);
  }
}

describe("a net on the device does what its twin does in f64", () => {
  const samples = [1, 1, 1, 1, 1, 1, 1, 1, 1];
  const each: [string, Model, Problem][] = [
    ["features, ReLU, one net, one sample", models.relu(1, 1), { nets: 1, lengths: [1] }],
    ["features, ReLU, 3 nets", models.relu(5, 65), { nets: 3, lengths: samples, before: 3 }],
    ["features, GELU, an input each", models.gelu(64, 5), {
      ...{ nets: 3, lengths: samples, shared: false, before: 2, scale: 0.25 },
    }],
    ["features, GELU, dropout", models.gelu(65, 64, 0.3), { nets: 2, lengths: samples, step: 7 }],
    ["features, ReLU, dropout", models.relu(12, 16, 0.5), {
      ...{ nets: 3, lengths: samples, step: 4_000_000_000 },
    }],
    ["many inputs, which threads share", models.relu(1030, 9), { nets: 2, lengths: samples }],
    ["attention", models.attention(8, 6), { nets: 3, lengths: LENGTHS, before: 4, room: 3 }],
    ["attention, an input each, dropout", models.attention(65, 5, 0.2), {
      ...{ nets: 2, lengths: LENGTHS, shared: false, step: 3 },
    }],
    ["attention, one row", models.attention(64, 64), { nets: 1, lengths: [1] }],
    ["attention, no rows at all", models.attention(5, 3), { nets: 2, lengths: [0, 0] }],
    ["attention, long samples", models.attention(260, 9), {
      ...{ nets: 1, lengths: [300, 1, 150], before: 1 },
    }],
    ["maxima", models.multimax(8, 7, 3), { nets: 3, lengths: LENGTHS, before: 1 }],
    ["maxima of many columns", models.multimax(64, 65, 64), {
      ...{ nets: 1, lengths: [70, 9, 0], shared: false },
    }],
    ["gates, both ends and regularising", models.gated(8, 7, 5), {
      ...{ nets: 3, lengths: LENGTHS, before: 2 },
    }],
    ["gates, one row", models.gated(1, 1, 1), { nets: 1, lengths: [1] }],
    ["soft attention of several heads", models.soft(8, 6, 3), { nets: 2, lengths: LENGTHS }],
    ["rolling attention", models.soft(8, 6, 3, 4), { nets: 3, lengths: LENGTHS, before: 3 }],
    ["rolling attention of whole samples", models.soft(5, 6, 5, 17), { nets: 2, lengths: LENGTHS }],
    ["rolling attention of many windows", models.soft(5, 6, 2, 3), {
      ...{ nets: 1, lengths: [150, 90] },
    }],
    ["heads of several columns, sums", models.mixed(9, 3), { nets: 3, lengths: LENGTHS, room: 9 }],
  ];
  for (const [name, model, problem] of each) it(name, () => agree(model, problem));
});
