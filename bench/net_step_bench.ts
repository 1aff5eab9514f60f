/**
 * Steps of training, of nets side by side and of one alone: what a probe of sequences does forward, backward and by
 * AdamW, beside the time that its products alone would take at the adapter's rate of multiply-adds.
 */

import type { Gpu } from "../src/gpu/device.ts";
import { formatTable } from "../src/math/format.ts";
import { Random } from "../src/math/random.ts";
import { Adam } from "../src/net/adam.ts";
import type { Batch } from "../src/net/batch.ts";
import { Net } from "../src/net/net.ts";
import { NetTwin } from "../test/reference/net_layers.ts";
import { models } from "../test/support/net_models.ts";
import { openNet } from "../test/support/run_net.ts";
import type { CeilingMeter } from "./ceilings.ts";
import { checkWithin, median, problemScale } from "./harness.ts";
import type { ResultRow } from "./results.ts";

const REPEATS = 5;
const WIDTH = 512;
const HIDDEN = 128;

async function timeSteps(gpu: Gpu, nets: number, lengths: readonly number[], meter: CeilingMeter) {
  const samples = lengths.length;
  const starts = [0];
  for (const length of lengths) starts.push(starts.at(-1)! + length);
  const rows = starts.at(-1)!;
  const model = models.attention(WIDTH, HIDDEN, 0.2);
  const net = new Net({ nets, rows, samples, seeds: Array.from({ length: nets }, (_, k) => k) });
  model.build(net, net.input("x", model));
  const adam = new Adam(net, { rates: Array.from({ length: nets }, () => [{ rate: 5e-4 }]) });
  const random = new Random(1);
  const count = net.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
  const parameters = Float32Array.from({ length: count }, () => (random.uniform() - 0.5) / 8);
  const x = Float32Array.from({ length: rows * WIDTH }, () => random.uniform() - 0.5);
  const labels = lengths.map((_, sample) => sample % 2);
  const open = await openNet(gpu, [
    ...net.sharedBuffers(() => {
      const all = new Float32Array(nets * net.stride);
      for (let k = 0; k < nets; k++) all.set(net.pack(parameters), k * net.stride);
      return all;
    }),
    ...adam.sharedBuffers(),
  ], {
    x,
    starts: Uint32Array.from(starts),
    detected: new Uint32Array(rows).fill(1),
    labels: Float32Array.from(labels),
    weights: new Float32Array(samples).fill(1),
    [net.losses.name]: net.losses.slotBytes,
  });
  try {
    const batch: Batch = { firstSample: 0, samples, firstRow: 0, rows, step: 1 };
    const batchOf = () => batch;
    const step = [...net.forward(batchOf), ...net.backward(batchOf), ...adam.step(batchOf)];
    await open.run(step);
    const twin = new NetTwin(parameters, {
      inputs: { x },
      ...{ samples, starts, labels, seed: 0, step: 1, detected: Array(rows).fill(1) },
    });
    model.build(twin, twin.input("x", model));
    const [sum, weight] = await open.read(net.losses.name);
    checkWithin("the loss", Math.abs(sum! / weight! - twin.loss), 1e-5);
    const milliseconds: number[] = [];
    const gflops: number[] = [];
    for (let i = 0; i < REPEATS; i++) {
      gflops.push((await meter.measure()).gflops);
      const began = performance.now();
      await open.run(step);
      await open.read(net.losses.name);
      milliseconds.push(performance.now() - began);
    }
    // forward and the weights' gradient of the first layer, whose inputs have none; three products of the others
    const flops = 2 * nets * (rows * HIDDEN * (2 * WIDTH + 3) +
      samples * 3 * (WIDTH * 2 * HIDDEN + 2 * HIDDEN * HIDDEN));
    return { dispatches: step.length, ms: median(milliseconds), flops, gflops: median(gflops) };
  } finally {
    open.close();
  }
}

export async function runNetStep(gpu: Gpu, meter: CeilingMeter): Promise<ResultRow[]> {
  const scale = problemScale(gpu);
  const table = [["case", "dispatches", "ms a step", "GFLOP/s", "of FMA"]];
  const results: ResultRow[] = [];
  for (const nets of [1, 8]) {
    const lengths = Array.from({ length: 8 * scale }, (_, i) => 16 + 4 * (i % 8));
    const { dispatches, ms, flops, gflops } = await timeSteps(gpu, nets, lengths, meter);
    const shape = `attention, ${nets} nets, ${lengths.length} samples, ${WIDTH} features`;
    const rate = flops / ms / 1e6;
    table.push([
      shape,
      `${dispatches}`,
      ms.toFixed(1),
      rate.toFixed(2),
      (rate / gflops).toFixed(2),
    ]);
    results.push({
      ...{ bench: "net_step", case: shape, dispatches, medianMs: ms, flops, gflops: rate },
      ...{ fmaGflops: gflops, ofFma: rate / gflops },
    } as ResultRow);
  }
  console.log(`net_step on ${gpu.adapter.name}\n${formatTable(table)}\n`);
  return results;
}
