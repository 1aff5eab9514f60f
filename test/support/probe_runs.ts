/** Probes run on the device over batches that a test names, beside their twins: losses, gradients, parameters. */

import type { RaggedArray } from "../../src/feed/ragged.ts";
import type { SampleArray } from "../../src/feed/samples.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Batches } from "../../src/net/batches.ts";
import { PredictionTask } from "../../src/net/prediction_task.ts";
import { TrainingTask } from "../../src/net/training_task.ts";
import type { TrainedKind, TrainingSettings } from "../../src/probes/trained_kind.ts";
import { ProbeSource } from "../../src/probes/probe_source.ts";
import { samplesOf } from "../../src/probes/trained_probe.ts";
import { createNet } from "../../src/probes/training.ts";
import { Plan } from "../../src/stream/plan.ts";
import type { Shapes } from "../reference/probes.ts";
import { taskOf } from "./task.ts";

export interface ProbeRun {
  kind: TrainedKind;
  settings: TrainingSettings;
  data: SampleArray;
  labels: ArrayLike<number>;
  /** In the twin's order. */
  shapes: Shapes;
  parameters: ArrayLike<number>;
  /** Samples of a batch. */
  batches: readonly (readonly number[])[];
  /** Rows that windows run over in a batch: those of its longest sample. */
  padded?: boolean;
}

/** Products that are stored the other way around. */
const TURNED = ["query_proj", "value_proj"];

/** Parameters by name, from the twin's order to the net's or back. */
function reordered(
  shapes: Shapes,
  names: readonly string[],
  values: ArrayLike<number>,
  back = false,
): Float32Array<ArrayBuffer> {
  const size = (name: string) => shapes[name]!.reduce((product, size) => product * size, 1);
  const places = (order: readonly string[]) => {
    let at = 0;
    return Object.fromEntries(order.map((name) => [name, (at += size(name)) - size(name)]));
  };
  const [twin, own] = [places(Object.keys(shapes)), places(names)];
  const result = new Float32Array(values.length);
  for (const name of names) {
    const [inputs, outputs] = [shapes[name]![0]!, shapes[name]![1] ?? 1];
    for (let i = 0; i < size(name); i++) {
      const turned = TURNED.includes(name) ? (i % outputs) * inputs + Math.floor(i / outputs) : i;
      if (back) result[twin[name]! + i] = values[own[name]! + turned]!;
      else result[own[name]! + turned] = values[twin[name]! + i]!;
    }
  }
  return result;
}

function netOf({ kind, settings, data, batches }: ProbeRun) {
  const samples = samplesOf(kind, data, "fit a probe");
  const rows = (batch: readonly number[]) =>
    batch.reduce((sum, sample) => sum + samples.rowsOf(sample), 0);
  return {
    samples,
    ...createNet(kind, settings, {
      features: samples.features,
      seeds: [settings.seed],
      samples: Math.max(...batches.map(({ length }) => length)),
      rows: Math.max(...batches.map(rows)),
    }),
  };
}

const longestOf = (data: SampleArray, batch: readonly number[]) =>
  Math.max(
    ...batch.map((i) => (data as RaggedArray).offsets[i + 1]! - (data as RaggedArray).offsets[i]!),
  );

