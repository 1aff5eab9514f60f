/** Runs kernels of a net on host arrays, one after the other, and reads any of its buffers back. */

import type { Gpu } from "../../src/gpu/device.ts";
import { bufferBytes } from "../../src/gpu/ledger.ts";
import { BufferUsage, MapMode } from "../../src/gpu/usage.ts";
import type { LoopKernel, SharedBuffer, Tile } from "../../src/stream/pass.ts";

export interface OpenNet {
  /** Runs kernels in their order, in one submit. */
  run(kernels: readonly LoopKernel[]): Promise<void>;
  read(name: string): Promise<Float32Array>;
  write(name: string, contents: ArrayBufferView): void;
  close(): void;
}

/** Bindings are at least a quad. */
const sizeOf = (bytes: number) => bufferBytes(Math.max(16, bytes));

const TILE: Tile = { start: 0, end: 1, firstLane: 0, lanes: 1 };

/** @param uploads Buffers of the tile: their contents, or their bytes. */
export async function openNet(
  gpu: Gpu,
  shared: readonly SharedBuffer[],
  uploads: Record<string, ArrayBufferView | number>,
): Promise<OpenNet> {
  const tile = Object.entries(uploads).map(([name, contents]) => ({
    name,
    bytes: typeof contents === "number" ? contents : contents.byteLength,
    data: typeof contents === "number" ? undefined : contents,
  }));
  const all = [...shared.filter(({ within }) => within === undefined), ...tile];
  const largest = Math.max(...all.map(({ bytes }) => sizeOf(bytes)));
  const bytes = all.reduce((sum, each) => sum + sizeOf(each.bytes), 0);
  const params = 256 * 1024;
  const account = gpu.ledger.open("net", { gpu: bytes + largest + params, host: 0, disk: 0 });
  const storage = BufferUsage.COPY_DST | BufferUsage.COPY_SRC | BufferUsage.STORAGE;
  const made = await account.createBuffers([
    ...all.map(({ name, bytes }) => ({
      label: name,
      bytes: sizeOf(bytes),
      usage: storage,
    })),
    { label: "staging", bytes: largest, usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST },
    { label: "params", bytes: params, usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST },
  ]);
  const staging = made.at(-2)!;
  const uniform = made.at(-1)!;
  const buffers = Object.fromEntries(all.map(({ name }, i) => [name, made[i]!]));
  for (const { name, within } of shared) {
    if (within !== undefined) buffers[name] = buffers[within]!;
  }
  const write = (name: string, contents: ArrayBufferView) => {
    const padded = new Uint8Array(bufferBytes(contents.byteLength));
    padded.set(new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength));
    gpu.device.queue.writeBuffer(buffers[name]!, 0, padded);
  };
  for (const { name, data } of all) {
    if (data) write(name, typeof data === "function" ? data() : data);
  }
  return {
    write,
    async run(steps) {
      const table = new Uint32Array(steps.length * 64);
      steps.forEach((step, i) => table.set(step.params(TILE, 0), 64 * i));
      const kernels = await Promise.all(
        steps.map(({ kernel, constants }) => gpu.kernel(kernel, constants)),
      );
      gpu.device.queue.writeBuffer(uniform, 0, table);
      await gpu.submit("net", (encoder) => {
        const pass = encoder.beginComputePass();
        steps.forEach((step, i) => {
          const named: Record<string, GPUBuffer> = { params: uniform };
          for (const binding of Object.keys(step.kernel.bindings)) {
            if (binding === "params") continue;
            const name = step.buffers?.[binding] ?? binding;
            if (!buffers[name]) throw new TypeError(`No buffer is named "${name}"`);
            named[binding] = buffers[name];
          }
          const kernel = kernels[i]!;
          kernel.encode(pass, kernel.bind(named), step.workgroups(TILE, 0), i);
        });
        pass.end();
      });
    },
    async read(name) {
      const source = buffers[name];
      if (!source) throw new TypeError(`No buffer is named "${name}"`);
      await gpu.submit("read back", (encoder) => {
        encoder.copyBufferToBuffer(source, 0, staging, 0, source.size);
      });
      await staging.mapAsync(MapMode.READ, 0, source.size);
      const values = new Float32Array(staging.getMappedRange(0, source.size).slice(0));
      staging.unmap();
      return values;
    },
    close() {
      for (const buffer of made) account.destroyBuffer(buffer);
      account.close();
    },
  };
}
