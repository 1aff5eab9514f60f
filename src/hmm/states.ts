/**
 * Discrete states and how position moves between and within them.
 *
 * Source of the presets: non_local_detector; see Denovellis et al. 2021.
 *
 * @module
 */

import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, isList, number, text } from "../options.ts";

/** How position moves from one discrete state to another. */
export type ContinuousTransition =
  /**
   * Gaussian steps of this variance, position units squared per time step, cut at 8 standard deviations along
   * each dimension: an animal that moves further in one row is found again some rows later, or by a `uniform`
   * block.
   */
  | { kind: "randomWalk"; movementVar: number }
  /** Anywhere in the interior, all bins alike. */
  | { kind: "uniform" }
  /** Stays in its bin. */
  | { kind: "identity" }
  /** Gaussian steps on a track that never lead to a lower bin, or never to a higher one. */
  | { kind: "oneWayWalk"; movementVar: number; direction: "up" | "down" }
  /**
   * Gaussian steps in the length of the shortest way through the interior, so that walls count; only
   * towards the most central bin or away from it, with `direction`.
   */
  | { kind: "graphWalk"; movementVar: number; direction?: "towards" | "away" }
  /**
   * As the animal itself moved from sample to sample, `speedup` steps at once (default 1), or backwards.
   */
  | { kind: "empirical"; speedup?: number; timeReversed?: boolean }
  /** A matrix of your own: [interior, interior] in C order, row i is p(next bin | bin i). */
  | { kind: "matrix"; values: ArrayLike<number> };

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
  /**
   * [S] whether a state has a single bin instead of the grid's, as one in which nothing is said about
   * position. Transitions to and from it are uniform. Default: none has.
   */
  oneBin?: boolean[];
}

const walk = {
  /** Variance of the random walk per row, position units squared. Default 6. */
  movementVar: number({
    default: 6,
    above: 0,
    takes: "V",
    says:
      "variance of the random walk per time step; a step is at most 8 standard deviations long along " +
      "a dimension, so slower rows want more",
  }),
};

export const continuousOptions = declare("use these states", walk);

export const contFragOptions = declare("use these states", {
  ...walk,
  /** Probability of remaining in a state from one row to the next. Default 0.98. */
  stay: number({
    default: 0.98,
    from: 0,
    to: 1,
    flag: false,
    says: "probability of remaining in a state from one row to the next",
  }),
});

/** One state: position moves by a random walk. */
export function continuous(options: OptionsOf<typeof continuousOptions> = {}): StateModel {
  const { movementVar } = continuousOptions.check(options);
  return stateModel({
    preset: "continuous",
    names: ["Continuous"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "randomWalk", movementVar }]],
  });
}

/** Two states: position moves continuously, or jumps anywhere (fragmented). */
export function contFrag(options: OptionsOf<typeof contFragOptions> = {}): StateModel {
  const { movementVar, stay } = contFragOptions.check(options);
  const uniform: ContinuousTransition = { kind: "uniform" };
  return stateModel({
    preset: "contFrag",
    names: ["Continuous", "Fragmented"],
    initial: [0.5, 0.5],
    discreteTransition: [[stay, 1 - stay], [1 - stay, stay]],
    transitions: [[{ kind: "randomWalk", movementVar }, uniform], [uniform, uniform]],
  });
}

const perState = <Value>(says: string) =>
  custom("a list over the states", isList as Is<Value>, {
    required: true,
    says,
  });

export const stateModelOptions = declare("use these states", {
  preset: text({ default: "custom", says: "name of the preset" }),
  names: perState<string[]>("names of the states"),
  initial: perState<number[]>("initial probability of each state"),
  discreteTransition: perState<number[][]>("probability of each state after each, [from][to]"),
  transitions: perState<ContinuousTransition[][]>("how position moves, [from][to]"),
  oneBin: custom("a list over the states", isList as Is<boolean[]>, {
    otherwise: "none has",
    says: "whether a state has a single bin instead of the grid's",
  }),
});

/** Rounding a sum of probabilities may show. */
export const SUM_TOLERANCE = 1e-9;

/** Rounding a row of a matrix may show, which others may have written in f32 or as text. */
const MATRIX_SUM_TOLERANCE = 1e-5;

