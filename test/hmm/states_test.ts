import { describe, expect, it } from "vitest";
import type { ContinuousTransition } from "../../src/hmm/states.ts";
import {
  contFrag,
  continuous,
  nonLocal,
  noSpikeContFrag,
  stateModel,
} from "../../src/hmm/decoder.ts";

const uniform = { kind: "uniform" } as const;

describe("presets", () => {
  it("continuous is one state with a random walk", () => {
    const model = continuous({ movementVar: 6 });
    expect(model.names).toEqual(["Continuous"]);
    expect(model.transitions).toEqual([[{ kind: "randomWalk", movementVar: 6 }]]);
  });

  it("contFrag walks from continuous to continuous, and jumps otherwise", () => {
    const model = contFrag({ movementVar: 6 });
    expect(model.names).toEqual(["Continuous", "Fragmented"]);
    expect(model.discreteTransition[0]![0]).toBe(0.98);
    expect(model.transitions.flat().map(({ kind }) => kind))
      .toEqual(["randomWalk", "uniform", "uniform", "uniform"]);
  });
});

describe("presets of the original", () => {
  it("noSpikeContFrag has a silent state of one bin", () => {
    const model = noSpikeContFrag({ movementVar: 6 });
    expect(model.discreteTransition).toEqual([
      [0.99, 0.005, 0.005],
      [1e-5, 0.9, 0.09999],
      [1e-5, 0.01999, 0.98],
    ]);
    expect(model).toMatchObject({ oneBin: [true, false, false], noSpike: [true, false, false] });
    expect(model.transitions.map((row) => row.map(({ kind }) => kind))).toEqual([
      ["uniform", "uniform", "uniform"],
      ["uniform", "randomWalk", "uniform"],
      ["uniform", "uniform", "uniform"],
    ]);
  });

  it("nonLocal has a local state, of one bin but where it has a kernel", () => {
    const model = nonLocal();
    expect(model.names)
      .toEqual(["Local", "No-Spike", "Non-Local Continuous", "Non-Local Fragmented"]);
    expect(model.initial).toEqual([1, 0, 0, 0]);
    expect(model.discreteTransition).toEqual([
      [0.99, 0.005, 0.0025, 0.0025],
      [0.02 / 3, 0.98, 0.02 / 3, 0.02 / 3],
      [0.0175, 0.005, 0.96, 0.0175],
      [0.0175, 0.005, 0.0175, 0.96],
    ]);
    expect(model.transitions[2]![2]).toEqual({ kind: "randomWalk", movementVar: 6 });
    expect(model.transitions.flat().filter(({ kind }) => kind === "uniform")).toHaveLength(15);
    expect(model.oneBin).toEqual([true, true, false, false]);
    expect(nonLocal({ localStd: 0 }).oneBin).toEqual([false, true, false, false]);
  });

  it("believe of transitions what it does, before they are fitted", () => {
    expect(contFrag().prior).toEqual({ concentration: 1.1 });
    expect(noSpikeContFrag().prior).toEqual({ concentration: 1.1, stickiness: [1e5, 30, 200] });
    expect(nonLocal().prior)
      .toEqual({ stickiness: [1e5, 1e5, 300, 300], frozen: ["No-Spike"] });
  });
});

