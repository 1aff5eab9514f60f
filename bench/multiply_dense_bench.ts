import { denseParts } from "../src/hmm/transition/dense_transition.ts";
import type { DenseShape } from "../src/kernels/multiply_dense.ts";
import * as dense from "../src/kernels/multiply_dense.ts";
import { Random } from "../src/math/random.ts";
import { multiplyDense } from "../test/reference/multiply_dense.ts";
import { sumBlocks } from "../test/reference/sum_blocks.ts";
import {
  asWide,
  largestError,
  logsOf,
  randomWide,
  stateSumsOf,
  wideOfLogs,
} from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

// half of a 73 x 73 box: odd, and short on a software adapter
const SIZE = 2665;

export const multiplyDenseBench: Bench = {
  name: "multiply_dense",
  cases: () => {
    const random = new Random(1);
    const values = Float32Array.from({ length: SIZE * SIZE }, () => random.uniform());
    const rowAt = (row: number) => values.subarray(row * SIZE, (row + 1) * SIZE);
    const matrix = denseParts(SIZE, SIZE, rowAt).next().value!;
    return [false, true].flatMap((transposed) =>
      [1, 8, 16, 64].map((lanes) => {
        const vectors = randomWide(lanes * SIZE, () => random.uniform(), { depth: 3 });
        const shape: DenseShape = {
          rows: SIZE,
          columns: SIZE,
          partRows: dense.DENSE_BLOCK * Math.ceil(SIZE / dense.DENSE_BLOCK),
          lanes,
          states: 1,
          transposed,
        };
        return {
          spec: dense.multiplyDense,
          constants: dense.multiplyDenseConstants(shape),
          shape: `${SIZE} x ${SIZE}, ${lanes} lanes${transposed ? ", transposed" : ""}`,
          rows: lanes,
          flops: 2 * SIZE * SIZE * lanes,
          bytes: matrix.byteLength + vectors.byteLength + dense.densePartialBytes(shape),
          buffers: {
            params: dense.multiplyDenseParams(shape, 0, 0, SIZE),
            matrix,
            vectors,
            state_sums: stateSumsOf(vectors, [0, SIZE]),
            partial: dense.densePartialBytes(shape),
          },
          workgroups: dense.multiplyDenseWorkgroups(shape, 0),
          outputs: ["partial"],
          check({ partial }) {
            // the last lane: its blocks, added up here
            const twin = multiplyDense(
              { rows: SIZE, columns: SIZE, values },
              logsOf(vectors.subarray((lanes - 1) * SIZE)),
              transposed,
            );
            const kept = dense.denseKept(shape);
            const blocks: number[] = [];
            for (let block = 0; block < dense.denseBlocks(shape); block++) {
              const from = (block * lanes + lanes - 1) * kept;
              blocks.push(...logsOf(asWide(partial!).subarray(from, from + kept)));
            }
            const got = wideOfLogs(sumBlocks(blocks, kept, SIZE, [-Infinity]));
            checkWithin("multiply_dense", largestError(got, twin), 3e-7);
          },
        };
      })
    );
  },
};
