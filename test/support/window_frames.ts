/** Frames, and batches of windows of them, for tests. */

import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { openZarrArray } from "../../src/zarr/zarr_array.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { bufferBytes } from "../../src/gpu/ledger.ts";
import { BufferUsage, MapMode } from "../../src/gpu/usage.ts";
import { decodeFloat16, encodeFloat16 } from "../../src/math/half.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import type { BatchOptions, DeviceBatch, HostBatch } from "../../src/windows/batches.ts";
import type { Windows } from "../../src/windows/windows.ts";
import { seeded } from "./random.ts";

/** Numbers that halves hold exactly, so that every way of keeping them gives the same. */
export function someFrames(frames: number, features: number): Float32Array {
  const random = seeded(frames + features);
  return decodeFloat16(
    encodeFloat16(Float32Array.from({ length: frames * features }, () => 8 * random() - 4)),
  );
}

/** The same array, without its memory being known: what is left on disk is read in ranges. */
export function hidden(array: ChunkedArray): ChunkedArray {
  const { values: _, ...rest } = array;
  return rest;
}

export function framesOf(values: Float32Array, features: number): ChunkedArray {
  return fromTypedArray(values, [values.length / features, features]);
}

let stores = 0;

/** A zarr array of frames, in memory or at a place. */
export async function zarrFrames(
  values: Float32Array,
  features: number,
  { chunkRows, dtype = "float32", place }: {
    chunkRows: number;
    dtype?: "float32" | "float16";
    place?: string;
  },
): Promise<ChunkedArray> {
  const shape = [values.length / features, features];
  const spec = {
    name: "frames",
    shape,
    chunkShape: [chunkRows, features],
    dtype,
    dims: ["frame", "feature"],
  };
  const store = await openStore(place ?? `memory:window-frames-${stores++}`, { mode: "write" });
  await writeGroup(store, { attributes: {}, arrays: [spec] });
  await writeArray(store, spec, dtype === "float16" ? encodeFloat16(values) : values);
  return await openZarrArray(store, "/frames");
}

/** A batch as a test keeps it. */
export interface KeptBatch {
  windows: number[];
  values: Float32Array;
}

/** Copies batches while they are valid. */
export async function keepHost(
  batches: AsyncIterable<HostBatch>,
  most = Infinity,
): Promise<KeptBatch[]> {
  const kept: KeptBatch[] = [];
  for await (const { windows, frames } of batches) {
    const values = frames instanceof Uint16Array ? decodeFloat16(frames) : frames.slice();
    kept.push({ windows: [...windows], values });
    if (kept.length >= most) break;
  }
  return kept;
}

/** Reads batches back from the device while they are valid. */
export async function keepDevice(
  gpu: Gpu,
  batches: AsyncIterable<DeviceBatch>,
): Promise<KeptBatch[]> {
  const kept: KeptBatch[] = [];
  for await (const { windows, buffer, byteOffset, shape, dtype } of batches) {
    const elements = shape.reduce((product, size) => product * size, 1);
    const bytes = await readBack(gpu, buffer, byteOffset, elements * (dtype === "float16" ? 2 : 4));
    const values = dtype === "float16"
      ? decodeFloat16(new Uint16Array(bytes, 0, elements))
      : new Float32Array(bytes, 0, elements);
    kept.push({ windows: [...windows], values });
  }
  return kept;
}

/** What a .npy file of these begins with. */
export function npyHeader(descr: string, shape: readonly number[]): Uint8Array {
  const sizes = shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`.padEnd(117);
  const head = `\x93NUMPY\x01\0${String.fromCharCode(118)}\0${text}\n`;
  return Uint8Array.from(head, (character) => character.charCodeAt(0));
}

export async function readBack(
  gpu: Gpu,
  buffer: GPUBuffer,
  offset: number,
  bytes: number,
): Promise<ArrayBuffer> {
  const size = bufferBytes(bytes);
  const account = gpu.ledger.open("read back", { gpu: size, host: 0, disk: 0 });
  const usage = BufferUsage.MAP_READ | BufferUsage.COPY_DST;
  const [staging] = await account.createBuffers([{ label: "staging", bytes: size, usage }]);
  await gpu.submit("read back", (encoder) => {
    encoder.copyBufferToBuffer(buffer, offset, staging!, 0, size);
  });
  await staging!.mapAsync(MapMode.READ);
  const copy = staging!.getMappedRange().slice(0);
  staging!.unmap();
  account.destroyBuffer(staging!);
  account.close();
  return copy;
}

/** Reads back beyond the budget: what a test looks at is not part of what was promised. */
export async function readBackBeside(
  gpu: Gpu,
  buffer: GPUBuffer,
  offset: number,
  bytes: number,
): Promise<ArrayBuffer> {
  const budget = gpu.budgetBytes as { gpu: number };
  budget.gpu += bytes;
  try {
    return await readBack(gpu, buffer, offset, bytes);
  } finally {
    budget.gpu -= bytes;
  }
}

/** What batches must be: windows of an epoch in an order, each cut out of the frames. */
export function checkBatches(
  kept: readonly KeptBatch[],
  view: Windows,
  values: Float32Array,
  { size = 256, dropLast = false }: BatchOptions,
): number[] {
  const elements = view.shape.slice(1).reduce((product, count) => product * count, 1);
  const features = elements / view.size;
  kept.forEach(({ windows, values: batch }, number) => {
    const short = number === kept.length - 1 && !dropLast;
    if (short ? windows.length > size : windows.length !== size) {
      throw new Error(`batch ${number} has ${windows.length} windows`);
    }
    if (batch.length !== windows.length * elements) {
      throw new Error(`batch ${number} has ${batch.length} elements`);
    }
    windows.forEach((window, i) => {
      const start = view.startOf(window);
      const slice = values.subarray(start * features, (start + view.size) * features);
      for (let j = 0; j < elements; j++) {
        if (!Object.is(batch[i * elements + j], slice[j])) {
          throw new Error(`batch ${number}, window ${window}, element ${j} is not the frame's`);
        }
      }
    });
  });
  return kept.flatMap(({ windows }) => windows);
}
