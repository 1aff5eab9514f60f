/**
 * The whole analysis: splits, contexts, models, numbers and the decision, lag by lag and condition by
 * condition, each of which is stored when it is done.
 *
 * @module
 */

import type { ReadOptions } from "../array/array.ts";
import type { Gpu } from "../gpu/device.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag } from "../options.ts";
import { runOptions } from "../stream/choices.ts";
import { Series } from "../stream/series.ts";
import type { SeriesBytes } from "../stream/series_memory.ts";
import { Analysis } from "./analysis.ts";
import type { ConditionConfig } from "./config.ts";
import { checkConfig } from "./config.ts";
import { openCorpus } from "./corpus.ts";
import type { OpenedCorpus } from "./inputs.ts";
import type { ConditionReport, ConditionResult } from "./results.ts";

export const conditionOptions = declare("analyse", {
  /** Replaces the results of another analysis or input, and copies groups again. Default false. */
  overwrite: flag({
    default: false,
    stored: false,
    says: "replace the results of another analysis or input; groups are copied again",
  }),
  ...runOptions.options,
});

export type ConditionOptions = OptionsOf<typeof conditionOptions>;

/** An analysis with its memory, ready to be looked at and run. Made by {@link plan}. */
export class ConditionPlan {
  readonly #series: Series<ConditionResult, ConditionReport>;
  readonly #corpus: OpenedCorpus;

  constructor(series: Series<ConditionResult, ConditionReport>, corpus: OpenedCorpus) {
    this.#series = series;
    this.#corpus = corpus;
  }

  /** Bytes that the lag and condition which takes most holds, at most. */
  get projected(): SeriesBytes {
    return this.#series.projected;
  }

  /** A table for people: what every condition holds, and the largest of all. */
  explain(): string {
    return this.#series.explain();
  }

  /** Runs it, or what an interrupted run left. See {@link run}. */
  async run(options: ConditionOptions = {}): Promise<ConditionReport> {
    return await this.#series.run(conditionOptions.check(options));
  }

  /** Closes what was opened of the input. */
  close(): Promise<void> {
    return this.#corpus.close();
  }
}

/**
 * Plans an analysis. The input is opened, none of its frames are read, and nothing is written.
 *
 * @returns To be closed.
 * @throws {RangeError} If the configuration or the input make no sense.
 * @throws {BudgetError} If a part does not fit the budget.
 */
export async function plan(
  gpu: Gpu,
  config: ConditionConfig,
  { signal }: ReadOptions = {},
): Promise<ConditionPlan> {
  const settings = checkConfig(config);
  const corpus = await openCorpus(settings.input, signal ? { signal } : {});
  try {
    return new ConditionPlan(new Series(gpu, new Analysis(gpu, settings, corpus)), corpus);
  } catch (error) {
    await corpus.close();
    throw error;
  }
}

/**
 * Runs an analysis: does the recent past of frames, made discrete, predict how they change?
 *
 * For every lag and condition a model is fitted to the contexts of train speakers, and the deltas of train
 * and of other speakers are held against its clusters. Train and eval take turns; nothing of size rows x
 * features is held. What is done is stored at once: the same configuration of the same input goes on where it
 * was interrupted, and returns what is there when all is done.
 *
 * An input is the same if a digest of all that is read of it is. Of files that lie still for two seconds
 * before they are read, size, times and number are kept in `<out>.journal`, and spare the next run to read
 * them for that.
 *
 * `out` gets `metrics.json`, `tables.csv`, `speakers.csv`, `decision.json`, `splits.json`, `report.html` to
 * look at, and a zarr group with the model of every lag and condition in `models/`.
 *
 * @throws {RangeError} If the configuration or the input make no sense, before any work where it can.
 * @throws {BudgetError} If a model does not fit the budget, before any work.
 * @throws {OutputConflictError} If `out` holds something else, or results of what the input was before.
 */
export async function run(
  gpu: Gpu,
  config: ConditionConfig,
  options: ConditionOptions = {},
): Promise<ConditionReport> {
  const { signal } = conditionOptions.check(options);
  const own = await plan(gpu, config, signal ? { signal } : {});
  try {
    return await own.run(options);
  } finally {
    await own.close();
  }
}
