/** Steps of a hidden Markov model, beside the peers. */

import { continuous } from "../../src/hmm/decoder.ts";
import { denseParts } from "../../src/hmm/transition/dense_transition.ts";
import * as dense from "../../src/kernels/multiply_dense.ts";
import { fromWide, toWideRow } from "../../src/math/wide.ts";
import { referenceTransition } from "../../test/reference/transition.ts";
import {
  boxGrid,
  filterCase,
  hmmLayout,
  randomLogLikelihoods,
} from "../../test/support/hmm_problem.ts";
import type { Jax, JaxArray, PeerCase, Tf } from "./case.ts";
import { jaxArray, openChain, relative, some, tensorRun } from "./case.ts";

/** Products of one matrix with a vector of each lane, as of a transition that nothing is known of. */
export function matmulCase(size: number, lanes: number): PeerCase {
  // ours multiplies probabilities
  const [matrix, vectors] = [size * size, lanes * size].map((count) =>
    some(count).map(Math.abs)
  ) as [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
  return {
    name: "matmul",
    shape: `${size} x ${size}, ${lanes} vectors`,
    flops: 2 * size * size * lanes,
    arrays: { matrix, vectors },
    sizes: { matrix: [size, size], vectors: [lanes, size] },
    tolerance: 1e-5,
    difference: relative,
    async ours(gpu) {
      const shape = {
        rows: size,
        columns: size,
        partRows: dense.DENSE_BLOCK * Math.ceil(size / dense.DENSE_BLOCK),
        lanes,
        states: 1,
        transposed: false,
      };
      const rowAt = (row: number) => matrix.subarray(row * size, (row + 1) * size);
      const run = await openChain(
        gpu,
        [{
          spec: dense.multiplyDense,
          constants: dense.multiplyDenseConstants(shape),
          workgroups: dense.multiplyDenseWorkgroups(shape, 0),
        }],
        {
          params: dense.multiplyDenseParams(shape, 0, 0, size),
          matrix: denseParts(size, size, rowAt).next().value!,
          vectors: toWideRow(vectors),
          // a level each
          state_sums: new Uint32Array(2 * lanes).fill(1),
          partial: dense.densePartialBytes(shape),
        },
        "partial",
      );
      const kept = dense.denseKept(shape);
      return async () => {
        const partial = new Uint32Array(await run());
        const all = new Float64Array(lanes * size);
        for (let block = 0; block < dense.denseBlocks(shape); block++) {
          for (let lane = 0; lane < lanes; lane++) {
            const from = (block * lanes + lane) * kept;
            for (let i = 0; i < size; i++) {
              all[lane * size + i]! += fromWide(partial[from + i]!);
            }
          }
        }
        return all;
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const [m, v] = [
          jaxArray(jax, matrix, [size, size]),
          jaxArray(jax, vectors, [lanes, size]),
        ];
        const run = jax.jit((m: JaxArray, v: JaxArray) => numpy.matmul(v, m));
        return () => run(m.ref, v.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const [m, v] = [
        tf.tensor2d(matrix, [size, size]),
        tf.tensor2d(vectors, [lanes, size]),
      ];
      return tensorRun(tf, () => tf.matMul(v, m));
    },
  };
}

const MOVEMENT_VAR = 1.4;
const CUT_SIGMAS = 8;

export function hmmCase(edge: number, rows: number): PeerCase {
  const bins = edge * edge;
  const grid = boxGrid([edge, edge]);
  const model = continuous({ movementVar: MOVEMENT_VAR });
  const layout = hmmLayout({ grid, model });
  const logLikelihoods = randomLogLikelihoods(rows, bins, 1);
  const likelihoods = Float32Array.from(logLikelihoods, Math.exp);
  const transition = referenceTransition(grid, model, CUT_SIGMAS);
  const matrix = new Float32Array(bins * bins);
  for (let bin = 0; bin < bins; bin++) {
    const row = new Float64Array(bins);
    row[bin] = 1;
    matrix.set(transition.apply(row), bin * bins);
  }
  const first = new Float32Array(bins).fill(1 / bins);
  const reach = Math.floor(CUT_SIGMAS * Math.sqrt(MOVEMENT_VAR));
  const taps = Float32Array.from({ length: (2 * reach + 1) ** 2 }, (_, i) => {
    const [x, y] = [
      Math.floor(i / (2 * reach + 1)) - reach,
      i % (2 * reach + 1) - reach,
    ];
    return Math.exp(-(x * x + y * y) / 2 / MOVEMENT_VAR);
  });
  // the entry of a bin to itself is its row's scale, the tap being 1
  const scale = Float32Array.from(
    { length: bins },
    (_, bin) => matrix[bin * (bins + 1)]!,
  );
  return {
    name: "HMM rows",
    shape: `${rows} rows of ${edge} x ${edge} bins, ${2 * reach + 1} taps`,
    flops: 2 * rows * layout.operator.multiplyAdds,
    arrays: { matrix, likelihoods, first },
    sizes: { matrix: [bins, bins], likelihoods: [rows, bins], first: [bins] },
    tolerance: 1e-4,
    difference: relative,
    async ours(gpu) {
      const { spec, constants, buffers, workgroups } = filterCase(
        layout,
        logLikelihoods,
      );
      const run = await openChain(
        gpu,
        [{ spec, constants, workgroups }],
        buffers,
        "filtered",
      );
      return async () => {
        const filtered = new Float32Array(await run());
        return layout.unplace(filtered.subarray((rows - 1) * layout.rowLength));
      };
    },
    jax: Object.fromEntries(
      (["matrix", "convolution"] as const).map((
        way,
      ) => [way, (library: unknown) => {
        const jax = library as Jax;
        const { numpy, lax } = jax;
        const shape = way === "matrix" ? [1, bins] : [1, 1, edge, edge];
        const rowsOf = Array.from(
          { length: rows },
          (_, t) =>
            jaxArray(
              jax,
              likelihoods.subarray(t * bins, (t + 1) * bins),
              shape,
            ),
        );
        const weigh = jax.jit((row: JaxArray, likelihood: JaxArray) => {
          const weights = row.mul(likelihood);
          const sum = numpy.sum(weights.ref, null, { keepdims: true }).reshape(
            shape.map(() => 1),
          );
          return weights.div(sum);
        });
        const step = way === "matrix"
          ? jax.jit((row: JaxArray, own: JaxArray, _: JaxArray) => numpy.matmul(row, own))
          : jax.jit((row: JaxArray, own: JaxArray, taps: JaxArray) =>
            lax.conv(row.mul(own), taps, [1, 1], "SAME")
          );
        const own = way === "matrix"
          ? jaxArray(jax, matrix, [bins, bins])
          : jaxArray(jax, scale, shape);
        const kernel = jaxArray(jax, taps, [
          1,
          1,
          2 * reach + 1,
          2 * reach + 1,
        ]);
        const start = jaxArray(jax, first, shape);
        return async () => {
          let row = weigh(start.ref, rowsOf[0]!.ref);
          for (let t = 1; t < rows; t++) {
            row = weigh(step(row, own.ref, kernel.ref), rowsOf[t]!.ref);
          }
          return await row.data();
        };
      }]),
    ),
    tfjs: (library) => {
      const tf = library as Tf;
      const own = tf.tensor2d(matrix, [bins, bins]);
      const start = tf.tensor2d(first, [1, bins]);
      const all = tf.tensor2d(likelihoods, [rows, bins]);
      return tensorRun(tf, () => {
        let row = start;
        for (let t = 0; t < rows; t++) {
          if (t > 0) row = tf.matMul(row, own);
          const weights = tf.mul(row, tf.slice(all, [t, 0], [1, bins]));
          row = tf.div(weights, tf.sum(weights));
        }
        return row;
      });
    },
  };
}
