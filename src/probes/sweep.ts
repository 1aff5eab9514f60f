/**
 * Sweeps: layers x kinds of probes x options x columns of labels, one table in the end.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { permutation } from "../feed/order.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import { chosenRows, chosenSamples } from "../feed/chosen.ts";
import type { Gpu } from "../gpu/device.ts";
import { auroc, averagePrecision, partialAuroc, recallAtFpr } from "../math/classification.ts";
import { formatTable } from "../math/format.ts";
import type { OptionsOf } from "../options.ts";
import { declare, number, whole } from "../options.ts";
import type { RunOptions } from "../stream/choices.ts";
import { outputChoices, runOptions } from "../stream/choices.ts";
import type { LabelColumn, LabelColumns } from "./labels.ts";
import { labelColumns } from "./labels.ts";
import type { SweepJob, SweepKind } from "./sweep_jobs.ts";
import { sweepJobs } from "./sweep_jobs.ts";

export type { SweepKind } from "./sweep_jobs.ts";

/** Something, or what opens it when its turn comes; what was opened so is closed after it. */
export type Lazy<Value> = Value | (() => Promise<Value>);

/** A layer: what probes of features get of it, and what probes of sequences get. */
export interface SweepLayer {
  layer: number | string;
  /** `[samples, features]`, pooled. */
  features?: Lazy<ChunkedArray>;
  /** Samples of tokens. */
  tokens?: Lazy<RaggedArray>;
}

export interface SweepInput {
  layers: readonly SweepLayer[];
  /** 0 and 1, or booleans, of every sample; or several columns of them by their names. */
  labels: LabelColumns;
  /** Kinds of probes; an option that is a list is tried value by value. */
  probes: readonly SweepKind[];
}

export const sweepOptions = declare("sweep", {
  /** Part of the samples that is kept from all probes, and that they are judged by. Default 0.2. */
  testShare: number({
    default: 0.2,
    above: 0,
    below: 1,
    says: "part of the samples that is kept from all probes, and that they are judged by",
  }),
  /** Seed of which samples those are. Default 42. */
  seed: whole({ default: 42, from: 0, to: 2 ** 32 - 1, says: "seed of which samples those are" }),
  ...outputChoices,
});

export type SweepOptions = OptionsOf<typeof sweepOptions>;

/** A probe of a sweep. Metrics are of samples it has not seen, by logits; `null` where one class is missing. */
export interface SweepRow {
  layer: number | string;
  kind: string;
  /** As they were given. */
  options: Record<string, unknown>;
  label: string;
  auroc: number | null;
  averagePrecision: number | null;
  /** At a rate of false positives of 5 %. */
  recall: number | null;
  /** Up to a rate of false positives of 10 %: 0.5 for chance. */
  partialAuroc: number | null;
  /** Why there are no metrics, if there are none. */
  reason: string | null;
}

export interface SweepResult {
  rows: SweepRow[];
  /** Samples, ascending, that no probe was fitted on. */
  test: Uint32Array;
}

/** Jobs of all layers, which run one after the other. */
export class ProbeSweep {
  readonly #gpu: Gpu;
  readonly #input: SweepInput;
  readonly #jobs: readonly SweepJob[];
  readonly #columns: LabelColumn[];
  readonly #out: { place?: string; overwrite: boolean };
  readonly #train: Uint32Array;
  readonly #test: Uint32Array;

  /**
   * @throws {TypeError | RangeError} If an option makes no sense, a kind is not known, a layer lacks what a kind
   * needs, or there are fewer samples than two.
   */
  constructor(gpu: Gpu, input: SweepInput, options: SweepOptions = {}) {
    const { testShare, seed, out, overwrite } = sweepOptions.check(options);
    this.#gpu = gpu;
    this.#input = input;
    this.#out = { ...(out !== undefined && { place: out }), overwrite };
    const { labels, layers } = input;
    const isOne = typeof (labels as ArrayLike<unknown>).length === "number";
    const count = isOne
      ? (labels as ArrayLike<unknown>).length
      : Object.values(labels as Record<string, ArrayLike<unknown>>)[0]?.length ?? 0;
    this.#columns = labelColumns(labels, count, "sweep");
    this.#jobs = input.probes.flatMap((kind) => sweepJobs(kind, this.#columns.length));
    for (const { layer, ...data } of layers) {
      for (const { takes, kind } of this.#jobs) {
        const wanted = takes === "features" ? "features" : "tokens";
        if (data[wanted] !== undefined) continue;
        throw new TypeError(
          `Cannot sweep: layer ${layer} has no ${wanted}, which probes of kind "${kind}" want`,
        );
      }
    }
    if (count < 2) {
      throw new RangeError(
        `Cannot sweep: there are ${count} samples, wanted one to fit and one to test at least`,
      );
    }
    const testing = Math.min(count - 1, Math.max(1, Math.floor(testShare * count)));
    const { at } = permutation(count, seed, 0, SPLIT);
    const drawn = Uint32Array.from({ length: count }, (_, i) => at(i));
    this.#test = drawn.subarray(0, testing).sort();
    this.#train = drawn.subarray(testing).sort();
  }