describe("stateModel()", () => {
  const good = {
    names: ["a", "b"],
    initial: [0.5, 0.5],
    discreteTransition: [[0.9, 0.1], [0.2, 0.8]],
    transitions: [[uniform, uniform], [uniform, uniform]],
  };

  it("takes any mix that makes sense", () => {
    expect(stateModel(good)).toMatchObject({ preset: "custom", ...good });
  });

  it("says what is wrong with one that does not", () => {
    const refused = (change: Partial<typeof good>) => () => stateModel({ ...good, ...change });
    expect(refused({ names: [] })).toThrow(/there are none/);
    expect(refused({ names: ["a", "a"] })).toThrow(/two have one name/);
    expect(refused({ initial: [1] })).toThrow(/initial has 1 entries, wanted 2/);
    expect(refused({ initial: [0.5, 0.4] })).toThrow(/initial sums to 0.9, wanted 1/);
    expect(refused({ initial: [1.5, -0.5] })).toThrow(/initial holds 1.5/);
    expect(refused({ discreteTransition: [[1, 0]] })).toThrow(/not square over 2 states/);
    expect(refused({ discreteTransition: [[0.9, 0.1], [0.2, 0.7]] }))
      .toThrow(/row 1 of discreteTransition sums to/);
    expect(refused({ transitions: [[uniform, uniform], [uniform]] })).toThrow(/not square/);
    expect(() => continuous({ movementVar: 0 })).toThrow(
      /movementVar is 0, wanted a number above 0/,
    );
    expect(() => contFrag({ movementVar: NaN })).toThrow(/movementVar is NaN/);
  });

  it("takes every kind of transition, and says what is wrong with one", () => {
    const single = (block: unknown) => () =>
      stateModel({
        names: ["one"],
        initial: [1],
        discreteTransition: [[1]],
        transitions: [[block as ContinuousTransition]],
      });
    for (
      const block of [
        { kind: "oneWayWalk", movementVar: 2, direction: "down" },
        { kind: "graphWalk", movementVar: 2 },
        { kind: "graphWalk", movementVar: 2, direction: "away" },
        { kind: "empirical" },
        { kind: "empirical", speedup: 20, timeReversed: true },
        // as somebody else rounded them
        { kind: "matrix", values: [0.333333, 0.666666, 0, 1] },
      ]
    ) expect(single(block)).not.toThrow();
    expect(single({ kind: "oneWayWalk", movementVar: -1, direction: "up" }))
      .toThrow(/a oneWayWalk has movementVar -1, wanted a positive number/);
    expect(single({ kind: "oneWayWalk", movementVar: 1, direction: "left" }))
      .toThrow(/a oneWayWalk has direction "left", wanted "up" or "down"/);
    expect(single({ kind: "graphWalk", movementVar: 1, direction: "up" }))
      .toThrow(/direction "up", wanted "towards" or "away"/);
    expect(single({ kind: "empirical", speedup: 0 })).toThrow(/speedup 0, wanted a whole number/);
    expect(single({ kind: "jump" })).toThrow(/a transition is of kind "jump", wanted randomWalk/);
    expect(single({ kind: "matrix", values: [1, 0, 0] }))
      .toThrow(/a matrix has 3 entries, wanted as many rows as columns/);
    expect(single({ kind: "matrix", values: [1, 0, -0.5, 1.5] }))
      .toThrow(/entry \[1, 0\] of a matrix is -0.5/);
    expect(single({ kind: "matrix", values: [1, 0, NaN, 1] })).toThrow(/is NaN/);
    expect(single({ kind: "matrix", values: [1, 0, 0.5, 0.4] })).toThrow(/row 1 of a matrix sums/);
  });

  it("says what is wrong with states that look at the animal, or at silence", () => {
    const refused = (change: object) => () => stateModel({ ...good, ...change });
    expect(refused({ local: [true] })).toThrow(/local has 1 entries, wanted 2/);
    expect(refused({ noSpike: [true, false] }))
      .toThrow(/state "a" has no spikes and the grid's bins, wanted oneBin/);
    expect(refused({ local: [true, false] })).toThrow(/state "a" is local .* there is no localStd/);
    const flags = { oneBin: [true, false], local: [true, false] };
    expect(refused({ ...flags, noSpike: [true, false] })).toThrow(/local and has no spikes/);
    expect(refused({ ...flags, localStd: 3 })).toThrow(/no local state has the grid's bins/);
    expect(refused({ local: [true, false], localStd: 1e-20 })).toThrow(/localStd is 1e-20/);
    expect(refused({ nonLocalPenalty: -1 })).toThrow(/nonLocalPenalty is -1, wanted a number/);
    expect(stateModel({ ...good, ...flags }).local).toEqual([true, false]);
  });

  it("takes states of one bin, with uniform transitions alone", () => {
    expect(stateModel({ ...good, oneBin: [false, true] }).oneBin).toEqual([false, true]);
    expect(() => stateModel({ ...good, oneBin: [true] })).toThrow(/oneBin has 1 entries, wanted 2/);
    expect(() =>
      stateModel({
        ...good,
        oneBin: [false, true],
        transitions: [[{ kind: "identity" }, uniform], [{ kind: "identity" }, uniform]],
      })
    ).toThrow(/from "b" to "a", of which one has a single bin, is of kind "identity"/);
  });
});
