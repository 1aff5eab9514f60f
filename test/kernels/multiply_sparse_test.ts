import { describe, expect, it } from "vitest";
import { sliceRows } from "../../src/hmm/sparse_transition.ts";
import * as sparse from "../../src/kernels/multiply_sparse.ts";
import { spread } from "../reference/multiply_dense.ts";
import type { GatherList } from "../reference/multiply_sparse.ts";
import { multiplySparse } from "../reference/multiply_sparse.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// sums of positive numbers of any length, relative to the largest of them
const TOLERANCE = 2e-7;

/** Rows of very different lengths, some empty. */
function randomRows(bins: number, longest: number, random: () => number): GatherList[] {
  return Array.from({ length: bins }, () => {
    const length = Math.floor(random() * random() * (longest + 1));
    return {
      indices: Array.from({ length }, () => Math.floor(random() * bins)),
      values: Array.from({ length }, () => Math.fround(random())),
    };
  });
}

function sliced(rows: readonly GatherList[]) {
  const starts = new Uint32Array(rows.length + 1);
  rows.forEach(({ indices }, row) => starts[row + 1] = starts[row]! + indices.length);
  return sliceRows(
    starts,
    Uint32Array.from(rows.flatMap(({ indices }) => indices)),
    Float32Array.from(rows.flatMap(({ values }) => values)),
  );
}

describe("multiply_sparse", () => {
  for (
    const [bins, longest, lanes] of [[1, 1, 1], [1, 3, 65], [37, 9, 3], [97, 200, 5], [
      333,
      40,
      8,
    ]] as const
  ) {
    it(`agrees with its twin: ${bins} rows of up to ${longest} entries, ${lanes} lanes`, async () => {
      const random = seeded(bins);
      const rows = randomRows(bins, longest, random);
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
      const shape: sparse.SparseShape = { lanes, states, bins, vectorsStride, productStride };
      const { outputs } = await runKernel(gpu(), {
        spec: sparse.multiplySparse,
        constants: sparse.multiplySparseConstants(shape),
        buffers: {
          params: sparse.multiplySparseParams(vectorsAt, productAt, sumsAt, sumsStride),
          ...sliced(rows),
          vectors,
          states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
          spread_weights: Float32Array.from(weights.flat()),
          state_sums: stateSums,
          product: 4 * (productAt + lanes * productStride),
        },
        workgroups: sparse.multiplySparseWorkgroups(shape),
        outputs: ["product"],
      });
      const twin = multiplySparse(rows, inside, bins);
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

  it("gives every lane the same bits, however many there are", async () => {
    const random = seeded(3);
    const [bins, lanes] = [50, 7];
    const rows = randomRows(bins, 60, random);
    const vectors = Float32Array.from({ length: lanes * bins }, random);
    const run = async (some: Float32Array) => {
      const shape = {
        lanes: some.length / bins,
        states: 1,
        bins,
        vectorsStride: bins,
        productStride: bins,
      };
      const { outputs } = await runKernel(gpu(), {
        spec: sparse.multiplySparse,
        constants: sparse.multiplySparseConstants(shape),
        buffers: {
          params: sparse.multiplySparseParams(0, 0, 0, 1),
          ...sliced(rows),
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
