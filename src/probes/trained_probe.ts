/**
 * Probes that are trained by batches: what all of their kinds do.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import type { SampleArray } from "../feed/samples.ts";
import { isRagged, Samples } from "../feed/samples.ts";
import type { Gpu } from "../gpu/device.ts";
import { sigmoid } from "../math/classification.ts";
import { mostRowsOf, PredictionTask } from "../net/prediction_task.ts";
import type { OptionsOf } from "../options.ts";
import { declare, oneOf, storedOf } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Stored } from "../stream/output.ts";
import { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import type { TrainedKind, TrainingSettings } from "./trained_kind.ts";
import type { LabelColumn, LabelColumns } from "./labels.ts";
import { columnOf, labelColumns, refuseOne } from "./labels.ts";
import type { ProbePrediction, StoredProbePrediction } from "./predict_task.ts";
import { ProbeSource } from "./probe_source.ts";
import { createNet, pieceRowsOf, trainProbes } from "./training.ts";

export const trainedFitOptions = declare("fit a probe", {
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
export type TrainedFitOptions = OptionsOf<typeof trainedFitOptions>;

export const trainedPredictOptions = declare("predict", { ...planChoices, ...outputChoices });

export const tokenPredictOptions = declare("predict tokens", {
  ...planChoices,
  /** Makes one logit of a sample of those of its tokens that count; 0 where none does. Otherwise each token has one. */
  pool: oneOf(["mean", "max", "sum", "last"], {
    otherwise: "a logit for every token",
    says: "what makes one logit of a sample of those of its tokens that count",
  }),
});

/** Options of {@link TrainedProbe.predictTokens}. */
export type TokenPredictOptions = OptionsOf<typeof tokenPredictOptions>;

/** Options of {@link TrainedProbe.predict}. */
export type TrainedPredictOptions = OptionsOf<typeof trainedPredictOptions>;

/** How the training of a probe went. */
export interface TrainedOne {
  /** Name of its column of labels. */
  label: string;
  /** Epochs that it ran, and the one, from 1, whose parameters it has. */
  epochs: number;
  bestEpoch: number;
  /** `[epochs]`: means over samples, of all that is minimised. */
  trainingLoss: Float64Array;
  /** `[epochs]`, without what regularises; NaN where nothing validates. */
  validationLoss: Float64Array;
  /** f32, one parameter after the other, `[out, in]` each. */
  parameters: Float32Array;
}

/** What a fit of trained probes tells. */
export interface TrainedFit extends Measured {
  /** Of every column of labels; `null` where nothing could be learned, for the reason of the same place. */
  probes: (TrainedOne | null)[];
  reasons: (string | null)[];
}

/** A fit that is stored, and the probe that predicts by it. */
export interface StoredTrainedProbe extends TrainedFit {
  model: TrainedProbe;
  place: string;
  close(): Promise<void>;
}

/** Probes that have learned, of features of a token. */
export interface Learned extends Pick<TrainedFit, "probes" | "reasons"> {
  features: number;
}

const ACTION = "fit a probe";
const SAMPLES_A_TURN = 256;

export abstract class TrainedProbe {
  readonly kind: TrainedKind;
  /** Its options, with defaults. */
  readonly settings: Readonly<TrainingSettings>;
  #learned: Learned | undefined;

  constructor(kind: TrainedKind, settings: object) {
    this.kind = kind;
    this.settings = settings as TrainingSettings;
  }

