import * as dense from "../src/kernels/multiply_dense.ts";
import * as blocks from "../src/kernels/sum_blocks.ts";
import { Random } from "../src/math/random.ts";
import { sumBlocks } from "../test/reference/sum_blocks.ts";
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
        transposed: false,
      };
      const partial = Float32Array.from(
        { length: dense.densePartialBytes(shape) / 4 },
        () => random.uniform(),
      );
      return {
        spec: blocks.sumBlocks,
        constants: blocks.sumBlocksConstants(shape, 1, bins!, 0),
        shape: `${bins} bins, ${lanes} lanes`,
        rows: lanes!,
        flops: lanes! * bins! * dense.denseBlocks(shape),
        bytes: partial.byteLength + 4 * lanes! * bins!,
        buffers: {
          params: blocks.sumBlocksParams(0, bins!, 0, 1),
          partial,
          states: Uint32Array.of(0, 0, bins!, 0),
          spread_weights: Float32Array.of(SPREAD),
          state_sums: new Float32Array(lanes!).fill(1),
          product: 4 * lanes! * bins!,
        },
        workgroups: blocks.sumBlocksWorkgroups(bins!, lanes!),
        outputs: ["product"],
        check({ product }) {
          const spread = Array(lanes!).fill(SPREAD);
          const twin = sumBlocks(partial, dense.denseKept(shape), bins!, spread);
          twin.forEach((sum, i) =>
            checkWithin("sum_blocks", Math.abs(product![i]! - sum) / sum, 1e-6)
          );
        },
      };
    }),
};
