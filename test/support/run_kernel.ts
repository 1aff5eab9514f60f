/** Runs one kernel on host arrays and reads its outputs back: for tests and benches. */

import type { Gpu } from "../../src/gpu/device.ts";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import { bufferBytes } from "../../src/gpu/ledger.ts";
import { GpuTimer, TIMER_BYTES } from "../../src/gpu/timing.ts";
import { BufferUsage, MapMode } from "../../src/gpu/usage.ts";

export interface KernelCase {
  spec: KernelSpec;
  constants: Record<string, number>;
  /** Every binding by name: its contents, or its size in bytes. */
  buffers: Record<string, ArrayBufferView | number>;
  workgroups: readonly number[];
  /** Bindings to read back. */
  outputs: readonly string[];
  /** Dispatches to time after the first, each alone in a submit. */
  repeats?: number;
}

export interface KernelRun {
  outputs: Record<string, Float32Array>;
  /** Milliseconds of every repeat: device time where the adapter has timestamps. */
  milliseconds: number[];
  /** Whether they are device time, or from submit to done. */
  deviceTime: boolean;
}

/** A kernel that was dispatched once, and can be again. */
export interface OpenKernel {
  /** What the first dispatch gave. */
  outputs: Record<string, Float32Array>;
  deviceTime: boolean;
  /** Dispatches so many times more, alone in a submit: milliseconds of one. Default 1. */
  time(dispatches?: number): Promise<number>;
  close(): void;
}

/** Dispatches a kernel, and keeps its buffers until it is closed. */
export async function openKernel(gpu: Gpu, test: KernelCase, timed = true): Promise<OpenKernel> {
  const { spec, constants, buffers, workgroups, outputs } = test;
  const kernel = await gpu.kernel(spec, constants);
  const sizeOf = (name: string) => {
    const contents = buffers[name];
    if (contents === undefined) throw new TypeError(`no contents for binding "${name}"`);
    return bufferBytes(typeof contents === "number" ? contents : contents.byteLength);
  };
  const names = Object.keys(spec.bindings);
  const gpuBytes = names.reduce((sum, name) => sum + sizeOf(name), 0) +
    outputs.reduce((sum, name) => sum + sizeOf(name), 0) + TIMER_BYTES;
  const account = gpu.ledger.open(spec.name, { gpu: gpuBytes, host: 0, disk: 0 });
  try {
    const device = await account.createBuffers(names.map((name) => ({
      label: name,
      bytes: sizeOf(name),
      usage: BufferUsage.COPY_DST | BufferUsage.COPY_SRC |
        (spec.bindings[name] === "uniform" ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
    })));
    const staging = await account.createBuffers(outputs.map((name) => ({
      label: `${name} staging`,
      bytes: sizeOf(name),
      usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
    })));
    const byName = Object.fromEntries(names.map((name, i) => [name, device[i]!]));
    for (const name of names) {
      const contents = buffers[name]!;
      if (typeof contents === "number") continue;
      const padded = new Uint8Array(sizeOf(name));
      padded.set(new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength));
      gpu.device.queue.writeBuffer(byName[name]!, 0, padded);
    }
    const group = kernel.bind(byName);
    const timer = timed ? await GpuTimer.create(gpu, account) : undefined;
    const dispatch = (times = 1) =>
      gpu.submit(spec.name, (encoder) => {
        const { timestampWrites } = timer ?? {};
        const pass = encoder.beginComputePass({
          label: spec.name,
          ...(timestampWrites && { timestampWrites }),
        });
        for (let i = 0; i < times; i++) kernel.encode(pass, group, workgroups);
        pass.end();
        timer?.encodeResolve(encoder);
      });
    await dispatch();
    await gpu.submit("read back", (encoder) => {
      outputs.forEach((name, i) =>
        encoder.copyBufferToBuffer(byName[name]!, 0, staging[i]!, 0, sizeOf(name))
      );
    });
    const read: Record<string, Float32Array> = {};
    for (const [i, name] of outputs.entries()) {
      await staging[i]!.mapAsync(MapMode.READ);
      read[name] = new Float32Array(staging[i]!.getMappedRange().slice(0));
      staging[i]!.unmap();
    }
    return {
      outputs: read,
      deviceTime: timer !== undefined,
      async time(dispatches = 1) {
        const started = performance.now();
        await dispatch(dispatches);
        const spent = timer ? await timer.read() : performance.now() - started;
        return spent / dispatches;
      },
      close() {
        timer?.destroy(account);
        for (const buffer of [...device, ...staging]) account.destroyBuffer(buffer);
        account.close();
      },
    };
  } catch (error) {
    account.abandon();
    throw error;
  }
}

export async function runKernel(gpu: Gpu, test: KernelCase): Promise<KernelRun> {
  const { repeats = 0 } = test;
  const open = await openKernel(gpu, test, repeats > 0);
  const milliseconds: number[] = [];
  for (let i = 0; i < repeats; i++) milliseconds.push(await open.time());
  open.close();
  return { outputs: open.outputs, milliseconds, deviceTime: open.deviceTime };
}
