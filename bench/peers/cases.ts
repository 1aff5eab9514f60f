/** What the peers are measured at: each piece of work by sluice, by jax-js and by tfjs. */

import type { Gpu } from "../../src/gpu/device.ts";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import { BufferUsage, MapMode } from "../../src/gpu/usage.ts";
import { Moments } from "../../src/decompose/moments.ts";
import { continuous } from "../../src/hmm/decoder.ts";
import { denseParts } from "../../src/hmm/transition/dense_transition.ts";
import * as gather from "../../src/kernels/gather_windows.ts";
import * as dense from "../../src/kernels/multiply_dense.ts";
import * as moments from "../../src/kernels/second_moments.ts";
import * as project from "../../src/kernels/project_rows.ts";
import * as assign from "../../src/kernels/vq_assign.ts";
import * as pick from "../../src/kernels/vq_pick.ts";
import * as sums from "../../src/kernels/vq_sums.ts";
import { toPanels } from "../../src/math/panels.ts";
import { Random } from "../../src/math/random.ts";
import { fromWide, toWideRow } from "../../src/math/wide.ts";
import { referenceTransition } from "../../test/reference/transition.ts";
import {
  boxGrid,
  filterCase,
  hmmLayout,
  largestDifference,
  randomLogLikelihoods,
} from "../../test/support/hmm_problem.ts";

export type Answer = ArrayLike<number>;
type Run = () => Promise<Answer>;

export interface PeerCase {
  name: string;
  /** For people. */
  shape: string;
  flops: number;
  /** Inputs by name, and their shapes: what Python is given. */
  arrays: Record<string, Float32Array | Int32Array>;
  sizes: Record<string, number[]>;
  /** How far an answer may be off, by `difference`. */
  tolerance: number;
  difference(got: Answer, wanted: Answer): number;
  ours(gpu: Gpu): Promise<Run>;
  /** One way or more, by what sets them apart. */
  jax: Record<string, (jax: unknown) => Run>;
  tfjs?(tf: unknown): Run;
  /** Our answer, once there is one. */
  wanted?: Answer;
}

