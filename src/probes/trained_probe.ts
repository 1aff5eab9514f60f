/**
 * Probes that are trained by batches: what all of their kinds do.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import type { SampleArray } from "../feed/samples.ts";
import { isRagged, Samples } from "../feed/samples.ts";
import type { Gpu } from "../gpu/device.ts";
import { mostRowsOf, PredictionTask } from "../net/prediction_task.ts";
import type { OptionsOf } from "../options.ts";
import { declare, oneOf, storedOf } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Stored } from "../stream/output.ts";
import { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import type { ProbeKind, TrainingSettings } from "./kind.ts";
import { ProbeSource } from "./probe_source.ts";
import { createNet, pieceRowsOf, trainProbes } from "./training.ts";

export const probeFitOptions = declare("fit a probe", {
  ...planChoices,
  ...outputChoices,
  /** What labels are of, where an MLP gets samples of tokens. Default `samples`: of all their tokens. */
  labelsOf: oneOf(["samples", "tokens"], {
    default: "samples",
    stored: false,
    says: "what labels are of, where an MLP gets samples of tokens",
  }),
});

/** Options of {@link TrainedProbe.fit}. */
export type ProbeFitOptions = OptionsOf<typeof probeFitOptions>;

export const probePredictOptions = declare("predict", { ...planChoices, ...outputChoices });

/** Options of {@link TrainedProbe.predict}. */
export type ProbePredictOptions = OptionsOf<typeof probePredictOptions>;

/** How a fit went. */
export interface ProbeFit extends Measured {
  /** Epochs that it ran, and the one, from 1, whose parameters it has. */
  epochs: number;
  bestEpoch: number;
  /** `[epochs]`: means over samples, of all that is minimised. */
  trainingLoss: Float64Array;
  /** `[epochs]`, without what regularises; NaN where nothing validates. */
  validationLoss: Float64Array;
}

/** What a probe makes of samples. */
export interface ProbePrediction extends Measured {
  /** `[samples]`, or `[tokens]`, where those that do not count have 0. */
  logits: Float32Array;
  /** 1 / (1 + exp(-logit)), rounded to f32: rank by logits. */
  probabilities: Float32Array;
}

/** A {@link ProbePrediction} that is stored. */
export interface StoredProbePrediction extends Measured {
  place: string;
  /** `[samples, 1, 1]`. */
  logits: ChunkedArray;
  close(): Promise<void>;
}

/** Labels of samples: 0 or 1, false or true. */
export type ProbeLabels = ArrayLike<number | bigint | boolean>;

export interface Learned {
  features: number;
  /** One parameter after the other, as torch has them. */
  parameters: Float32Array;
}

const SAMPLES_A_TURN = 256;

export abstract class TrainedProbe {
  readonly kind: ProbeKind;
  /** Its options, with defaults. */
  readonly settings: Readonly<TrainingSettings>;
  #learned: Learned | undefined;

  constructor(kind: ProbeKind, settings: object) {
    this.kind = kind;
    this.settings = settings as TrainingSettings;
  }

  /**
   * What it has learned: features of a token, and parameters, f32, one after the other.
   *
   * @throws {RangeError} Before a fit has run.
   */
  get learned(): Learned {
    if (!this.#learned) {
      throw new RangeError("Cannot use the probe: it is not fitted, run fit() first");
    }
    return this.#learned;
  }

  /** Takes over what was learned elsewhere. */
  learn(learned: Learned): this {
    this.#learned = learned;
    return this;
  }

  /**
   * Plans a fit. Nothing is read yet.
   *
   * @param data `[samples, features]`, or samples of tokens: only tokens that count are learned from.
   * @param y 0 or 1 for every sample.
   * @throws {RangeError} If labels are others, all the same, or not as many as samples; if no token counts.
   * @throws {BudgetError} If no batch fits the budget.
   */
  fit(gpu: Gpu, data: SampleArray, y: ProbeLabels, options: ProbeFitOptions = {}): Plan<ProbeFit> {
    const { out, overwrite, labelsOf, ...choices } = probeFitOptions.check(options);
    const samples = samplesOf(this.kind, data, "fit a probe");
    const labels = labelsFor(this.kind, data, samples, y, labelsOf);
    checkClasses(labels);
    return trainProbes(gpu, {
      kind: this.kind,
      samples,
      members: [{ settings: this.settings, labels }],
      seed: this.settings.seed,
      choices,
      out,
      overwrite,
      result: async (stored, measured) => {
        const [fit] = await readFits(stored);
        if (fit!.failure) throw new RangeError(`Cannot fit a probe: ${fit!.failure}`);
        this.learn(fit!.learned);
        return { ...fit!.told, ...measured };
      },
    });
  }

