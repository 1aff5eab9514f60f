/**
 * Checkpoints of a run: where it can go on, and from what. A line of the journal's log says which rows are
 * stored; a state beside it has the held arrays, the buffers that are kept, and what a pass carries.
 *
 * @module
 */

import type { Account } from "../gpu/ledger.ts";
import { Journal } from "../store/journal.ts";
import type { LaneReport, Stage } from "./lanes.ts";
import { endOf, startOf } from "./lanes.ts";
import type { StoredChunks } from "./output.ts";
import type { Held, HeldSpecs } from "./task.ts";
import { bytesOf, heldBytes, keptNames } from "./task.ts";

/** A line of the log. Rows are those of a lane. */
export interface Checkpoint {
  /** Name of the stage. */
  pass: string;
  sweep: number;
  /** Where the stage goes on. */
  row: number;
  /** Rows up to here, in the pass's direction, are stored for good. */
  storedTo: number;
  /** Chunks stored since the line before, by array. */
  chunks?: StoredChunks;
  /** What it took to put a lane right that had started wrong. */
  repair?: Repair;
  /** At the end of a pass: how its lanes fit together. */
  lanes?: LaneReport;
}

/** A lane that was run again: where it met what it had left, if it did, and what that took. */
export interface Repair {
  lane: number;
  metAt?: number;
  distance: number;
  redoneRows: number;
}

/** All that is needed to go on at a row. */
export interface State {
  /** Held arrays, one after the other. */
  held: Uint8Array;
  /** Buffers that are kept, one after the other. */
  kept: Uint8Array;
  /** Carries, lane after lane; empty where a pass has none. */
  carry: Uint8Array;
}

/** Time between two checkpoints that no pass asks for: milliseconds, and times what the last one took. */
export const checkpointPace = { everyMs: 2000, times: 20 };

/** The states and the log of one run. */
export class Checkpoints {
  readonly #journal: Journal;
  readonly #account: Account;
  readonly #heldBytes: number;
  readonly #keptBytes: number;
  /** Rows at which stages have a state that is whole, by their keys; read when first asked for. */
  readonly #rows = new Map<string, Set<number>>();
  /** Bytes of every state, by key and row, as counted. */
  readonly #counted = new Map<string, number>();
  #next = performance.now() + checkpointPace.everyMs;

  /** @param keptBytes Of the buffers that are kept. */
  constructor(journal: Journal, account: Account, specs: HeldSpecs, keptBytes: number) {
    this.#journal = journal;
    this.#account = account;
    this.#heldBytes = heldBytes(specs).kept;
    this.#keptBytes = keptBytes;
  }

  /** Whether it is time for one that no pass asks for. */
  get isDue(): boolean {
    return performance.now() >= this.#next;
  }

  /** Waits for as long as the pace says, after one that began at this time. */
  rest(began: number): void {
    const { everyMs, times } = checkpointPace;
    const ended = performance.now();
    this.#next = ended + Math.max(everyMs, times * (ended - began));
  }

  /** Adds a line to the log. When it resolves, the line outlasts a power cut. */
  async log(line: Checkpoint): Promise<void> {
    this.#account.take("disk", Journal.entryBytes(line), "journal");
    await this.#journal.append(line);
  }

  async save(stage: Stage, sweep: number, row: number, state: State): Promise<void> {
    const parts = [state.held, state.kept, state.carry];
    const bytes = Journal.stateBytes(parts.reduce((sum, part) => sum + part.byteLength, 0));
    const key = keyOf(stage, sweep);
    this.#account.take("host", bytes, "state on its way to the journal");
    this.#forget(key, row);
    this.#account.take("disk", bytes, "state");
    this.#counted.set(`${key} ${row}`, bytes);
    await this.#journal.saveState(key, row - stage.low, parts);
    this.#account.giveBack("host", bytes);
    (await this.rows(stage, sweep)).add(row);
  }