// what of the peers is used here; neither is a dependency of this package
interface JaxArray {
  /** Another reference: an operation takes those it is given. */
  readonly ref: JaxArray;
  mul(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  div(other: JaxArray): JaxArray;
  reshape(shape: number[]): JaxArray;
  data(): Promise<Answer>;
}
interface Jax {
  numpy: {
    float32: unknown;
    int32: unknown;
    array(values: ArrayLike<number>, options: { shape: number[]; dtype: unknown }): JaxArray;
    sum(values: JaxArray, axis?: number | null, options?: { keepdims: boolean }): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    transpose(a: JaxArray): JaxArray;
    argmin(a: JaxArray, axis: number): JaxArray;
    take(a: JaxArray, rows: JaxArray, axis: number): JaxArray;
  };
  nn: { oneHot(ids: JaxArray, count: number): JaxArray };
  lax: {
    conv(image: JaxArray, taps: JaxArray, strides: number[], padding: string): JaxArray;
  };
  jit<F>(f: F): F;
}
interface Tensor {
  data(): Promise<Answer>;
  dispose(): void;
}
interface Tf {
  tensor2d(values: ArrayLike<number>, shape: number[], dtype?: string): Tensor;
  tidy(run: () => Tensor): Tensor;
  sum(a: Tensor, axis?: number): Tensor;
  mul(a: Tensor, b: Tensor | number): Tensor;
  reshape(a: Tensor, shape: number[]): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  div(a: Tensor, b: Tensor): Tensor;
  square(a: Tensor): Tensor;
  expandDims(a: Tensor, axis: number): Tensor;
  argMin(a: Tensor, axis: number): Tensor;
  oneHot(ids: Tensor, count: number): Tensor;
  gather(a: Tensor, rows: Tensor): Tensor;
  slice(a: Tensor, begin: number[], size: number[]): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
}

const jaxArray = ({ numpy }: Jax, values: Float32Array, shape: number[]) =>
  numpy.array(values, { shape, dtype: numpy.float32 });

const tensorRun = (tf: Tf, compute: () => Tensor): Run => async () => {
  const tensor = tf.tidy(compute);
  const data = await tensor.data();
  tensor.dispose();
  return data;
};

interface Stage {
  spec: KernelSpec;
  constants: Record<string, number>;
  workgroups: readonly number[];
}

/** Kernels one after the other in a submit, on buffers by name; a call reads one of them back. */
async function openChain(
  gpu: Gpu,
  stages: readonly Stage[],
  contents: Record<string, ArrayBufferView | number>,
  output: string,
): Promise<() => Promise<ArrayBuffer>> {
  const kernels = await Promise.all(
    stages.map(({ spec, constants }) => gpu.kernel(spec, constants)),
  );
  const bytesOf = (data: ArrayBufferView | number) =>
    4 * Math.ceil((typeof data === "number" ? data : data.byteLength) / 4);
  const names = Object.keys(contents);
  const uniform = (name: string) => stages.some(({ spec }) => spec.bindings[name] === "uniform");
  const sizes = names.map((label) => ({
    label,
    bytes: bytesOf(contents[label]!),
    usage: BufferUsage.COPY_DST | BufferUsage.COPY_SRC |
      (uniform(label) ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
  }));
  const bytes = bytesOf(contents[output]!);
  const staging = { label: "staging", bytes, usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST };
  const all = [...sizes, staging].reduce((sum, { bytes }) => sum + bytes, 0);
  // until the device is closed
  const account = gpu.ledger.open("peers", { gpu: all, host: 0, disk: 0 });
  const made = await account.createBuffers([...sizes, staging]);
  const buffers = Object.fromEntries(names.map((name, i) => [name, made[i]!]));
  for (const [name, data] of Object.entries(contents)) {
    if (typeof data === "number") continue;
    gpu.device.queue.writeBuffer(buffers[name]!, 0, data as Float32Array<ArrayBuffer>);
  }
  const groups = kernels.map((kernel) => kernel.bind(buffers));
  const back = made.at(-1)!;
  return async () => {
    const done = gpu.submit("peers", (encoder) => {
      for (const [i, kernel] of kernels.entries()) {
        const pass = encoder.beginComputePass();
        kernel.encode(pass, groups[i]!, stages[i]!.workgroups);
        pass.end();
      }
      encoder.copyBufferToBuffer(buffers[output]!, 0, back, 0, bytes);
    });
    // one wait for both: Deno looks at the device every 11 ms
    await Promise.all([done, back.mapAsync(MapMode.READ)]);
    const data = back.getMappedRange().slice(0);
    back.unmap();
    return data;
  };
}

const random = new Random(1);
const some = (count: number) => Float32Array.from({ length: count }, () => random.uniform() - 0.5);

/** Ids that are not the same, as a share of all: a near tie may fall to either side. */
function differing(got: Answer, wanted: Answer): number {
  if (got.length !== wanted.length) return Infinity;
  let count = 0;
  for (let i = 0; i < wanted.length; i++) if (got[i] !== wanted[i]) count++;
  return count / wanted.length;
}

/** Largest difference, of the largest number. */
function relative(got: Answer, wanted: Answer): number {
  if (got.length !== wanted.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) largest = Math.max(largest, Math.abs(wanted[i]!));
  return largestDifference(got, wanted) / largest;
}

interface Clusters {
  rows: number;
  codes: number;
  features: number;
  points: Float32Array;
  book: Float32Array;
}

function clusters(rows: number, codes: number, features: number): Clusters {
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

function assignCase(problem: Clusters): PeerCase {
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

function stepCase(problem: Clusters): PeerCase {
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

function projectionCase(rows: number, features: number, vectors: number): PeerCase {
  const [points, axes] = [some(rows * features), some(vectors * features)];
  return {
    name: "projection",
    shape: `${vectors} vectors x ${features} features, ${rows} rows`,
    flops: 2 * rows * features * vectors,
    arrays: { points, vectors: axes },
    sizes: { points: [rows, features], vectors: [vectors, features] },
    tolerance: 1e-5,
    difference: relative,
    async ours(gpu) {
      const run = await openChain(
        gpu,
        [{
          spec: project.projectRows,
          constants: project.projectRowsConstants(features, rows),
          workgroups: project.projectRowsWorkgroups(rows, vectors),
        }],
        {
          params: project.projectRowsParams(0, rows, 0),
          points: toPanels(points, features),
          vectors: project.packVectors(axes, features),
          projected: project.projectedBytes(rows, vectors),
        },
        "projected",
      );
      const own = project.projectedRows(rows);
      return async () => {
        const projected = new Float32Array(await run());
        const all = new Float32Array(rows * vectors);
        for (let vector = 0; vector < vectors; vector++) {
          for (let row = 0; row < rows; row++) {
            all[row * vectors + vector] = projected[vector * own + row]!;
          }
        }
        return all;
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const [x, v] = [
          jaxArray(jax, points, [rows, features]),
          jaxArray(jax, axes, [vectors, features]),
        ];
        const run = jax.jit((x: JaxArray, v: JaxArray) => numpy.matmul(x, numpy.transpose(v)));
        return () => run(x.ref, v.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const [x, v] = [
        tf.tensor2d(points, [rows, features]),
        tf.tensor2d(axes, [vectors, features]),
      ];
      return tensorRun(tf, () => tf.matMul(x, v, false, true));
    },
  };
}

function covarianceCase(rows: number, features: number): PeerCase {
  const points = some(rows * features);
  return {
    name: "covariance",
    shape: `${features} features, ${rows} rows`,
    // on and above the diagonal: peers do both halves
    flops: rows * features * (features + 1),
    arrays: { points },
    sizes: { points: [rows, features] },
    tolerance: 1e-5,
    difference: relative,
    async ours(gpu) {
      const shape = { features, blockRows: moments.momentBlockRows(features), tileRows: rows };
      const run = await openChain(
        gpu,
        [{
          spec: moments.secondMoments,
          constants: moments.secondMomentsConstants(shape),
          workgroups: moments.secondMomentsWorkgroups(rows, shape),
        }],
        {
          params: moments.secondMomentsParams(shape, 0, rows, 0, moments.PART.whole),
          rows: points,
          starts: 4,
          grains: moments.momentGrains(new Float32Array(features).fill(1), shape),
          moments: moments.momentBytes(shape),
        },
        "moments",
      );
      const elements = moments.momentElements(features);
      const blocks = Math.ceil(rows / shape.blockRows);
      return async () => {
        const partial = new Float32Array(await run());
        const all = new Float64Array(elements);
        for (let block = 0; block < blocks; block++) {
          for (let i = 0; i < elements; i++) all[i]! += partial[block * elements + i]!;
        }
        const matrix = new Float64Array(features * features);
        moments.forEachSquare(features, (at, row, column) => {
          for (let i = row; i < Math.min(features, row + moments.SQUARE); i++) {
            for (
              let j = Math.max(i, column);
              j < Math.min(features, column + moments.SQUARE);
              j++
            ) {
              const value = all[at + (i - row) * moments.SQUARE + j - column]!;
              matrix[i * features + j] = matrix[j * features + i] = value;
            }
          }
        });
        return matrix;
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const x = jaxArray(jax, points, [rows, features]);
        const run = jax.jit((x: JaxArray) => numpy.matmul(numpy.transpose(x.ref), x));
        return () => run(x.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const x = tf.tensor2d(points, [rows, features]);
      return tensorRun(tf, () => tf.matMul(x, x, true, false));
    },
  };
}

/** Second moments of flat contexts: the peers build their rows on the device, ours are products by lag. */
function flatCase(rows: number, features: number, width: number): PeerCase {
  const frames = rows + width - 1;
  const size = width * features;
  const table = some(frames * features);
  const places = Int32Array.from(
    { length: rows * width },
    (_, i) => Math.floor(i / width) + i % width,
  );
  return {
    name: "flat contexts",
    shape: `${width} x ${features} features, ${rows} rows`,
    // by lags; peers multiply all of a row with all of it
    flops: rows * features * (features + 1 + 2 * features * (width - 1)),
    arrays: { frames: table, rows: places },
    sizes: { frames: [frames, features], rows: [rows, width] },
    tolerance: 1e-5,
    difference: relative,
    async ours(gpu) {
      const blockRows = moments.momentBlockRows(features, width);
      const shape = { features, lags: width, blockRows, tileRows: rows };
      const run = await openChain(
        gpu,
        [{
          spec: moments.secondMoments,
          constants: moments.secondMomentsConstants(shape),
          workgroups: moments.secondMomentsWorkgroups(rows, shape),
        }],
        {
          params: moments.secondMomentsParams(shape, 0, rows, 0, moments.PART.whole),
          rows: table,
          starts: Uint32Array.from({ length: rows }, (_, row) => row),
          grains: moments.momentGrains(new Float32Array(features).fill(1), shape),
          moments: moments.momentBytes(shape),
        },
        "moments",
      );
      const elements = moments.momentElements(features, width);
      /** Moments of the width - 1 frames from one on; features are whole squares here. */
      const endAt = (frame: number) => {
        const end = table.subarray(frame * features, (frame + width - 1) * features);
        const block = new Float32Array(moments.momentElements(end.length));
        moments.forEachSquare(end.length, (at, row, column) => {
          for (let i = 0; i < moments.SQUARE ** 2; i++) {
            block[at + i] = end[row + Math.floor(i / moments.SQUARE)]! *
              end[column + i % moments.SQUARE]!;
          }
        });
        return block;
      };
      return async () => {
        const partial = new Float32Array(await run());
        const all = new Moments(features, width);
        for (let at = 0; at < Math.ceil(rows / blockRows) * elements; at += elements) {
          all.add(partial.subarray(at, at + elements));
        }
        all.addEnds(endAt(0), -1);
        all.addEnds(endAt(rows), 1);
        all.addUp();
        return all.toMatrix();
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const x = jaxArray(jax, table, [frames, features]);
        const at = numpy.array(places, { shape: [rows * width], dtype: numpy.int32 });
        const run = jax.jit((x: JaxArray, at: JaxArray) => {
          const flat = numpy.take(x, at, 0).reshape([rows, size]);
          return numpy.matmul(numpy.transpose(flat.ref), flat);
        });
        return () => run(x.ref, at.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const x = tf.tensor2d(table, [frames, features]);
      const at = tf.tensor2d(places, [rows, width], "int32");
      return tensorRun(tf, () => {
        const flat = tf.reshape(tf.gather(x, at), [rows, size]);
        return tf.matMul(flat, flat, true, false);
      });
    },
  };
}

function gatherCase(frames: number, windows: number, size: number, features: number): PeerCase {
  const table = some(frames * features);
  const starts = Array.from({ length: windows }, () => random.integer(frames - size + 1));
  const rows = Int32Array.from(
    { length: windows * size },
    (_, i) => starts[Math.floor(i / size)]! + i % size,
  );
  return {
    name: "window gather",
    shape: `${windows} x ${size} x ${features}`,
    flops: 0,
    arrays: { frames: table, rows },
    sizes: { frames: [frames, features], rows: [windows, size] },
    tolerance: 0,
    difference: relative,
    async ours(gpu) {
      const words = size * features;
      const run = await openChain(
        gpu,
        [{
          spec: gather.gatherWindows,
          constants: gather.gatherWindowsConstants("float32"),
          workgroups: gather.gatherWindowsWorkgroups(windows, words),
        }],
        {
          params: gather.gatherWindowsParams(0, words),
          window_table: Uint32Array.from(starts.flatMap((row, slot) => [row * features, slot])),
          frame_table: table,
          batch: 4 * words * windows,
        },
        "batch",
      );
      return async () => new Float32Array(await run());
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const x = jaxArray(jax, table, [frames, features]);
        const at = numpy.array(rows, { shape: [windows * size], dtype: numpy.int32 });
        const run = jax.jit((x: JaxArray, at: JaxArray) => numpy.take(x, at, 0));
        return () => run(x.ref, at.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const x = tf.tensor2d(table, [frames, features]);
      const at = tf.tensor2d(rows, [windows, size], "int32");
      return tensorRun(tf, () => tf.gather(x, at));
    },
  };
}

/** Products of one matrix with a vector of each lane, as of a transition that nothing is known of. */
function matmulCase(size: number, lanes: number): PeerCase {
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
            for (let i = 0; i < size; i++) all[lane * size + i]! += fromWide(partial[from + i]!);
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
      const [m, v] = [tf.tensor2d(matrix, [size, size]), tf.tensor2d(vectors, [lanes, size])];
      return tensorRun(tf, () => tf.matMul(v, m));
    },
  };
}

const MOVEMENT_VAR = 1.4;
const CUT_SIGMAS = 8;

function hmmCase(edge: number, rows: number): PeerCase {
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
    const [x, y] = [Math.floor(i / (2 * reach + 1)) - reach, i % (2 * reach + 1) - reach];
    return Math.exp(-(x * x + y * y) / 2 / MOVEMENT_VAR);
  });
  // the entry of a bin to itself is its row's scale, the tap being 1
  const scale = Float32Array.from({ length: bins }, (_, bin) => matrix[bin * (bins + 1)]!);
  return {
    name: "HMM rows",
    shape: `${rows} rows of ${edge} x ${edge} bins, ${2 * reach + 1} taps`,
    flops: 2 * rows * layout.operator.multiplyAdds,
    arrays: { matrix, likelihoods, first },
    sizes: { matrix: [bins, bins], likelihoods: [rows, bins], first: [bins] },
    tolerance: 1e-4,
    difference: relative,
    async ours(gpu) {
      const { spec, constants, buffers, workgroups } = filterCase(layout, logLikelihoods);
      const run = await openChain(gpu, [{ spec, constants, workgroups }], buffers, "filtered");
      return async () => {
        const filtered = new Float32Array(await run());
        return layout.unplace(filtered.subarray((rows - 1) * layout.rowLength));
      };
    },
    jax: Object.fromEntries(
      (["matrix", "convolution"] as const).map((way) => [way, (library: unknown) => {
        const jax = library as Jax;
        const { numpy, lax } = jax;
        const shape = way === "matrix" ? [1, bins] : [1, 1, edge, edge];
        const rowsOf = Array.from(
          { length: rows },
          (_, t) => jaxArray(jax, likelihoods.subarray(t * bins, (t + 1) * bins), shape),
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
        const kernel = jaxArray(jax, taps, [1, 1, 2 * reach + 1, 2 * reach + 1]);
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

/** @param scale How many times the rows that a software adapter is given. */
export function peerCases(scale = 1): PeerCase[] {
  const points = clusters(2048 * scale, 64, 512);
  return [
    assignCase(points),
    stepCase(points),
    projectionCase(2048 * scale, 512, 32),
    covarianceCase(2048 * scale, 192),
    flatCase(2048 * scale, 64, 8),
    matmulCase(1024, 16),
    gatherCase(4096 * Math.min(16, scale), 256, 30, 287),
    hmmCase(scale > 1 ? 73 : 32, 16),
  ];
}
