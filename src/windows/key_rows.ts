/**
 * Rows of keys, from where they are kept into batches.
 *
 * @module
 */

import { readAll } from "../array/array.ts";
import { chosenRows } from "../feed/chosen.ts";
import { checkLength, elementBytesOf, narrow } from "../feed/frame_table.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { elementBytes } from "../zarr/data_types.ts";
import type { Anchor, Key, KeyBatch } from "./keys.ts";

/** What batches are made for. */
export interface KeyMaking {
  gpu: Gpu | undefined;
  account: Account;
  slots: number;
  batchSize: number;
  signal: AbortSignal;
}

/** Types of 4 bytes, or of halves: what shaders can read. */
const ON_DEVICE: readonly string[] = ["float32", "int32", "uint32", "float16"];

/** @throws {TypeError} If a key is wanted on the device in a type that shaders do not have, or without one. */
export function checkPlace({ name, dtype, array, onDevice }: Key, gpu: Gpu | undefined): void {
  if (!onDevice) return;
  if (!gpu) {
    throw new TypeError(
      `Cannot take key "${name}" on the device: batches are made without a GPU, wanted one`,
    );
  }
  // halves come as f32 unless they are asked for as bits
  const own = dtype ?? (array.dtype === "float16" ? "float32" : array.dtype);
  if (ON_DEVICE.includes(own)) return;
  throw new TypeError(
    `Cannot take key "${name}" on the device: it is ${own}, wanted ${ON_DEVICE.join(", ")}, or a ` +
      "dtype of float32 or float16",
  );
}

/** Bytes of an element as it is read: decoded halves are twice as wide. */
function readBytes({ array }: Key): number {
  return elementBytes(array.dtype === "float16" ? "float32" : array.dtype as NumericType);
}

function outBytes(key: Key): number {
  return key.dtype ? elementBytesOf(key.dtype) : readBytes(key);
}

/** Host bytes of rows that are kept, or of a chunk of them under way. */
export function heldBytes(key: Key): number {
  const { array, rowsIn } = key;
  if (array.values) return 0;
  const rows = array.shape[0]!;
  const bytes = key.width * readBytes(key);
  if (rowsIn === "host") return rows * bytes;
  // as it is stored, decoded, and in order
  return 3 * Math.min(rows, array.chunkRows) * bytes;
}

/** Host bytes of a window in a batch: what is read, what is put in order, and what of it is narrowed. */
export function windowBytes(key: Key): number {
  const each = 1 + 8 + key.width * (readBytes(key) + (key.dtype ? 4 + outBytes(key) : 0));
  const onDisk = key.rowsIn === "disk" ? 8 + key.width * readBytes(key) : 0;
  return key.offsets.length * (each + onDisk);
}

/** Device bytes of a batch. */
export function deviceBytes(key: Key, batchSize: number): number {
  return key.onDevice ? bufferBytes(batchSize * key.offsets.length * key.width * outBytes(key)) : 0;
}

/** A key whose rows can be had. */
export class KeyRowReader {
  readonly #key: Key;
  readonly #making: KeyMaking;
  #values: NumericArray | undefined;
  #buffers: GPUBuffer[] = [];

  private constructor(key: Key, making: KeyMaking) {
    this.#key = key;
    this.#making = making;
  }

  static async open(key: Key, making: KeyMaking): Promise<KeyRowReader> {
    const own = new KeyRowReader(key, making);
    const { account, slots, batchSize, signal } = making;
    const { array, rowsIn, onDevice, name } = key;
    own.#values = array.values ??
      (rowsIn === "host" ? await readAll(array, { signal }) : undefined);
    if (onDevice) {
      const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
      const bytes = deviceBytes(key, batchSize);
      own.#buffers = await account.createBuffers(
        Array.from({ length: slots }, () => ({ label: `key ${name}`, bytes, usage })),
      );
    }
    return own;
  }

  close(): void {
    for (const buffer of this.#buffers) this.#making.account.destroyBuffer(buffer);
    this.#buffers = [];
    this.#values = undefined;
  }

  async of(anchors: readonly Anchor[], slot: number): Promise<KeyBatch> {
    const key = this.#key;
    const { rows, mask } = key.rowsOf(anchors);
    const read = await this.#read(rows);
    const { width } = key;
    if (key.outside === "zero") {
      for (let i = 0; i < mask.length; i++) {
        if (mask[i] === 0) (read as Float32Array).fill(zeroOf(read), i * width, (i + 1) * width);
      }
    }
    const place = (element: number) =>
      `row ${rows[Math.floor(element / width)]} of key "${key.name}"`;
    const values = key.dtype ? narrow(read, key.dtype, place) : read;
    const buffer = this.#buffers[slot];
    if (buffer) this.#upload(buffer, values);
    const { shape, dims } = key.array;
    const isNamed = dims !== undefined || shape.length === 1;
    return {
      values,
      shape: [anchors.length, key.offsets.length, ...shape.slice(1)],
      dims: isNamed ? ["windows", "offsets", ...dims?.slice(1) ?? []] : undefined,
      offsets: key.offsets,
      mask,
      ...(buffer && { buffer }),
    };
  }

  /** Rows in this order, as the array has them, copied. */
  async #read(rows: Float64Array): Promise<NumericArray> {
    const { array, width, name } = this.#key;
    let [all, places]: [NumericArray, ArrayLike<number>] = [this.#values!, rows];
    if (all) checkLength(all, array.shape[0]! * width, `rows of key "${name}"`);
    else {
      // each once, in the order they lie in
      const wanted = [...new Set(rows)].sort((a, b) => a - b);
      const at = new Map(wanted.map((row, i) => [row, i]));
      places = rows.map((row) => at.get(row)!);
      const { signal } = this.#making;
      all = await chosenRows(array, wanted).read(0, wanted.length, { signal });
    }
    const values = new (all.constructor as new (length: number) => NumericArray)(
      rows.length * width,
    );
    // what lies side by side is copied together: a part of its own for each row would be garbage by the million
    for (let i = 0, end = 1; i < rows.length; i = end++) {
      while (end < rows.length && places[end] === places[end - 1]! + 1) end++;
      const from = places[i]! * width;
      const run = all.subarray(from, from + (end - i) * width) as Float32Array;
      (values as Float32Array).set(run, i * width);
    }
    return values;
  }

  #upload(buffer: GPUBuffer, values: NumericArray): void {
    let bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
    if (bytes.byteLength % 4 !== 0) {
      const whole = new Uint8Array(bufferBytes(bytes.byteLength));
      whole.set(bytes);
      bytes = whole;
    }
    this.#making.gpu!.device.queue.writeBuffer(buffer, 0, bytes);
  }
}

function zeroOf(values: NumericArray): number {
  return (values instanceof BigInt64Array || values instanceof BigUint64Array ? 0n : 0) as number;
}
