/**
 * Windows gathered on the device, from frames that are there.
 *
 * @module
 */

import type { RealFrames } from "../array/window_reading.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account, BufferRequest } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { GATHER_FORMATS } from "../kernels/gather_windows.ts";
import * as kernel from "../kernels/gather_windows.ts";
import type { FrameReader, FrameTable } from "../feed/frame_table.ts";
import { elementBytesOf, rowBytes } from "../feed/frame_table.ts";
import type { Round } from "../feed/rounds.ts";
import { FrameStaging, stagingRequests } from "./frame_staging.ts";
import type { GatherSide, SideBytes, SidePlan } from "./gather_side.ts";
import { batchBytes, windowElements } from "./gather_side.ts";
import type { Parts } from "./whole_table.ts";
import { partRuns, partsOf } from "./whole_table.ts";

/** Runs of which the fastest counts: others may be at work on the device. */
const TRIALS = 3;
/** Which way was found to be faster, by adapter and sizes. */
const fasterCopies = new Map<string, boolean>();

/** What a batch is gathered in; params and groups are of each part. */
interface DeviceSlot {
  batch: GPUBuffer;
  windowTable: GPUBuffer;
  params: readonly GPUBuffer[];
  groups: readonly GPUBindGroup[];
}

/** Buffers, gathered on the device. */
export class DeviceSide implements GatherSide<GPUBuffer> {
  readonly pools: number;
  readonly #plan: SidePlan;
  readonly #account: Account;
  readonly #gpu: Gpu;
  readonly #parts: Parts;
  /** Parts of the table, or the pools. */
  #tables: GPUBuffer[] = [];
  #current: number | undefined;
  #staging: FrameStaging | undefined;
  readonly #slots: DeviceSlot[] = [];
  /** All of them. */
  #buffers: readonly GPUBuffer[] = [];
  #kernel!: Awaited<ReturnType<Gpu["kernel"]>>;
  /** Whether windows are copied one by one, without the kernel; measured when not known. */
  #copies: boolean | undefined;
  /** The last submit of each slot. */
  readonly #pending: Promise<void>[] = [];

  constructor(plan: SidePlan, account: Account, gpu: Gpu, copies?: boolean) {
    this.#plan = plan;
    this.#account = account;
    this.#gpu = gpu;
    this.#copies = copies;
    this.#parts = partsOf(plan);
    this.pools = plan.whole ? 1 : 2;
  }

  static bytes(plan: SidePlan): SideBytes[] {
    const sum = (requests: readonly BufferRequest[]) =>
      requests.reduce((total, { bytes }) => total + bufferBytes(bytes), 0);
    const { tables, stagings, slots } = requestsOf(plan, partsOf(plan));
    const what = plan.whole ? "all frames" : "2 pools of frames";
    return [
      { what: `${plan.slots} batches`, kind: "gpu", bytes: plan.slots * sum(slots) },
      { what, kind: "gpu", bytes: sum(tables) },
      { what: "staging of frames", kind: "gpu", bytes: sum(stagings) },
    ];
  }

  async open(reader: FrameReader): Promise<void> {
    const { table, slots, whole } = this.#plan;
    const gpu = this.#gpu;
    this.#kernel = await gpu.kernel(
      kernel.gatherWindows,
      kernel.gatherWindowsConstants(formatOf(this.#plan), table.padding?.mode),
    );
    const wanted = requestsOf(this.#plan, this.#parts);
    this.#buffers = await this.#account.createBuffers([
      ...wanted.tables,
      ...wanted.stagings,
      ...Array.from({ length: slots }, () => wanted.slots).flat(),
    ]);
    const buffers = [...this.#buffers];
    this.#tables = buffers.splice(0, wanted.tables.length);
    const stagings = buffers.splice(0, wanted.stagings.length);
    this.#staging = new FrameStaging(gpu, table, this.#plan.stagingRows, stagings);
    for (let slot = 0; slot < slots; slot++) {
      const [batch, windowTable, ...params] = buffers.splice(0, wanted.slots.length);
      const groups = params.map((own, part) =>
        this.#kernel.bind({
          params: own,
          window_table: windowTable!,
          frame_table: this.#tables[part]!,
          batch: batch!,
        })
      );
      this.#slots.push({ batch: batch!, windowTable: windowTable!, params, groups });
    }
    this.#copies ??= await this.#copyingIsFaster();
    if (!whole) return;
    for (const [part, run] of partRuns(this.#plan, this.#parts).entries()) {
      await this.#staging.bring([run], this.#tables[part]!, reader);
    }
  }

