/**
 * Windows gathered on the CPU into typed arrays.
 *
 * @module
 */

import type { RealFrames } from "../array/window_reading.ts";
import { padWindow } from "../array/window_reading.ts";
import type { Account } from "../gpu/ledger.ts";
import { decodeBfloat16 } from "../math/bfloat16.ts";
import { decodeFloat16 } from "../math/half.ts";
import type { FrameReader, FrameValues } from "../feed/frame_table.ts";
import { checkLength, createFrames, rowBytes, spanRows } from "../feed/frame_table.ts";
import type { Round } from "../feed/rounds.ts";
import type { GatherSide, SideBytes, SidePlan } from "./gather_side.ts";
import { batchBytes, windowElements } from "./gather_side.ts";
import { keptInPlace, readWhole, tableBytes } from "./whole_table.ts";

const WIDEN = { float32: undefined, float16: decodeFloat16, bfloat16: decodeBfloat16 };

/** Puts windows of a table that is in memory side by side, as they are handed out. */
export function copyWindows(
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
