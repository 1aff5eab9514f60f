import { describe, expect, it } from "vitest";
import { denseTransition } from "../../src/hmm/transition/dense_transition.ts";
import { sparseTransition } from "../../src/hmm/transition/sparse_transition.ts";
import { contFrag, stateModel } from "../../src/hmm/decoder.ts";
import { hmmRatio, hmmRatioParams } from "../../src/kernels/hmm_ratio.ts";
import { hmmRescale, hmmRescaleParams } from "../../src/kernels/hmm_rescale.ts";
import {
  hmmWeigh,
  hmmWeighParams,
  rowConstants,
  stateSumsBytes,
} from "../../src/kernels/hmm_weigh.ts";
import { toWideRow, wideLog2 } from "../../src/math/wide.ts";
import { enumeratePaths } from "../reference/enumerate_paths.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import { boxGrid, randomLogLikelihoods } from "../support/hmm_problem.ts";
import { runKernel } from "../support/run_kernel.ts";
import { runDenseTransition, runSparseTransition } from "../support/transition_products.ts";
import { asWide, largestError, wideOfLogs } from "../support/wide_numbers.ts";

const gpu = useGpu();

const grid = boxGrid([3]);
const rows = 4;
const lanes = 2;

// some tens of roundings of 6e-8, in the smallest number as in the largest
const TOLERANCE = 2e-6;
// and of 2^-19 below 2^-128: some in every row
const DEEP_ROUNDINGS = 20;

type Multiply = (
  vectors: Uint32Array,
  transposed: boolean,
  stateSums: Uint32Array<ArrayBuffer>,
) => Promise<Uint32Array>;

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
    "dense matrices": (...operands) =>
      runDenseTransition(gpu(), denseTransition(grid, model), ...operands),
    "sparse matrices": (...operands) =>
      runSparseTransition(gpu(), sparseTransition(grid, model), ...operands),
  };
  describe(`the row kernels on ${name}`, () => {
    for (const [kind, multiply] of Object.entries(products)) {
      // likelihoods down to exp(-8), then a lane of them and one down to exp(-150) a row
      for (const depth of [1, 19]) {
        const likelihoods = `${kind} between them, likelihoods to exp(-${8 * depth})`;
        it(`equal enumeration of all paths, with ${likelihoods}`, () => compare(multiply, depth));
      }
    }

    async function compare(multiply: Multiply, depth: number): Promise<void> {
      const logLikelihoods = Array.from(
        { length: lanes },
        (_, lane) =>
          randomLogLikelihoods(rows, bins, 31 + lane)
            .map((log) => lane === 0 ? log : depth * log),
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
        const lines = (values: Uint32Array) =>
          values.slice(lane * rows * width, (lane + 1) * rows * width);
        const filteredLogs = wanted.filtered.flat().map(Math.log);
        expect(largestError(lines(filtered), filteredLogs, DEEP_ROUNDINGS)).toBeLessThan(TOLERANCE);
        // what is smoothed is sought for its probability, and less than 2^-100 of that is none
        const smoothedLogs = wanted.smoothed.flat().map((p) =>
          p < 2 ** -100 ? -Infinity : Math.log(p)
        );
        const smoothedLines = lines(smoothed).map((p) => wideLog2(p) < -100 ? 0 : p);
        expect(largestError(smoothedLines, smoothedLogs)).toBeLessThan(TOLERANCE);
      });
    }

    /** [lanes, rows, width] both. */
    async function filterAndSmooth(
      logLikelihoods: Float64Array[],
      multiply: Multiply,
    ): Promise<{ filtered: Uint32Array; smoothed: Uint32Array }> {
      const likelihood = wideOfLogs(logLikelihoods.flatMap((own) => [...own]));
      const shared = { states: stateTable };
      let filtered = new Uint32Array(lanes * rows * width);
      // [lanes, rows + 1, width]
      const predicted = new Uint32Array(lanes * (rows + 1) * width);
      for (let lane = 0; lane < lanes; lane++) {
        predicted.set(toWideRow(initial), lane * (rows + 1) * width);
      }
      const ofRow = (values: Uint32Array, row: number, perLane: number) =>
        Uint32Array.from(
          { length: lanes * width },
          (_, i) => values[(Math.floor(i / width) * perLane + row) * width + i % width]!,
        );
      for (let row = 0; row < rows; row++) {
        const { outputs } = await runKernel(gpu(), {
          spec: hmmWeigh,
          constants: rowConstants(states),
          buffers: {
            ...shared,
            params: hmmWeighParams(
              { bins: width, likelihoods: bins },
              row,
              rows,
              row * width,
              (rows + 1) * width,
            ),
            likelihood,
            predicted,
            filtered,
            filter_sums: 4 * lanes * rows * (2 + states),
            state_sums: stateSumsBytes(lanes, states),
          },
          workgroups: [lanes],
          outputs: ["filtered", "state_sums"],
        });
        filtered = asWide(outputs.filtered!);
        const next = await multiply(ofRow(filtered, row, rows), false, asWide(outputs.state_sums!));
        for (let lane = 0; lane < lanes; lane++) {
          const at = (lane * (rows + 1) + row + 1) * width;
          predicted.set(next.subarray(lane * width, (lane + 1) * width), at);
        }
      }
      let smoothed = filtered.slice();
      let carry: Uint32Array = new Uint32Array(lanes * width);
      for (let row = rows - 1; row >= 0; row--) {
        let back: Uint32Array = new Uint32Array(lanes * width);
        if (row < rows - 1) {
          const { outputs } = await runKernel(gpu(), {
            spec: hmmRatio,
            constants: rowConstants(states),
            buffers: {
              ...shared,
              params: hmmRatioParams(width, (row + 1) * width, (rows + 1) * width),
              smoothed_carry: carry,
              predicted,
              ratio: back.byteLength,
              state_sums: stateSumsBytes(lanes, states),
            },
            workgroups: [lanes],
            outputs: ["ratio", "state_sums"],
          });
          back = await multiply(asWide(outputs.ratio!), true, asWide(outputs.state_sums!));
        }
        const { outputs } = await runKernel(gpu(), {
          spec: hmmRescale,
          constants: rowConstants(states),
          buffers: {
            ...shared,
            // both lanes end here
            params: hmmRescaleParams(width, row, rows, { firstEnd: rows - 1, laneLength: 0 }),
            back,
            filtered: smoothed,
            smoothed_carry: carry.byteLength,
            smooth_sums: 4 * lanes * rows * states,
          },
          workgroups: [lanes],
          outputs: ["filtered", "smoothed_carry"],
        });
        smoothed = asWide(outputs.filtered!);
        carry = asWide(outputs.smoothed_carry!);
      }
      return { filtered, smoothed };
    }
  });
}
