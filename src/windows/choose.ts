/**
 * Chooses where frames are kept while batches are made, and counts the memory it takes.
 *
 * @module
 */

import type { WindowView } from "../array/window_view.ts";
import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatBytes } from "../math/format.ts";
import type { FrameTable, FrameType, HeldType } from "../feed/frame_table.ts";
import {
  eagerTable,
  elementBytesOf,
  FrameReader,
  lazyTable,
  readingBytes,
  rowBytes,
} from "../feed/frame_table.ts";
import { wholeWords } from "./frame_staging.ts";
import { DeviceSide } from "./device_side.ts";
import type { SideBytes, SidePlan } from "./gather_side.ts";
import { HostSide } from "./host_side.ts";
import { UploadSide } from "./upload_side.ts";
import { machineMemoryBytes } from "./machine_memory.ts";
import { batchRows, cuttingBytes } from "../feed/rounds.ts";

/** Where frames are kept while batches are made. */
export type FramesIn = "device" | "host" | "disk";

/** What has to be known to choose. */
export interface Wish {
  view: WindowView;
  gpu: Gpu | undefined;
  /** Bytes that are free. */
  budget: { gpu: number; host: number };
  batchSize: number;
  slots: number;
  dtype: FrameType;
  held: HeldType;
  /** Whether every order of windows is as likely as another, so that each batch needs all the table. */
  exact: boolean;
  eager: boolean | "auto";
  framesIn: FramesIn | undefined;
  /** Host bytes that are needed whatever is chosen. */
  others: SideBytes[];
}

export interface Choice {
  plan: SidePlan;
  framesIn: FramesIn;
  eager: boolean;
  memory: SideBytes[];
  /** Host bytes that neither side nor reader takes. */
  otherBytes: number;
  /** Why, in a sentence. */
  why: string;
}

/** Bytes that windows take when each is kept whole. */
export function eagerBytes({ view, held }: Pick<Wish, "view" | "held">): number {
  return view.shape.reduce((product, size) => product * size, elementBytesOf(held));
}

/**
 * @throws {RangeError} If what is asked for cannot be, whatever the budget.
 * @throws {BudgetError} If it does not fit the budget.
 */
export function choose(wish: Wish): Choice {
  checkWish(wish);
  const { view, gpu, budget, eager, exact, framesIn, held } = wish;
  const half = machineMemoryBytes() / 2;
  const kept = eagerBytes(wish);
  const places: FramesIn[] = framesIn ? [framesIn] : gpu ? ["device", "host"] : ["host"];
  if (eager !== false) {
    const table = eagerTable(view, held);
    const fitting = places.filter((place) => place !== "disk")
      .map((place) => candidate(wish, table, place, table.rows))
      .find((found) => fits(found.memory, budget) && (eager === true || kept <= half));
    if (fitting) {
      const why = `${formatBytes(kept)} of windows fit` + (eager === true ? "" : " half of memory");
      return { ...fitting, eager: true, why };
    }
    if (eager === true) {
      const place = places[0]!;
      throw overBudget(wish, [candidate(wish, table, place, table.rows).memory]);
    }
  }
  const lazy = lazyTable(view, held);
  const note = eager === "auto" ? `${formatBytes(kept)} of windows would not fit; ` : "";
  const whole = (place: FramesIn) => candidate(wish, lazy, place, lazy.rows);
  const onDisk = () => paged(wish, lazy);
  const chosen = (found: Omit<Choice, "why" | "eager">, why: string): Choice => ({
    ...found,
    eager: false,
    why: note + why,
  });
  if (framesIn) {
    const found = framesIn === "disk" ? onDisk() : whole(framesIn);
    if (!fits(found.memory, budget)) throw overBudget(wish, [found.memory]);
    return chosen(found, "as asked for");
  }
  const size = formatBytes(lazy.rows * rowBytes(lazy));
  const found = whole("host");
  // without a gpu the budget is half of memory already, unless told
  const most = gpu ? Math.min(budget.host, half) : budget.host;
  const hostFits = fits(found.memory, { gpu: budget.gpu, host: most });
  if (gpu) {
    // 50 ms a batch of 256 x 30 x 287 where the kernel runs on the CPU, a sixth of it on the host
    if (hostFits && gpu.adapter.software && held !== wish.dtype) {
      return chosen(found, "the host widens halves faster than a software adapter");
    }
    const device = whole("device");
    if (fits(device.memory, budget)) return chosen(device, `${size} of frames fit the budget`);
  }
  const beyond = gpu ? `${size} of frames do not fit the device's budget` : "";
  const inMemory = lazy.array.values !== undefined;
  if (hostFits && (!gpu || exact || inMemory)) {
    return chosen(found, gpu ? `${beyond}, they do memory` : `${size} of frames fit`);
  }
  const disk = onDisk();
  if (!fits(disk.memory, budget)) throw overBudget(wish, [disk.memory, found.memory]);
  const why = gpu ? beyond : `${size} of frames do not fit the budget`;
  return chosen(disk, hostFits ? `${why}, and this order reads them about once` : why);
}

