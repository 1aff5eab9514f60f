/**
 * Discrete states and how position moves between and within them.
 *
 * Source of the presets: non_local_detector; see Denovellis et al. 2021.
 *
 * @module
 */

/** How position moves from one discrete state to another. */
export type ContinuousTransition =
  /** Gaussian steps of this variance, position units squared per time step. */
  | { kind: "randomWalk"; movementVar: number }
  /** Anywhere in the interior, all bins alike. */
  | { kind: "uniform" }
  /** Stays in its bin. */
  | { kind: "identity" };

/** Discrete states and their transitions: S of them. */
export interface StateModel {
  /** Name of the preset, or `custom`. */
  preset: string;
  names: string[];
  /** [S] initial probability of each state; positions start uniform. */
  initial: number[];
  /** [S, S] p(next state | state), rows sum to 1. */
  discreteTransition: number[][];
  /** [from][to]. */
  transitions: ContinuousTransition[][];
}

/** One state: position moves by a random walk. */
export function continuous({ movementVar }: { movementVar: number }): StateModel {
  return stateModel({
    preset: "continuous",
    names: ["Continuous"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "randomWalk", movementVar }]],
  });
}

/**
 * Two states: position moves continuously, or jumps anywhere (fragmented).
 *
 * @param stay Probability of remaining in a state from one row to the next. Default 0.98.
 */
export function contFrag(
  { movementVar, stay = 0.98 }: { movementVar: number; stay?: number },
): StateModel {
  const uniform: ContinuousTransition = { kind: "uniform" };
  return stateModel({
    preset: "contFrag",
    names: ["Continuous", "Fragmented"],
    initial: [0.5, 0.5],
    discreteTransition: [[stay, 1 - stay], [1 - stay, stay]],
    transitions: [[{ kind: "randomWalk", movementVar }, uniform], [uniform, uniform]],
  });
}

/** Rounding a sum of probabilities may show. */
const SUM_TOLERANCE = 1e-9;

/**
 * Checks a mix of states of the caller's own.
 *
 * @throws {RangeError} If sizes disagree, probabilities are negative or do not sum to 1, or a
 * variance is not positive.
 */
export function stateModel(
  model: Omit<StateModel, "preset"> & { preset?: string },
): StateModel {
  const count = model.names.length;
  const refuse = (is: string, wanted: string): never => {
    throw new RangeError(`Cannot use these states: ${is}, wanted ${wanted}`);
  };
  if (count === 0) refuse("there are none", "at least one");
  if (new Set(model.names).size !== count) refuse("two have one name", "names that differ");
  const checkProbabilities = (values: readonly number[], what: string) => {
    if (values.length !== count) refuse(`${what} has ${values.length} entries`, `${count}`);
    for (const value of values) {
      if (!(value >= 0 && value <= 1)) {
        refuse(`${what} holds ${value}`, "probabilities from 0 to 1");
      }
    }
    const sum = values.reduce((total, value) => total + value, 0);
    if (Math.abs(sum - 1) > SUM_TOLERANCE) refuse(`${what} sums to ${sum}`, "1");
  };
  checkProbabilities(model.initial, "initial");
  for (
    const [name, matrix] of Object.entries({
      discreteTransition: model.discreteTransition,
      transitions: model.transitions,
    })
  ) {
    if (matrix.length !== count || matrix.some((row) => row.length !== count)) {
      refuse(`${name} is not square over ${count} states`, `${count} rows of ${count}`);
    }
  }
  model.discreteTransition.forEach((row, from) =>
    checkProbabilities(row, `row ${from} of discreteTransition`)
  );
  for (const block of model.transitions.flat()) {
    if (
      block.kind === "randomWalk" && !(block.movementVar > 0 && Number.isFinite(block.movementVar))
    ) refuse(`a random walk has movementVar ${block.movementVar}`, "a positive number");
  }
  return { preset: "custom", ...model };
}