  /** The state at a row; `undefined` if it is missing, damaged, or another task's. */
  async load(stage: Stage, sweep: number, row: number): Promise<State | undefined> {
    const stored = await this.#journal.loadState(keyOf(stage, sweep), row - stage.low);
    const fixed = this.#heldBytes + this.#keptBytes;
    if (!stored || stored.byteLength < fixed) return undefined;
    // stores may hand out what they hold
    const bytes = stored.slice();
    return {
      held: bytes.subarray(0, this.#heldBytes),
      kept: bytes.subarray(this.#heldBytes, fixed),
      carry: bytes.subarray(fixed),
    };
  }

  async delete(stage: Stage, sweep: number, row: number): Promise<void> {
    const key = keyOf(stage, sweep);
    await this.#journal.deleteState(key, row - stage.low);
    (await this.rows(stage, sweep)).delete(row);
    this.#forget(key, row);
  }

  /** Rows at which a stage has a state. */
  async rows(stage: Stage, sweep = 0): Promise<Set<number>> {
    const key = keyOf(stage, sweep);
    let known = this.#rows.get(key);
    if (!known) {
      known = new Set((await this.#journal.stateRows(key)).map((row) => row + stage.low));
      this.#rows.set(key, known);
    }
    return known;
  }

  /** Says that what earlier runs left of these stages does not count. */
  disown(stages: readonly Stage[]): void {
    for (const stage of stages) this.#rows.set(keyOf(stage, 0), new Set());
  }

  #forget(key: string, row: number): void {
    const name = `${key} ${row}`;
    this.#account.giveBack("disk", this.#counted.get(name) ?? 0);
    this.#counted.delete(name);
  }
}

/** Where lines lead. */
export interface Start {
  /** Of the stages; as many as there are when all is done. */
  index: number;
  sweep: number;
  /** `undefined` at the start of a sweep. */
  row: number | undefined;
  state: State;
}

/** Finds where a run goes on: at the newest line whose state is whole, if all before it is there. */
export async function findStart(
  lines: readonly Checkpoint[],
  stages: readonly Stage[],
  checkpoints: Checkpoints,
): Promise<Start | undefined> {
  const start = await newestWhole(lines, stages, checkpoints);
  for (const stage of stages.slice(0, start?.index)) {
    // lanes are started from these again and again
    if (stage.kind === "burn-in" && !await checkpoints.load(stage, 0, endOf(stage))) {
      return undefined;
    }
  }
  return start;
}

async function newestWhole(
  lines: readonly Checkpoint[],
  stages: readonly Stage[],
  checkpoints: Checkpoints,
): Promise<Start | undefined> {
  const last = lines.at(-1);
  const index = stages.findIndex(({ name }) => name === last?.pass);
  const stage = stages[index];
  if (!last || !stage) return undefined;
  if (stage.kind === "repair") {
    // lanes are put right after their sweep, which held arrays do not see
    const sweep = stages[index - 1]!;
    const state = await checkpoints.load(sweep, 0, endOf(sweep));
    return state && { index: last.lanes ? index + 1 : index, sweep: 0, row: undefined, state };
  }
  const { pass } = stage;
  const forward = pass.direction === "forward";
  const reached = (row: number) => forward ? row <= last.storedTo : row >= last.storedTo;
  const own = lines.filter(({ pass, sweep, row }) =>
    pass === last.pass && sweep === last.sweep && reached(row)
  ).sort((a, b) => forward ? b.row - a.row : a.row - b.row);
  for (const { row, sweep } of own) {
    const state = await checkpoints.load(stage, sweep, row);
    if (!state) continue;
    if (row === endOf(stage)) return { index: index + 1, sweep: 0, row: undefined, state };
    return { index, sweep, row: row === startOf(stage) ? undefined : row, state };
  }
  // the sweep starts over, from the newest state before it: rows that it stored come again
  const first = lines.findIndex(({ pass, sweep }) => pass === last.pass && sweep === last.sweep);
  return await newestWhole(lines.slice(0, first), stages, checkpoints);
}

/** Bytes of what checkpoints have of held arrays, those that reading changes as they were for a tile. */
export function heldState(
  specs: HeldSpecs,
  held: Held,
  asRead: Record<string, ArrayBufferView> = {},
): Uint8Array {
  const bytes = new Uint8Array(heldBytes(specs).kept);
  let at = 0;
  for (const name of keptNames(specs)) {
    const own = bytesOf(asRead[name] ?? held[name]!);
    bytes.set(own, at);
    at += own.byteLength;
  }
  return bytes;
}

/** Takes held arrays from a state. */
export function restoreHeld(specs: HeldSpecs, held: Held, { held: bytes }: State): void {
  let at = 0;
  for (const name of keptNames(specs)) {
    const own = bytesOf(held[name]!);
    own.set(bytes.subarray(at, at + own.byteLength));
    at += own.byteLength;
  }
}

/** Folder of a stage's states. */
export function keyOf({ name }: Stage, sweep: number): string {
  return sweep === 0 ? name : `${name} ${sweep}`;
}
