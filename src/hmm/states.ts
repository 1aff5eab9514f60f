/**
 * Discrete states and how position moves between and within them.
 *
 * Source of the presets: non_local_detector; see Denovellis et al. 2021.
 *
 * @module
 */

import type { Is } from "../options.ts";
import type { Grid } from "./grid.ts";
import { custom, declare, isList, isObject, number, text } from "../options.ts";

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

/** A Dirichlet prior over what follows each state. */
export interface TransitionBelief {
  /** From 1, which says nothing. */
  concentration?: number;
  /** [S] added to it for the state itself. */
  stickiness?: number[];
  /** Names of states whose transitions stay as they are. */
  frozen?: string[];
}

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
  /**
   * [S] whether a state is that of the place where the animal is. With one bin, spikes are expected as they are
   * there; with the grid's, as everywhere, and `localStd` says how near to the animal a bin lies. Default: none is.
   */
  local?: boolean[];
  /** [S] whether cells are silent in a state, which then has one bin. Default: in none. */
  noSpike?: boolean[];
  /** Spikes a second of each cell, or electrode, where they are silent. Default 1e-10. */
  noSpikeRate?: number;
  /**
   * Of local states with the grid's bins: standard deviation of a Gaussian around the bin of the animal, in the
   * length of ways through the interior; 0 for that bin alone.
   */
  localStd?: number;
  /**
   * Nats that bins of states that are not local lose where the animal is; around it less, by a Gaussian of
   * `nonLocalPenaltyStd` (default 1), in the length of ways through the interior. Default 0.
   */
  nonLocalPenalty?: number;
  nonLocalPenaltyStd?: number;
  /**
   * [S] name of the environment whose bins a state has, of several; between two of them all bins are alike. Default:
   * there is one.
   */
  environments?: string[];
  /** [S] name of the group of samples by which spikes are encoded that a state expects. Default: there is one. */
  encodingGroups?: string[];
  /** What is believed of transitions before they are fitted, where a search is not told otherwise. */
  prior?: TransitionBelief;
  /** Seconds of the rows that its transitions were fitted to; it is used for others of that length alone. */
  rowSeconds?: number;
}

const perState = <Value>(says: string) =>
  custom("a list over the states", isList as Is<Value>, {
    required: true,
    says,
  });

/** Squares of smaller ones are 0 in f32. */
const LEAST_STD = 1.085e-19;