/**
 * Checks a mix of states of the caller's own.
 *
 * @throws {RangeError} If sizes disagree, probabilities are negative or do not sum to 1, or a
 * variance is not positive.
 */
export function stateModel(
  model: Omit<StateModel, "preset"> & { preset?: string },
): StateModel {
  stateModelOptions.check(model);
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
  for (const block of model.transitions.flat()) checkBlock(block, refuse);
  checkOneBin(model, refuse);
  return { preset: "custom", ...model };
}

function checkBlock(
  block: ContinuousTransition,
  refuse: (is: string, wanted: string) => never,
): void {
  const among = (name: string, value: string | undefined, allowed: readonly string[]) => {
    if (value === undefined || allowed.includes(value)) return;
    refuse(
      `a ${block.kind} has ${name} "${value}"`,
      allowed.map((word) => `"${word}"`).join(" or "),
    );
  };
  switch (block.kind) {
    case "randomWalk":
    case "oneWayWalk":
    case "graphWalk":
      if (!(block.movementVar > 0 && Number.isFinite(block.movementVar))) {
        const name = block.kind === "randomWalk" ? "random walk" : block.kind;
        refuse(`a ${name} has movementVar ${block.movementVar}`, "a positive number");
      }
      if (block.kind === "oneWayWalk") among("direction", block.direction, ["up", "down"]);
      if (block.kind === "graphWalk") among("direction", block.direction, ["towards", "away"]);
      return;
    case "empirical":
      if (!(block.speedup === undefined || Number.isInteger(block.speedup) && block.speedup >= 1)) {
        refuse(`an empirical transition has speedup ${block.speedup}`, "a whole number from 1");
      }
      return;
    case "matrix":
      return checkMatrix(block.values, refuse);
    case "uniform":
    case "identity":
      return;
    default:
      refuse(
        `a transition is of kind "${(block as { kind: string }).kind}"`,
        "randomWalk, uniform, identity, oneWayWalk, graphWalk, empirical or matrix",
      );
  }
}

function checkOneBin(
  { names, transitions, oneBin = [] }: Omit<StateModel, "preset">,
  refuse: (is: string, wanted: string) => never,
): void {
  if (oneBin.length > 0 && oneBin.length !== names.length) {
    refuse(`oneBin has ${oneBin.length} entries`, `${names.length}`);
  }
  transitions.forEach((row, from) =>
    row.forEach(({ kind }, to) => {
      if (!(oneBin[from] || oneBin[to]) || kind === "uniform") return;
      refuse(
        `the transition from "${names[from]}" to "${
          names[to]
        }", of which one has a single bin, is ` +
          `of kind "${kind}"`,
        `"uniform"`,
      );
    })
  );
}

/** Rows are divided by their sums later: here they may be off by what f32 or text leaves. */
function checkMatrix(
  values: ArrayLike<number>,
  refuse: (is: string, wanted: string) => never,
): void {
  const size = Math.sqrt(values.length);
  if (!(Number.isInteger(size) && size > 0)) {
    refuse(`a matrix has ${values.length} entries`, "as many rows as columns");
  }
  for (let row = 0; row < size; row++) {
    let sum = 0;
    for (let column = 0; column < size; column++) {
      const value = values[row * size + column]!;
      if (!(value >= 0 && Number.isFinite(value))) {
        refuse(`entry [${row}, ${column}] of a matrix is ${value}`, "probabilities from 0");
      }
      sum += value;
    }
    if (!(Math.abs(sum - 1) <= MATRIX_SUM_TOLERANCE)) {
      refuse(`row ${row} of a matrix sums to ${sum}`, "1");
    }
  }
}

/** A walk of less than half a bin a row stays where it is: its neighbours' share is lost to rounding. */
export function walkWarnings(binSize: number, { transitions }: StateModel): string[] {
  const least = (binSize / 2) ** 2;
  const small = transitions.flat().flatMap((block) =>
    "movementVar" in block && block.movementVar < least ? [block.movementVar] : []
  );
  return small.length === 0 ? [] : [
    `a movement variance of ${
      Math.min(...small)
    } hardly leaves bins of ${binSize}: the smallest that ` +
    `makes sense is ${least}, (bin / 2)^2, or use smaller bins`,
  ];
}
