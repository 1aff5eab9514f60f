/**
 * Sweeps: layers x kinds of probes x options x columns of labels, one table in the end.
 *
 * @module
 */

import { permutation } from "../feed/order.ts";
import type { Gpu } from "../gpu/device.ts";
import type { OptionsOf } from "../options.ts";
import { declare, number, whole } from "../options.ts";
import { openStore } from "../store/open_store.ts";
import type { RunOptions } from "../stream/choices.ts";
import { outputChoices, runOptions } from "../stream/choices.ts";
import { Series } from "../stream/series.ts";
import type { SeriesBytes } from "../stream/series_memory.ts";
import type { LabelColumns } from "./labels.ts";
import { labelColumns } from "./labels.ts";
import type { SweepJob, SweepKind } from "./sweep_jobs.ts";
import { sweepJobs } from "./sweep_jobs.ts";
import type { SweepLayer } from "./sweep_layers.ts";
import { LayerData } from "./sweep_layers.ts";
import type { SweepRow } from "./sweep_rows.ts";
import type { SweepResult } from "./sweep_series.ts";
import { SweepSeries } from "./sweep_series.ts";

export type { SweepKind } from "./sweep_jobs.ts";
export type { LaterRows, SweepLayer } from "./sweep_layers.ts";
export type { SweepRow } from "./sweep_rows.ts";
export { formatSweep } from "./sweep_rows.ts";
export type { SweepResult } from "./sweep_series.ts";

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

// what keeps this use of a seed apart
const SPLIT = 0x5e4;
/** Sweeps of which nothing is to be kept. */
let unnamed = 0;

/** Jobs of all layers, which run one after the other: see {@link Series}. */
export class ProbeSweep {
  readonly #series: Series<SweepRow[], SweepResult>;
  readonly #place: string;
  readonly #isHeld: boolean;
  readonly #overwrite: boolean;

  /**
   * @throws {TypeError | RangeError} If an option makes no sense, a kind is not known, a layer lacks what a kind
   * needs or has other samples, or there are fewer samples than two.
   * @throws {BudgetError} If a fit or a prediction does not fit.
   */
  constructor(gpu: Gpu, input: SweepInput, options: SweepOptions = {}) {
    const { testShare, seed, out, overwrite } = sweepOptions.check(options);
    this.#isHeld = out === undefined;
    this.#place = out ?? `memory:sweeps without a place/${unnamed++}`;
    this.#overwrite = overwrite;
    const { labels, layers } = input;
    const isOne = typeof (labels as ArrayLike<unknown>).length === "number";
    const count = isOne
      ? (labels as ArrayLike<unknown>).length
      : Object.values(labels as Record<string, ArrayLike<unknown>>)[0]?.length ?? 0;
    const columns = labelColumns(labels, count, "sweep");
    const jobs = input.probes.flatMap((kind) => sweepJobs(kind, columns.length));
    if (count < 2) {
      throw new RangeError(
        `Cannot sweep: there are ${count} samples, wanted one to fit and one to test at least`,
      );
    }
    const { at } = permutation(count, seed, 0, SPLIT);
    const drawn = Uint32Array.from({ length: count }, (_, i) => at(i));
    const testing = Math.min(count - 1, Math.max(1, Math.floor(testShare * count)));
    const parts = {
      ...{ columns, place: this.#place, isHeld: this.#isHeld, settings: { testShare, seed } },
      test: drawn.subarray(0, testing).sort(),
      train: drawn.subarray(testing).sort(),
      layers: layersFor(layers, jobs, count),
    };
    this.#series = new Series(gpu, new SweepSeries(gpu, parts));
  }

  /** Bytes of the fit or prediction that takes most. */
  get projected(): SeriesBytes {
    return this.#series.projected;
  }

  /** A table for people: what every job holds, and the largest of all. */
  explain(): string {
    return this.#series.explain();
  }

  /**
   * Runs what is left of it: with `out` every fit is stored there, in a group `probes/<layer>.<kind>.<job>.zarr` of its
   * own with its numbers in `results`, and what is there is not run again.
   *
   * @throws {OutputConflictError} If the folder holds something else, or a sweep of other settings or input.
   * @throws The signal's reason, if it is aborted. The next run of the same sweep goes on.
   */
  async run(options: RunOptions = {}): Promise<SweepResult> {
    runOptions.check(options);
    try {
      return await this.#series.run({ ...options, overwrite: this.#overwrite });
    } finally {
      if (this.#isHeld) await (await openStore(this.#place, { mode: "write" })).deleteAll();
    }
  }
}

/** What jobs get of every layer: of its features, and of its tokens. */
function layersFor(layers: readonly SweepLayer[], jobs: readonly SweepJob[], count: number) {
  const names = layers.map(({ layer }) => String(layer));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RangeError(`Cannot sweep: layer ${twice} is there twice, wanted each once`);
  }
  return layers.flatMap(({ layer, ...given }) => {
    // it becomes part of the name of a group
    if (/[\\/]/.test(String(layer))) {
      throw new RangeError(
        `Cannot sweep: a layer is called "${layer}", wanted a name without slashes, since probes are ` +
          "stored by it",
      );
    }
    return (["features", "tokens"] as const).flatMap((what) => {
      const takes = what === "features" ? "features" : "sequences";
      const own = [...jobs.entries()].filter(([, job]) => job.takes === takes);
      if (own.length === 0) return [];
      const rows = given[what];
      if (rows === undefined) {
        throw new TypeError(
          `Cannot sweep: layer ${layer} has no ${what}, which probes of kind "${
            own[0]![1].kind
          }" want`,
        );
      }
      const data = new LayerData(layer, rows);
      if (data.samples !== count) {
        throw new RangeError(
          `Cannot sweep: layer ${layer} has ${data.samples} samples, there are ${count} labels`,
        );
      }
      return [{ data, jobs: own }];
    });
  });
}
