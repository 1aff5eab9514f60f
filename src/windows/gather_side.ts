/**
 * Where windows are gathered into batches: on the host, on the device, or on the host for the device.
 *
 * @module
 */

import type { RealFrames } from "../array/window_reading.ts";
import { padWindow } from "../array/window_reading.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account, BufferRequest } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage, MapMode } from "../gpu/usage.ts";
import type { GATHER_FORMATS } from "../kernels/gather_windows.ts";
import * as kernel from "../kernels/gather_windows.ts";
import { decodeBfloat16 } from "../math/bfloat16.ts";
import { decodeFloat16 } from "../math/half.ts";
import type { FrameReader, FrameTable, FrameType, FrameValues, Run } from "../feed/frame_table.ts";
import {
  bytesOfRead,
  checkLength,
  createFrames,
  elementBytesOf,
  readsOf,
  rowBytes,
  spanRows,
} from "../feed/frame_table.ts";
import type { Round } from "../feed/rounds.ts";
import { FrameStaging, stagingRequests, wholeWords } from "./frame_staging.ts";

/** What a side is made for. */
export interface SidePlan {
  table: FrameTable;
  /** Windows of a batch, and batches alive at once. */
  batchSize: number;
  slots: number;
  /** Elements of a batch as they are handed out. */
  dtype: FrameType;
  /** Rows of a pool; all of the table where it is kept whole. */
  poolRows: number;
  /** Whether the table is kept whole. */
  whole: boolean;
  /** Bytes of a buffer that kernels may read; tables that are larger are cut. */
  bindingBytes: number;
  /** Rows of each of the buffers through which frames come to the device. */
  stagingRows: number;
}

/** Bytes that something takes, for people and for the ledger. */
export interface SideBytes {
  what: string;
  kind: "gpu" | "host";
  bytes: number;
}

/** Makes batches of one kind. Its pools are filled by one loop while another gathers. */
export interface GatherSide<Frames> {
  /** Pools that may be filled before one is gathered from. */
  readonly pools: number;
  /** Allocates, and reads the table where it is kept whole. */
  open(reader: FrameReader): Promise<void>;
  /** Reads what a round needs; earlier rounds may be gathered from meanwhile. */
  fill(round: Round, pool: number, reader: FrameReader): Promise<void>;
  /** Makes a filled pool the one to gather from. Tells which may be filled from now on. */
  turnTo(round: Round, pool: number): Promise<number | undefined>;
  /**
   * Puts windows, by their first rows, side by side into the batch of a slot. Of padded ones `real` says
   * which rows, as `rows` count them, they are made of.
   */
  gather(rows: Uint32Array, slot: number, real?: readonly RealFrames[]): Promise<Frames>;
  /** Makes what was handed out of a slot unusable, so that a stale batch shows. */
  recycle(slot: number): void;
  /** Waits for what was gathered; rejects if the device refused any of it, or was lost. */
  settle(): Promise<unknown>;
  /** Gives everything back; a second time does nothing. */
  close(): Promise<void>;
}

export function windowElements({ table }: SidePlan): number {
  return table.windowRows * table.width;
}

export function batchBytes(plan: SidePlan): number {
  return plan.batchSize * windowElements(plan) * elementBytesOf(plan.dtype);
}

const WIDEN = { float32: undefined, float16: decodeFloat16, bfloat16: decodeBfloat16 };

function copyWindows(
  { table, dtype }: SidePlan,
  frames: FrameValues,
  rows: Uint32Array,
  batch: FrameValues,
  real?: readonly RealFrames[],
): void {
  const { width, padding } = table;
  const elements = table.windowRows * width;
  checkLength(frames, spanRows(table) * width, "frames in memory");
  const widen = dtype === "float32" ? WIDEN[table.held] : undefined;
  const copy = (from: FrameValues, to: FrameValues) => {
    if (widen) widen(from as Uint16Array, to as Float32Array);
    else to.set(from);
  };
  rows.forEach((row, slot) => {
    const target = batch.subarray(slot * elements, (slot + 1) * elements);
    const { first, frames: count, lead } = real?.[slot] ??
      { first: row, frames: table.windowRows, lead: 0 };
    const own = frames.subarray(first * width, (first + count) * width);
    copy(own, target.subarray(lead * width, (lead + count) * width));
    if (padding) padWindow(target, { frames: count, lead }, width, padding.mode);
  });
}

/** Typed arrays, gathered on the CPU. */
export class HostSide implements GatherSide<FrameValues> {
  readonly pools: number;
  readonly #plan: SidePlan;
  readonly #account: Account;
  readonly #slots: FrameValues[] = [];
  #tables: FrameValues[] = [];
  #current: number | undefined;
  #taken = 0;

  constructor(plan: SidePlan, account: Account) {
    this.#plan = plan;
    this.#account = account;
    this.pools = plan.whole ? 1 : 2;
  }

