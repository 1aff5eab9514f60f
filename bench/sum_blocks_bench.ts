import * as dense from "../src/kernels/multiply_dense.ts";
import * as blocks from "../src/kernels/sum_blocks.ts";
import { Random } from "../src/math/random.ts";
import { toWide } from "../src/math/wide.ts";
import { sumBlocks } from "../test/reference/sum_blocks.ts";
import { asWide, largestError, logsOf, randomWide } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

/** What a single uniform state spreads onto every bin. */
const SPREAD = 0.5;

export const sumBlocksBench: Bench = {
  name: "sum_blocks",
  cases: () =>
    [[2665, 1], [10658, 1], [10658, 16]].map(([bins, lanes]) => {
      const random = new Random(1);
      const shape: dense.DenseShape = {
        rows: bins!,
        columns: bins!,
        partRows: dense.DENSE_BLOCK * Math.ceil(bins! / dense.DENSE_BLOCK),
        lanes: lanes!,
        states: 1,
        transposed: false,
      };
      const partial = randomWide(
        dense.densePartialBytes(shape) / 4,
        () => random.uniform(),
        { depth: 3 },
      );
      return {
        spec: blocks.sumBlocks,
        constants: blocks.sumBlocksConstants,
        shape: `${bins} bins, ${lanes} lanes`,
        rows: lanes!,
        flops: lanes! * bins! * dense.denseBlocks(shape),
        bytes: partial.byteLength + 4 * lanes! * bins!,
        buffers: {
          params: blocks.sumBlocksParams(shape, bins!, 0, 0, bins!),
          partial,
          states: Uint32Array.of(0, 0, bins!, 0),
          spread_weights: Float32Array.of(SPREAD),
          // a level, and 1
          state_sums: Uint32Array.from({ length: 2 * lanes! }, (_, i) => i % 2 ? toWide(1) : 1),
          product: 4 * lanes! * bins!,
        },
        workgroups: blocks.sumBlocksWorkgroups(bins!, lanes!),
        outputs: ["product"],
        check({ product }) {
          const spread = Array(lanes!).fill(Math.log(SPREAD));
          const twin = sumBlocks(logsOf(partial), dense.denseKept(shape), bins!, spread);
          const got = asWide(product!).subarray(0, twin.length);
          checkWithin("sum_blocks", largestError(got, twin), 1e-6);
        },
      };
    }),
};