/** Trains on the batches in turn, as many steps as asked for. */
export async function trainOn(gpu: Gpu, run: ProbeRun, steps: number) {
  const { settings, batches, labels, shapes, parameters, padded } = run;
  const { net, logits, samples } = netOf(run);
  net.binaryCrossEntropy(logits, { sharedLabels: false });
  const names = net.parameters.map(({ name }) => name);
  const batching: Batches = {
    rows: 1,
    trainingRows: 1,
    at(epoch) {
      const batch = batches[epoch % batches.length]!;
      const longest = padded ? { longest: longestOf(run.data, batch) } : {};
      return {
        samples: Uint32Array.from(batch),
        ...{ step: epoch + 1, scale: 1, adds: false, ends: true },
        ...longest,
      };
    },
    most: (_, ofSample) =>
      Math.max(...batches.map((batch) => batch.reduce((sum, i) => sum + ofSample(i), 0))),
  };
  const task = new TrainingTask({
    name: "train",
    net,
    initial: () => net.pack(reordered(shapes, names, parameters)),
    optimizer: { rates: [[{ rate: settings.learningRate, decay: settings.weightDecay }]] },
    batches: batching,
    source: new ProbeSource(samples, net, { labels: [Uint8Array.from(labels)] }),
    epochs: steps,
    patience: 1,
    identity: { facts: "test" },
    output: { kind: "test", formatVersion: 1, adapter: gpu.adapter.name, attributes: {} },
    async result(stored) {
      const parts: number[] = [];
      for (const name of names) parts.push(...await stored.read(name) as Float32Array);
      return {
        losses: await stored.read("training_loss") as Float64Array,
        parameters: reordered(shapes, names, parts, true),
      };
    },
  });
  return await new Plan(gpu, task).run();
}

/** Logits of all samples, of which the batches say how many are taken at once. */
export async function logitsOn(gpu: Gpu, run: ProbeRun): Promise<Float32Array> {
  const { net, logits, samples } = netOf(run);
  const names = net.parameters.map(({ name }) => name);
  const batch = run.batches[0]!;
  const task = new PredictionTask({
    name: "predict",
    net,
    value: logits,
    says: "logits",
    parameters: () => net.pack(reordered(run.shapes, names, run.parameters)),
    source: new ProbeSource(samples, net, {}),
    samples: samples.count,
    turns: {
      samples: batch.length,
      rows: 0,
      ...(run.padded && { longest: longestOf(run.data, batch) }),
    },
    identity: { facts: "test" },
    output: { kind: "test", formatVersion: 1, adapter: gpu.adapter.name, attributes: {} },
    result: async (stored) => await stored.read("logits") as Float32Array,
  });
  return await new Plan(gpu, task).run();
}

/** The gradient of the first batch. */
export async function gradientOn(gpu: Gpu, run: ProbeRun): Promise<Float32Array> {
  const { net, logits, samples } = netOf(run);
  net.binaryCrossEntropy(logits, { sharedLabels: false });
  const names = net.parameters.map(({ name }) => name);
  const batch = Uint32Array.from(run.batches[0]!);
  const source = new ProbeSource(samples, net, { labels: [Uint8Array.from(run.labels)] });
  const rows = batch.reduce((sum, sample) => sum + source.rowsOf(sample), 0);
  const batchOf = () => ({
    ...{ firstSample: 0, samples: batch.length, firstRow: 0, rows, step: 1 },
    ...(run.padded && { longest: longestOf(run.data, run.batches[0]!) }),
  });
  const bytes = 4 * net.stride;
  let found = new Float32Array(0);
  const task = taskOf({
    name: "gradient",
    layout: () => ({
      rows: 1,
      shared: net.sharedBuffers(() => net.pack(reordered(run.shapes, names, run.parameters))),
      passes: [{
        name: "gradient",
        direction: "forward",
        cost: 1,
        slotBuffers: [
          ...net.tileInputs.map(({ name, axis, bytes }) => ({
            name,
            bytes: bytes * (axis === "rows" ? rows : batch.length + 1),
            role: "upload" as const,
          })),
          { name: net.losses.name, bytes: net.losses.slotBytes, role: "download" },
          { name: "seen", bytes, role: "download" },
        ],
        steps: [
          {
            name: "gradient",
            order: "ascending",
            loop: [...net.forward(batchOf), ...net.backward(batchOf)],
          },
          {
            copy: { from: net.names.gradient, to: "seen" },
            ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
          },
        ],
        read: (_, { signal }) => source.read(batch, signal),
        write: (_, { seen }) => {
          found = new Float32Array(seen!.slice(0, bytes));
        },
      }],
    }),
  });
  await new Plan(gpu, task).run();
  return reordered(run.shapes, names, net.unpack(found), true);
}
