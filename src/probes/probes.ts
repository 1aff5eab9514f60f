/**
 * Probes of features: how well a plane tells two classes apart.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { PANEL_ROWS } from "../math/panels.ts";
import { Plan } from "../stream/plan.ts";
import type { LabelColumns } from "./labels.ts";
import { labelColumns } from "./labels.ts";
import { LinearProbe } from "./linear_probe.ts";
import type { LogisticOptions, MassMeanOptions, ProbeFitOptions } from "./logistic_options.ts";
import { logisticOptions, massMeanOptions, probeFitOptions } from "./logistic_options.ts";
import type { LogisticSettings } from "./logistic_fit.ts";
import { LogisticTask } from "./logistic_task.ts";
import type { MassMeanSettings } from "./mass_mean_task.ts";
import { MassMeanTask } from "./mass_mean_task.ts";
import type { ProbeFit } from "./results.ts";
import { StandardRows } from "./standard_rows.ts";

export type { LabelColumns } from "./labels.ts";
export type {
  LogisticOptions,
  MassMeanOptions,
  ProbeFitOptions,
  ProbePredictOptions,
} from "./logistic_options.ts";
export type { ProbePrediction, StoredProbePrediction } from "./predict_task.ts";
export type { FittedProbe, ProbeFit } from "./results.ts";

/** A fit that is stored, and the probe that predicts by it. */
export interface StoredProbe extends ProbeFit {
  model: LogisticProbe | MassMeanProbe;
  place: string;
  close(): Promise<void>;
}

const ACTION = "fit a probe";

/** Rows that a tile should have at least, or they are better read again every sweep. */
const FEWEST_RESIDENT_ROWS = 1024;

/**
 * Logistic regression: minimises the mean cross-entropy and |w|^2 / (2 c rows) over weights of standardised
 * features and a bias that nothing is paid for. A feature that is constant gets no weight.
 *
 * It ends at the optimum and says so: with the gradient in f64 and the penalty, `distance` bounds how far
 * weights may be from it. Several columns of labels and several c are fitted at once, each pass over the rows
 * for all of them. Results are the same bits whatever tile, slots and budget.
 *
 * @example
 * ```ts
 * const probe = new LogisticProbe({ c: [0.01, 1, 100] });
 * const { probes } = await probe.fit(gpu, await openArray("layer12.npy"), labels).run();
 * const { logits } = await probe.predict(gpu, others).run();
 * ```
 */
export class LogisticProbe extends LinearProbe {
  readonly #settings: LogisticSettings;

  /**
   * @throws {TypeError} If an option is not known or of another kind.
   * @throws {RangeError} If an option makes no sense; the message names it.
   */
  constructor(options: LogisticOptions = {}) {
    super();
    const { c, tolerance, maxPasses } = logisticOptions.check(options);
    this.#settings = { c: typeof c === "number" ? [c] : Array.from(c), tolerance, maxPasses };
  }

  /**
   * Plans a fit. Nothing is read or allocated yet.
   *
   * @param features `[rows, features]` of any number type.
   * @param labels 0 and 1, or booleans, of every row; or several columns of them by their names, of which
   * one that has a single class gives `null` for its probes.
   * @throws {RangeError} If there are not as many labels as rows, fewer than two, or of one class alone.
   * @throws {BudgetError} If no tile fits the budget.
   */
  fit(
    gpu: Gpu,
    features: ChunkedArray,
    labels: LabelColumns,
    options: ProbeFitOptions = {},
  ): Plan<ProbeFit> {
    const { out, overwrite, ...choices } = probeFitOptions.check(options);
    const columns = labelColumns(labels, rowsOf(features), ACTION);
    const plan = (resident: boolean) => {
      const task = new LogisticTask(new StandardRows(features, ACTION), columns, this.#settings, {
        out,
        overwrite,
        adapter: gpu.adapter.name,
        resident,
        result: (stored, measured) => this.learn(stored, measured),
      });
      return new Plan<ProbeFit>(gpu, task, choices);
    };
    const rows = rowsOf(features);
    try {
      const resident = plan(true);
      const { tileRows } = resident;
      const isWhole = tileRows % PANEL_ROWS === 0 || tileRows >= rows;
      if (isWhole && tileRows >= Math.min(FEWEST_RESIDENT_ROWS, rows)) return resident;
    } catch (error) {
      // one that does not fit may fit without
      if (!(error instanceof BudgetError || error instanceof RangeError)) throw error;
    }
    return plan(false);
  }

  /** Opens what a fit left at a place. */
  static async open(place: string): Promise<StoredProbe> {
    const model = new LogisticProbe();
    return stored(place, model, await model.load(place, "logistic"));
  }
}

/**
 * The way from the mean of the negatives to that of the positives, as a probe: a logit is how far a row lies
 * along it, from midway between both. Nothing is trained.
 */
export class MassMeanProbe extends LinearProbe {
  readonly #settings: MassMeanSettings;

  /**
   * @throws {TypeError} If an option is not known or of another kind.
   */
  constructor(options: MassMeanOptions = {}) {
    super();
    this.#settings = massMeanOptions.check(options);
  }

  /** Plans a fit, as {@link LogisticProbe.fit} does; weights are of features as they are. */
  fit(
    gpu: Gpu,
    features: ChunkedArray,
    labels: LabelColumns,
    options: ProbeFitOptions = {},
  ): Plan<ProbeFit> {
    const { out, overwrite, ...choices } = probeFitOptions.check(options);
    const columns = labelColumns(labels, rowsOf(features), ACTION);
    const task = new MassMeanTask(new StandardRows(features, ACTION), columns, this.#settings, {
      out,
      overwrite,
      adapter: gpu.adapter.name,
      result: (stored, measured) => this.learn(stored, measured),
    });
    return new Plan<ProbeFit>(gpu, task, choices);
  }

  /** Opens what a fit left at a place. */
  static async open(place: string): Promise<StoredProbe> {
    const model = new MassMeanProbe();
    return stored(place, model, await model.load(place, "mass_mean"));
  }
}

/** All of a stored fit is in memory: there is nothing to close. */
function stored(place: string, model: StoredProbe["model"], fit: ProbeFit): StoredProbe {
  return { ...fit, model, place, close: () => Promise.resolve() };
}

/** @throws {TypeError | RangeError} If there is nothing to fit to. */
function rowsOf(features: ChunkedArray): number {
  return new StandardRows(features, ACTION).points.rows;
}
