/** Assigning rows to codes, beside the peers. */

import * as assign from "../../src/kernels/vq_assign.ts";
import * as pick from "../../src/kernels/vq_pick.ts";
import * as sums from "../../src/kernels/vq_sums.ts";
import { toPanels } from "../../src/math/panels.ts";
import type { Jax, JaxArray, PeerCase, Stage, Tensor, Tf } from "./case.ts";
import { differing, jaxArray, openChain, relative, some, tensorRun } from "./case.ts";

interface Clusters {
  rows: number;
  codes: number;
  features: number;
  points: Float32Array;
  book: Float32Array;
}

export function clusters(rows: number, codes: number, features: number): Clusters {
  return { rows, codes, features, points: some(rows * features), book: some(codes * features) };
}

/** Stages and buffers that assign rows; `vq_sums` reads the same parameters. */
function assignment({ rows, codes, features, points, book }: Clusters) {
  const constants = assign.vqAssignConstants(features, codes);
  const { codebooks, norms } = assign.packCodebooks([book], features);
  const stages: Stage[] = [
    { spec: assign.vqAssign, constants, workgroups: assign.vqAssignWorkgroups(rows, codes, 1) },
    {
      spec: pick.vqPick,
      constants: pick.vqPickConstants(features, codes),
      workgroups: pick.vqPickWorkgroups(rows, 1),
    },
  ];
  const contents = {
    params: assign.vqAssignParams(rows, 0, rows, 0),
    points: toPanels(points, features),
    codebooks,
    code_norms: norms,
    candidates: assign.candidateBytes(rows, codes, 1),
    ids: 4 * rows,
    nearness: 8 * rows,
  };
  return { stages, contents };
}

const jaxIds = ({ numpy }: Jax, x: JaxArray, c: JaxArray) => {
  const norms = numpy.sum(c.ref.mul(c.ref), 1);
  return numpy.argmin(norms.sub(numpy.matmul(x, numpy.transpose(c)).mul(2)), 1);
};
const tfIds = (tf: Tf, x: Tensor, c: Tensor) =>
  tf.argMin(tf.sub(tf.sum(tf.mul(c, c), 1), tf.mul(tf.matMul(x, c, false, true), 2)), 1);

export function assignCase(problem: Clusters): PeerCase {
  const { rows, codes, features, points, book } = problem;
  return {
    name: "assign",
    shape: `${codes} codes x ${features} features, ${rows} rows`,
    flops: 2 * rows * codes * features,
    arrays: { points, book },
    sizes: { points: [rows, features], book: [codes, features] },
    tolerance: 1e-3,
    difference: differing,
    async ours(gpu) {
      const { stages, contents } = assignment(problem);
      const run = await openChain(gpu, stages, contents, "ids");
      return async () => new Uint32Array(await run());
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const [x, c] = [
          jaxArray(jax, points, [rows, features]),
          jaxArray(jax, book, [codes, features]),
        ];
        const ids = jax.jit((x: JaxArray, c: JaxArray) => jaxIds(jax, x, c));
        return () => ids(x.ref, c.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const [x, c] = [tf.tensor2d(points, [rows, features]), tf.tensor2d(book, [codes, features])];
      return tensorRun(tf, () => tfIds(tf, x, c));
    },
  };
}

export function stepCase(problem: Clusters): PeerCase {
  const { rows, codes, features, points, book } = problem;
  const eye = Float32Array.from({ length: codes * codes }, (_, i) => i % (codes + 1) === 0 ? 1 : 0);
  return {
    name: "k-means step",
    shape: `${codes} codes x ${features} features, ${rows} rows`,
    // of the distances; sums by a product with ones and zeros would be as many again
    flops: 2 * rows * codes * features,
    arrays: { points, book, eye },
    sizes: { points: [rows, features], book: [codes, features], eye: [codes, codes] },
    // a near tie moves one row
    tolerance: 0.05,
    difference: relative,
    async ours(gpu) {
      const { stages, contents } = assignment(problem);
      const counts = new Float64Array(codes);
      const ids = await openChain(gpu, stages, contents, "ids");
      for (const id of new Uint32Array(await ids())) counts[id]!++;
      const shape = { features, codes, tileRows: rows };
      const run = await openChain(
        gpu,
        [...stages, {
          spec: sums.vqSums,
          constants: sums.vqSumsConstants(shape),
          workgroups: sums.vqSumsWorkgroups(rows, shape, 1),
        }],
        { ...contents, sums: sums.sumBytes(shape, 1) },
        "sums",
      );
      const blocks = Math.ceil(rows / sums.sumBlockRows(codes));
      return async () => {
        const partial = new Float32Array(await run());
        const all = new Float64Array(codes * features);
        for (let block = 0; block < blocks; block++) {
          const at = block * all.length;
          for (let i = 0; i < all.length; i++) all[i]! += partial[at + i]!;
        }
        // the kernel sums what is left of rows less their code
        for (let i = 0; i < all.length; i++) {
          all[i]! += counts[Math.floor(i / features)]! * book[i]!;
        }
        return all;
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy, nn } = jax;
        const [x, c] = [
          jaxArray(jax, points, [rows, features]),
          jaxArray(jax, book, [codes, features]),
        ];
        const step = jax.jit((x: JaxArray, c: JaxArray) => {
          const ids = jaxIds(jax, x.ref, c);
          return numpy.matmul(numpy.transpose(nn.oneHot(ids, codes)), x);
        });
        return () => step(x.ref, c.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const [x, c] = [tf.tensor2d(points, [rows, features]), tf.tensor2d(book, [codes, features])];
      return tensorRun(tf, () => tf.matMul(tf.oneHot(tfIds(tf, x, c), codes), x, true, false));
    },
  };
}

/** As the seed does it: all differences of a batch of rows at once. */
export function broadcastCase(): PeerCase {
  const problem = clusters(256, 64, 128);
  const { rows, codes, features, points, book } = problem;
  return {
    ...assignCase(problem),
    name: "assign by broadcasting",
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const x = jaxArray(jax, points, [rows, 1, features]);
        const c = jaxArray(jax, book, [1, codes, features]);
        const ids = jax.jit((x: JaxArray, c: JaxArray) => {
          const off = x.sub(c);
          return numpy.argmin(numpy.sum(off.ref.mul(off), 2), 1);
        });
        return () => ids(x.ref, c.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const [x, c] = [tf.tensor2d(points, [rows, features]), tf.tensor2d(book, [codes, features])];
      return tensorRun(tf, () => {
        const off = tf.sub(tf.expandDims(x, 1), tf.expandDims(c, 0));
        return tf.argMin(tf.sum(tf.square(off), 2), 1);
      });
    },
  };
}
