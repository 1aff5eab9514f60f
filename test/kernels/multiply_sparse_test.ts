import { describe, expect, it } from "vitest";
import { sparseTiles } from "../../src/hmm/sparse_transition.ts";
import * as sparse from "../../src/kernels/multiply_sparse.ts";
import { spread } from "../reference/multiply_dense.ts";
import { multiplySparse } from "../reference/multiply_sparse.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// sums of positive numbers of any length, relative to the largest of them
const TOLERANCE = 2e-7;

/** Rows of very different lengths, some empty. */
function randomRows(bins: number, fullest: number, random: () => number) {
  return Array.from({ length: bins }, () => {
    const share = fullest * random() * random();
    const own = Array.from({ length: bins }, (_, bin) => bin).filter(() => random() < share);
    return {
      bins: Uint32Array.from(own),
      values: Float32Array.from(own, () => random()),
    };
  });
}

describe("multiply_sparse", () => {
  for (
    const [bins, fullest, lanes] of [
      [1, 1, 1],
      [1, 0, 65],
      [37, 0.3, 3],
      [97, 1, 5],
      [333, 0.1, 8],
      [261, 0.02, 2],
    ] as const
  ) {
    for (const transposed of [false, true]) {
      const what = `${bins} rows, ${lanes} lanes${transposed ? ", T @ v" : ""}`;
      it(`agrees with its twin: ${what}`, async () => {
        const random = seeded(bins);
        const rows = randomRows(bins, fullest, random);
        // lanes apart, and the first not at the start
        const [vectorsAt, vectorsStride, productAt, productStride] = [3, bins + 2, 1, bins + 5];
        const inside = Float32Array.from({ length: lanes * bins }, random);
        const vectors = new Float32Array(vectorsAt + lanes * vectorsStride).fill(7);
        for (let lane = 0; lane < lanes; lane++) {
          vectors.set(
            inside.subarray(lane * bins, (lane + 1) * bins),
            vectorsAt + lane * vectorsStride,
          );
        }
        const states = Math.min(3, bins);
        const starts = Array.from({ length: states }, (_, state) => 2 * state).concat(bins);
        const weights = starts.slice(1).map(() => starts.slice(1).map(() => Math.fround(random())));
        const [sumsAt, sumsStride] = [2, states + 1];
        const stateSums = Float32Array.from({ length: sumsAt + lanes * sumsStride }, random);
        const shape: sparse.SparseShape = {
          lanes,
          states,
          bins,
          transposed,
        };
        const { tiles, ...lists } = sparseTiles(bins, bins, (row) => rows[row]!);
        const { outputs } = await runKernel(gpu(), {
          spec: sparse.multiplySparse,
          constants: sparse.multiplySparseConstants(shape),
          buffers: {
            params: sparse.multiplySparseParams(
              { at: vectorsAt, stride: vectorsStride },
              { at: productAt, stride: productStride },
              { at: sumsAt, stride: sumsStride },
            ),
            tiles,
            ...(transposed ? lists.transposed : lists.forward),
            vectors,
            states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
            spread_weights: Float32Array.from(weights.flat()),
            state_sums: stateSums,
            product: 4 * (productAt + lanes * productStride),
          },
          workgroups: sparse.multiplySparseWorkgroups(shape),
          outputs: ["product"],
        });
        const twin = multiplySparse({ rows, columns: bins }, inside, transposed);
        const got = new Float32Array(twin.length);
        for (let lane = 0; lane < lanes; lane++) {
          // a vector that has those sums, in the first bin of each state
          const sums = new Float64Array(bins);
          for (let state = 0; state < states; state++) {
            sums[starts[state]!] = stateSums[sumsAt + lane * sumsStride + state]!;
          }
          spread(sums, starts, weights).forEach((value, bin) => twin[lane * bins + bin]! += value);
          const from = productAt + lane * productStride;
          got.set(outputs.product!.subarray(from, from + bins), lane * bins);
        }
        const largest = twin.reduce((most, value) => Math.max(most, value), 0);
        expect(largestDifference(got, twin)).toBeLessThan(TOLERANCE * largest);
      });
    }
  }

  it("gives every lane the same bits, however many there are", async () => {
    const random = seeded(3);
    const [bins, lanes] = [50, 7];
    const rows = randomRows(bins, 1, random);
    const { tiles, forward } = sparseTiles(bins, bins, (row) => rows[row]!);
    const vectors = Float32Array.from({ length: lanes * bins }, random);
    const run = async (some: Float32Array) => {
      const shape = {
        lanes: some.length / bins,
        states: 1,
        bins,
        transposed: false,
      };
      const { outputs } = await runKernel(gpu(), {
        spec: sparse.multiplySparse,
        constants: sparse.multiplySparseConstants(shape),
        buffers: {
          params: sparse.multiplySparseParams(
            { at: 0, stride: bins },
            { at: 0, stride: bins },
            { at: 0, stride: 1 },
          ),
          tiles,
          ...forward,
          vectors: some,
          states: Uint32Array.of(0, 0, bins, 0),
          spread_weights: Float32Array.of(0.5),
          state_sums: new Float32Array(shape.lanes).fill(0.25),
          product: some.byteLength,
        },
        workgroups: sparse.multiplySparseWorkgroups(shape),
        outputs: ["product"],
      });
      return outputs.product!;
    };
    const all = await run(vectors);
    for (const end of [1, 3]) {
      expect(await run(vectors.slice(0, end * bins))).toEqual(all.slice(0, end * bins));
    }
  });
});
