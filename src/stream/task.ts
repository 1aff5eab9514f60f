/**
 * A task: what a model hands over to be run. It says what it reads, holds, computes and stores, as data
 * and functions; the run alone knows journal, ledger, store, lock and clock.
 *
 * @module
 */

import type { MemoryBytes } from "../types.ts";
import type { LaneReport, Lanes } from "./lanes.ts";
import type { Outcome, OutputSpec, Stored } from "./output.ts";
import type { Pass, SharedBuffer } from "./pass.ts";
import type { StageSeconds } from "./schedule.ts";

const HELD_TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint32: Uint32Array,
} as const;

/** An array that goes from tile to tile on the host. The run makes it, counts it, keeps and restores it. */
export interface HeldSpec<Type extends keyof typeof HELD_TYPES = keyof typeof HELD_TYPES> {
  dtype: Type;
  length: number;
  /**
   * `kept` is stored in checkpoints, `scratch` is not: what a sweep sums up and the next one begins
   * anew, where checkpoints fall between sweeps alone. Default `kept`.
   */
  role?: "kept" | "scratch";
  /** Whether {@link Pass.read} changes it, which runs ahead of what is written. */
  changedByRead?: boolean;
  /** The last pass that needs it: parts after that are not handed it. */
  until?: string;
}

export type HeldSpecs = Record<string, HeldSpec>;

/** The arrays of a declaration, by its names. */
export type Held<Specs extends HeldSpecs = HeldSpecs> = {
  [Name in keyof Specs]: InstanceType<(typeof HELD_TYPES)[Specs[Name]["dtype"]]>;
};

/** Something that a task reads. */
export interface Feed {
  /** Where it is read from, as far as that is known: no result may take that place. */
  readonly places: readonly string[] | undefined;
  /**
   * Looks at all there is to read, before anything is written. Gives its SHA-256, in hexadecimal digits, if
   * `digest` asks for it.
   *
   * @param options.known What an earlier look at the same gave as `told`: it is not looked at again.
   * @throws {RangeError} If what is there cannot be worked with.
   */
  look(
    options: { digest: boolean; signal: AbortSignal; known?: unknown },
  ): Promise<{ digest?: string | undefined; told?: unknown }>;
}

/** A line of the memory table: host bytes that are there all the while, by what they are. */
export interface HostItem {
  what: string;
  bytes: number;
}

/** Buffers and passes of a task for tiles of a number of rows. */
export interface TaskLayout {
  /** Rows of the recording. */
  rows: number;
  shared: readonly SharedBuffer[];
  passes: readonly Pass[];
  /** What the task has in the host's memory beside what it declares as held: tables, lists. */
  tables?: readonly HostItem[];
  /** Stretches of the recording that are advanced side by side; one when not given. */
  lanes?: Lanes;
  /** Lines for people: what was chosen, and why. */
  notes?: readonly string[];
  /** Tiles of a whole number of these waste nothing when a run is resumed. */
  alignRows?: number;
  /** Rows of the largest tile that is worth its memory; 4096 when not given. */
  mostTileRows?: number;
}

/** What {@link Task.begin} is told. */
export interface Beginning {
  /** Whether held arrays are those of a checkpoint; they are 0 otherwise. */
  restored: boolean;
  signal: AbortSignal;
}

/** What decides a result: anything JSON can hold, and arrays. */
export interface Identity {
  facts: unknown;
  arrays?: readonly ArrayBufferView[];
}

/** A model's part of a run. */
export interface Task<Specs extends HeldSpecs, Result> {
  /** Of the plan, in tables, errors and progress. */
  readonly name: string;
  /** Beside what feeds read. When not given, the output's attributes and shapes. */
  readonly identity?: Identity;
  readonly feeds: readonly Feed[];
  readonly held: Specs;
  readonly output: OutputSpec;
  /** Costs nothing and touches nothing. */
  layout(tileRows: number): TaskLayout;
  /** The same task with the choices that an output was begun with, where some were not the caller's. */
  adopt?(attributes: Record<string, unknown>): Task<Specs, Result> | undefined;
  /** Gives held arrays their first values, or takes up those of a checkpoint. */
  begin?(held: Held<Specs>, beginning: Beginning): void | Promise<void>;
  /** Once all passes are done. */
  finish(held: Held<Specs>, report: { lanes?: LaneReport }): Outcome;
  /**
   * What callers get, of a result that was just stored or is found. When not given, the arrays that are
   * written at the end, by their names.
   */
  result?(stored: Stored, measured: Measured): Result | Promise<Result>;
}

/** Where a run went on that had been interrupted. */
export interface Resumption {
  pass: string;
  /** First row of every lane, in the pass's direction, that was not stored. */
  row: number;
  /** Sweeps of the pass that were complete, where it has several. */
  sweeps?: number;
  /** The file that was damaged or missing, when stored work had to be done again for that. */
  damaged?: string;
}

/** What a result says of the run that made it. */
export interface Measured {
  /** Promised and measured bytes; 0 when nothing had to be computed. */
  projectedBytes: MemoryBytes;
  peakBytes: MemoryBytes;
  /** Seconds by stage, `<pass>.<stage>`, and `total`; empty when nothing had to be computed. */
  seconds: Record<string, number>;
  /** Where it went on, if an earlier run of the same plan was interrupted. */
  resumed?: Resumption;
}

/** What is said of a result that was found. */
export function unmeasured(): Measured {
  const nothing = () => ({ gpu: 0, host: 0, disk: 0 });
  return { projectedBytes: nothing(), peakBytes: nothing(), seconds: {} };
}

export function secondsOf(
  passes: Record<string, StageSeconds>,
  total: number,
): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const [pass, stages] of Object.entries(passes)) {
    for (const [stage, value] of Object.entries(stages)) seconds[`${pass}.${stage}`] = value;
  }
  return { ...seconds, total };
}

/** Bytes of held arrays: all of them, those of a checkpoint, and those that reading copies. */
export function heldBytes(specs: HeldSpecs): { all: number; kept: number; copied: number } {
  const sum = (wanted: (spec: HeldSpec) => boolean) =>
    Object.values(specs).reduce(
      (bytes, spec) =>
        bytes + (wanted(spec) ? spec.length * HELD_TYPES[spec.dtype].BYTES_PER_ELEMENT : 0),
      0,
    );
  return {
    all: sum(() => true),
    kept: sum(({ role }) => role !== "scratch"),
    copied: sum(({ changedByRead }) => changedByRead === true),
  };
}

export function createHeld<Specs extends HeldSpecs>(specs: Specs): Held<Specs> {
  const arrays = Object.entries(specs).map(([name, { dtype, length }]) => [
    name,
    new HELD_TYPES[dtype](length),
  ]);
  return Object.fromEntries(arrays);
}

/** Names of what checkpoints store, in their order. */
export function keptNames(specs: HeldSpecs): string[] {
  return Object.keys(specs).filter((name) => specs[name]!.role !== "scratch");
}

/** Bytes of an array, without copying. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
