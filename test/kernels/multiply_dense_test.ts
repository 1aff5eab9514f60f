import { describe, expect, it } from "vitest";
import { denseParts } from "../../src/hmm/dense_transition.ts";
import type { DenseShape } from "../../src/kernels/multiply_dense.ts";
import * as dense from "../../src/kernels/multiply_dense.ts";
import * as blocks from "../../src/kernels/sum_blocks.ts";
import { multiplyDense, spread } from "../reference/multiply_dense.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { runDenseProduct } from "../support/transition_products.ts";

const gpu = useGpu();

// relative to the largest sum. Roundings of 6e-8 at most, of which some two count at full size: 5e-8 on
// average, and 5 times that in the worst of ten thousand sums
const TOLERANCE = 2.5e-7;

const random = seeded(5);
const randoms = (length: number) => Float32Array.from({ length }, random);

describe("multiply_dense and sum_blocks", () => {
  const sizes = [
    [1, 1, 1],
    [1, 1, 65],
    [3, 5, 2],
    [37, 37, 3],
    [129, 4, 8],
    [513, 131, 1],
    [131, 513, 5],
    [700, 1101, 9],
  ] as const;
  for (const [rows, columns, lanes] of sizes) {
    for (const transposed of [false, true]) {
      it(`agree with their twin: ${rows} x ${columns}, ${lanes} lanes${transposed ? ", T @ v" : ""}`, async () => {
        const matrix = { rows, columns, values: randoms(rows * columns) };
        const vectors = randoms(lanes * (transposed ? columns : rows));
        const twin = multiplyDense(matrix, vectors, transposed);
        const product = await runDenseProduct(gpu(), matrix, vectors, transposed);
        const largest = twin.reduce((most, value) => Math.max(most, value), 0);
        expect(largestDifference(product, twin)).toBeLessThan(TOLERANCE * largest);
      });
    }
  }

  for (const transposed of [false, true]) {
    it(`lose no digits where sums have a peak${transposed ? ", T @ v" : ""}`, async () => {
      const size = 1201;
      const values = Float32Array.from({ length: size * size }, (_, i) => {
        const steps = Math.floor(i / size) - i % size;
        return Math.exp(-0.5 * (steps / 60) ** 2);
      });
      const matrix = { rows: size, columns: size, values };
      const vectors = randoms(2 * size);
      const twin = multiplyDense(matrix, vectors, transposed);
      const product = await runDenseProduct(gpu(), matrix, vectors, transposed);
      const largest = twin.reduce((most, value) => Math.max(most, value), 0);
      expect(largestDifference(product, twin)).toBeLessThan(TOLERANCE * largest);
    });
  }

  it("do not depend on how the matrix is split, nor on how many lanes there are", async () => {
    const [rows, columns, lanes] = [1500, 203, 6];
    const matrix = { rows, columns, values: randoms(rows * columns) };
    for (const transposed of [false, true]) {
      const summed = transposed ? columns : rows;
      const vectors = randoms(lanes * summed);
      const whole = await runDenseProduct(gpu(), matrix, vectors, transposed);
      for (const partRows of [256, 768]) {
        expect(await runDenseProduct(gpu(), matrix, vectors, transposed, { partRows }))
          .toEqual(whole);
      }
      const alone = vectors.slice(3 * summed, 4 * summed);
      const kept = whole.length / lanes;
      expect(await runDenseProduct(gpu(), matrix, alone, transposed))
        .toEqual(whole.slice(3 * kept, 4 * kept));
    }
  });

  it("take lanes from where they lie and put them where they go", async () => {
    const [size, lanes] = [21, 3];
    const matrix = { rows: size, columns: size, values: randoms(size * size) };
    const inside = randoms(lanes * size);
    const [at, stride] = [7, size + 4];
    const vectors = new Float32Array(at + lanes * stride).fill(9);
    for (let lane = 0; lane < lanes; lane++) {
      vectors.set(inside.subarray(lane * size, (lane + 1) * size), at + lane * stride);
    }
    const shape: DenseShape = {
      rows: size,
      columns: size,
      partRows: 512,
      lanes,
      transposed: false,
    };
    const first = await runKernel(gpu(), {
      spec: dense.multiplyDense,
      constants: dense.multiplyDenseConstants(shape),
      buffers: {
        params: dense.multiplyDenseParams(shape, 0, at, stride),
        matrix: denseParts(
          size,
          size,
          (row) => matrix.values.subarray(row * size, (row + 1) * size),
        )
          .next().value!,
        vectors,
        partial: dense.densePartialBytes(shape),
      },
      workgroups: dense.multiplyDenseWorkgroups(shape, 0),
      outputs: ["partial"],
    });
    const bins = size + 6;
    const starts = [0, 4, bins];
    const weights = [[0.5, 0.25], [0.125, 2]];
    const stateSums = Float32Array.from({ length: 2 * lanes + 1 }, random);
    const second = await runKernel(gpu(), {
      spec: blocks.sumBlocks,
      constants: blocks.sumBlocksConstants(shape, 2, bins, 5),
      buffers: {
        params: blocks.sumBlocksParams(2, bins + 3, 1, 2),
        partial: first.outputs.partial!,
        states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
        spread_weights: Float32Array.from(weights.flat()),
        state_sums: stateSums,
        product: 4 * (2 + lanes * (bins + 3)),
      },
      workgroups: blocks.sumBlocksWorkgroups(bins, lanes),
      outputs: ["product"],
    });
    const twin = multiplyDense(matrix, inside, false);
    for (let lane = 0; lane < lanes; lane++) {
      // a vector whose sums over the two states are those
      const sums = new Float64Array(bins);
      sums[0] = stateSums[1 + 2 * lane]!;
      sums[4] = stateSums[2 + 2 * lane]!;
      const wanted = spread(sums, starts, weights);
      for (let i = 0; i < size; i++) wanted[5 + i]! += twin[lane * size + i]!;
      const own = second.outputs.product!.subarray(2 + lane * (bins + 3)).subarray(0, bins);
      expect(largestDifference(own, wanted)).toBeLessThan(TOLERANCE * size);
    }
  });
});
