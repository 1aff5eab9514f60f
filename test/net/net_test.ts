import { describe, expect, it } from "vitest";
import { Net } from "../../src/net/net.ts";
import { openNet } from "../support/run_net.ts";
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
    ["many outputs, whose gradient is made in slices", models.spread(3, 9, 1029), {
      ...{ nets: 2, lengths: samples, room: 2 },
    }],
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

describe("layers hold to what they say where numbers do not tell", () => {
  it("labels and weights are of each net, and a net without weights has no loss and no gradient", async () => {
    const net = new Net({ nets: 3, samples: 4 });
    const x = net.input("x", { axis: "samples", width: 1 });
    const logits = net.linear(x, { name: "a", to: 1, bias: false });
    net.binaryCrossEntropy(logits, { sharedLabels: false, sharedWeights: false });
    const labels = [[1, 0, 1], [0, 0, 1], [1, 1, 1]];
    const weights = [[1, 0, 2], [3, 0, 1], [1, 0, 1]];
    const values = [0.5, -1, 2];
    const open = await openNet(
      gpu(),
      net.sharedBuffers(() => Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)),
      {
        x: Float32Array.from(values.flatMap((value) => [value, 0, 0, 0])),
        labels: Float32Array.from(labels.flat()),
        weights: Float32Array.from(weights.flat()),
        [net.losses.name]: 3 * net.losses.slotBytes,
      },
    );
    const batchOf = () => ({ firstSample: 0, samples: 3, slot: 2 });
    await open.run([...net.forward(batchOf), ...net.backward(batchOf)]);
    const losses = (await open.read(net.losses.name)).subarray(2 * 9);
    const gradient = await open.read(net.names.gradient);
    open.close();
    for (let k = 0; k < 3; k++) {
      const own = weights.map((row) => row[k]!);
      const sum = own.reduce((total, weight) => total + weight, 0);
      let [loss, slope] = [0, 0];
      values.forEach((z, i) => {
        loss += own[i]! * Math.log(1 + Math.exp(labels[i]![k] ? -z : z));
        slope += own[i]! * (1 / (1 + Math.exp(-z)) - labels[i]![k]!) * z / (sum || 1);
      });
      expect(losses[3 * k]).toBeCloseTo(loss, 5);
      expect(losses[3 * k + 1]).toBe(sum);
      expect(losses[3 * k + 2]).toBe(0);
      expect(gradient[4 * k]).toBeCloseTo(slope, 6);
    }
    expect([losses[3], gradient[4]]).toEqual([0, 0]);
  });

  it("of equal rows the first that counts is the largest, and none where none counts", async () => {
    const net = new Net({ nets: 2, samples: 3, rows: 40 });
    const x = net.input("x", { axis: "rows", width: 1 });
    net.sampleMax(net.linear(x, { name: "a", to: 3 }), { bipolar: true });
    const detected = new Uint32Array(40).fill(1);
    detected.fill(0, 0, 2).fill(0, 30, 40);
    const open = await openNet(
      gpu(),
      net.sharedBuffers(() => new Float32Array(2 * net.stride).fill(1)),
      {
        x: new Float32Array(160),
        starts: Uint32Array.of(0, 25, 30, 40),
        detected,
      },
    );
    await open.run(net.forward(() => ({ firstSample: 0, samples: 3, firstRow: 0, rows: 40 })));
    const chosen = new Uint32Array((await open.read("net largest 1 chosen")).buffer);
    open.close();
    const none = 2 ** 32 - 1;
    for (let k = 0; k < 2; k++) {
      [2, 25, none].forEach((row, sample) => {
        const at = (3 * k + sample) * 8;
        expect([...chosen.subarray(at, at + 6)]).toEqual(Array(6).fill(row));
      });
    }
  });

  it("what scores have in common has no gradient at all", async () => {
    const problem = { nets: 2, lengths: LENGTHS };
    const { net, open, batch } = await openModel(gpu(), models.attention(8, 6), problem);
    const batchOf = () => batch;
    await open.run([...net.forward(batchOf), ...net.backward(batchOf)]);
    const gradient = await open.read(net.names.gradient);
    open.close();
    const { offset } = net.parameters.find(({ name }) => name === "s3.bias")!;
    expect([gradient[offset], gradient[net.stride + offset]]).toEqual([0, 0]);
  });
});
