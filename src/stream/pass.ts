/**
 * A pass as data: what one sweep over tiles reads, computes, carries and writes. The scheduler runs
 * it without knowing what it means; models describe it without knowing how it is scheduled.
 *
 * @module
 */

import type { KernelSpec } from "../gpu/kernel.ts";
import { PARAMS_STRIDE } from "../gpu/kernel.ts";
import type { NumericArray } from "../types.ts";

/**
 * Rows [start, end) of each of some lanes, which one slot holds at a time. Without lanes, the recording
 * is the only one.
 */
export interface Tile {
  /** Counted from the lane's first row. A burn-in has rows before it, or past the lane's last. */
  start: number;
  end: number;
  firstLane: number;
  lanes: number;
  /** Whether these rows were written before and come again, corrected. */
  again?: boolean;
}

/** Rows of all lanes of a tile. */
export function tileSize({ start, end, lanes }: Tile): number {
  return (end - start) * lanes;
}

/** A buffer that lives as long as the plan and is shared by all slots. */
export interface SharedBuffer {
  name: string;
  bytes: number;
  kind: "storage" | "uniform";
  /** Filled with this before the first pass; zero otherwise. A function is called when it is its turn. */
  data?: ArrayBufferView | (() => ArrayBufferView);
  /** Whether nothing is ever put into it from outside. */
  scratch?: boolean;
  /** Whether checkpoints store it, as an optimizer's moments. What a pass carries is stored anyway. */
  kept?: boolean;
  /** The buffer in whose memory it lies: one that is at least as large, and not in use while this one is. */
  within?: string;
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

/**
 * One kernel over the rows of a tile. The scheduler may split them over several submits: in time order,
 * every lane at once, or in any order, counted through all lanes.
 */
export interface KernelStep {
  kernel: KernelSpec;
  /** Values of the kernel's `override` constants. */
  constants: Record<string, number>;
  /** Buffer of each binding whose buffer has another name. `params` is made by the scheduler. */
  buffers?: Record<string, string>;
  order: "ascending" | "descending" | "any";
  /** Contents of the uniform `params` for rows [from, to) of every lane, or of all lanes together. */
  params(tile: Tile, from: number, to: number): Uint32Array<ArrayBuffer>;
  /** Workgroups for so many rows. */
  workgroups(rows: number, tile: Tile): readonly number[];
}

/** A copy between buffers of the device, in tile order with the kernels. */
export interface CopyStep {
  copy: { from: string; to: string };
  /** Byte offsets and sizes for a tile. */
  ranges(tile: Tile): { fromOffset: number; toOffset: number; bytes: number }[];
}

/** A kernel that takes its turn on every row. */
export interface LoopKernel {
  kernel: KernelSpec;
  constants: Record<string, number>;
  /** As in {@link KernelStep}. */
  buffers?: Record<string, string>;
  /** Contents of the uniform `params` for a row of the tile, and for which repeat of its turn. */
  params(tile: Tile, row: number, repeat?: number): Uint32Array<ArrayBuffer>;
  workgroups(tile: Tile, row: number, repeat?: number): readonly number[];
}

/**
 * Kernels that take turns: all of them on a row of every lane, then all of them on the next; or on so many
 * rows at a time, a batch.
 */
export interface LoopStep {
  /** Of the whole, in submits and timings. */
  name: string;
  loop: readonly LoopKernel[];
  order: "ascending" | "descending";
  /** Rows of a turn, which {@link LoopKernel.params} gets the first of; 1 when not given. */
  turnRows?: number;
  /** Turns of a submit at most, for which kernels have room for their params; 64 when not given. */
  mostTurns?: number;
  /** How often every turn is taken, before the next one; kernels are told which time it is, from 0. 1 when not given. */
  repeats?: number;
}

export type Step = KernelStep | LoopStep | CopyStep;

/** A kernel of a pass, with the uniform it has to itself. */
export interface NamedKernel {
  kernel: KernelSpec;
  constants: Record<string, number>;
  /** Name and bytes of the uniform. */
  params: string;
  paramsBytes: number;
}

/** An array that goes from tile to tile on the host. */
export type HeldArray = Float32Array | Float64Array | Int32Array | Uint32Array;

/** Which sweep a tile is of, and what goes from tile to tile. */
export interface Turn {
  /** Of this pass, from 0. */
  sweep: number;
  /** The task's held arrays, by name. */
  held: Record<string, HeldArray>;
  signal: AbortSignal;
}

/** What writing a tile gets beside its downloads. */
export interface WriteTurn extends Turn {
  /** What {@link Pass.read} gave for the tile that is no upload. */
  beside: Record<string, ArrayBufferView>;
  /** Stores rows of an array of the output, the first of them row `start`. */
  store(name: string, start: number, values: NumericArray): Promise<void>;
}

/**
 * Held arrays to which a pass adds what rows are: a run adds up every section of the rows by itself, from zero, and
 * sections in their order, so that some of them can be another run's.
 */
export interface Sums {
  held: readonly string[];
  /** Rows that sections have a multiple of, as what the device adds up; 1 when not given. */
  blockRows?: number;
  /** How a section is put to those before it, of arrays that are no sums. All 0 is what no rows are. */
  merge?: Readonly<Record<string, (total: HeldArray, section: HeldArray) => void>>;
}

/** Sections that rows are added up by. */
export interface Sections extends Sums {
  /** Rows of each but the last. */
  rows: number;
}

/** One sweep over all tiles, or several, forward or backward. */
export interface Pass {
  name: string;
  direction: "forward" | "backward";
  /** Relative cost of a row, for progress alone. */
  cost: number;
  /** Rows of this pass, where they are not those of the recording; it then has no lanes. */
  rows?: number;
  /** First row of this pass, where a run does some of its rows alone; 0 when not given. */
  from?: number;
  sums?: Sums;
  /** Whether one part runs all of it, where parts share the rows of other passes. */
  alone?: boolean;
  /** Where {@link sums} are cut: made by the run. */
  sections?: Sections;
  /**
   * Tiles, and what a kernel gets of them at a time, are cut at multiples of so many rows alone: a batch is
   * never in two. Where passes of a task have several, the largest is a multiple of the others. 1 when not
   * given.
   */
  grain?: number;
  /** Asked when it is the pass's turn: whether there is anything to do. */
  needed?(): boolean;
  slotBuffers: readonly SlotBuffer[];
  steps: readonly Step[];
  /**
   * Asks `again` after every sweep over all tiles whether there is another; at most `most` in all. Such
   * a pass has no lanes.
   */
  sweeps?: { most: number; again(turn: Turn): boolean | Promise<boolean> };
  /**
   * Whether a run can go on at a row of a sweep: held arrays have all by then, and the device holds nothing
   * that later rows need but what is kept. Between sweeps it always can.
   */
  resumesAt?(row: number): boolean;
  /** Whether it leaves on the device what later passes need: a run that goes on after it does it again. */
  fillsDevice?: boolean;
  /** Contents of shared buffers, or of their first bytes, before every sweep. */
  tables?(): Record<string, ArrayBufferView>;
  /** The shared buffer whose contents go from tile to tile, and how many bytes of it each lane has. */
  carry?: { buffer: string; bytes: number };
  /**
   * A pass before this one, and the `upload` buffer that gets the carry it had where it came upon a tile: at
   * its first row, or after its last where it goes backward. Such a pass has no lanes.
   * Its carries are kept for that.
   */
  startsFrom?: { pass: string; upload: string };
  /** Host bytes that reading a tile takes beside what it gives, and writing one; at most. */
  hostBytes?: { read?: number; write?: number };
  /** Bytes of what {@link Pass.read} gives beside uploads, at most. */
  besideBytes?: number;
  /** Arrays of the output that it writes. */
  writes?: readonly string[];
  /**
   * Contents of every other `upload` buffer for a tile, and what {@link Pass.write} wants beside. Runs while
   * earlier tiles compute.
   */
  read(tile: Tile, turn: Turn): Promise<Record<string, ArrayBufferView>>;
  /**
   * Takes every `download` buffer of a tile, tiles in pass order. The memory is the
   * driver's and is gone when the promise resolves.
   */
  write(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
    turn: WriteTurn,
  ): void | Promise<void>;
}

/** Bytes the shader's uniform `params` may have. */
export const PARAMS_BYTES = 32;

/** The tiles that lie between ascending rows. */
export function tilesBetween(
  bounds: readonly number[],
  lanes: Omit<Tile, "start" | "end">,
): Tile[] {
  return bounds.slice(1).map((end, i) => ({ start: bounds[i]!, end, ...lanes }));
}

/** From, the multiples of `tileRows` and of `also` between, and to. */
export function cutRows(from: number, to: number, tileRows: number, also = Infinity): number[] {
  const multipleAfter = (row: number, step: number) =>
    step === Infinity ? Infinity : (Math.floor(row / step) + 1) * step;
  // an interrupted run may have left nothing but the end
  if (from === to) return [from];
  const cuts = [from];
  for (let row = from; row < to; cuts.push(row)) {
    row = Math.min(to, multipleAfter(row, tileRows), multipleAfter(row, also));
  }
  return cuts;
}

/** Most turns of a {@link LoopStep} in a submit. */
export const turnsOf = ({ mostTurns = 64 }: LoopStep): number => mostTurns;

/** Name of a step's work in submits and timings; copies take no time worth counting. */
export function workOf(step: Step): string | undefined {
  return "copy" in step ? undefined : "loop" in step ? step.name : step.kernel.name;
}

/** Steps with their kernels. */
export function namedSteps({ steps }: Pass): { step: Step; kernels: NamedKernel[] }[] {
  const uses = new Map<string, number>();
  const named = ({ kernel, constants }: KernelStep | LoopKernel, paramsBytes: number) => {
    const use = (uses.get(kernel.name) ?? 0) + 1;
    uses.set(kernel.name, use);
    const params = use === 1 ? kernel.name : `${kernel.name} ${use}`;
    return { kernel, constants, params, paramsBytes };
  };
  return steps.map((step) => ({
    step,
    kernels: "copy" in step
      ? []
      : "loop" in step
      ? step.loop.map((kernel) => named(kernel, turnsOf(step) * PARAMS_STRIDE))
      : [named(step, PARAMS_BYTES)],
  }));
}

/** The download of a slot that brings back the carry. */
export const CARRY_STAGING = "carry";

/**
 * Tiles that were begun to be read and are not written yet, at most: in uploads, at work, and in downloads.
 */
export const tilesAlive = (slots: number): number => 2 * slots + 1;