  /**
   * What was learned.
   *
   * @throws {RangeError} Before a fit has run.
   */
  get learned(): Learned {
    if (!this.#learned) {
      throw new RangeError("Cannot use a probe: it is not fitted, run fit() first");
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
   * @param labels 0 and 1, or booleans, of every sample; or several columns of them by their names, which are
   * learned side by side, and of which one that has a single class gives `null`.
   * @throws {RangeError} If there are not as many labels as samples, or of one class alone; if no token counts.
   * @throws {BudgetError} If no batch fits the budget.
   */
  fit(
    gpu: Gpu,
    data: SampleArray,
    labels: LabelColumns,
    options: TrainedFitOptions = {},
  ): Plan<TrainedFit> {
    const { out, overwrite, labelsOf, ...choices } = trainedFitOptions.check(options);
    const samples = samplesOf(this.kind, data, ACTION);
    const columns = columnsFor(this.kind, data, samples, labels, labelsOf);
    return trainProbes(gpu, {
      kind: this.kind,
      samples,
      members: columns.map(({ name, values, reason }) => ({
        ...{ settings: this.settings, label: name, labels: values },
        ...(reason !== undefined && { reason }),
      })),
      seed: this.settings.seed,
      choices,
      out,
      overwrite,
      result: async (stored, measured) => {
        const learned = await readLearned(stored);
        const { probes: [only], reasons } = learned;
        if (reasons.length === 1 && !only) throw new RangeError(`Cannot ${ACTION}: ${reasons[0]}`);
        this.learn(learned);
        return { probes: learned.probes, reasons, ...measured };
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
    options: TrainedPredictOptions & { out: string },
  ): Plan<StoredProbePrediction>;
  predict(
    gpu: Gpu,
    data: SampleArray,
    options?: TrainedPredictOptions & { out?: never },
  ): Plan<ProbePrediction>;
  predict(gpu: Gpu, data: SampleArray, options: TrainedPredictOptions = {}): Plan<unknown> {
    if (this.kind.takes === "features" && isRagged(data)) {
      throw new TypeError(
        `Cannot predict: a probe of features (${this.kind.name}) gets samples of tokens, wanted ` +
          "features of samples; predictTokens() takes tokens, and pools what it says of them",
      );
    }
    return this.#predict(gpu, samplesOf(this.kind, data, "predict"), options);
  }

  /** As {@link predict}, by probes whose logits may be beyond f32: those are Infinity or NaN, and no error. */
  predictAnyway(gpu: Gpu, data: SampleArray): Plan<ProbePrediction> {
    const samples = samplesOf(this.kind, data, "predict");
    return this.#predict(gpu, samples, {}, { keepsLost: true }) as Plan<ProbePrediction>;
  }

  /**
   * Plans predictions of tokens by a probe of features: in memory as large as there are tokens. Of tokens that do not
   * count logits and probabilities are 0.
   */
  predictTokens(
    gpu: Gpu,
    data: RaggedArray,
    options: TokenPredictOptions = {},
  ): Plan<ProbePrediction> {
    if (this.kind.takes !== "features") {
      throw new TypeError(
        `Cannot predict tokens: a probe of sequences (${this.kind.name}) has one logit for a sample, ` +
          "wanted a probe of features; predict() takes samples of tokens",
      );
    }
    const samples = samplesOf(this.kind, data, "predict tokens");
    const { pool, ...choices } = tokenPredictOptions.check(options);
    const place = (values: Float32Array, probes: number) => {
      if (pool) return poolLogits(samples, data.offsets.length - 1, values, { pool, probes });
      const all = new Float32Array(data.rows.shape[0]! * probes);
      for (let i = 0; i < values.length; i++) {
        all[samples.rowOf(Math.floor(i / probes)) * probes + i % probes] = values[i]!;
      }
      return all;
    };
    const asked = { place, isPooled: pool !== undefined };
    return this.#predict(gpu, samples, choices, asked) as Plan<ProbePrediction>;
  }

  #predict(
    gpu: Gpu,
    samples: Samples,
    options: TrainedPredictOptions,
    { place = (values) => values, isPooled = false, keepsLost = false }: {
      /** Makes what callers get of logits of samples. */
      place?: (values: Float32Array, probes: number) => Float32Array;
      isPooled?: boolean;
      keepsLost?: boolean;
    } = {},
  ): Plan<unknown> {
    const { out, overwrite, ...choices } = trainedPredictOptions.check(options);
    const { features, probes } = this.learned;
    if (samples.features !== features) {
      throw new RangeError(
        `Cannot predict: samples have ${samples.features} features, the probe was fitted on ${features}`,
      );
    }
    const turns = turnsOf(this.kind, samples);
    const seeds = probes.map(() => 0);
    const { net, logits } = createNet(this.kind, this.settings, { features, seeds, ...turns });
    const missing = probes.map((probe) => probe === null);
    const parameters = new Float32Array(net.nets * net.stride);
    probes.forEach((probe, k) => {
      if (probe) parameters.set(net.pack(probe.parameters), k * net.stride);
    });
    const settings = storedOf(this.kind.options, this.settings);
    const task = new PredictionTask({
      name: `predict ${this.kind.name}`,
      net,
      value: logits,
      says: "logits",
      derived: { name: "probabilities", of: sigmoid },
      missing,
      keepsLost,
      parameters: () => parameters,
      source: new ProbeSource(samples, net, { once: true }),
      samples: samples.count,
      turns,
      identity: {
        facts: [this.kind.name, settings, features, missing, samples.count, samples.array.dtype],
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
          return { ...await openAll(stored, ["logits", "probabilities"]), ...measured };
        }
        const own = async (name: string) =>
          place(await stored.read(name) as Float32Array, net.nets);
        const logits = await own("logits");
        return {
          logits,
          probabilities: isPooled ? logits.map(sigmoid) : await own("probabilities"),
          ...measured,
        };
      },
    });
    return new Plan(gpu, task, choices);
  }
}

/** One logit of every sample, of those of its tokens: `[samples, probes]`. */
function poolLogits(
  tokens: Samples,
  samples: number,
  logits: Float32Array,
  { pool, probes }: { pool: "mean" | "max" | "sum" | "last"; probes: number },
): Float32Array {
  const pooled = new Float64Array(samples * probes);
  const counts = new Float64Array(samples);
  for (let token = 0; token < tokens.count; token++) {
    const sample = tokens.textOf(tokens.rowOf(token));
    const isFirst = counts[sample]!++ === 0;
    for (let k = 0; k < probes; k++) {
      const at = sample * probes + k;
      const logit = logits[token * probes + k]!;
      if (pool === "last" || pool === "max" && (isFirst || logit > pooled[at]!)) pooled[at] = logit;
      else if (pool !== "max") pooled[at]! += logit;
    }
  }
  if (pool === "mean") pooled.forEach((_, i) => pooled[i]! /= counts[Math.floor(i / probes)]! || 1);
  return Float32Array.from(pooled);
}

/** Opens arrays of f32 that close together. */
async function openAll<Name extends string>(stored: Stored, names: readonly Name[]) {
  const arrays = await Promise.all(
    names.map(async (name) => ofType(await stored.open(name), "float32")),
  );
  const byName = Object.fromEntries(names.map((name, i) => [name, arrays[i]!]));
  return {
    ...byName as Record<Name, ChunkedArray<Float32Array>>,
    place: stored.place!,
    async close() {
      for (const array of arrays) await array.close();
    },
  };
}

/** Samples as a kind of probe takes them. */
export function samplesOf(kind: TrainedKind, data: SampleArray, action: string): Samples {
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
function turnsOf(kind: TrainedKind, samples: Samples): { samples: number; rows: number } {
  if (kind.takes === "features") return { samples: SAMPLES_A_TURN, rows: 0 };
  const starts = Float64Array.from({ length: samples.count + 1 }, (_, i) => samples.startOf(i));
  const most = pieceRowsOf(samples.features);
  let count = SAMPLES_A_TURN;
  while (count > 1 && mostRowsOf(starts, count) > most) count /= 2;
  return { samples: count, rows: mostRowsOf(starts, count) };
}

/** Columns of labels of what a probe learns from. */
function columnsFor(
  kind: TrainedKind,
  data: SampleArray,
  samples: Samples,
  given: LabelColumns,
  labelsOf: "samples" | "tokens",
): LabelColumn[] {
  const ofTokens = labelsOf === "tokens";
  if (ofTokens && (kind.takes === "sequences" || !isRagged(data))) {
    throw new TypeError(
      `Cannot ${ACTION}: labelsOf is "tokens" for ${
        isRagged(data) ? `a probe of sequences (${kind.name})` : "rows of features"
      }, wanted "samples"`,
    );
  }
  const count = !isRagged(data) || ofTokens ? samples.array.shape[0]! : data.offsets.length - 1;
  const columns = labelColumns(given, count, ACTION);
  if (kind.takes === "sequences" || !isRagged(data)) return columns;
  // of a text, all tokens have its label; those that do not count may have been all of a class
  const own = columns.map(({ name, values }) => {
    const labels = Uint8Array.from({ length: samples.count }, (_, i) => {
      const row = samples.rowOf(i);
      return values[ofTokens ? row : samples.textOf(row)]!;
    });
    return columnOf(name, labels, " of tokens that count");
  });
  if (own.length === 1) refuseOne(own[0]!, ACTION);
  return own;
}

/** What a stored fit says of its probes. */
export interface TrainedAttributes {
  /** Name of their kind. */
  probe: string;
  features: number;
  /** By their names in stores, and those that probes side by side may differ in. */
  options: Record<string, unknown>;
  members: Record<string, unknown>[];
  labels: string[];
  reasons: (string | null)[];
  /** Names of parameters, in their order. */
  parameters: string[];
  validates: boolean;
}

/** What each of the probes of a stored fit has learned, or why it has not. */
export async function readLearned(stored: Stored): Promise<Learned> {
  const attributes = stored.attributes as unknown as TrainedAttributes;
  const { features, labels, validates, parameters: names } = attributes;
  const nets = labels.length;
  const parts: Float32Array[] = [];
  for (const name of names) parts.push(await stored.read(name) as Float32Array);
  const [training, validation, epochs, best] = await Promise.all(
    ["training_loss", "validation_loss", "epochs", "best_epoch"].map((name) => stored.read(name)),
  ) as [Float64Array, Float64Array, Int32Array, Int32Array];
  const fits = labels.map((label, k): { probe: TrainedOne; reason: string | null } => {
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
    const judged = validates ? validationLoss[bestEpoch - 1]! : trainingLoss.at(-1)!;
    const isWhole = Number.isFinite(judged) && parameters.every(Number.isFinite);
    const lost = trainingLoss.findIndex((loss) => !Number.isFinite(loss));
    const [loss, epoch] = lost < 0 ? [judged, epochs[k]!] : [trainingLoss[lost]!, lost + 1];
    return {
      probe: { label, epochs: epochs[k]!, bestEpoch, trainingLoss, validationLoss, parameters },
      reason: attributes.reasons[k] ??
        (isWhole
          ? null
          : `the loss is ${loss} in epoch ${epoch}, wanted finite numbers: a lower learningRate may give them`),
    };
  });
  return {
    features,
    probes: fits.map(({ probe, reason }) => reason === null ? probe : null),
    reasons: fits.map(({ reason }) => reason),
  };
}
