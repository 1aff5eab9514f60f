/**
 * A sweep as a series: a part for each layer and job.
 *
 * @module
 */

import { chosenRows, chosenSamples } from "../feed/chosen.ts";
import type { Gpu } from "../gpu/device.ts";
import { digestOf } from "../math/digest.ts";
import type {
  Finished,
  InputOptions,
  SeriesInput,
  SeriesPart,
  SeriesSpec,
  SeriesTurn,
} from "../stream/series.ts";
import type { PartMemory } from "../stream/series_memory.ts";
import type { SeriesPlaceSpec } from "../stream/series_place.ts";
import { isResultFile } from "../stream/series_place.ts";
import type { LabelColumn } from "./labels.ts";
import type { SweepJob } from "./sweep_jobs.ts";
import type { LayerData } from "./sweep_layers.ts";
import type { SweepRow } from "./sweep_rows.ts";
import { rowsOf } from "./sweep_rows.ts";

export interface SweepResult {
  rows: SweepRow[];
  /** Samples, ascending, that no probe was fitted on. */
  test: Uint32Array;
}

export interface SweepParts {
  /** Folder of all results. */
  place: string;
  /** Whether that is in memory, and gone when the sweep is over. */
  isHeld: boolean;
  /** What jobs get of a layer, and those jobs, by their numbers. */
  layers: readonly {
    data: LayerData;
    jobs: readonly (readonly [number: number, job: SweepJob])[];
  }[];
  columns: readonly LabelColumn[];
  train: Uint32Array;
  test: Uint32Array;
  /** What else decides results. */
  settings: unknown;
}

/** Where in a part its plans lie: rows are made, probes fitted, and others predicted. */
const [MADE, FITTED] = [0.1, 0.9];

const IN_THE_FIT = "in the fit: ";

export class SweepSeries implements SeriesSpec<SweepRow[], SweepResult> {
  readonly name = "sweep";
  readonly place: SeriesPlaceSpec;
  readonly reads: readonly LayerData[];
  readonly parts: readonly SeriesPart<SweepRow[]>[];
  readonly #gpu: Gpu;
  readonly #sweep: SweepParts;

  constructor(gpu: Gpu, sweep: SweepParts) {
    this.#gpu = gpu;
    this.#sweep = sweep;
    const { place, layers, columns, settings } = sweep;
    this.reads = layers.map(({ data }) => data);
    this.place = {
      place,
      manifest: "/sweep.json",
      format: "sluice.sweep",
      adapter: gpu.adapter.name,
      settings: {
        settings,
        layers: layers.map(({ data }) => data.facts),
        jobs: layers.map(({ jobs }) => jobs.map(([i, { kind, members }]) => [i, kind, members])),
        labels: columns.map(({ name }) => name),
      },
      folders: ["/results", "/probes", "/pooled"],
      isOwn: (key) =>
        /^\/results\/[^/]+\.json$/.test(key) ||
        /^\/(probes|pooled)\//.test(key) && isResultFile(key),
      files: ["/report.html"],
    };
    this.parts = layers.flatMap(({ data, jobs }) =>
      jobs.map(([i, job]): SeriesPart<SweepRow[]> => {
        const name = `${data.layer}.${job.kind}.${i}`;
        return {
          name: `layer ${data.layer} ${job.kind}`,
          kind: `${job.kind} ${i}`,
          key: `/results/${name}.json`,
          memory: () => this.#memory(data, job, name),
          run: (turn) => this.#run(data, job, name, turn),
        };
      })
    );
  }

  encode(rows: SweepRow[]): string {
    return JSON.stringify(rows, undefined, 2);
  }

  decode(text: string): SweepRow[] {
    return JSON.parse(text);
  }

  async openInput({ signal, onShare }: InputOptions): Promise<SeriesInput> {
    const { columns, test } = this.#sweep;
    const digests: string[] = [];
    for (const [i, data] of this.reads.entries()) {
      onShare("compare", i / this.reads.length);
      digests.push(await data.digest({ signal }));
    }
    const nothing = () => Promise.resolve();
    const digest = await digestOf([...digests, ...columns.map(({ values }) => values), test]);
    return { digest, checkUnchanged: nothing, close: nothing };
  }

