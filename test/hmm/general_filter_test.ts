import { describe, expect, it } from "vitest";
import { denseTransition } from "../../src/hmm/dense_transition.ts";
import { sparseTransition } from "../../src/hmm/sparse_transition.ts";
import { contFrag, stateModel } from "../../src/hmm/states.ts";
import { hmmRatio, hmmRatioConstants, hmmRatioParams } from "../../src/kernels/hmm_ratio.ts";
import {
  hmmRescale,
  hmmRescaleConstants,
  hmmRescaleParams,
} from "../../src/kernels/hmm_rescale.ts";
import { hmmWeigh, hmmWeighConstants, hmmWeighParams } from "../../src/kernels/hmm_weigh.ts";
import { enumeratePaths } from "../reference/enumerate_paths.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import { boxGrid, largestDifference, randomLogLikelihoods } from "../support/hmm_problem.ts";
import { runKernel } from "../support/run_kernel.ts";
import { runDenseTransition, runSparseTransition } from "../support/transition_products.ts";

const gpu = useGpu();

const grid = boxGrid([3]);
const rows = 4;
const lanes = 2;

type Multiply = (vectors: Float32Array, transposed: boolean) => Promise<Float32Array>;

const walled = stateModel({
  names: ["own", "walled"],
  initial: [0.25, 0.75],
  discreteTransition: [[0.6, 0.4], [0.1, 0.9]],
  transitions: [
    [{ kind: "matrix", values: [0.5, 0.5, 0, 0, 0.25, 0.75, 0.125, 0.375, 0.5] }, {
      kind: "uniform",
    }],
    [{ kind: "identity" }, { kind: "graphWalk", movementVar: 0.6, direction: "towards" }],
  ],
});

for (const [name, model] of Object.entries({ contFrag: contFrag({ movementVar: 0.6 }), walled })) {
  const bins = grid.interiorIndex.length;
  const states = model.names.length;
  const width = states * bins;
  const stateTable = denseTransition(grid, model).stateTable;
  const initial = Float32Array.from(
    { length: width },
    (_, i) => model.initial[Math.floor(i / bins)]! / bins,
  );
  const products: Record<string, Multiply> = {
    "dense matrices": (vectors, transposed) =>
      runDenseTransition(gpu(), denseTransition(grid, model), vectors, transposed),
    "sparse matrices": (vectors, transposed) =>
      runSparseTransition(gpu(), sparseTransition(grid, model), vectors, transposed),
  };
  describe(`the row kernels on ${name}`, () => {
    for (const [kind, multiply] of Object.entries(products)) {
      it(`equal enumeration of all paths, with ${kind} between them`, async () => {
        const logLikelihoods = Array.from(
          { length: lanes },
          (_, lane) => randomLogLikelihoods(rows, bins, 31 + lane),
        );
        const { filtered, smoothed } = await filterAndSmooth(logLikelihoods, multiply);
        const reference = referenceTransition(grid, model);
        const matrix = Array.from({ length: width }, (_, from) => {
          const unit = new Float64Array(width);
          unit[from] = 1;
          return [...reference.apply(unit)];
        });
        logLikelihoods.forEach((own, lane) => {
          const perState = Array.from(
            { length: rows },
            (_, row) => Array.from({ length: width }, (_, i) => own[row * bins + i % bins]!),
          );
          const wanted = enumeratePaths([...initial], matrix, perState);
          const lines = (values: Float32Array) =>
            values.subarray(lane * rows * width, (lane + 1) * rows * width);
          // some tens of roundings of 6e-8
          expect(largestDifference(lines(filtered), wanted.filtered.flat())).toBeLessThan(1e-6);
          expect(largestDifference(lines(smoothed), wanted.smoothed.flat())).toBeLessThan(1e-6);
        });
      });
    }

    /** [lanes, rows, width] both. */
    async function filterAndSmooth(
      logLikelihoods: Float64Array[],
      multiply: Multiply,
    ): Promise<{ filtered: Float32Array; smoothed: Float32Array }> {
      const likelihood = Float32Array.from(logLikelihoods.flatMap((own) => [...own]), Math.exp);
      const shared = { states: stateTable };
      let filtered = new Float32Array(lanes * rows * width);
      // [lanes, rows + 1, width]
      const predicted = new Float32Array(lanes * (rows + 1) * width);
      for (let lane = 0; lane < lanes; lane++) {
        predicted.set(initial, lane * (rows + 1) * width);
      }
      const ofRow = (values: Float32Array, row: number, perLane: number) =>
        Float32Array.from(
          { length: lanes * width },
          (_, i) => values[(Math.floor(i / width) * perLane + row) * width + i % width]!,
        );
      for (let row = 0; row < rows; row++) {
        const { outputs } = await runKernel(gpu(), {
          spec: hmmWeigh,
          constants: hmmWeighConstants(states, width, bins),
          buffers: {
            ...shared,
            params: hmmWeighParams(row, rows, row * width, (rows + 1) * width),
            likelihood,
            predicted,
            filtered,
            filter_sums: 4 * lanes * rows * (2 + states),
          },
          workgroups: [lanes],
          outputs: ["filtered"],
        });
        filtered = outputs.filtered as Float32Array<ArrayBuffer>;
        const next = await multiply(ofRow(filtered, row, rows), false);
        for (let lane = 0; lane < lanes; lane++) {
          const at = (lane * (rows + 1) + row + 1) * width;
          predicted.set(next.subarray(lane * width, (lane + 1) * width), at);
        }
      }
      let smoothed = filtered.slice();
      let carry: Float32Array = new Float32Array(lanes * width);
      for (let row = rows - 1; row >= 0; row--) {
        let back: Float32Array = new Float32Array(lanes * width);
        if (row < rows - 1) {
          const { outputs } = await runKernel(gpu(), {
            spec: hmmRatio,
            constants: hmmRatioConstants(states, width),
            buffers: {
              ...shared,
              params: hmmRatioParams((row + 1) * width, (rows + 1) * width),
              smoothed_carry: carry,
              predicted,
              ratio: back.byteLength,
              ratio_sums: 4 * lanes * states,
            },
            workgroups: [lanes],
            outputs: ["ratio"],
          });
          back = await multiply(outputs.ratio!, true);
        }
        const { outputs } = await runKernel(gpu(), {
          spec: hmmRescale,
          constants: hmmRescaleConstants(states, width),
          buffers: {
            ...shared,
            // both lanes end here
            params: hmmRescaleParams(row, rows, { firstEnd: rows - 1, laneLength: 0 }),
            back,
            filtered: smoothed,
            smoothed_carry: carry.byteLength,
            smooth_sums: 4 * lanes * rows * states,
          },
          workgroups: [lanes],
          outputs: ["filtered", "smoothed_carry"],
        });
        smoothed = outputs.filtered as Float32Array<ArrayBuffer>;
        carry = outputs.smoothed_carry!;
      }
      return { filtered, smoothed };
    }
  });
}