/** With frames on disk, and the largest pool the budget allows. */
export function paged(wish: Wish, table: FrameTable): Omit<Choice, "why" | "eager"> {
  const { gpu, budget, batchSize } = wish;
  const least = batchRows(table, batchSize);
  const kind = gpu ? "gpu" : "host";
  const needed = totalOf(candidate(wish, table, "disk", least).memory)[kind];
  // a pool, beside it one of the same size that is being filled, and on the host where rounds end
  const bytes = 2 * rowBytes(table) + (gpu ? 0 : 8);
  const more = Math.floor((budget[kind] - needed) / bytes);
  const bound = gpu ? Math.floor(bindingBytes(gpu) / rowBytes(table)) : Infinity;
  const rows = wholeWords(table, Math.min(table.rows, bound, least + Math.max(0, more)));
  return candidate(wish, table, "disk", Math.max(least, rows));
}

/**
 * Rows of a staging buffer: a fraction of what it is for, so that it matters little in a budget. It does
 * not depend on the budget, or the smallest that is told would not do.
 */
function stagingRows(table: FrameTable, batch: number): number {
  const bytes = Math.min(4 * 2 ** 20, Math.max(batch / 4, table.rows * rowBytes(table) / 64));
  const rows = wholeWords(table, Math.floor(bytes / rowBytes(table)));
  return Math.max(rows, Math.min(table.rows, 2));
}

/** Bytes of a buffer that kernels may read. */
function bindingBytes({ device }: Gpu): number {
  return Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
}

function candidate(wish: Wish, table: FrameTable, framesIn: FramesIn, poolRows: number) {
  const { gpu, batchSize, slots, dtype } = wish;
  const plan: SidePlan = {
    table,
    batchSize,
    slots,
    dtype,
    poolRows,
    whole: framesIn !== "disk",
    bindingBytes: gpu ? bindingBytes(gpu) : Infinity,
    stagingRows: stagingRows(table, batchSize * table.windowRows * rowBytes(table)),
  };
  const side = !gpu
    ? HostSide.bytes(plan)
    : framesIn === "host"
    ? UploadSide.bytes(plan)
    : DeviceSide.bytes(plan);
  const others: SideBytes[] = [
    { what: "reads under way", kind: "host", bytes: readingBytes(table) },
    {
      what: "checksums of frames, and where rounds end",
      kind: "host",
      bytes: framesIn === "disk"
        ? FrameReader.markBytes(table) + cuttingBytes(table, batchSize, poolRows)
        : 0,
    },
    ...wish.others,
  ];
  return { plan, framesIn, memory: [...side, ...others], otherBytes: totalOf(others).host };
}

/** Bytes by kind. */
export function totalOf(memory: readonly SideBytes[]): { gpu: number; host: number } {
  const total = { gpu: 0, host: 0 };
  for (const { kind, bytes } of memory) total[kind] += bytes;
  return total;
}

function fits(memory: readonly SideBytes[], budget: { gpu: number; host: number }): boolean {
  const total = totalOf(memory);
  return total.gpu <= budget.gpu && total.host <= budget.host;
}

function overBudget(
  { gpu, budget, batchSize }: Wish,
  ways: readonly (readonly SideBytes[])[],
): BudgetError {
  // the way that asks for least
  const totals = ways.map(totalOf);
  const least = gpu ? "gpu" : "host";
  const total = totals.reduce((a, b) => b[least] < a[least] ? b : a);
  const kind = total.gpu > budget.gpu ? "gpu" : "host";
  return new BudgetError(
    `Cannot make batches of ${batchSize} windows: they need ${formatBytes(total[kind])} ` +
      `(${total[kind]} B) of ${kind} memory, ${formatBytes(budget[kind])} (${
        budget[kind]
      } B) are ` +
      "free",
    {
      projectedBytes: total[kind],
      budgetBytes: budget[kind],
      smallestBudgetBytes: total[kind],
    },
  );
}

function checkWish(wish: Wish): void {
  const { view, gpu, batchSize, dtype, held, eager, framesIn } = wish;
  const refuse = (reason: string) => {
    throw new RangeError(`Cannot make batches: ${reason}`);
  };
  if (framesIn === "device" && !gpu) refuse("frames on the device want a GPU, none was given");
  if (framesIn === "disk" && eager === true) {
    refuse("windows made beforehand are not kept on disk, wanted framesIn device or host");
  }
  if (dtype === "float16" && held !== "float16") {
    refuse(`batches of float16 want frames held as float16, they are held as ${held}`);
  }
  if (!gpu) return;
  const elements = view.shape.slice(1).reduce((product, size) => product * size, 1);
  if (dtype === "float16" && elements % 2 === 1) {
    refuse(`a window has ${elements} elements, float16 on the device wants an even number`);
  }
  const windowBytes = elements * elementBytesOf(dtype);
  const most = Math.floor(bindingBytes(gpu) / windowBytes);
  if (batchSize > most) {
    refuse(
      `${batchSize} windows of ${formatBytes(windowBytes)} are one buffer, the adapter binds ` +
        `${formatBytes(bindingBytes(gpu))}: at most ${most} windows`,
    );
  }
}
