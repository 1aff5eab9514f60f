/**
 * What makes batches of windows where they are wanted: on the host, on the device, or on the host for the device.
 *
 * @module
 */

import type { RealFrames } from "../array/window_reading.ts";
import type { FrameReader, FrameTable, FrameType } from "../feed/frame_table.ts";
import { elementBytesOf } from "../feed/frame_table.ts";
import type { Round } from "../feed/rounds.ts";

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
