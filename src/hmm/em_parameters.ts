/**
 * The parameters of a search: from what is expected of them to the next ones, and when that is enough.
 *
 * @module
 */

import type { CheckedOf } from "../options.ts";
import type { emChoices } from "./em_options.ts";
import type { TransitionPrior } from "./em_update.ts";
import { normalised, relativeChange, updateTransitions } from "./em_update.ts";
import type { Expectation } from "./expectation_task.ts";
import type { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";

type Choices = CheckedOf<typeof emChoices>;

/** Parameters that were found, and how. */
export interface FoundParameters {
  /** The model, with the discrete transitions that were found. */
  states: StateModel;
  /** [state bins] p(state bin before the first row). */
  initialProbs: Float64Array;
  /** Of the rows before each update, then with the parameters that are returned; natural logarithms. */
  logLikelihoods: number[];
  /** Whether the log-likelihood changed by less than the tolerance in the end. */
  converged: boolean;
  /** Which log-likelihoods, counted from 0, are lower than the one before by more than the tolerance. */
  falls: number[];
  /** What is odd: sentences for people. */
  warnings: string[];
}

/** What an update began with, and what it made of that. */
export interface Iteration {
  kind: "iteration";
  logLikelihood: number;
  discreteTransition: number[][];
  /** [state bins], where they are fitted. */
  initialProbs?: number[];
}

export class EmParameters {
  readonly #model: StateModel;
  readonly #bins: StateBins;
  readonly #initialProbs: ArrayLike<number> | undefined;
  readonly #options: Choices;
  readonly #prior: TransitionPrior;

  /** @throws {RangeError} If a prior has another number of states than the model. */
  constructor(
    model: StateModel,
    bins: StateBins,
    initialProbs: ArrayLike<number> | undefined,
    options: Choices,
  ) {
    this.#model = model;
    this.#bins = bins;
    this.#initialProbs = initialProbs;
    this.#options = options;
    this.#prior = priorOf(model, options);
  }

  /** The parameters that iterations led to. */
  after(iterations: readonly Iteration[]): { model: StateModel; initialProbs: Float64Array } {
    const model = this.#model;
    const last = iterations.at(-1);
    return {
      model: last ? { ...model, discreteTransition: last.discreteTransition } : model,
      initialProbs: this.#bins.initialProbs(model, last?.initialProbs ?? this.#initialProbs),
    };
  }

  /** @throws {RangeError} If a row is impossible. */
  update(model: StateModel, expectation: Expectation): Iteration {
    const { logLikelihood, impossibleRows, transitions, first } = expectation;
    if (impossibleRows > 0) {
      throw new RangeError(
        `Cannot fit parameters: ${impossibleRows} rows are impossible under the model, wanted none; ` +
          "say which rows are missing, or allow more transitions",
      );
    }
    const { fitTransitions, fitInitial } = this.#options;
    return {
      kind: "iteration",
      logLikelihood,
      discreteTransition: fitTransitions
        ? updateTransitions(transitions, model.discreteTransition, this.#prior)
        : model.discreteTransition,
      ...(fitInitial && { initialProbs: normalised(first) }),
    };
  }

  /** Whether the last two log-likelihoods are the same, within the tolerance. */
  haveConverged(iterations: readonly Iteration[]): boolean {
    const [before, last] = iterations.slice(-2).map(({ logLikelihood }) => logLikelihood);
    return last !== undefined &&
      Math.abs(relativeChange(before!, last)) < this.#options.tolerance;
  }

  /** @param logLikelihood With the parameters that were found. */
  found(
    iterations: readonly Iteration[],
    logLikelihood: number,
    rowSeconds: number,
  ): FoundParameters {
    const { model, initialProbs } = this.after(iterations);
    const logLikelihoods = [...iterations.map((own) => own.logLikelihood), logLikelihood];
    const changes = logLikelihoods.slice(1)
      .map((own, i) => relativeChange(logLikelihoods[i]!, own));
    const falls = changes.flatMap((change, i) => change < -this.#options.tolerance ? [i + 1] : []);
    const converged = this.haveConverged(iterations);
    const fallen = falls.join(", ");
    return {
      states: { ...model, rowSeconds },
      ...{ initialProbs, logLikelihoods, converged, falls },
      warnings: [
        ...(falls.length > 0
          ? [
            `the log-likelihood fell after update ${fallen}: a prior or a fitted encoding may ask for that`,
          ]
          : []),
        ...(converged ? [] : [
          `the log-likelihood still changed after ${iterations.length} updates, by ` +
          `${changes.at(-1)!.toExponential(1)} of itself`,
        ]),
      ],
    };
  }
}

/** A value for each state. @throws {RangeError} If there are not as many values, or a name is of no state. */
function priorOf({ names, prior = {} }: StateModel, options: Choices): TransitionPrior {
  const { concentration = prior.concentration ?? 1, frozen = prior.frozen ?? [] } = options;
  if (!(concentration >= 1)) {
    throw new RangeError(
      `Cannot fit parameters: the concentration of the states is ${concentration}, wanted a number from 1`,
    );
  }
  const told = { stickiness: prior.stickiness, ...options };
  const ofStates = (name: "stickiness" | "priorWeight") => {
    const values = told[name] ?? names.map(() => 0);
    if (values.length === names.length) return values;
    throw new RangeError(
      `Cannot fit parameters: ${name} has ${values.length} values, wanted one for each of ` +
        `${names.length} states`,
    );
  };
  const stray = frozen.find((name) => !names.includes(name));
  if (stray !== undefined) {
    throw new RangeError(
      `Cannot fit parameters: frozen names "${stray}", wanted some of ${names.join(", ")}`,
    );
  }
  return {
    concentration,
    stickiness: ofStates("stickiness"),
    priorWeight: ofStates("priorWeight"),
    frozen: names.map((name) => frozen.includes(name)),
  };
}
