import { sparseTransition } from "../src/hmm/transition/sparse_transition.ts";
import * as sparse from "../src/kernels/multiply_sparse.ts";
import { Random } from "../src/math/random.ts";
import { logAdd, spread } from "../test/reference/multiply_dense.ts";
import { multiplySparse } from "../test/reference/multiply_sparse.ts";
import {
  asWide,
  largestError,
  logsOf,
  stateSumsOf,
  wideOfLogs,
} from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";
import { hmmCases } from "./hmm_cases.ts";

export const multiplySparseBench: Bench = {
  name: "multiply_sparse",
  cases: () =>
    hmmCases().flatMap(({ name, grid, model }, number) => {
      const transition = sparseTransition(grid, model);
      const { bins, states, starts, stateTable, spread: spreadWeights } = transition;
      // one track also with likelihoods that reach further than f32
      const depths = number === 0 ? [0, 700] : [0];
      return depths.flatMap((depth) =>
        [1, 8].map((lanes) => {
          const { tiles, forward } = transition;
          const random = new Random(1);
          const vectors = wideOfLogs(Float64Array.from(
            { length: lanes * bins },
            (_, i) => -3 * random.uniform() - depth * (i % bins) / bins,
          ));
          const shape = {
            lanes,
            states,
            bins,
            transposed: false,
          };
          return {
            spec: sparse.multiplySparse,
            constants: sparse.multiplySparseConstants(shape),
            shape: `${name}: ${transition.nonZeros} entries, ${lanes} lanes${
              depth > 0 ? `, to exp(-${depth})` : ""
            }`,
            rows: lanes,
            flops: 2 * lanes * transition.nonZeros,
            bytes: tiles.byteLength + forward.entries.byteLength + 2 * vectors.byteLength,
            buffers: {
              params: sparse.multiplySparseParams(
                shape,
                { at: 0, stride: bins },
                { at: 0, stride: bins },
              ),
              tiles,
              ...forward,
              vectors,
              states: stateTable,
              spread_weights: spreadWeights,
              state_sums: stateSumsOf(vectors, starts),
              product: vectors.byteLength,
            },
            workgroups: sparse.multiplySparseWorkgroups(shape),
            outputs: ["product"],
            check({ product }) {
              const last = logsOf(vectors.subarray((lanes - 1) * bins));
              const rows = Array.from({ length: bins }, (_, bin) => transition.row(bin));
              const twin = multiplySparse({ rows, columns: bins }, last, false);
              const weights = starts.slice(1).map((
                _,
                state,
              ) => [...spreadWeights.subarray(state * states, (state + 1) * states)]);
              const wanted = logAdd(twin, spread(last, starts, weights));
              const got = asWide(product!).subarray((lanes - 1) * bins);
              checkWithin("multiply_sparse", largestError(got, wanted, 4), 6e-7);
            },
          };
        })
      );
    }),
};
