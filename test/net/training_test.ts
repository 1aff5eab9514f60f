import { describe, expect, it } from "vitest";
import { Adam } from "../../src/net/adam.ts";
import type { Batch } from "../../src/net/batch.ts";
import { KeepBest, PROGRESS } from "../../src/net/keep_best.ts";
import { Net } from "../../src/net/net.ts";
import { PROGRESS_WORDS } from "../../src/net/loss.ts";
import { adamStep } from "../reference/net_layers.ts";
import { useGpu } from "../support/gpu.ts";
import { models, openModel } from "../support/net_models.ts";
import { seeded } from "../support/random.ts";
import { openNet } from "../support/run_net.ts";

const gpu = useGpu();

const words = (values: Float32Array) => new Uint32Array(values.buffer);

/** Nets of two matrices in groups of their own, whose gradient is written from outside. */
async function openOptimizer(
  rates: ConstructorParameters<typeof Adam>[1]["rates"],
  more: Partial<ConstructorParameters<typeof Adam>[1]> = {},
) {
  const nets = rates.length;
  const net = new Net({ nets, samples: 1 });
  const x = net.input("x", { axis: "samples", width: 5 });
  const inner = net.linear(x, { name: "a", to: 3 });
  net.linear(inner, { name: "b", to: 1, group: rates[0]!.length - 1 });
  const adam = new Adam(net, { rates, ...more });
  const keep = new KeepBest(net, { patience: 2 });
  const random = seeded(7);
  const values = Float32Array.from({ length: nets * net.stride }, () => random() - 0.5);
  const open = await openNet(gpu(), [
    ...net.sharedBuffers(() => values),
    ...adam.sharedBuffers(),
    ...keep.sharedBuffers(),
  ], {});
  const step = async (batch: Partial<Batch>, gradient: Float32Array) => {
    open.write(net.names.gradient, gradient);
    await open.run(adam.step(() => ({ firstSample: 0, samples: 1, ...batch })));
  };
  return { net, open, keep, values, step, random };
}

describe("Adam", () => {
  for (const decoupled of [true, false]) {
    it(`steps as in f64, ${decoupled ? "decay by itself" : "decay in the gradient"}`, async () => {
      const rates = [
        [{ rate: 1e-2, decay: 0.1 }, { rate: 1e-3, epsilon: 1e-4 }],
        [{ rate: 0.1 }, { rate: 3e-2, decay: 1 }],
      ];
      const betas = [0.8, 0.99] as const;
      const { net, open, values, step, random } = await openOptimizer(rates, { decoupled, betas });
      const first = net.parameters[2]!.offset;
      const states = rates.flatMap((own, k) =>
        own.map((each, group) => {
          const [from, to] = group === 0 ? [0, first] : [first, net.stride];
          const at = k * net.stride;
          const plain = Float64Array.from(values.subarray(at + from, at + to));
          const zeros = () => new Float64Array(plain.length);
          return { at: at + from, each, values: plain, first: zeros(), second: zeros() };
        })
      );
      for (let i = 1; i <= 20; i++) {
        const gradient = values.map(() => (random() - 0.5) * 10 ** (4 * random() - 4));
        const rateScale = i > 10 ? 0.5 : 1;
        await step({ step: i, rateScale }, gradient);
        // no step
        await step({ updates: false }, gradient.map(() => 1));
        for (const state of states) {
          const own = gradient.subarray(state.at, state.at + state.values.length);
          const { each } = state;
          adamStep(state, own, i, { ...each, rate: each.rate * rateScale, decoupled, betas });
        }
      }
      const got = await open.read(net.names.parameters);
      for (const state of states) {
        state.values.forEach((value, i) =>
          expect(Math.abs(got[state.at + i]! - value)).toBeLessThan(
            1e-5 * Math.max(1, Math.abs(value)),
          )
        );
      }
      open.close();
    });
  }

  it("refuses rates of other nets, and steps that are not counted", async () => {
    const net = new Net({ nets: 2, samples: 1 });
    net.linear(net.input("x", { axis: "samples", width: 1 }), { name: "a", to: 1 });
    expect(() => new Adam(net, { rates: [[{ rate: 1 }]] })).toThrow(
      "Cannot optimize: rates of 1 nets with 1 groups, wanted 2 with 1",
    );
    const adam = new Adam(net, { rates: [[{ rate: 1 }], [{ rate: 1 }]] });
    const [step] = adam.step(() => ({ firstSample: 0, samples: 1 }));
    expect(() => step!.params({ start: 0, end: 1, firstLane: 0, lanes: 1 }, 0)).toThrow(
      "Cannot optimize: the step is 0, wanted 1 or more",
    );
  });
});

