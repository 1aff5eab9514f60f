import { describe, expect, it } from "vitest";
import { sparseTiles } from "../../src/hmm/transition/sparse_transition.ts";
import * as sparse from "../../src/kernels/multiply_sparse.ts";
import { toWide } from "../../src/math/wide.ts";
import { logAdd, spread } from "../reference/multiply_dense.ts";
import { multiplySparse } from "../reference/multiply_sparse.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import * as wide from "../support/wide_numbers.ts";

const gpu = useGpu();

// relative: sums of positive numbers of any length
const TOLERANCE = 6e-7;
// a level's sum, what is spread, its sum over states, and the sum of these
const DEEP_ROUNDINGS = 6;

type Rows = { bins: Uint32Array; values: Float32Array }[];

/** Rows of very different lengths, some empty. */
function randomRows(bins: number, fullest: number, random: () => number): Rows {
  return Array.from({ length: bins }, () => {
    const share = fullest * random() * random();
    const own = Array.from({ length: bins }, (_, bin) => bin).filter(() => random() < share);
    return {
      bins: Uint32Array.from(own),
      values: Float32Array.from(own, () => random()),
    };
  });
}

/** Multiplies [lanes, bins] wide, lanes apart and the first not at the start. */
async function multiply(
  rows: Rows,
  inside: Uint32Array,
  starts: number[],
  weights: number[][],
  transposed: boolean,
): Promise<Uint32Array> {
  const bins = rows.length;
  const states = weights.length;
  const lanes = inside.length / bins;
  const [vectorsAt, vectorsStride, productAt, productStride] = [3, bins + 2, 1, bins + 5];
  const vectors = new Uint32Array(vectorsAt + lanes * vectorsStride).fill(toWide(1, -130));
  for (let lane = 0; lane < lanes; lane++) {
    vectors.set(inside.subarray(lane * bins, (lane + 1) * bins), vectorsAt + lane * vectorsStride);
  }
  const shape: sparse.SparseShape = { lanes, states, bins, transposed };
  const { tiles, ...lists } = sparseTiles(bins, bins, (row) => rows[row]!);
  const { outputs } = await runKernel(gpu(), {
    spec: sparse.multiplySparse,
    constants: sparse.multiplySparseConstants(shape),
    buffers: {
      params: sparse.multiplySparseParams(
        shape,
        { at: vectorsAt, stride: vectorsStride },
        { at: productAt, stride: productStride },
      ),
      tiles,
      ...(transposed ? lists.transposed : lists.forward),
      vectors,
      states: Uint32Array.from(starts.flatMap((start) => [start, 0])),
      spread_weights: Float32Array.from(weights.flat()),
      state_sums: wide.stateSumsOf(inside, starts),
      product: 4 * (productAt + lanes * productStride),
    },
    workgroups: sparse.multiplySparseWorkgroups(shape),
    outputs: ["product"],
  });
  const product = new Uint32Array(inside.length);
  for (let lane = 0; lane < lanes; lane++) {
    const from = productAt + lane * productStride;
    product.set(wide.asWide(outputs.product!).subarray(from, from + bins), lane * bins);
  }
  return product;
}

/** The same from the definition. */
function wanted(
  rows: Rows,
  inside: Uint32Array,
  starts: number[],
  weights: number[][],
  transposed: boolean,
): Float64Array {
  const vectors = wide.logsOf(inside);
  return logAdd(
    multiplySparse({ rows, columns: rows.length }, vectors, transposed),
    spread(vectors, starts, weights),
  );
}

const DEPTHS = [[3, 0], [60, 0.3], [1000, 0.2], [3000, 0.8]] as const;

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
      for (const [depth, zeros] of DEPTHS) {
        const what = `${bins} rows, ${lanes} lanes${
          transposed ? ", T @ v" : ""
        }, to exp(-${depth})`;
        it(`agrees with its twin: ${what}`, async () => {
          const random = seeded(bins);
          const rows = randomRows(bins, fullest, random);
          const vectors = wide.randomWide(lanes * bins, random, { depth, zeros });
          const states = Math.min(3, bins);
          const starts = Array.from({ length: states }, (_, state) => 2 * state).concat(bins);
          const weights = starts.slice(1).map((_, from) =>
            // nothing is spread onto the last state, whose depths then show
            starts.slice(1).map((_, to) =>
              to === states - 1 ? 0 : Math.fround(random() / (1 + from))
            )
          );
          const product = await multiply(rows, vectors, starts, weights, transposed);
          const twin = wanted(rows, vectors, starts, weights, transposed);
          expect(wide.largestError(product, twin, DEEP_ROUNDINGS)).toBeLessThan(TOLERANCE);
        });
      }
    }
  }

  it("keeps parts that nothing connects, each at a depth of its own", async () => {
    const random = seeded(8);
    // parts of 7 bins: tiles have two of them
    const bins = 70;
    const rows = Array.from({ length: bins }, (_, row) => {
      const own = Array.from({ length: 7 }, (_, i) => 7 * Math.floor(row / 7) + i);
      return { bins: Uint32Array.from(own), values: Float32Array.from(own, random) };
    });
    const logs = (lane: number) =>
      Array.from({ length: bins }, (_, bin) => -random() - lane * 29 * Math.floor(bin / 7));
    const vectors = wide.wideOfLogs([0, 1, 3, 10, 18].flatMap(logs));
    for (const transposed of [false, true]) {
      const product = await multiply(rows, vectors, [0, bins], [[0]], transposed);
      const twin = wanted(rows, vectors, [0, bins], [[0]], transposed);
      expect(wide.largestError(product, twin, DEEP_ROUNDINGS)).toBeLessThan(TOLERANCE);
    }
  });

  it("loses nothing to entries down to 2^-98, wherever in a level", async () => {
    const entries = [1, 2 ** -30, 2 ** -60, 2 ** -98];
    const bins = 40;
    const rows = Array.from({ length: bins }, (_, row) => ({
      bins: Uint32Array.of(row),
      values: Float32Array.of(entries[row % 4]!),
    }));
    // steps of 21 binades through 7 levels
    const logs = Array.from({ length: bins }, (_, bin) => -21 * bin * Math.LN2);
    const vectors = wide.wideOfLogs([...logs, ...logs.toReversed()]);
    for (const transposed of [false, true]) {
      const product = await multiply(rows, vectors, [0, bins], [[0]], transposed);
      const twin = wanted(rows, vectors, [0, bins], [[0]], transposed);
      expect(wide.largestError(product, twin, DEEP_ROUNDINGS)).toBeLessThan(TOLERANCE);
    }
  });

  it("gives every lane the same bits, however many there are", async () => {
    const random = seeded(3);
    const bins = 50;
    const rows = randomRows(bins, 1, random);
    // one after the other of every depth
    const vectors = Uint32Array.from(
      [3, 3000, 8, 80, 1000, 3, 200].flatMap((
        depth,
      ) => [...wide.randomWide(bins, random, { depth, zeros: 0.3 })]),
    );
    const all = await multiply(rows, vectors, [0, bins], [[0.5]], false);
    for (const end of [1, 3]) {
      expect(await multiply(rows, vectors.slice(0, end * bins), [0, bins], [[0.5]], false))
        .toEqual(all.slice(0, end * bins));
    }
  });
});