  static bytes(plan: SidePlan): SideBytes[] {
    const { slots, table, poolRows, whole } = plan;
    return [
      { what: `${slots} batches`, kind: "host", bytes: slots * batchBytes(plan) },
      whole
        ? { what: "all frames", kind: "host", bytes: keptInPlace(table) ? 0 : tableBytes(table) }
        : { what: "2 pools of frames", kind: "host", bytes: 2 * poolRows * rowBytes(table) },
    ];
  }

  async open(reader: FrameReader): Promise<void> {
    const { table, slots, batchSize, dtype, poolRows, whole } = this.#plan;
    for (const { what, bytes } of HostSide.bytes(this.#plan)) {
      this.#account.take("host", bytes, what);
      this.#taken += bytes;
    }
    for (let slot = 0; slot < slots; slot++) {
      this.#slots.push(createFrames(dtype, batchSize * windowElements(this.#plan)));
    }
    if (whole) this.#tables = [await readWhole(table, reader)];
    else this.#tables = [0, 1].map(() => createFrames(table.held, poolRows * table.width));
  }

  async fill({ runs }: Round, pool: number, reader: FrameReader): Promise<void> {
    if (!this.#plan.whole) await reader.fill(runs, this.#tables[pool]!);
  }

  turnTo(_: Round, pool: number): Promise<number | undefined> {
    const before = this.#current;
    this.#current = pool;
    return Promise.resolve(this.#plan.whole ? pool : before);
  }

  gather(
    rows: Uint32Array,
    slot: number,
    real?: readonly RealFrames[],
  ): Promise<FrameValues> {
    const batch = this.#slots[slot]!.subarray(0, rows.length * windowElements(this.#plan));
    copyWindows(this.#plan, this.#tables[this.#current!]!, rows, batch, real);
    return Promise.resolve(batch);
  }

  settle(): Promise<unknown> {
    return Promise.resolve();
  }

  recycle(slot: number): void {
    const { buffer } = this.#slots[slot]!;
    const { dtype } = this.#plan;
    if (buffer.byteLength === 0) {
      // it was transferred, to a worker perhaps, and stays there
      this.#slots[slot] = createFrames(dtype, this.#plan.batchSize * windowElements(this.#plan));
      return;
    }
    const moved = moveMemory(buffer as ArrayBuffer);
    this.#slots[slot] = dtype === "float32" ? new Float32Array(moved) : new Uint16Array(moved);
  }

  close(): Promise<void> {
    this.#account.giveBack("host", this.#taken);
    this.#taken = 0;
    this.#slots.length = 0;
    this.#tables = [];
    return Promise.resolve();
  }
}

/** The same memory under another name; the old one is detached. Clones of Deno are copies. */
function moveMemory(buffer: ArrayBuffer): ArrayBuffer {
  const { transfer } = buffer as ArrayBuffer & { transfer?: () => ArrayBuffer };
  return transfer ? transfer.call(buffer) : structuredClone(buffer, { transfer: [buffer] });
}

/** Whether the table lies in memory as it would be held. */
export function keptInPlace({ array, held }: FrameTable): boolean {
  return held === "float32" && array.values instanceof Float32Array;
}

export function tableBytes(table: FrameTable): number {
  return table.rows * rowBytes(table);
}

async function readWhole(table: FrameTable, reader: FrameReader): Promise<FrameValues> {
  if (keptInPlace(table)) return table.array.values as Float32Array;
  const frames = createFrames(table.held, table.rows * table.width);
  await reader.fill([wholeRun(table)], frames);
  return frames;
}

function wholeRun({ rows }: FrameTable): Run {
  return { row: 0, rows, at: 0 };
}

/** Bytes that a loop reads before its first batch, where the table is kept whole. */
export function beginningBytes(plan: SidePlan, framesIn: "host" | "device"): number {
  const { table } = plan;
  if (framesIn === "host" && keptInPlace(table)) return 0;
  const runs = framesIn === "host" ? [wholeRun(table)] : partRuns(plan, partsOf(plan));
  let bytes = 0;
  for (const run of runs) {
    for (const read of readsOf(table, [run])) bytes += bytesOfRead(table, read);
  }
  return bytes;
}

/** How a table that is kept whole is cut into buffers an adapter can bind. */
interface Parts {
  /** Rows of a part, and from the start of one to the next: windows at an end are in both. */
  rows: number;
  step: number;
  count: number;
}

function partsOf({ table, poolRows, whole, bindingBytes }: SidePlan): Parts {
  // two pools, of which one is being filled
  if (!whole) return { rows: poolRows, step: 0, count: 2 };
  const { rows } = table;
  const windowRows = spanRows(table);
  const some = Math.min(rows, wholeWords(table, Math.floor(bindingBytes / rowBytes(table))));
  const step = some - (windowRows - 1);
  return { rows: some, step, count: some >= rows ? 1 : Math.ceil((rows - windowRows + 1) / step) };
}

/** Rows of each part. */
function partRuns({ table }: SidePlan, { rows, step, count }: Parts): Run[] {
  return Array.from({ length: count }, (_, part) => {
    const row = part * step;
    return { row, rows: Math.min(rows, table.rows - row), at: 0 };
  });
}

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