  /** @throws {RangeError} If nothing could be fitted at all. */
  finish(results: readonly SweepRow[][]): Finished<SweepResult> {
    const reasons = results.flat().map(({ reason }) => reason);
    if (reasons.every((reason) => reason?.startsWith(IN_THE_FIT))) {
      throw new RangeError(`Cannot sweep: ${reasons[0]}`);
    }
    // in the order in which they were asked for
    const { layers, test } = this.#sweep;
    const asked = layers.flatMap(({ data, jobs }) => jobs.map(([i]) => ({ layer: data.layer, i })));
    const order = [...new Set(asked.map(({ layer }) => layer))];
    const rows = asked.map((own, at) => ({ ...own, rows: results[at]! }))
      .sort((a, b) => order.indexOf(a.layer) - order.indexOf(b.layer) || a.i - b.i)
      .flatMap(({ rows }) => rows);
    return { whole: { rows, test }, files: {} };
  }

  #memory(data: LayerData, job: SweepJob, name: string): PartMemory {
    const { columns, train, test, isHeld } = this.#sweep;
    const plans = [
      data.plan(this.#gpu, this.#made(data)),
      this.#fit(data, job, name),
      job.rehearse(this.#gpu, part(data, test), columns.length),
    ];
    // plans hold what they are made of
    const work = plans.filter((plan) => plan !== undefined)
      .map(({ name, projected }) => ({ name, projected }));
    const samples = train.length + test.length;
    const rows = "offsets" in data.data ? data.data.rows.shape[0]! : samples;
    const held = [
      { what: "labels", bytes: columns.length * samples },
      { what: "which rows are chosen", bytes: 9 * rows + 16 * samples },
    ];
    if (isHeld) held.push({ what: "rows that are made", bytes: data.madeBytes });
    return { held, work };
  }

  async #run(
    data: LayerData,
    job: SweepJob,
    name: string,
    { run }: SeriesTurn<SweepRow[]>,
  ): Promise<SweepRow[]> {
    const { columns, test } = this.#sweep;
    const made = this.#made(data);
    const plan = data.plan(this.#gpu, made);
    if (plan) await run(plan, [0, MADE]);
    return await data.use(made, async () => {
      // samples that no probe of a kind can work with, or options; other jobs may do
      const failed = (where: string, error: unknown) => {
        if (!(error instanceof RangeError)) throw error;
        return where + error.message;
      };
      const fitting = run(this.#fit(data, job, name), [plan ? MADE : 0, FITTED]);
      const reasons = await fitting.then(
        ({ reasons }) => reasons,
        (error) => columns.map(() => failed(IN_THE_FIT, error)),
      );
      const logits: Float32Array = new Float32Array(0);
      const told = { columns, test, reasons, logits };
      if (reasons.every((reason) => reason !== null)) return rowsOf(data.layer, job, told);
      try {
        const predicting = job.predict(this.#gpu, part(data, test));
        told.logits = (await run(predicting, [FITTED, 1])).logits;
      } catch (error) {
        const why = failed("in the test: ", error);
        told.reasons = reasons.map((reason) => reason ?? why);
      }
      return rowsOf(data.layer, job, told);
    });
  }

  #fit(data: LayerData, job: SweepJob, name: string) {
    const { columns, train, place } = this.#sweep;
    const labels = Object.fromEntries(columns.map((column) => [
      column.name,
      Uint8Array.from(train, (sample) => column.values[sample]!),
    ]));
    const output = { out: `${place}/probes/${name}.zarr` };
    return job.fit(this.#gpu, part(data, train), labels, output);
  }

  #made({ layer }: LayerData): string {
    return `${this.#sweep.place}/pooled/${layer}.zarr`;
  }
}

/** Some samples of a layer. */
function part({ data }: LayerData, samples: Uint32Array) {
  return "offsets" in data ? chosenSamples(data, samples) : chosenRows(data, samples);
}