describe("what is best", () => {
  it("is kept by net, strictly lower alone, and a net that is not better for long stays as it is", async () => {
    const rates = Array.from({ length: 3 }, () => [{ rate: 0.1 }]);
    const { net, open, keep, step } = await openOptimizer(rates);
    const losses = [
      [5, 4, 4, 3, 6, 2],
      [1, 1, 1, 0, 0, 0],
      [2, 3, 2, 1, 1, 1],
    ];
    const best = [...losses.map(() => Infinity)];
    const stale = losses.map(() => 0);
    const kept = losses.map(() => new Float32Array());
    let before = await open.read(net.names.parameters);
    for (let i = 0; i < losses[0]!.length; i++) {
      await step({ step: i + 1 }, before.map(() => 1));
      const now = await open.read(net.names.parameters);
      const progress = words(await open.read(net.names.progress));
      const floats = new Float32Array(progress.buffer);
      losses.forEach((own, k) => {
        const at = k * PROGRESS_WORDS;
        // weights of a net cancel
        floats[at + PROGRESS.loss] = own[i]! * (k + 1);
        floats[at + PROGRESS.weight] = k + 1;
        const frozen = stale[k]! >= 2;
        const mine = now.subarray(k * net.stride, (k + 1) * net.stride);
        expect(mine.every((value, j) => value === before[k * net.stride + j])).toBe(frozen);
        if (frozen) return;
        if (own[i]! < best[k]!) {
          best[k] = own[i]!;
          stale[k] = 0;
          kept[k] = mine.slice();
        } else stale[k]!++;
      });
      open.write(net.names.progress, progress);
      await open.run(keep.judge(() => ({ firstSample: 0, samples: 1 })));
      expect(words(await open.read(net.names.progress)).slice(0, 24)).toEqual(
        progress.slice(0, 24),
      );
      await open.run(keep.judge(() => ({ firstSample: 0, samples: 1, judges: true })));
      const after = words(await open.read(net.names.progress));
      const bestNow = await open.read("net best");
      losses.forEach((_, k) => {
        const at = k * PROGRESS_WORDS;
        expect(after[at + PROGRESS.stale]).toBe(stale[k]);
        expect(after[at + PROGRESS.frozen]).toBe(Number(stale[k]! >= 2));
        expect(new Float32Array(after.buffer)[at + PROGRESS.best]).toBe(best[k]);
        expect(bestNow.slice(k * net.stride, (k + 1) * net.stride)).toEqual(kept[k]);
      });
      before = now;
    }
    const end = words(await open.read(net.names.progress));
    // 5, 4, 4, 3, 6, 2 goes on to the end; 1, 1, 1 and 2, 3, 2 stop
    expect([0, 1, 2].map((k) => end[8 * k + PROGRESS.bestAt])).toEqual([6, 1, 1]);
    expect([0, 1, 2].map((k) => end[8 * k + PROGRESS.judged])).toEqual([6, 3, 3]);
    open.close();
  });
});

