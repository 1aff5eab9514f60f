/**
 * A pass as data: what one sweep over tiles reads, computes, carries and writes. The scheduler runs
 * it without knowing what it means; models describe it without knowing how it is scheduled.
 *
 * @module
 */

import type { KernelSpec } from "../gpu/kernel.ts";

/** A run of rows that one slot holds at a time. */
export interface Tile {
  /** First row, and one past the last. */
  start: number;
  end: number;
}

/** A buffer that lives as long as the plan and is shared by all slots. */
export interface SharedBuffer {
  name: string;
  bytes: number;
  kind: "storage" | "uniform";
  /** Filled with this before the first pass; zero otherwise. */
  data?: ArrayBufferView;
  /** Whether nothing is ever put into it from outside. */
  scratch?: boolean;
}

/** A buffer of which every slot has its own. */
export interface SlotBuffer {
  name: string;
  bytes: number;
  /**
   * `scratch` stays on the device. `upload` is filled by {@link Pass.read} and `download` handed to
   * {@link Pass.write}: both have a staging buffer of the same size beside them.
   */
  role: "scratch" | "upload" | "download";
}

/** One kernel over the rows of a tile. The scheduler may split the rows over several submits. */
export interface KernelStep {
  kernel: KernelSpec;
  /** Values of the kernel's `override` constants. */
  constants: Record<string, number>;
  /** Buffer of each binding whose buffer has another name. `params` is made by the scheduler. */
  buffers?: Record<string, string>;
  /** Order in which rows must be done when they are split. */
  order: "ascending" | "descending";
  /** Contents of the uniform `params` for rows [from, to) of the tile. */
  params(tile: Tile, from: number, to: number): Uint32Array<ArrayBuffer>;
  /** Workgroups for so many rows. */
  workgroups(rows: number): readonly number[];
}

/** A copy between buffers of the device, in tile order with the kernels. */
export interface CopyStep {
  copy: { from: string; to: string };
  /** Byte offsets and size for a tile. */
  range(tile: Tile): { fromOffset: number; toOffset: number; bytes: number };
}

export type Step = KernelStep | CopyStep;

/** One sweep over all tiles, forward or backward. */
export interface Pass {
  name: string;
  direction: "forward" | "backward";
  /** Relative cost of a row, for progress alone. */
  cost: number;
  slotBuffers: readonly SlotBuffer[];
  steps: readonly Step[];
  /** Asks `again` after every sweep over all tiles whether there is another; at most `most` in all. */
  sweeps?: { most: number; again(): boolean | Promise<boolean> };
  /** Contents of shared buffers, or of their first bytes, before every sweep. */
  tables?(): Record<string, ArrayBufferView>;
  /** The shared buffer whose contents go from tile to tile, and the bytes of it that matter. */
  carry?: { buffer: string; bytes: number };
  /**
   * A pass before this one, and the `upload` buffer that gets the carry it had at a tile's first row.
   * Its carries are kept for that.
   */
  startsFrom?: { pass: string; upload: string };
  /** Contents of every other `upload` buffer for a tile. Runs while earlier tiles compute. */
  read(tile: Tile, signal: AbortSignal): Promise<Record<string, ArrayBufferView>>;
  /**
   * Takes every `download` buffer of a tile, tiles in pass order. The memory is the
   * driver's and is gone when the promise resolves.
   */
  write(tile: Tile, downloads: Record<string, ArrayBuffer>, signal: AbortSignal): Promise<void>;
}

/** Bytes the shader's uniform `params` may have. */
export const PARAMS_BYTES = 16;

/** The tiles that lie between ascending rows. */
export function tilesBetween(bounds: readonly number[]): Tile[] {
  return bounds.slice(1).map((end, i) => ({ start: bounds[i]!, end }));
}

/** From, the multiples of `tileRows` between, and to; one row alone when there are none between. */
export function cutRows(from: number, to: number, tileRows: number): number[] {
  // an interrupted run may have left nothing but the end
  if (from === to) return [from];
  const cuts = [from];
  for (let row = (Math.floor(from / tileRows) + 1) * tileRows; row < to; row += tileRows) {
    cuts.push(row);
  }
  return [...cuts, to];
}

export function isKernelStep(step: Step): step is KernelStep {
  return "kernel" in step;
}
