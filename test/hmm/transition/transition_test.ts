import { describe, expect, it } from "vitest";
import { gaussianTaps, transitionOperator } from "../../../src/hmm/transition/transition.ts";
import { contFrag, continuous, stateModel } from "../../../src/hmm/decoder.ts";
import { enumeratePaths } from "../../reference/enumerate_paths.ts";
import { referenceTransition } from "../../reference/transition.ts";
import { useGpu } from "../../support/gpu.ts";
import {
  boxGrid,
  filterCase,
  hmmLayout,
  hmmProblems,
  largestDifference,
  mixedStates,
  randomLogLikelihoods,
  smoothCase,
  wideBits,
} from "../../support/hmm_problem.ts";
import { runKernel } from "../../support/run_kernel.ts";

const gpu = useGpu();

describe("transitionOperator()", () => {
  it("shares one convolution among random-walk blocks that are multiples of each other", () => {
    const walk = { kind: "randomWalk", movementVar: 1 } as const;
    const jobs = (discreteTransition: number[][]) =>
      transitionOperator(
        boxGrid([6, 6]),
        stateModel({
          names: ["a", "b"],
          initial: [0.5, 0.5],
          discreteTransition,
          transitions: [[walk, walk], [walk, walk]],
        }),
      ).shape.jobs;
    expect(jobs([[0.8, 0.2], [0.8, 0.2]])).toBe(1);
    expect(jobs([[0.8, 0.2], [0.3, 0.7]])).toBe(2);
    expect(transitionOperator(boxGrid([6, 6]), contFrag({ movementVar: 1 })).shape.jobs).toBe(1);
    // two walks, each into both of two states from two states that differ
    expect(transitionOperator(boxGrid([6, 6]), mixedStates()).shape.jobs).toBe(2);
  });

  it("leaves out what is far from the interior", () => {
    const diagonal = (x: number, y: number) => Math.abs(x - y) < 2;
    const all = transitionOperator(boxGrid([40, 40]), continuous({ movementVar: 1 }));
    const few = transitionOperator(boxGrid([40, 40], diagonal), continuous({ movementVar: 1 }));
    expect(few.multiplyAdds).toBeLessThan(0.6 * all.multiplyAdds);
    expect(few.shape.cells).toBeLessThan(0.25 * all.shape.cells);
  });

  it("cuts taps at 8 standard deviations, or at the end of the grid", () => {
    expect(gaussianTaps(6, 2, 1000).length).toBe(1 + 9);
    expect(gaussianTaps(6, 2, 5).length).toBe(5);
    expect(gaussianTaps(6, 2, 1)).toEqual(Float64Array.of(1));
  });

  it("refuses more states and wider walks than its kernels hold", () => {
    const names = Array.from({ length: 9 }, (_, i) => `state ${i}`);
    const many = stateModel({
      names,
      initial: names.map(() => 1 / 9),
      discreteTransition: names.map(() => names.map(() => 1 / 9)),
      transitions: names.map(() => names.map(() => ({ kind: "uniform" }))),
    });
    expect(() => transitionOperator(boxGrid([3]), many)).toThrow(/9 discrete states, at most 8/);
    expect(() => transitionOperator(boxGrid([2000]), continuous({ movementVar: 1e6 })))
      .toThrow(/random walks reach 0 x 1999 bins/);
  });

  it("refuses blocks and states that are no convolution", () => {
    const model = continuous({ movementVar: 1 });
    const walled = { ...model, transitions: [[{ kind: "graphWalk", movementVar: 1 } as const]] };
    expect(() => transitionOperator(boxGrid([3]), walled)).toThrow(
      /a block is of kind "graphWalk"/,
    );
    const silent = { ...contFrag({ movementVar: 1 }), oneBin: [false, true] };
    expect(() => transitionOperator(boxGrid([3]), silent))
      .toThrow(/state "Fragmented" has a single bin/);
  });

  it("keeps rows that sum to 1 after f32 rounding", () => {
    for (const { grid, model } of hmmProblems()) {
      const { rowScale, shape } = transitionOperator(grid, model);
      const reference = referenceTransition(grid, model, 8);
      const ones = new Float64Array(reference.size).fill(1);
      expect(largestDifference(reference.applyTranspose(ones), ones)).toBeLessThan(1e-12);
      expect(rowScale.length).toBe(4 * shape.cells * Math.max(1, shape.jobs));
      expect(rowScale.every((scale) => scale >= 0 && Number.isFinite(scale))).toBe(true);
    }
  });
});

describe("the kernels on tiny models", () => {
  const walk = { kind: "randomWalk", movementVar: 0.6 } as const;
  const models = [
    continuous({ movementVar: 0.6 }),
    contFrag({ movementVar: 0.6, stay: 0.7 }),
    stateModel({
      names: ["still", "moving"],
      initial: [0.25, 0.75],
      discreteTransition: [[0.6, 0.4], [0.1, 0.9]],
      transitions: [[{ kind: "identity" }, walk], [{ kind: "uniform" }, walk]],
    }),
  ];
  for (const [index, model] of models.entries()) {
    it(`equal enumeration of all paths: ${model.names.join(" and ")} (${index})`, async () => {
      const grid = boxGrid([3]);
      const rows = 4;
      const layout = hmmLayout({ grid, model });
      const { bins, width } = layout;
      const logLikelihoods = randomLogLikelihoods(rows, bins, 21 + index);
      // the matrix, column by column, from the definition
      const reference = referenceTransition(grid, model);
      const matrix = Array.from({ length: width }, (_, from) => {
        const unit = new Float64Array(width);
        unit[from] = 1;
        return [...reference.apply(unit)];
      });
      const perState = Array.from(
        { length: rows },
        (_, row) => Array.from({ length: width }, (_, i) => logLikelihoods[row * bins + i % bins]!),
      );
      const wanted = enumeratePaths([...layout.initial], matrix, perState);

      const forward = await runKernel(gpu(), filterCase(layout, logLikelihoods));
      const { filtered, predicted } = forward.outputs;
      const backward = await runKernel(
        gpu(),
        smoothCase(layout, wideBits(filtered!), wideBits(predicted!)),
      );
      const probabilities = (placed: Float32Array) => layout.unplace(placed).map(Math.exp);
      expect(largestDifference(probabilities(filtered!), wanted.filtered.flat()))
        .toBeLessThan(1e-6);
      expect(largestDifference(probabilities(backward.outputs.filtered!), wanted.smoothed.flat()))
        .toBeLessThan(1e-6);
    });
  }
});
