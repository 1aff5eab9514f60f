/**
 * States as the original package has them, by name.
 *
 * Source: non_local_detector; see Denovellis et al. 2021.
 *
 * @module
 */

import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, isList, list, number } from "../options.ts";
import type { ContinuousTransition, StateModel } from "./states.ts";
import { animal, stateModel } from "./states.ts";

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

const { noSpikeRate, localStd, nonLocalPenalty, nonLocalPenaltyStd } = animal;
/** Of states that may be compared with where the animal is. */
const penalty = { nonLocalPenalty, nonLocalPenaltyStd };

export const continuousOptions = declare("use these states", { ...walk, ...penalty });

/** Of states in which cells are silent. */
export const noSpikeContFragOptions = declare("use these states", {
  ...{ ...walk, ...penalty, noSpikeRate },
});

export const nonLocalOptions = declare("use these states", {
  ...{ ...walk, ...penalty, noSpikeRate, localStd },
});

export const contFragOptions = declare("use these states", {
  ...{ ...walk, ...penalty },
  /** Probability of remaining in a state from one row to the next. Default 0.98. */
  stay: number({
    default: 0.98,
    from: 0,
    to: 1,
    flag: false,
    says: "probability of remaining in a state from one row to the next",
  }),
});

export const multiEnvironmentOptions = declare("use these states", {
  ...walk,
  /** Names of two environments or more, each of which is a state. */
  environments: custom("a list of names", isList as Is<string[]>, {
    required: true,
    says: "names of environments, each of which is a state",
  }),
  /** Probability of remaining in each from one row to the next. Default 0.999 for the first, 0.98 for others. */
  stay: list(number({ from: 0, to: 1 }), {
    otherwise: "0.999 of the first, 0.98 of others",
    says: "probability of remaining in each from one row to the next",
  }),
});

const uniform: ContinuousTransition = { kind: "uniform" };

/** One state: position moves by a random walk. */
export function continuous(options: OptionsOf<typeof continuousOptions> = {}): StateModel {
  const { movementVar, ...others } = continuousOptions.check(options);
  return stateModel({
    ...others,
    preset: "continuous",
    names: ["Continuous"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "randomWalk", movementVar }]],
  });
}

/** Two states: position moves continuously, or jumps anywhere (fragmented). */
export function contFrag(options: OptionsOf<typeof contFragOptions> = {}): StateModel {
  const { movementVar, stay, ...others } = contFragOptions.check(options);
  return stateModel({
    ...others,
    preset: "contFrag",
    names: ["Continuous", "Fragmented"],
    initial: [0.5, 0.5],
    discreteTransition: [[stay, 1 - stay], [1 - stay, stay]],
    transitions: [[{ kind: "randomWalk", movementVar }, uniform], [uniform, uniform]],
    prior: { concentration: 1.1 },
  });
}

/** Three states: cells are silent, or as {@link contFrag} has them. */
export function noSpikeContFrag(
  options: OptionsOf<typeof noSpikeContFragOptions> = {},
): StateModel {
  const { movementVar, ...others } = noSpikeContFragOptions.check(options);
  return stateModel({
    ...others,
    preset: "noSpikeContFrag",
    names: ["No-Spike", "Continuous", "Fragmented"],
    initial: [1 / 3, 1 / 3, 1 / 3],
    discreteTransition: [
      [0.99, 0.005, 0.005],
      [1e-5, 0.9, 0.09999],
      [1e-5, 0.01999, 0.98],
    ],
    transitions: transitions(3, 1, movementVar),
    oneBin: [true, false, false],
    noSpike: [true, false, false],
    prior: { concentration: 1.1, stickiness: [1e5, 30, 200] },
  });
}

/**
 * Four states: what is represented is where the animal is, or cells are silent, or it is somewhere else, moving
 * continuously or jumping. With `localStd` the first has the grid's bins.
 */
export function nonLocal(options: OptionsOf<typeof nonLocalOptions> = {}): StateModel {
  const { movementVar, ...others } = nonLocalOptions.check(options);
  const third = 0.02 / 3;
  return stateModel({
    ...others,
    preset: "nonLocal",
    names: ["Local", "No-Spike", "Non-Local Continuous", "Non-Local Fragmented"],
    initial: [1, 0, 0, 0],
    discreteTransition: [
      [0.99, 0.005, 0.0025, 0.0025],
      [third, 0.98, third, third],
      [0.0175, 0.005, 0.96, 0.0175],
      [0.0175, 0.005, 0.0175, 0.96],
    ],
    transitions: transitions(4, 2, movementVar),
    oneBin: [others.localStd === undefined, true, false, false],
    local: [true, false, false, false],
    noSpike: [false, true, false, false],
    prior: { stickiness: [1e5, 1e5, 300, 300], frozen: ["No-Spike"] },
  });
}

/** A state for each environment, in which position moves continuously, and between which it may jump anywhere. */
export function multiEnvironment(options: OptionsOf<typeof multiEnvironmentOptions>): StateModel {
  const { movementVar, environments, ...others } = multiEnvironmentOptions.check(options);
  const names = Array.from(environments);
  const { stay = names.map((_, state) => state === 0 ? 0.999 : 0.98) } = others;
  if (names.length < 2 || stay.length !== names.length) {
    throw new RangeError(
      `Cannot use these states: there are ${names.length} environments and ${stay.length} of stay, wanted at least two, ` +
        "and as many of both",
    );
  }
  const walks: ContinuousTransition = { kind: "randomWalk", movementVar };
  return stateModel({
    preset: "multiEnvironment",
    ...{ names, environments: names },
    initial: names.map((_, state) => state === 0 ? 1 : 0),
    discreteTransition: stay.map((own, from) =>
      names.map((_, to) => from === to ? own : (1 - own) / (names.length - 1))
    ),
    transitions: names.map((_, from) => names.map((_, to) => from === to ? walks : uniform)),
    prior: {
      concentration: 1.1,
      stickiness: names.map((_, state) => state === 0 ? 200 : 30),
    },
  });
}

/** Uniform, but for a state that walks. */
function transitions(states: number, walks: number, movementVar: number): ContinuousTransition[][] {
  return Array.from(
    { length: states },
    (_, from) =>
      Array.from(
        { length: states },
        (_, to) => from === walks && to === walks ? { kind: "randomWalk", movementVar } : uniform,
      ),
  );
}
