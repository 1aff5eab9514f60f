/** What an adapter can do at best: multiply-adds in registers, and a copy of a large buffer. */

import type { Gpu } from "../src/gpu/device.ts";
import { runKernel } from "../test/support/run_kernel.ts";

export interface Ceilings {
  /** GFLOP/s, two operations a multiply-add. */
  fma: number;
  /** GB/s, bytes read and bytes written. */
  copy: number;
}

const THREADS = 16384;
const LOOPS = 512;
const COPY_BYTES = 32 * 2 ** 20;

const FMA = `
struct Params { seed: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@compute @workgroup_size(64)
fn fma_ceiling(@builtin(global_invocation_id) id: vec3u) {
  let x = vec4f(params.seed);
  var a = vec4f(f32(id.x));
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  for (var i = 0u; i < ${LOOPS}u; i++) {
    a = a * x + b;
    b = b * x + c;
    c = c * x + d;
    d = d * x + a;
  }
  sums[id.x] = a + b + c + d;
}`;

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_copy: array<vec4f>;
@compute @workgroup_size(64)
fn copy_ceiling(@builtin(global_invocation_id) id: vec3u) {
  target_copy[id.x] = source[id.x];
}`;

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1]!;

export async function measureCeilings(gpu: Gpu): Promise<Ceilings> {
  const fma = await runKernel(gpu, {
    spec: {
      name: "fma_ceiling",
      code: FMA,
      bindings: { params: "uniform", sums: "read_write" },
    },
    constants: {},
    buffers: { params: Float32Array.of(0.5, 0, 0, 0), sums: 16 * THREADS },
    workgroups: [THREADS / 64],
    outputs: [],
    repeats: 5,
  });
  const copy = await runKernel(gpu, {
    spec: {
      name: "copy_ceiling",
      code: COPY,
      bindings: { source: "read", target_copy: "read_write" },
    },
    constants: {},
    buffers: { source: COPY_BYTES, target_copy: COPY_BYTES },
    workgroups: [COPY_BYTES / 16 / 64],
    outputs: [],
    repeats: 5,
  });
  return {
    fma: 2 * 4 * 4 * LOOPS * THREADS / median(fma.milliseconds) / 1e6,
    copy: 2 * COPY_BYTES / median(copy.milliseconds) / 1e6,
  };
}
