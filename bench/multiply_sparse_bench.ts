import { sparseTransition } from "../src/hmm/sparse_transition.ts";
import * as sparse from "../src/kernels/multiply_sparse.ts";
import { Random } from "../src/math/random.ts";
import { spread } from "../test/reference/multiply_dense.ts";
import { multiplySparse } from "../test/reference/multiply_sparse.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { hmmCases } from "./hmm_cases.ts";

export const multiplySparseBench: Bench = {
  name: "multiply_sparse",
  cases: () =>
    hmmCases().flatMap(({ name, grid, model }) => {
      const transition = sparseTransition(grid, model);
      const { bins, states, starts, stateTable, spread: spreadWeights } = transition;
      return [1, 8].map((lanes) => {
        const { tiles, forward } = transition;
        const random = new Random(1);
        const vectors = Float32Array.from({ length: lanes * bins }, () => random.uniform());
        const sums = Float32Array.from({ length: lanes * states }, (_, i) => {
          const from = i * bins / states;
          return vectors.subarray(from, from + bins / states).reduce((sum, value) => sum + value);
        });
        const shape = {
          lanes,
          states,
          bins,
          transposed: false,
        };
        return {
          spec: sparse.multiplySparse,
          constants: sparse.multiplySparseConstants(shape),
          shape: `${name}: ${transition.nonZeros} entries, ${lanes} lanes`,
          rows: lanes,
          flops: 2 * lanes * transition.nonZeros,
          bytes: tiles.byteLength + forward.entries.byteLength + 2 * vectors.byteLength,
          buffers: {
            params: sparse.multiplySparseParams(
              { at: 0, stride: bins },
              { at: 0, stride: bins },
              { at: 0, stride: states },
            ),
            tiles,
            ...forward,
            vectors,
            states: stateTable,
            spread_weights: spreadWeights,
            state_sums: sums,
            product: vectors.byteLength,
          },
          workgroups: sparse.multiplySparseWorkgroups(shape),
          outputs: ["product"],
          check({ product }) {
            const last = vectors.subarray((lanes - 1) * bins);
            const rows = Array.from({ length: bins }, (_, bin) => transition.row(bin));
            const twin = multiplySparse({ rows, columns: bins }, last, false);
            const weights = starts.slice(1).map((
              _,
              state,
            ) => [...spreadWeights.subarray(state * states, (state + 1) * states)]);
            spread(last, starts, weights).forEach((value, bin) => twin[bin]! += value);
            const largest = twin.reduce((most, value) => Math.max(most, value), 0);
            const got = product!.subarray((lanes - 1) * bins);
            checkWithin("multiply_sparse", largestDifference(got, twin) / largest, 2e-7);
          },
        };
      });
    }),
};
