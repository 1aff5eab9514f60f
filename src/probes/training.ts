/**
 * Trains probes of one kind side by side on the same samples.
 *
 * @module
 */

import type { Samples } from "../feed/samples.ts";
import type { Gpu } from "../gpu/device.ts";
import { Random } from "../math/random.ts";
import type { Batches } from "../net/batches.ts";
import { batchesByLength, shuffledBatches } from "../net/batches.ts";
import { Net } from "../net/net.ts";
import { TrainingTask } from "../net/training_task.ts";
import { rowStride } from "../net/value.ts";
import type { Value } from "../net/value.ts";
import { BudgetError } from "../errors.ts";
import { storedOf } from "../options.ts";
import type { PlanChoices } from "../stream/choices.ts";
import type { Stored } from "../stream/output.ts";
import { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import type { TrainedKind, TrainingSettings } from "./trained_kind.ts";
import { ProbeSource } from "./probe_source.ts";

/** What stored probes are. */
export const TRAINED_FORMAT = { kind: "probe.trained", formatVersion: 1 } as const;

/** Rows that the device takes at once: few enough for its buffers, and the same on every machine. */
const PIECE_ROWS = 4096;
const PIECE_VALUES = 2 ** 23;
// keeps what parameters begin with apart from other draws of a seed
const STREAM = 0xbe91;

/** One of the probes that learn side by side. */
export interface Member {
  settings: TrainingSettings;
  /** Name of its column of labels. */
  label: string;
  /** By sample: 0 or 1. */
  labels: Uint8Array;
  /** Why it cannot be learned, if so: its result is not taken for one. */
  reason?: string;
}

export interface TrainOptions<Result> {
  kind: TrainedKind;
  samples: Samples;
  /** Alike in all but labels, learning rate, decay and seed. */
  members: readonly Member[];
  /** Of batches and validation. */
  seed: number;
  choices: PlanChoices;
  out?: string | undefined;
  overwrite?: boolean | undefined;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

export function pieceRowsOf(features: number): number {
  return Math.max(1, Math.min(PIECE_ROWS, Math.floor(PIECE_VALUES / rowStride(features))));
}

/** A net of a kind of probe, and its logits. */
export function createNet(
  kind: TrainedKind,
  settings: TrainingSettings,
  { features, seeds, samples, rows }: {
    features: number;
    seeds: readonly number[];
    samples: number;
    rows: number;
  },
): { net: Net; logits: Value } {
  const isSequence = kind.takes === "sequences";
  const net = new Net({
    nets: seeds.length,
    samples,
    seeds,
    ...(isSequence && { rows: Math.max(1, rows) }),
  });
  const x = net.input("x", { axis: isSequence ? "rows" : "samples", width: features });
  const logits = kind.layers(net, x, settings as never);
  return { net, logits };
}

/** Plans the training of probes. Nothing is read yet. */
export function trainProbes<Result>(gpu: Gpu, options: TrainOptions<Result>): Plan<Result> {
  const { kind, samples, members, seed, choices, out, overwrite, result } = options;
  const { settings } = members[0]!;
  const isSequence = kind.takes === "sequences";
  const action = "fit a probe";
  const { batchSize, accumulate, epochs, patience = 1, validationShare = 0.2 } = settings;
  const own = { seed, batchSamples: batchSize, accumulate };
  const batches: Batches = isSequence
    ? batchesByLength(samples.count, {
      ...own,
      lengthOf: (sample) => samples.lengthOf(sample),
      rowsOf: (sample) => samples.rowsOf(sample),
      validationShare,
      maxPaddedTokens: settings.maxPaddedTokens,
      pieceRows: pieceRowsOf(samples.features),
    }, action)
    : shuffledBatches(samples.count, own);
  const seeds = members.map(({ settings }) => settings.seed);
  const { net, logits } = createNet(kind, settings, {
    features: samples.features,
    seeds,
    samples: batches.most(1, () => 1),
    rows: isSequence ? batches.most(1, (sample) => samples.rowsOf(sample)) : 0,
  });
  net.binaryCrossEntropy(logits, { sharedLabels: false });
  const initial = () => {
    const all = new Float32Array(net.nets * net.stride);
    seeds.forEach((seed, k) => {
      const random = new Random(seed, STREAM);
      const values = net.parameters.flatMap((parameter) => [
        ...kind.begin(parameter, random, net.parameters),
      ]);
      all.set(net.pack(values), k * net.stride);
    });
    return all;
  };
  const stored = members.map(({ settings }) => storedOf(kind.options, settings));
  const plan = (loads: boolean) => {
    const labels = members.map(({ labels }) => labels);
    const task = new TrainingTask<Result>({
      name: `train ${kind.name}`,
      net,
      initial,
      optimizer: {
        rates: members.map(({ settings: { learningRate, weightDecay } }) => [
          { rate: learningRate, decay: weightDecay },
        ]),
      },
      batches,
      source: new ProbeSource(samples, net, { labels, loads }),
      epochs,
      patience,
      identity: {
        facts: [
          ...[kind.name, stored, seed, members.map(({ label }) => label)],
          ...[samples.features, samples.count, samples.array.dtype],
        ],
        arrays: labels,
      },
      output: {
        ...TRAINED_FORMAT,
        place: out,
        overwrite,
        adapter: gpu.adapter.name,
        attributes: {
          probe: kind.name,
          features: samples.features,
          options: stored[0],
          members: stored.map(({ learning_rate, weight_decay, seed }) => ({
            ...{ learning_rate, weight_decay, seed },
          })),
          labels: members.map(({ label }) => label),
          reasons: members.map(({ reason = null }) => reason),
          validates: batches.rows > batches.trainingRows,
          parameters: net.parameters.map(({ name }) => name),
        },
      },
      result,
    });
    return new Plan(gpu, task, choices);
  };
  // samples come in another order every epoch: best out of memory, where there is room
  try {
    return plan(true);
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    return plan(false);
  }
}