describe("nets side by side", () => {
  const model = models.attention(9, 6, 0.3);
  const lengths = [4, 0, 9, 2];

  async function gradients(nets: number, before: number) {
    const problem = { nets, lengths, before, step: 5, room: 2 };
    const { net, open, batch, parameters } = await openModel(gpu(), model, problem);
    // all with the parameters and the seed of the first
    const all = new Float32Array(nets * net.stride);
    for (let k = 0; k < nets; k++) {
      all.set(net.pack(parameters[0]!.map((_, i) => Math.sin(i))), k * net.stride);
    }
    open.write(net.names.parameters, all);
    open.write(net.names.seeds, new Uint32Array(nets).fill(9));
    const batchOf = () => batch;
    await open.run([...net.forward(batchOf), ...net.backward(batchOf)]);
    const gradient = await open.read(net.names.gradient);
    const once = Array.from(
      { length: nets },
      (_, k) => gradient.slice(k * net.stride, (k + 1) * net.stride),
    );
    const half = { ...batch, scale: 0.5 };
    await open.run([...net.forward(() => half), ...net.backward(() => half)]);
    const more = { ...half, adds: true };
    await open.run([...net.forward(() => more), ...net.backward(() => more)]);
    const twice = (await open.read(net.names.gradient)).slice(0, net.stride);
    const progress = await open.read(net.names.progress);
    const losses = await open.read(net.losses.name);
    open.close();
    return { once, twice, progress, losses };
  }

  it("are bit for bit what each is alone, wherever in a tile their batch lies", async () => {
    // the batch is the same, since it is drawn by shape alone
    const [alone] = (await gradients(1, 0)).once;
    for (const own of (await gradients(3, 0)).once) expect(own).toEqual(alone);
    for (const own of (await gradients(2, 7)).once) expect(own).toEqual(alone);
  });

  it("add up the gradients of batches that make one update, and their losses", async () => {
    const { once, twice, progress, losses } = await gradients(2, 1);
    once[0]!.forEach((value, i) => expect(Math.abs(twice[i]! - value)).toBeLessThan(1e-6));
    expect(progress[PROGRESS.loss]).toBeCloseTo(2 * losses[0]!, 5);
    expect(progress[PROGRESS.weight]).toBeCloseTo(2 * losses[1]!, 5);
  });
});

describe("a net that cannot be made", () => {
  const make = () => {
    const net = new Net({ nets: 1, samples: 4, rows: 8 });
    return { net, x: net.input("x", { axis: "rows", width: 6 }) };
  };
  const each: [string, () => unknown, string][] = [
    [
      "has no nets",
      () => new Net({ nets: 0, samples: 1 }),
      "Cannot make a net: nets is 0, wanted a whole number from 1",
    ],
    [
      "has names twice",
      () => {
        const { net, x } = make();
        net.linear(x, { name: "a", to: 1 });
        net.linear(x, { name: "a", to: 1 });
      },
      `Cannot add a value: "net a" is there already`,
    ],
    [
      "drops without seeds",
      () => make().net.linear(make().x, { name: "a", to: 1, dropout: 0.1 }),
      `Cannot add "a": dropout needs the net's seeds`,
    ],
    [
      "attends with heads that do not fit",
      () => {
        const { net, x } = make();
        net.attend(net.linear(x, { name: "a", to: 4 }), x);
      },
      "Cannot attend: values have 6 columns, wanted a multiple of the 4 heads",
    ],
    [
      "takes a normalised input twice",
      () => {
        const { net, x } = make();
        const normed = net.layerNorm(x, { name: "n" });
        net.linear(normed, { name: "a", to: 1 });
        net.linear(normed, { name: "b", to: 1 });
      },
      `Cannot add "b": another layer takes the normalised input "n"`,
    ],
    [
      "has logits of two columns",
      () => {
        const { net, x } = make();
        net.binaryCrossEntropy(net.linear(x, { name: "a", to: 2 }));
      },
      "Cannot take the loss: logits have 2 columns, wanted 1",
    ],
    [
      "gets a batch without rows",
      () => {
        const { net, x } = make();
        net.linear(x, { name: "a", to: 2 });
        const [first] = net.forward(() => ({ firstSample: 0, samples: 4 }));
        first!.params({ start: 0, end: 1, firstLane: 0, lanes: 1 }, 0);
      },
      "Cannot run a batch: it does not say which rows of the tile are its own",
    ],
    [
      "gets a batch that is too large",
      () => {
        const { net, x } = make();
        net.linear(x, { name: "a", to: 2 });
        const [first] = net.forward(() => ({ firstSample: 0, samples: 4, firstRow: 0, rows: 9 }));
        first!.params({ start: 0, end: 1, firstLane: 0, lanes: 1 }, 0);
      },
      "Cannot run a batch of 9 rows: the net takes at most 8",
    ],
  ];
  for (const [name, run, message] of each) {
    it(`${name} is refused`, () => expect(run).toThrow(message));
  }
});
