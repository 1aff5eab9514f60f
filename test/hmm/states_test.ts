import { describe, expect, it } from "vitest";
import { contFrag, continuous, stateModel } from "../../src/hmm/states.ts";

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
    expect(() => continuous({ movementVar: 0 })).toThrow(/movementVar 0/);
    expect(() => contFrag({ movementVar: NaN })).toThrow(/movementVar NaN/);
  });
});