  /**
   * Runs what is left of it: with `out` every fit is stored there, in a group `<layer>.<kind>.<job>` of its own, and
   * one that is there is not run again.
   *
   * @throws {OutputConflictError} If a place there holds something else.
   * @throws The signal's reason, if it is aborted. The next run of the same sweep goes on.
   */
  async run(options: RunOptions = {}): Promise<SweepResult> {
    const { signal, onProgress } = runOptions.check(options) as RunOptions;
    const rows: SweepRow[] = [];
    const { layers } = this.#input;
    const parts = layers.length * this.#jobs.length;
    let part = 0;
    for (const { layer, features, tokens } of layers) {
      const opened: (() => Promise<void>)[] = [];
      const pooled = once(() => openLazy(features!, opened));
      const whole = once(() => openLazy(tokens!, opened));
      try {
        for (const [i, job] of this.#jobs.entries()) {
          signal?.throwIfAborted();
          const data = job.takes === "features" ? await pooled() : await whole();
          const told = (from: number, share: number): RunOptions => ({
            ...(signal && { signal }),
            ...(onProgress && {
              onProgress: (progress) =>
                onProgress({ ...progress, fraction: (from + share * progress.fraction) / parts }),
            }),
          });
          const run = {
            fit: told(part, FIT_SHARE),
            predict: told(part + FIT_SHARE, 1 - FIT_SHARE),
          };
          rows.push(...await this.#runJob(job, layer, data, `${layer}.${job.kind}.${i}`, run));
          part++;
        }
      } finally {
        for (const close of opened) await close();
      }
    }
    return { rows, test: this.#test };
  }

  async #runJob(
    job: SweepJob,
    layer: number | string,
    data: ChunkedArray | RaggedArray,
    name: string,
    run: { fit: RunOptions; predict: RunOptions },
  ): Promise<SweepRow[]> {
    const count = this.#train.length + this.#test.length;
    const own = "offsets" in data ? data.offsets.length - 1 : data.shape[0]!;
    if (own !== count) {
      throw new RangeError(
        `Cannot sweep: layer ${layer} has ${own} samples, there are ${count} labels`,
      );
    }
    const part = (samples: Uint32Array) =>
      "offsets" in data ? chosenSamples(data, samples) : chosenRows(data, samples);
    const { place, overwrite } = this.#out;
    const output = place === undefined ? {} : { out: `${place}/${name}.zarr`, overwrite };
    const columns = this.#columns;
    const labels = Object.fromEntries(columns.map((column) => [
      column.name,
      Uint8Array.from(this.#train, (sample) => column.values[sample]!),
    ]));
    const { reasons } = await job.fit(this.#gpu, part(this.#train), labels, output).run(run.fit);
    const probes = columns.length * job.members.length;
    const logits = reasons.every((reason) => reason !== null)
      ? new Float32Array(0)
      : (await job.predict(this.#gpu, part(this.#test)).run(run.predict)).logits;
    return columns.flatMap(({ name, values }, column) => {
      const wanted = Uint8Array.from(this.#test, (sample) => values[sample]!);
      return job.members.map((options, member): SweepRow => {
        const k = column * job.members.length + member;
        const facts = { layer, kind: job.kind, options, label: name };
        const scores = Float32Array.from(wanted, (_, i) => logits[i * probes + k] ?? NaN);
        const reason = reasons[k] ?? missingClass(wanted);
        if (reason) return { ...facts, ...NO_METRICS, reason };
        return {
          ...facts,
          auroc: auroc(wanted, scores),
          averagePrecision: averagePrecision(wanted, scores),
          recall: recallAtFpr(wanted, scores),
          partialAuroc: partialAuroc(wanted, scores)?.mcclish ?? null,
          reason: null,
        };
      });
    });
  }
}

// what keeps this use of a seed apart
const SPLIT = 0x5e4;
/** Of the time of a job, for progress alone. */
const FIT_SHARE = 0.9;
const NO_METRICS = { auroc: null, averagePrecision: null, recall: null, partialAuroc: null };

function missingClass(labels: Uint8Array): string | null {
  const [first] = labels;
  return labels.some((label) => label !== first)
    ? null
    : `all ${labels.length} labels of the test are ${first}`;
}

/** What a function gives, which is called the first time that it is asked for. */
function once<Value>(open: () => Promise<Value>): () => Promise<Value> {
  let opened: Promise<Value> | undefined;
  return () => opened ??= open();
}

async function openLazy<Value extends ChunkedArray | RaggedArray>(
  given: Lazy<Value>,
  opened: (() => Promise<void>)[],
): Promise<Value> {
  if (typeof given !== "function") return given;
  const value = await given();
  opened.push(() => "offsets" in value ? value.rows.close() : value.close());
  return value;
}

/** A table of a sweep for people. */
export function formatSweep({ rows }: SweepResult): string {
  const show = (value: number | null) => value === null ? "" : value.toFixed(4);
  return formatTable([
    ["layer", "kind", "options", "label", "AUROC", "partial", "recall", "precision", "why not"],
    ...rows.map((row) => [
      String(row.layer),
      row.kind,
      Object.entries(row.options).map(([key, value]) => `${key} ${value}`).join(", "),
      row.label,
      ...[row.auroc, row.partialAuroc, row.recall, row.averagePrecision].map(show),
      row.reason ?? "",
    ]),
  ]);
}
