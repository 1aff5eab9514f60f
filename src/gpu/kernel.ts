/**
 * Compiles kernels: one WGSL file, explicit bindings, constants fixed per pipeline.
 *
 * @module
 */

import { ShaderError } from "../errors.ts";
import { wholeShader } from "./late_shaders.ts";

/** How a kernel uses a binding. */
export type BindingKind = "uniform" | "read" | "read_write";

/** A kernel as its wrapper describes it. */
export interface KernelSpec {
  /** Stem of the `.wgsl` file, name of its entry point, and label everywhere. */
  name: string;
  /** WGSL, with shared files appended so that line numbers stay those of the kernel's own file. */
  code: string;
  /**
   * The same with WGSL's `subgroups`, by threads that share loads within quads: taken where that is
   * measured to be faster. Gives the same bits.
   */
  quadCode?: string;
  /**
   * Whether it gives the same bits with any of `WORKGROUP` = 4, 8, 16 and 32 threads: taken are those that
   * are measured to be fastest.
   */
  anyThreads?: true;
  /**
   * Bindings of group 0 in order, by their WGSL names. The uniform `params` may hold a table of
   * contents, {@link PARAMS_STRIDE} apart, of which every dispatch takes one.
   */
  bindings: Record<string, BindingKind>;
}

/** Bytes from one entry of a table of `params` to the next: what WebGPU guarantees for offsets. */
export const PARAMS_STRIDE = 256;

/** A compiled kernel. It encodes; it never allocates, submits or reads back. */
export interface Kernel {
  readonly name: string;
  readonly spec: KernelSpec;
  readonly pipeline: GPUComputePipeline;
  /** Binds buffers by the names of {@link KernelSpec.bindings}. */
  bind(buffers: Readonly<Record<string, GPUBuffer>>): GPUBindGroup;
  /**
   * Records one dispatch of `workgroups`, which {@link foldWorkgroups} has made legal.
   *
   * @param entry Of the table in `params`, 0 when not given.
   */
  encode(
    pass: GPUComputePassEncoder,
    group: GPUBindGroup,
    workgroups: readonly number[],
    entry?: number,
  ): void;
}

/** The part of a `Gpu` that kernels need to be compiled and run. */
export interface KernelDevice {
  readonly device: GPUDevice;
  readonly adapter: { name: string; runtime: string };
  kernel(spec: KernelSpec, constants: Record<string, number>): Promise<Kernel>;
  submit(name: string, record: (encoder: GPUCommandEncoder) => void): Promise<unknown>;
  throwIfFailed(): void;
}

/** Compiles a kernel. Use `Gpu.kernel()`, which keeps what was compiled. */
export async function createKernel(
  gpu: KernelDevice,
  spec: KernelSpec,
  constants: Record<string, number>,
): Promise<Kernel> {
  const { device } = gpu;
  const { name } = spec;
  const entries = Object.entries(spec.bindings);
  const storageBindings = entries.filter(([, kind]) => kind !== "uniform").length;
  const allowed = device.limits.maxStorageBuffersPerShaderStage;
  if (storageBindings > allowed) {
    throw new ShaderError(
      `Cannot make kernel "${name}": it binds ${storageBindings} storage buffers, ` +
        `the adapter allows ${allowed}`,
      name,
    );
  }
  const code = await wholeShader(spec.code);
  device.pushErrorScope("validation");
  const shader = device.createShaderModule({ label: name, code });
  const layout = device.createBindGroupLayout({
    label: name,
    entries: entries.map(([name, kind], binding) => ({
      binding,
      visibility: 4, // GPUShaderStage.COMPUTE
      buffer: {
        type: kind === "uniform" ? "uniform" : kind === "read" ? "read-only-storage" : "storage",
        hasDynamicOffset: name === "params",
      },
    })),
  });
  let pipeline: GPUComputePipeline | undefined;
  let cause: unknown;
  try {
    pipeline = await device.createComputePipelineAsync({
      label: name,
      layout: device.createPipelineLayout({ label: name, bindGroupLayouts: [layout] }),
      compute: { module: shader, entryPoint: name, constants },
    });
  } catch (error) {
    cause = error;
  }
  const [{ messages }, scoped] = await Promise.all([
    shader.getCompilationInfo(),
    device.popErrorScope(),
  ]);
  gpu.throwIfFailed();
  const error = messages.find((message) => message.type === "error");
  if (error) {
    throw new ShaderError(
      `Cannot compile kernel "${name}": line ${error.lineNum}, column ${error.linePos}: ` +
        error.message.trim(),
      name,
    );
  }
  if (!pipeline || scoped) {
    const reason = scoped?.message ?? (cause instanceof Error ? cause.message : String(cause));
    throw new ShaderError(`Cannot make kernel "${name}": ${reason.trim()}`, name);
  }
  const made = pipeline;
  return {
    name,
    spec,
    pipeline: made,
    bind(buffers) {
      return device.createBindGroup({
        label: name,
        layout,
        entries: entries.map(([binding], index) => {
          const buffer = buffers[binding];
          if (!buffer) throw new TypeError(`Cannot bind kernel "${name}": no buffer "${binding}"`);
          const size = binding === "params" ? Math.min(buffer.size, PARAMS_STRIDE) : buffer.size;
          return { binding: index, resource: { buffer, size } };
        }),
      });
    },
    encode(pass, group, workgroups, entry = 0) {
      // some drivers warn of those
      if (workgroups.includes(0)) return;
      pass.setPipeline(made);
      pass.setBindGroup(0, group, "params" in spec.bindings ? [entry * PARAMS_STRIDE] : []);
      pass.dispatchWorkgroups(workgroups[0]!, workgroups[1] ?? 1, workgroups[2] ?? 1);
    },
  };
}

/**
 * Folds a row of workgroups that may exceed 65,535 into two dimensions. Kernels number themselves
 * `y * num_workgroups.x + x` and skip the excess.
 */
export function foldWorkgroups(count: number): [number, number] {
  const most = 65535;
  if (count <= most) return [count, 1];
  const rows = Math.ceil(count / most);
  return [Math.ceil(count / rows), rows];
}
