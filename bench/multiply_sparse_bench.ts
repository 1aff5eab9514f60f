import { sparseTransition } from "../src/hmm/sparse_transition.ts";
import * as sparse from "../src/kernels/multiply_sparse.ts";
import { Random } from "../src/math/random.ts";
import { referenceTransition } from "../test/reference/transition.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { hmmCases } from "./hmm_cases.ts";

export const multiplySparseBench: Bench = {
  name: "multiply_sparse",
  cases: () =>
    hmmCases().flatMap(({ name, grid, model }) => {
      const transition = sparseTransition(grid, model);
      const { bins, states, stateTable, spread } = transition;
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
          vectorsStride: bins,
          productStride: bins,
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
            params: sparse.multiplySparseParams(0, 0, 0, states),
            tiles,
            ...forward,
            vectors,
            states: stateTable,
            spread_weights: spread,
            state_sums: sums,
            product: vectors.byteLength,
          },
          workgroups: sparse.multiplySparseWorkgroups(shape),
          outputs: ["product"],
          check({ product }) {
            const twin = referenceTransition(grid, model, 8)
              .apply(Float64Array.from(vectors.subarray((lanes - 1) * bins)));
            const largest = twin.reduce((most, value) => Math.max(most, value), 0);
            const got = product!.subarray((lanes - 1) * bins);
            checkWithin("multiply_sparse", largestDifference(got, twin) / largest, 4e-7);
          },
        };
      });
    }),
};
