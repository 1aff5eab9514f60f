/**
 * Frames that are kept whole: read once, and cut where an adapter cannot bind all of them.
 *
 * @module
 */

import type { FrameReader, FrameTable, FrameValues, Run } from "../feed/frame_table.ts";
import { bytesOfRead, createFrames, readsOf, rowBytes, spanRows } from "../feed/frame_table.ts";
import { wholeWords } from "./frame_staging.ts";
import type { SidePlan } from "./gather_side.ts";

/** Whether the table lies in memory as it would be held. */
export function keptInPlace({ array, held }: FrameTable): boolean {
  return held === "float32" && array.values instanceof Float32Array;
}

export function tableBytes(table: FrameTable): number {
  return table.rows * rowBytes(table);
}

/** All frames, as they are held. */
export async function readWhole(table: FrameTable, reader: FrameReader): Promise<FrameValues> {
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
export interface Parts {
  /** Rows of a part, and from the start of one to the next: windows at an end are in both. */
  rows: number;
  step: number;
  count: number;
}

export function partsOf({ table, poolRows, whole, bindingBytes }: SidePlan): Parts {
  // two pools, of which one is being filled
  if (!whole) return { rows: poolRows, step: 0, count: 2 };
  const { rows } = table;
  const windowRows = spanRows(table);
  const some = Math.min(rows, wholeWords(table, Math.floor(bindingBytes / rowBytes(table))));
  const step = some - (windowRows - 1);
  return { rows: some, step, count: some >= rows ? 1 : Math.ceil((rows - windowRows + 1) / step) };
}

/** Rows of each part. */
export function partRuns({ table }: SidePlan, { rows, step, count }: Parts): Run[] {
  return Array.from({ length: count }, (_, part) => {
    const row = part * step;
    return { row, rows: Math.min(rows, table.rows - row), at: 0 };
  });
}