/** What states expect that look at where the animal is, or at silence. */
export const animal = {
  noSpikeRate: number({
    above: 0,
    flag: false,
    otherwise: "1e-10",
    says: "spikes a second of each cell where they are silent",
  }),
  localStd: number({
    from: 0,
    takes: "S",
    otherwise: "a local state has one bin",
    says: "standard deviation of a local state around the animal; 0 for its bin alone",
  }),
  nonLocalPenalty: number({
    from: 0,
    takes: "NATS",
    otherwise: "0",
    says: "what bins of states that are not local lose where the animal is",
  }),
  nonLocalPenaltyStd: number({
    above: 0,
    takes: "S",
    otherwise: "1",
    says: "standard deviation of that around the animal",
  }),
};

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
  local: custom("a list over the states", isList as Is<boolean[]>, {
    otherwise: "none is",
    says: "whether a state is that of the place where the animal is",
  }),
  noSpike: custom("a list over the states", isList as Is<boolean[]>, {
    otherwise: "in none",
    says: "whether cells are silent in a state",
  }),
  ...animal,
  environments: custom("a list over the states", isList as Is<string[]>, {
    otherwise: "there is one",
    says: "name of the environment whose bins a state has",
  }),
  encodingGroups: custom("a list over the states", isList as Is<string[]>, {
    otherwise: "there is one",
    says: "name of the group of samples by which the spikes are encoded that a state expects",
  }),
  prior: custom("{ concentration, stickiness, frozen }", isObject as Is<TransitionBelief>, {
    otherwise: "nothing is believed",
    says: "what is believed of transitions before they are fitted",
  }),
  rowSeconds: number({
    above: 0,
    otherwise: "rows of any length",
    says: "seconds of the rows that transitions were fitted to",
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
  checkFlags(model, refuse);
  checkEnvironments(model, refuse);
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

function checkFlags(
  model: Omit<StateModel, "preset">,
  refuse: (is: string, wanted: string) => never,
): void {
  const { names, oneBin, local, noSpike, localStd } = model;
  for (const [name, flags] of Object.entries({ local, noSpike })) {
    if (flags && flags.length !== names.length) {
      refuse(`${name} has ${flags.length} entries`, `${names.length}`);
    }
  }
  names.forEach((name, state) => {
    if (noSpike?.[state] && local?.[state]) {
      refuse(`state "${name}" is local and has no spikes`, "one of these");
    }
    if (noSpike?.[state] && !oneBin?.[state]) {
      refuse(`state "${name}" has no spikes and the grid's bins`, "oneBin for it");
    }
    if (local?.[state] && !oneBin?.[state] && localStd === undefined) {
      refuse(
        `state "${name}" is local and has the grid's bins, and there is no localStd`,
        "one, or oneBin for the state",
      );
    }
  });
  if (localStd === undefined) return;
  if (!names.some((_, state) => local?.[state] && !oneBin?.[state])) {
    refuse(`localStd is ${localStd}, and no local state has the grid's bins`, "one that does");
  }
  if (localStd > 0 && localStd < LEAST_STD) {
    refuse(`localStd is ${localStd}`, `0 or at least ${LEAST_STD}`);
  }
}

function checkEnvironments(
  { names, transitions, environments, encodingGroups }: Omit<StateModel, "preset">,
  refuse: (is: string, wanted: string) => never,
): void {
  for (const [name, list] of Object.entries({ environments, encodingGroups })) {
    if (list && list.length !== names.length) {
      refuse(`${name} has ${list.length} entries`, `${names.length}`);
    }
  }
  transitions.forEach((row, from) =>
    row.forEach(({ kind }, to) => {
      if (environments?.[from] === environments?.[to] || kind === "uniform") return;
      refuse(
        `the transition from "${names[from]}" to "${
          names[to]
        }", which are in different environments, is of ` +
          `kind "${kind}"`,
        `"uniform"`,
      );
    })
  );
}

/** @throws {RangeError} If states are in environments or expect spikes of groups, by a decoder that knows none. */
export function refuseGroups(states: StateModel): void {
  const stray = (["encodingGroups", "environments"] as const).find((name) => states[name]);
  if (!stray) return;
  throw new RangeError(
    `Cannot make a decoder: states have ${stray}, wanted environments(), which encodes by these, or none`,
  );
}

/** Whether it has to be known where the animal is: for local states, and for a penalty near it. */
export function looksAtAnimal({ local, nonLocalPenalty = 0 }: StateModel): boolean {
  return nonLocalPenalty > 0 || local?.includes(true) === true;
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

/** Share of a row by which the length of others may differ. */
const ROW_TOLERANCE = 1e-6;

/**
 * @param seconds Of a row.
 * @throws {RangeError} If a model was fitted to rows of another length.
 */
export function checkRowSeconds({ rowSeconds }: StateModel, seconds: number): void {
  if (rowSeconds === undefined) return;
  if (Math.abs(seconds - rowSeconds) <= ROW_TOLERANCE * rowSeconds) return;
  throw new RangeError(
    `Cannot plan a decode: the transitions were fitted to rows of ${rowSeconds} s, and these last ` +
      `${seconds} s, wanted the same; or states without rowSeconds, if they are meant for both`,
  );
}

/** A walk of less than half a bin a row stays where it is: its neighbours' share is lost to rounding. */
export function walkWarnings(grid: Grid, model: StateModel): string[] {
  const { transitions, environments } = model;
  if (grid.environments) {
    return grid.environments.flatMap((own) => {
      const isIn = (_: unknown, state: number) => environments?.[state] === own.name;
      return walkWarnings(own.grid, { ...model, transitions: transitions.filter(isIn) });
    });
  }
  const { binSize } = grid;
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
