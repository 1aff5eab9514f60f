import { describe, expect, it } from "vitest";
import { detectStructure, simplifiedModel } from "../../../src/hmm/transition/detect_structure.ts";
import type { Grid } from "../../../src/hmm/grid.ts";
import type { StateModel } from "../../../src/hmm/states.ts";
import { contFrag, stateModel } from "../../../src/hmm/decoder.ts";
import { referenceTransition } from "../../reference/transition.ts";
import { boxGrid, largestDifference, mixedStates } from "../../support/hmm_problem.ts";
import { seeded } from "../../support/random.ts";

/** The matrix of a model, as somebody else would hand it over. */
function matrixOf(grid: Grid, model: StateModel): Float64Array {
  const reference = referenceTransition(grid, model);
  const matrix = new Float64Array(reference.size ** 2);
  for (let row = 0; row < reference.size; row++) {
    const unit = new Float64Array(reference.size);
    unit[row] = 1;
    matrix.set(reference.apply(unit), row * reference.size);
  }
  return matrix;
}

describe("detectStructure()", () => {
  const ring = boxGrid([8, 9], (x, y) => (x - 4) ** 2 + (y - 4) ** 2 > 3);
  const line = boxGrid([31], (_, y) => y % 9 !== 5);
  for (const [name, grid] of Object.entries({ ring, line })) {
    for (const model of [contFrag({ movementVar: 1.25 }), mixedStates()]) {
      for (const precision of ["f32", "f64"]) {
        it(`finds what made the ${precision} matrix of ${model.names.join(", ")} on a ${name}`, () => {
          const matrix = matrixOf(grid, model);
          const given = precision === "f32" ? Float32Array.from(matrix) : matrix;
          const { discreteTransition, transitions, found } = detectStructure(
            grid,
            given,
            model.names.length,
          );
          expect(transitions).toEqual(model.transitions);
          expect(found.flat().map(({ kind }) => kind))
            .toEqual(model.transitions.flat().map(({ kind }) => kind));
          expect(largestDifference(discreteTransition.flat(), model.discreteTransition.flat()))
            .toBeLessThan(1e-6);
          // and it can be used
          expect(stateModel({ ...model, discreteTransition, transitions }).names)
            .toEqual(model.names);
        });
      }
    }
  }

  it("leaves as a matrix what is anything else, however near", () => {
    const grid = boxGrid([12]);
    const model = contFrag({ movementVar: 2 });
    const matrix = matrixOf(grid, model);
    // a tenth of a percent from one bin to its neighbour, in the walk and in the jumps
    for (const at of [5 * 24 + 5, 17 * 24 + 17]) {
      const moved = 1e-3 * matrix[at]!;
      matrix[at]! -= moved;
      matrix[at + 1]! += moved;
    }
    const { transitions, found, report } = detectStructure(grid, matrix, 2);
    expect(transitions.flat().map(({ kind }) => kind))
      .toEqual(["matrix", "uniform", "uniform", "matrix"]);
    const block = transitions[0]![0]!;
    if (block.kind !== "matrix") throw new Error("not a matrix");
    expect(block.values[5 * 12 + 6]! / block.values[5 * 12 + 4]!).toBeGreaterThan(1.0005);
    expect(found[0]![0]).toMatchObject({ bandwidth: 11, rankOne: false });
    expect(report).toContain("0 -> 1: uniform");
    expect(report).toContain("0 -> 0: matrix, 144 entries (100.0 %)");
  });

  it("says where entries are few, near the diagonal, or all rows are equal", () => {
    const grid = boxGrid([10]);
    const random = seeded(1);
    const share = Array.from({ length: 10 }, random);
    const total = share.reduce((sum, value) => sum + value, 0);
    const matrix = new Float64Array(400);
    for (let bin = 0; bin < 10; bin++) {
      // state 0 steps up, and enters state 1 at places of its own; state 1 never leaves
      matrix[bin * 20 + Math.min(9, bin + 1)] = 0.75;
      for (let to = 0; to < 10; to++) matrix[bin * 20 + 10 + to] = 0.25 * share[to]! / total;
      matrix[(10 + bin) * 20 + 10 + bin] = 1;
    }
    const { found, discreteTransition } = detectStructure(grid, matrix, 2);
    expect(found[0]![0]).toEqual({ kind: "matrix", nonZeros: 10, bandwidth: 1, rankOne: false });
    expect(found[0]![1]).toMatchObject({ kind: "matrix", nonZeros: 100, rankOne: true });
    expect(found[1]!.map(({ kind }) => kind)).toEqual(["empty", "identity"]);
    expect(largestDifference(discreteTransition.flat(), [0.75, 0.25, 0, 1])).toBeLessThan(1e-12);
  });

  it("refuses what is no matrix of states", () => {
    const grid = boxGrid([3]);
    expect(() => detectStructure(grid, new Float64Array(10), 2))
      .toThrow(/it has 10 entries, wanted 6 x 6 for 2 states of 3 interior bins/);
    const negative = matrixOf(grid, contFrag({ movementVar: 1 }));
    negative[7] = -1;
    expect(() => detectStructure(grid, negative, 2)).toThrow(/entry \[1, 1\] is -1/);
    // bin 0 stays in its state, the others leave it
    const uneven = Float64Array.from({ length: 36 }, (_, i) => i % 6 === 3 ? 1 : 0);
    uneven[3] = 0;
    uneven[0] = 1;
    expect(() => detectStructure(grid, uneven, 2))
      .toThrow(/from state 0 to 0, row 0 sums to 1, the rows of the block to 0.333/);
  });
});

describe("simplifiedModel()", () => {
  it("puts in place of matrices what they are equal to, and keeps the others", () => {
    const grid = boxGrid([6, 5], (x, y) => x !== y);
    const model = mixedStates();
    const given = matrixOf(grid, {
      ...model,
      names: ["one"],
      discreteTransition: [[1]],
      transitions: [[{ kind: "randomWalk", movementVar: 3 }]],
    });
    const odd = Float64Array.from(given);
    const moved = 0.5 * odd[0]!;
    odd[0]! -= moved;
    odd[1]! += moved;
    const matrices = stateModel({
      ...model,
      transitions: model.transitions.map((row, from) =>
        row.map((block, to) =>
          block.kind !== "randomWalk"
            ? block
            : { kind: "matrix", values: from === 1 && to === 1 ? odd : given }
        )
      ),
    });
    const { model: simpler, report } = simplifiedModel(grid, matrices);
    const kinds = simpler.transitions.map((row) => row.map(({ kind }) => kind));
    expect(kinds).toEqual([
      ["randomWalk", "randomWalk", "uniform"],
      ["randomWalk", "matrix", "uniform"],
      ["uniform", "uniform", "identity"],
    ]);
    expect(simpler.transitions[1]![1]).toBe(matrices.transitions[1]![1]);
    expect(simpler.transitions[0]![0]).toEqual({ kind: "randomWalk", movementVar: 3 });
    expect(report.split("\n").length).toBe(4);
    expect(report).toContain("fast -> fast: matrix, ");
  });
});