  async fill({ runs }: Round, pool: number, reader: FrameReader): Promise<void> {
    // what is gathered from this pool before that comes first on the device's queue
    if (!this.#plan.whole) await this.#staging!.bring(runs, this.#tables[pool]!, reader);
  }

  turnTo(_: Round, pool: number): Promise<number | undefined> {
    const before = this.#current;
    this.#current = pool;
    return Promise.resolve(before);
  }

  async gather(
    rows: Uint32Array,
    slot: number,
    real?: readonly RealFrames[],
  ): Promise<GPUBuffer> {
    await this.#pending[slot];
    const done = this.#copies ? this.#copyWindows(rows, slot) : this.#runKernel(rows, slot, real);
    // whoever uses the slot next sees the failure
    done.catch(() => {});
    this.#pending[slot] = done;
    return this.#slots[slot]!.batch;
  }

  /** The part of the table that a row's window lies in, or the pool. */
  #partOf(row: number): number {
    if (!this.#plan.whole) return this.#current!;
    return Math.min(this.#parts.count - 1, Math.floor(row / this.#parts.step));
  }

  #runKernel(rows: Uint32Array, slot: number, real?: readonly RealFrames[]): Promise<void> {
    const { table, dtype } = this.#plan;
    const { width, windowRows, padding } = table;
    const { step, count } = this.#parts;
    const sizes = new Uint32Array(count);
    for (const row of rows) sizes[this.#partOf(row)]!++;
    const firsts = sizes.map((_, part) => sizes.subarray(0, part).reduce((sum, n) => sum + n, 0));
    const next = firsts.slice();
    const words = entryWords(table);
    const entries = new Uint32Array(words * rows.length);
    rows.forEach((row, place) => {
      const part = this.#partOf(row);
      const entry = words * next[part]!++;
      const { first, frames, lead } = real?.[place] ?? { first: row, frames: windowRows, lead: 0 };
      entries[entry] = (first - part * step) * width;
      entries[entry + 1] = place;
      if (padding) entries.set([lead, frames], entry + 2);
    });
    const windowWords = windowElements(this.#plan) * elementBytesOf(dtype) / 4;
    const { queue } = this.#gpu.device;
    const { windowTable, params, groups } = this.#slots[slot]!;
    queue.writeBuffer(windowTable, 0, entries);
    const used = [...sizes.keys()].filter((part) => sizes[part]! > 0);
    for (const part of used) {
      queue.writeBuffer(
        params[part]!,
        0,
        kernel.gatherWindowsParams(firsts[part]!, windowWords, width),
      );
    }
    return this.#gpu.submit(kernel.gatherWindows.name, (encoder) => {
      const pass = encoder.beginComputePass({ label: kernel.gatherWindows.name });
      for (const part of used) {
        const workgroups = kernel.gatherWindowsWorkgroups(sizes[part]!, windowWords);
        this.#kernel.encode(pass, groups[part]!, workgroups);
      }
      pass.end();
    });
  }

  #copyWindows(rows: Uint32Array, slot: number): Promise<void> {
    const bytes = rowBytes(this.#plan.table);
    const windowBytes = this.#plan.table.windowRows * bytes;
    return this.#gpu.submit("copy windows", (encoder) => {
      rows.forEach((row, place) => {
        const part = this.#partOf(row);
        const from = (row - part * this.#parts.step) * bytes;
        const target = this.#slots[slot]!.batch;
        const frames = this.#tables[part]!;
        encoder.copyBufferToBuffer(frames, from, target, place * windowBytes, windowBytes);
      });
    });
  }

  /**
   * Tries both ways on a batch. A copy a window takes a few microseconds of any GPU, which the kernel
   * does not need; adapters that compute on the CPU copy ten times as fast as they run it.
   */
  async #copyingIsFaster(): Promise<boolean> {
    const { table, dtype, batchSize } = this.#plan;
    if (table.held !== dtype || rowBytes(table) % 4 !== 0 || table.padding) return false;
    const name = this.#gpu.adapter.name;
    const windowBytes = table.windowRows * rowBytes(table);
    const key = [name, dtype, Math.round(Math.log2(windowBytes)), Math.round(Math.log2(batchSize))]
      .join(" ");
    const known = fasterCopies.get(key);
    if (known !== undefined) return known;
    const rows = new Uint32Array(batchSize);
    this.#current = 0;
    const copying = await timed(() => this.#copyWindows(rows, 0));
    const faster = copying < await timed(() => this.#runKernel(rows, 0));
    this.#current = undefined;
    fasterCopies.set(key, faster);
    return faster;
  }

  settle(): Promise<unknown> {
    return Promise.all(this.#pending);
  }

  recycle(): void {}

  async close(): Promise<void> {
    await Promise.allSettled([...this.#pending, this.#staging?.settle()]);
    for (const buffer of this.#buffers) this.#account.destroyBuffer(buffer);
  }
}

/** Milliseconds of the fastest of some runs. */
async function timed(run: () => Promise<void>): Promise<number> {
  await run();
  let least = Infinity;
  for (let i = 0; i < TRIALS; i++) {
    const began = performance.now();
    await run();
    least = Math.min(least, performance.now() - began);
  }
  return least;
}

function formatOf({ table, dtype }: SidePlan): keyof typeof GATHER_FORMATS {
  if (table.held === dtype) return dtype;
  return table.held === "bfloat16" ? "widenedBrain" : "widened";
}

/** Words of an entry of the window table: where a window lies and where it goes, and what of it is real. */
function entryWords({ padding }: FrameTable): number {
  return padding ? 4 : 2;
}

/** The buffers of a device side: of the table, and of each slot. */
function requestsOf(plan: SidePlan, parts: Parts) {
  const { table, whole, batchSize, stagingRows } = plan;
  const target = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
  const rowsOf = (part: number) =>
    whole ? Math.min(parts.rows, table.rows - part * parts.step) : parts.rows;
  return {
    tables: Array.from({ length: parts.count }, (_, part): BufferRequest => ({
      label: `frames ${part}`,
      bytes: rowsOf(part) * rowBytes(table),
      usage: target,
    })),
    stagings: stagingRequests(table, stagingRows),
    slots: [
      { label: "batch", bytes: batchBytes(plan), usage: target },
      { label: "window table", bytes: 4 * entryWords(table) * batchSize, usage: target },
      ...Array.from({ length: parts.count }, () => ({
        label: "gather_windows params",
        bytes: 16,
        usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST,
      })),
    ],
  };
}
