/**
 * Brings frames to the device, through buffers that the host writes.
 *
 * @module
 */

import type { FrameReader, FrameTable, FrameValues } from "../feed/frame_table.ts";
import { checkLength, rowBytes } from "../feed/frame_table.ts";
import type { Round } from "../feed/rounds.ts";
import type { Gpu } from "../gpu/device.ts";
import type { BufferRequest } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage, MapMode } from "../gpu/usage.ts";

/** Buffers through which frames come, one after the other. */
const STAGINGS = 4;

/** The buffers that are wanted, of so many rows each. */
export function stagingRequests(table: FrameTable, rows: number): BufferRequest[] {
  const usage = BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC;
  const bytes = rows * rowBytes(table);
  return Array.from({ length: STAGINGS }, () => ({ label: "frames staging", bytes, usage }));
}

/** At most so many rows, that end with a word: buffers are copied by words. */
export function wholeWords(table: FrameTable, rows: number): number {
  return rowBytes(table) % 4 === 0 ? rows : Math.floor(rows / 2) * 2;
}

export class FrameStaging {
  readonly #gpu: Gpu;
  readonly #table: FrameTable;
  /** Rows of a buffer. */
  readonly #rows: number;
  readonly #buffers: readonly GPUBuffer[];
  /** The next mapping of each. */
  readonly #mapped: Promise<unknown>[] = [];

  constructor(gpu: Gpu, table: FrameTable, rows: number, buffers: readonly GPUBuffer[]) {
    this.#gpu = gpu;
    this.#table = table;
    this.#rows = rows;
    this.#buffers = buffers;
    buffers.forEach((_, number) => this.#map(number, Promise.resolve()));
  }

  /**
   * Reads runs into a buffer, through staging. Does not wait for the last copies: what is submitted
   * after them sees them.
   */
  async bring(runs: Round["runs"], target: GPUBuffer, reader: FrameReader): Promise<void> {
    const { width } = this.#table;
    const bytes = rowBytes(this.#table);
    let number = 0;
    /** The rows of the target that are in staging: [first, end). */
    let [first, end] = [0, 0];
    let staged: FrameValues | undefined;
    const flush = () => {
      const staging = this.#buffers[number]!;
      staging.unmap();
      const [offset, size] = [first * bytes, bufferBytes((end - first) * bytes)];
      const copied = this.#gpu.submit("frames", (encoder) => {
        encoder.copyBufferToBuffer(staging, 0, target, offset, size);
      });
      this.#map(number, copied);
      number = (number + 1) % this.#buffers.length;
      first = end;
      staged = undefined;
    };
    for await (const { rows, values } of reader.stream(runs)) {
      for (let from = 0; from < rows * width;) {
        staged ??= await this.#mapping(number);
        checkLength(values, rows * width, "frames that were read");
        const some = Math.min(values.length - from, (first + this.#rows - end) * width);
        staged.set(values.subarray(from, from + some), (end - first) * width);
        from += some;
        end += some / width;
        if (end - first === this.#rows) flush();
      }
    }
    if (staged) flush();
  }

  /** Waits until no buffer is being copied or mapped. */
  settle(): Promise<unknown> {
    return Promise.allSettled(this.#mapped);
  }

  /** Asks for staging as soon as it may be had: some runtimes take their time to answer. */
  #map(number: number, copied: Promise<void>): void {
    this.#mapped[number] = Promise.all([copied, this.#buffers[number]!.mapAsync(MapMode.WRITE)]);
    // whoever uses it next sees the failure
    this.#mapped[number].catch(() => {});
  }

  async #mapping(number: number): Promise<FrameValues> {
    await this.#mapped[number];
    const bytes = this.#buffers[number]!.getMappedRange();
    return this.#table.held === "float32" ? new Float32Array(bytes) : new Uint16Array(bytes);
  }
}