  /**
   * Plans predictions, of samples in their order. An MLP that gets samples of tokens predicts every token that
   * counts: see {@link TrainedProbe.predictTokens}.
   *
   * @throws {RangeError} If the probe is not fitted, or data have another number of features.
   */
  predict(
    gpu: Gpu,
    data: SampleArray,
    options: ProbePredictOptions & { out: string },
  ): Plan<StoredProbePrediction>;
  predict(
    gpu: Gpu,
    data: SampleArray,
    options?: ProbePredictOptions & { out?: never },
  ): Plan<ProbePrediction>;
  predict(gpu: Gpu, data: SampleArray, options: ProbePredictOptions = {}): Plan<unknown> {
    if (this.kind.takes === "features" && isRagged(data)) {
      throw new TypeError(
        `Cannot predict: a probe of features (${this.kind.name}) gets samples of tokens, wanted ` +
          "features of samples; predictTokens() takes tokens, and pool() makes features of them",
      );
    }
    const samples = samplesOf(this.kind, data, "predict");
    return this.#predict(gpu, samples, options, (logits) => logits);
  }

  /**
   * Plans predictions of tokens by a probe of features: in memory as large as there are tokens. Tokens that do not
   * count have logit 0.
   */
  predictTokens(
    gpu: Gpu,
    data: RaggedArray,
    options: Omit<ProbePredictOptions, "out" | "overwrite"> = {},
  ): Plan<ProbePrediction> {
    if (this.kind.takes !== "features") {
      throw new TypeError(
        `Cannot predict tokens: a probe of sequences (${this.kind.name}) has one logit for a sample, ` +
          "wanted a probe of features; predict() takes samples of tokens",
      );
    }
    const samples = samplesOf(this.kind, data, "predict tokens");
    return this.#predict(gpu, samples, options, (logits) => {
      const all = new Float32Array(data.rows.shape[0]!);
      logits.forEach((logit, i) => all[samples.rowOf(i)] = logit);
      return all;
    }) as Plan<ProbePrediction>;
  }

  #predict(
    gpu: Gpu,
    samples: Samples,
    options: ProbePredictOptions,
    place: (logits: Float32Array) => Float32Array,
  ): Plan<unknown> {
    const { out, overwrite, ...choices } = probePredictOptions.check(options);
    const { features, parameters } = this.learned;
    if (samples.features !== features) {
      throw new RangeError(
        `Cannot predict: samples have ${samples.features} features, the probe was fitted on ${features}`,
      );
    }
    const turns = turnsOf(this.kind, samples);
    const { net, logits } = createNet(this.kind, this.settings, { features, seeds: [0], ...turns });
    const settings = storedOf(this.kind.options, this.settings);
    const task = new PredictionTask({
      name: `predict ${this.kind.name}`,
      net,
      value: logits,
      says: "logits",
      parameters: () => net.pack(parameters),
      source: new ProbeSource(samples, net, {}),
      samples: samples.count,
      turns,
      identity: {
        facts: [this.kind.name, settings, features, samples.count, samples.array.dtype],
        arrays: [parameters],
      },
      output: {
        kind: "probe.prediction",
        formatVersion: 1,
        place: out,
        overwrite,
        adapter: gpu.adapter.name,
        attributes: { probe: this.kind.name },
      },
      result: async (stored, measured): Promise<ProbePrediction | StoredProbePrediction> => {
        if (stored.place !== undefined) {
          const logits = await stored.open("logits");
          return { place: stored.place, logits, close: () => logits.close(), ...measured };
        }
        const own = place(await stored.read("logits") as Float32Array);
        return { logits: own, probabilities: own.map(probability), ...measured };
      },
    });
    return new Plan(gpu, task, choices);
  }
}

function probability(logit: number): number {
  return logit >= 0 ? 1 / (1 + Math.exp(-logit)) : Math.exp(logit) / (1 + Math.exp(logit));
}

/** Samples as a kind of probe takes them. */
export function samplesOf(kind: ProbeKind, data: SampleArray, action: string): Samples {
  if (kind.takes === "features") return new Samples(data, { action, unit: "each" });
  if (!isRagged(data)) {
    throw new TypeError(
      `Cannot ${action}: a probe of sequences (${kind.name}) gets rows of features, wanted samples of ` +
        "tokens: { rows, offsets, detected }",
    );
  }
  return new Samples(data, { action, unit: kind.hasPlaces ? "whole" : "rows" });
}

