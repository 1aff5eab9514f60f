/**
 * Steps of training, of nets side by side and of one alone: what probes of samples and of sequences do forward, backward
 * and by AdamW, beside the time that the products of one kind would take alone at the adapter's rate of multiply-adds;
 * and where that time goes, kernel by kernel.
 */

import type { Gpu } from "../src/gpu/device.ts";
import { formatTable } from "../src/math/format.ts";
import type { Model } from "../test/support/net_models.ts";
import { models, openModel } from "../test/support/net_models.ts";
import type { CeilingMeter } from "./ceilings.ts";
import { checkWithin, median, problemScale } from "./harness.ts";
import { profileSteps } from "./profile.ts";
import type { ResultRow } from "./results.ts";

const REPEATS = 5;
const WIDTH = 512;
const HIDDEN = 128;
const HEADS = 8;

/** Multiply-adds of a step: three products of each layer, but two of the first, whose inputs have no gradient. */
interface Case {
  model: Model;
  flops(rows: number, samples: number): number;
}

const CASES: Record<string, Case> = {
  mlp: {
    model: models.gelu(WIDTH, HIDDEN, 0.2),
    flops: (_, samples) => samples * HIDDEN * (2 * WIDTH + 3),
  },
  attention: {
    model: models.attention(WIDTH, HIDDEN, 0.2),
    flops: (rows, samples) =>
      rows * HIDDEN * (2 * WIDTH + 3) +
      samples * 3 * (WIDTH * 2 * HIDDEN + 2 * HIDDEN * HIDDEN + HIDDEN),
  },
  multimax: {
    model: models.multimax(WIDTH, HIDDEN, HEADS),
    flops: (rows, samples) =>
      rows * HIDDEN * (2 * WIDTH + 3 * HIDDEN + 3 * HEADS) + samples * 3 * HEADS,
  },
  gated: {
    model: models.gated(WIDTH, HIDDEN, HEADS),
    flops: (rows, samples) =>
      rows * HIDDEN * (2 * WIDTH + 3 * HIDDEN + 6 * HEADS) + samples * 6 * HEADS,
  },
  "rolling attention": {
    model: models.soft(WIDTH, HIDDEN, HEADS, 10),
    flops: (rows, samples) =>
      rows * HIDDEN * (2 * WIDTH + 3 * HIDDEN + 6 * HEADS) + samples * 3 * HEADS,
  },
};

async function timeSteps(
  gpu: Gpu,
  { name, model, flops }: Case & { name: string },
  { nets, lengths }: { nets: number; lengths: readonly number[] },
  meter: CeilingMeter,
) {
  const samples = lengths.length;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const opened = await openModel(gpu, model, { nets, lengths, step: 1 });
  const { net, open, batch, adam, twin } = opened;
  try {
    const batchOf = () => batch;
    const step = [...net.forward(batchOf), ...net.backward(batchOf), ...adam.step(batchOf)];
    await open.run(step);
    const [sum, weight] = await open.read(net.losses.name);
    checkWithin(`the loss of ${name}`, Math.abs(sum! / weight! - twin(0).twin.loss), 1e-5);
    const milliseconds: number[] = [];
    const gflops: number[] = [];
    for (let i = 0; i < REPEATS; i++) {
      gflops.push((await meter.measure()).gflops);
      const began = performance.now();
      await open.run(step);
      milliseconds.push(performance.now() - began);
    }
    const shares = await profileSteps(open, { [name]: step }, () => performance.now());
    return {
      ...{ dispatches: step.length, ms: median(milliseconds), shares },
      ...{ flops: 2 * nets * flops(rows, samples), gflops: median(gflops) },
    };
  } finally {
    open.close();
  }
}

export async function runNetStep(gpu: Gpu, meter: CeilingMeter): Promise<ResultRow[]> {
  const scale = problemScale(gpu);
  const table = [["case", "dispatches", "ms a step", "GFLOP/s", "of FMA"]];
  const results: ResultRow[] = [];
  const lengths = Array.from({ length: 8 * scale }, (_, i) => 16 + 4 * (i % 8));
  for (const nets of [1, 8]) {
    for (const [kind, own] of Object.entries(CASES)) {
      const name = `${kind}, ${nets} nets, ${lengths.length} samples, ${WIDTH} features`;
      const found = await timeSteps(gpu, { name, ...own }, { nets, lengths }, meter);
      const { dispatches, ms, flops, gflops, shares } = found;
      const rate = flops / ms / 1e6;
      table.push([
        ...[name, `${dispatches}`],
        ...[ms.toFixed(1), rate.toFixed(2), (rate / gflops).toFixed(2)],
      ]);
      results.push({
        ...{ bench: "net_step", case: name, dispatches, medianMs: ms, flops, gflops: rate },
        ...{ fmaGflops: gflops, ofFma: rate / gflops },
      } as ResultRow);
      for (const { kernel, dispatches, ms, share } of shares) {
        results.push({
          ...{ bench: "net_step_profile", case: `${name}, ${kernel}` },
          ...{ dispatches, medianMs: ms, share },
        } as ResultRow);
      }
    }
  }
  console.log(`net_step on ${gpu.adapter.name}\n${formatTable(table)}\n`);
  return results;
}
