/** What a piece of work of the peers is: by sluice on buffers of its own, by jax-js and by tfjs. */

import type { Gpu } from "../../src/gpu/device.ts";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import { BufferUsage, MapMode } from "../../src/gpu/usage.ts";
import { Random } from "../../src/math/random.ts";
import { largestDifference } from "../../test/support/hmm_problem.ts";

export type Answer = ArrayLike<number>;
export type Run = () => Promise<Answer>;

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

// what of the peers is used here; neither is a dependency of this package
export interface JaxArray {
  /** Another reference: an operation takes those it is given. */
  readonly ref: JaxArray;
  mul(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  div(other: JaxArray): JaxArray;
  reshape(shape: number[]): JaxArray;
  data(): Promise<Answer>;
}
export interface Jax {
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
export interface Tensor {
  data(): Promise<Answer>;
  dispose(): void;
}
export interface Tf {
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

export const jaxArray = ({ numpy }: Jax, values: Float32Array, shape: number[]) =>
  numpy.array(values, { shape, dtype: numpy.float32 });

export const tensorRun = (tf: Tf, compute: () => Tensor): Run => async () => {
  const tensor = tf.tidy(compute);
  const data = await tensor.data();
  tensor.dispose();
  return data;
};

export interface Stage {
  spec: KernelSpec;
  constants: Record<string, number>;
  workgroups: readonly number[];
}

/** Kernels one after the other in a submit, on buffers by name; a call reads one of them back. */
export async function openChain(
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

export const random = new Random(1);
export const some = (count: number) =>
  Float32Array.from({ length: count }, () => random.uniform() - 0.5);

/** Ids that are not the same, as a share of all: a near tie may fall to either side. */
export function differing(got: Answer, wanted: Answer): number {
  if (got.length !== wanted.length) return Infinity;
  let count = 0;
  for (let i = 0; i < wanted.length; i++) if (got[i] !== wanted[i]) count++;
  return count / wanted.length;
}

/** Largest difference, of the largest number. */
export function relative(got: Answer, wanted: Answer): number {
  if (got.length !== wanted.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) largest = Math.max(largest, Math.abs(wanted[i]!));
  return largestDifference(got, wanted) / largest;
}