/** Samples that a net takes at once. */
function turnsOf(kind: ProbeKind, samples: Samples): { samples: number; rows: number } {
  if (kind.takes === "features") return { samples: SAMPLES_A_TURN, rows: 0 };
  const starts = Float64Array.from({ length: samples.count + 1 }, (_, i) => samples.startOf(i));
  const most = pieceRowsOf(samples.features);
  let count = SAMPLES_A_TURN;
  while (count > 1 && mostRowsOf(starts, count) > most) count /= 2;
  return { samples: count, rows: mostRowsOf(starts, count) };
}

/** Labels of what a probe learns from. */
export function labelsFor(
  kind: ProbeKind,
  data: SampleArray,
  samples: Samples,
  y: ProbeLabels,
  labelsOf: "samples" | "tokens",
): Uint8Array {
  const ofTokens = labelsOf === "tokens";
  if (ofTokens && (kind.takes === "sequences" || !isRagged(data))) {
    throw new TypeError(
      `Cannot fit a probe: labelsOf is "tokens" for ${
        isRagged(data) ? `a probe of sequences (${kind.name})` : "rows of features"
      }, wanted "samples"`,
    );
  }
  const wanted = !isRagged(data) || ofTokens ? samples.array.shape[0]! : data.offsets.length - 1;
  if (y.length !== wanted) {
    throw new RangeError(
      `Cannot fit a probe: y has ${y.length} labels, wanted one for each of the ${wanted} ` +
        (ofTokens ? "tokens" : "samples"),
    );
  }
  const given = Uint8Array.from({ length: wanted }, (_, i) => labelOf(y[i]!, i));
  if (kind.takes === "sequences" || !isRagged(data)) return given;
  return Uint8Array.from({ length: samples.count }, (_, i) => {
    const row = samples.rowOf(i);
    return given[ofTokens ? row : samples.textOf(row)]!;
  });
}

function labelOf(label: number | bigint | boolean, i: number): number {
  const value = Number(label);
  if (value === 0 || value === 1) return value;
  throw new RangeError(`Cannot fit a probe: label ${i} is ${label}, wanted 0 or 1`);
}

/** Why labels cannot be learned, if they cannot. */
export function classProblem(labels: Uint8Array): string | undefined {
  const [first] = labels;
  return labels.some((label) => label !== first)
    ? undefined
    : `all ${labels.length} labels are ${first}, wanted some of 0 and some of 1`;
}

function checkClasses(labels: Uint8Array): void {
  const problem = classProblem(labels);
  if (problem) throw new RangeError(`Cannot fit a probe: ${problem}`);
}

/** What a stored fit says of its probes. */
export interface ProbeAttributes {
  /** Name of their kind. */
  probe: string;
  features: number;
  /** Of every probe, by their names in stores. */
  options: Record<string, unknown>[];
  /** Names of parameters, in their order. */
  parameters: string[];
  validates: boolean;
}

/** What each of the probes of a stored fit has learned, or why it has not. */
export async function readFits(
  stored: Stored,
): Promise<{ told: Omit<ProbeFit, keyof Measured>; learned: Learned; failure?: string }[]> {
  const { features, options, validates, parameters: names } = stored
    .attributes as unknown as ProbeAttributes;
  const nets = options.length;
  const parts: Float32Array[] = [];
  for (const name of names) parts.push(await stored.read(name) as Float32Array);
  const [training, validation, epochs, best] = await Promise.all(
    ["training_loss", "validation_loss", "epochs", "best_epoch"].map((name) => stored.read(name)),
  ) as [Float64Array, Float64Array, Int32Array, Int32Array];
  return options.map((_, k) => {
    const cut = <List extends Float32Array | Float64Array>(list: List, count: number) => {
      const each = list.length / nets;
      return list.slice(k * each, k * each + count) as List;
    };
    const trainingLoss = cut(training, epochs[k]!);
    const validationLoss = cut(validation, epochs[k]!);
    const bestEpoch = best[k]!;
    const parameters = new Float32Array(parts.reduce((sum, part) => sum + part.length / nets, 0));
    let at = 0;
    for (const part of parts) {
      parameters.set(cut(part, part.length / nets), at);
      at += part.length / nets;
    }
    const lost = trainingLoss.findIndex((loss) => !Number.isFinite(loss));
    const judged = validates ? validationLoss[bestEpoch - 1]! : trainingLoss.at(-1)!;
    const isWhole = Number.isFinite(judged) && parameters.every(Number.isFinite);
    return {
      told: { epochs: epochs[k]!, bestEpoch, trainingLoss, validationLoss },
      learned: { features, parameters },
      ...(!isWhole && {
        failure: `the loss is ${lost < 0 ? judged : trainingLoss[lost]} in epoch ` +
          `${
            (lost < 0 ? epochs[k]! - 1 : lost) + 1
          }, wanted finite numbers: a lower learningRate may give them`,
      }),
    };
  });
}
