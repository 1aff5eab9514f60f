import { beforeEach, describe, expect, it } from "vitest";
import { denseParts } from "../../src/hmm/transition/dense_transition.ts";
import type { DenseShape } from "../../src/kernels/multiply_dense.ts";
import * as dense from "../../src/kernels/multiply_dense.ts";
import * as blocks from "../../src/kernels/sum_blocks.ts";
import { toWide } from "../../src/math/wide.ts";
import { logAdd, multiplyDense, spread } from "../reference/multiply_dense.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { runDenseProduct } from "../support/transition_products.ts";
import * as wide from "../support/wide_numbers.ts";

const gpu = useGpu();

// relative. Roundings of 6e-8 at most, of which some two count at full size: 5e-8 on average, and 5 times
// that in the worst of ten thousand sums
const TOLERANCE = 3e-7;
// levels of a block, blocks, and what is spread
const DEEP_ROUNDINGS = 4;

// each test has the same numbers, whichever others run
let random: () => number;
beforeEach(() => {
  random = seeded(5);
});
const randoms = (length: number) => Float32Array.from({ length }, () => random());

describe("multiply_dense and sum_blocks", () => {
  const sizes = [
    [1, 1, 1],
    [1, 1, 65],
    [3, 5, 2],
    [37, 37, 3],
    [129, 4, 8],
    [513, 131, 1],
    [131, 513, 5],
    [700, 301, 9],
  ] as const;
  for (const [rows, columns, lanes] of sizes) {
    for (const transposed of [false, true]) {
      for (const [depth, zeros] of [[3, 0], [1000, 0.3], [3000, 0.9]] as const) {
        const what = `${rows} x ${columns}, ${lanes} lanes${transposed ? ", T @ v" : ""}`;
        it(`agree with their twin: ${what}, to exp(-${depth})`, async () => {
          const matrix = { rows, columns, values: randoms(rows * columns) };
          // most entries zero, so that what is deep shows
          if (depth > 3) matrix.values.forEach((_, i, all) => random() < 0.95 && (all[i] = 0));
          const length = lanes * (transposed ? columns : rows);
          const vectors = wide.randomWide(length, random, { depth, zeros });
          const twin = multiplyDense(matrix, wide.logsOf(vectors), transposed);
          const product = await runDenseProduct(gpu(), matrix, vectors, transposed);
          expect(wide.largestError(product, twin, DEEP_ROUNDINGS)).toBeLessThan(TOLERANCE);
        });
      }
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
      const vectors = wide.randomWide(size, random, { depth: 4 });
      const twin = multiplyDense(matrix, wide.logsOf(vectors), transposed);
      const product = await runDenseProduct(gpu(), matrix, vectors, transposed);
      expect(wide.largestError(product, twin)).toBeLessThan(TOLERANCE);
    });

    it(`keep parts that nothing connects, each at a depth of its own${transposed ? ", T @ v" : ""}`, async () => {
      // parts of 90: blocks and tiles have two of them
      const size = 540;
      const values = Float32Array.from({ length: size * size }, (_, i) => {
        const [row, column] = [Math.floor(i / size), i % size];
        return Math.floor(row / 90) === Math.floor(column / 90) ? random() : 0;
      });
      const logs = (steps: number) =>
        Array.from({ length: size }, (_, bin) => -random() - steps * Math.floor(bin / 90));
      const vectors = wide.wideOfLogs([0, 29, 290, 1000].flatMap(logs));
      const matrix = { rows: size, columns: size, values };
      const twin = multiplyDense(matrix, wide.logsOf(vectors), transposed);
      const product = await runDenseProduct(gpu(), matrix, vectors, transposed);
      expect(wide.largestError(product, twin, DEEP_ROUNDINGS)).toBeLessThan(TOLERANCE);
    });
  }

  it("do not depend on how the matrix is split, nor on how many lanes there are", async () => {
    const [rows, columns, lanes] = [1500, 203, 6];
    // rows of zeros, and columns
    const values = randoms(rows * columns)
      .map((value, i) => i % 5 === 1 || Math.floor(i / columns) % 3 === 1 ? value : 0);
    const matrix = { rows, columns, values };
    for (const transposed of [false, true]) {
      const summed = transposed ? columns : rows;
      const vectors = Uint32Array.from(
        [3, 100, 1000, 300, 3, 3000].flatMap((
          depth,
        ) => [...wide.randomWide(summed, random, { depth, zeros: 0.5 })]),
      );
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
    const [at, stride] = [7, size + 4];
    const bins = size + 6;
    const starts = [0, 4, bins];
    const weights = [[0.5, 0.25], [0.125, 2]];
    for (const depth of [3, 2000]) {
      // of all bins, those from the second on meet the matrix
      const all = wide.randomWide(lanes * bins, random, { depth });
      const inside = new Uint32Array(lanes * size);
      const vectors = new Uint32Array(at + lanes * stride).fill(toWide(1, -140));
      for (let lane = 0; lane < lanes; lane++) {
        const own = all.subarray(lane * bins + 1, lane * bins + 1 + size);
        inside.set(own, lane * size);
        vectors.set(own, at + lane * stride);
      }
      const shape: DenseShape = {
        rows: size,
        columns: size,
        partRows: 512,
        lanes,
        states: 2,
        transposed: false,
      };
      const stateSums = wide.stateSumsOf(all, starts);
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
          state_sums: stateSums,
          partial: dense.densePartialBytes(shape),
        },
        workgroups: dense.multiplyDenseWorkgroups(shape, 0),
        outputs: ["partial"],
      });
      const second = await runKernel(gpu(), {
        spec: blocks.sumBlocks,
        constants: blocks.sumBlocksConstants,
        buffers: {
          params: blocks.sumBlocksParams(shape, bins, 5, 2, bins + 3),
          partial: first.outputs.partial!,
          states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
          spread_weights: Float32Array.from(weights.flat()),
          state_sums: stateSums,
          product: 4 * (2 + lanes * (bins + 3)),
        },
        workgroups: blocks.sumBlocksWorkgroups(bins, lanes),
        outputs: ["product"],
      });
      const twin = multiplyDense(matrix, wide.logsOf(inside), false);
      const spreads = spread(wide.logsOf(all), starts, weights);
      for (let lane = 0; lane < lanes; lane++) {
        const placed = new Float64Array(bins).fill(-Infinity);
        placed.set(twin.subarray(lane * size, (lane + 1) * size), 5);
        const wanted = logAdd(placed, spreads.subarray(lane * bins, (lane + 1) * bins));
        const from = 2 + lane * (bins + 3);
        const product = wide.asWide(second.outputs.product!).subarray(from, from + bins);
        expect(wide.largestError(product, wanted, DEEP_ROUNDINGS)).toBeLessThan(TOLERANCE);
      }
    }
  });
});
