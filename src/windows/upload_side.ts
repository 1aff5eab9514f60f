/**
 * Windows gathered on the CPU for the device, from frames that the host keeps whole.
 *
 * @module
 */

import type { RealFrames } from "../array/window_reading.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account, BufferRequest } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage, MapMode } from "../gpu/usage.ts";
import type { FrameReader, FrameValues } from "../feed/frame_table.ts";
import { elementBytesOf } from "../feed/frame_table.ts";
import type { Round } from "../feed/rounds.ts";
import type { GatherSide, SideBytes, SidePlan } from "./gather_side.ts";
import { batchBytes, windowElements } from "./gather_side.ts";
import { copyWindows } from "./host_side.ts";
import { keptInPlace, readWhole, tableBytes } from "./whole_table.ts";

/** Buffers, gathered on the CPU from frames the host keeps whole. */
export class UploadSide implements GatherSide<GPUBuffer> {
  readonly pools = 1;
  readonly #plan: SidePlan;
  readonly #account: Account;
  readonly #gpu: Gpu;
  #frames!: FrameValues;
  #taken = 0;
  #batches: GPUBuffer[] = [];
  #staging: GPUBuffer[] = [];
  readonly #mapped: Promise<void>[] = [];
  readonly #pending: Promise<void>[] = [];

  constructor(plan: SidePlan, account: Account, gpu: Gpu) {
    this.#plan = plan;
    this.#account = account;
    this.#gpu = gpu;
  }

  static bytes(plan: SidePlan): SideBytes[] {
    const { table, slots } = plan;
    const each = bufferBytes(batchBytes(plan));
    return [
      { what: `${slots} batches`, kind: "gpu", bytes: slots * each },
      { what: "staging of batches", kind: "gpu", bytes: slots * each },
      { what: "all frames", kind: "host", bytes: keptInPlace(table) ? 0 : tableBytes(table) },
    ];
  }

  async open(reader: FrameReader): Promise<void> {
    const { table, slots } = this.#plan;
    if (!keptInPlace(table)) {
      this.#taken = tableBytes(table);
      this.#account.take("host", this.#taken, "all frames");
    }
    const bytes = batchBytes(this.#plan);
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    const staging = BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC;
    const requests = (label: string, usage: number): BufferRequest[] =>
      Array.from({ length: slots }, () => ({ label, bytes, usage }));
    this.#batches = await this.#account.createBuffers(requests("batch", usage));
    this.#staging = await this.#account.createBuffers(requests("batch staging", staging));
    this.#staging.forEach((_, slot) => this.#map(slot));
    this.#frames = await readWhole(table, reader);
  }

  /** Asks for the staging of a slot at once: some runtimes take their time to answer. */
  #map(slot: number): void {
    this.#mapped[slot] = this.#staging[slot]!.mapAsync(MapMode.WRITE);
    this.#mapped[slot]!.catch(() => {});
  }

  async fill(): Promise<void> {}

  turnTo(_: Round, pool: number): Promise<number> {
    return Promise.resolve(pool);
  }

  async gather(
    rows: Uint32Array,
    slot: number,
    real?: readonly RealFrames[],
  ): Promise<GPUBuffer> {
    await this.#pending[slot];
    await this.#mapped[slot];
    const staging = this.#staging[slot]!;
    const [bytes, batch] = [staging.getMappedRange(), this.#batches[slot]!];
    const { dtype } = this.#plan;
    const values = dtype === "float32" ? new Float32Array(bytes) : new Uint16Array(bytes);
    copyWindows(this.#plan, this.#frames, rows, values, real);
    staging.unmap();
    const used = rows.length * windowElements(this.#plan) * elementBytesOf(dtype);
    const done = this.#gpu.submit("upload windows", (encoder) => {
      encoder.copyBufferToBuffer(staging, 0, batch, 0, bufferBytes(used));
    });
    done.catch(() => {});
    this.#pending[slot] = done;
    this.#map(slot);
    return batch;
  }

  settle(): Promise<unknown> {
    return Promise.all(this.#pending);
  }

  recycle(): void {}

  async close(): Promise<void> {
    await Promise.allSettled([...this.#pending, ...this.#mapped]);
    this.#account.giveBack("host", this.#taken);
    this.#taken = 0;
    for (const buffer of [...this.#batches, ...this.#staging]) this.#account.destroyBuffer(buffer);
  }
}
