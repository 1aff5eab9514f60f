/**
 * When a run keeps what it has: after tiles that ask for it, and now and then between and within sweeps.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import type { PlanBuffers } from "./buffers.ts";
import { keepsJournal, keptBuffers } from "./buffers.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { heldState } from "./checkpoints.ts";
import type { Stage } from "./lanes.ts";
import { boundaryOf, burnInOf, endOf, MEETING_ROWS, startOf } from "./lanes.ts";
import type { Output } from "./output.ts";
import type { Pass, Tile } from "./pass.ts";
import type { OnSection } from "./sections.ts";
import type { Held, HeldSpecs, Task, TaskLayout } from "./task.ts";
import { heldBytes } from "./task.ts";

/** What a run works with, once its buffers are there. */
export interface RunParts<Specs extends HeldSpecs = HeldSpecs> {
  gpu: Gpu;
  task: Task<Specs, unknown>;
  output: Output;
  signal: AbortSignal;
  layout: TaskLayout;
  stages: readonly Stage[];
  account: Account;
  buffers: PlanBuffers;
  held: Held<Specs>;
  checkpoints: Checkpoints;
  /** Gets what each section of rows came to, in place of the sum of all. */
  onSection?: OnSection | undefined;
  /** Names of the stages that the run does, where others are another run's. */
  only?: readonly string[] | undefined;
}

/** A stage, and the row of every lane up to which it is stored; neither while nothing is. */
export interface Position {
  pass?: string;
  row?: number;
}

/** Where a state belongs. */
interface Place {
  stage: Stage;
  sweep: number;
  row: number;
}

export const NOTHING = new Uint8Array(0);

/** Whether another pass starts from what one carries. */
export function startsOthers({ passes }: TaskLayout, { name }: Pass): boolean {
  return passes.some(({ startsFrom }) => startsFrom?.pass === name);
}

/** Decides on checkpoints and takes them. */
export class Keeping<Specs extends HeldSpecs> {
  readonly #parts: RunParts<Specs>;
  /** Hears of how far all is stored. */
  readonly #onStored: (position: Position) => void;
  /** States that only serve to go on, in the order they were saved. */
  readonly #passing: Place[] = [];
  /** Held arrays that reading changes, as they were when a tile had been read. */
  readonly #asRead = new Map<Tile, Record<string, ArrayBufferView>>();

  /** @param resumed Where the run goes on, if it does. */
  constructor(
    parts: RunParts<Specs>,
    onStored: (position: Position) => void,
    resumed: { index: number; sweep: number; row: number | undefined } | undefined,
  ) {
    this.#parts = parts;
    this.#onStored = onStored;
    const stage = resumed && parts.stages[resumed.index];
    const { sweep, row } = resumed ?? {};
    if (stage && row !== undefined && !this.serves(stage, row)) {
      this.#passing.push({ stage, sweep: sweep!, row });
    }
  }

  /** Whether there is anything to go on from, should the run be interrupted. */
  get #isKept(): boolean {
    return keepsJournal(this.#parts.task.output.place, this.#parts.layout);
  }

  /** Whether a checkpoint after a tile is worth its time. */
  wants(stage: Stage, tile: Tile): boolean {
    const { pass } = stage;
    if (!this.#isKept) return false;
    if (pass.carry) return true;
    const row = boundaryOf(pass, tile);
    return row !== endOf(stage) && pass.resumesAt?.(row) === true && this.#parts.checkpoints.isDue;
  }

  /** Makes a finished tile safe: from here on it is never computed again. */
  async after(
    stage: Stage,
    sweep: number,
    tile: Tile,
    { carry = NOTHING, kept }: { carry: Uint8Array | undefined; kept: Uint8Array | undefined },
  ): Promise<void> {
    if (!this.wants(stage, tile)) return;
    // what the device keeps comes with a tile that was known to want it
    if (keptBuffers(this.#parts.layout).length > 0 && !kept) return;
    const { task, output, held, checkpoints } = this.#parts;
    const began = performance.now();
    const { pass } = stage;
    const forward = pass.direction === "forward";
    const row = boundaryOf(pass, tile);
    const { storedTo, chunks } = stage.kind === "sweep"
      ? await output.commit(tile, forward)
      : { storedTo: row, chunks: {} };
    const isUsable = (place: Place) =>
      place.stage === stage && place.sweep === sweep &&
      (forward ? place.row <= storedTo : place.row >= storedTo);
    // one that waits for its rows to be stored is enough, where none is asked for
    const waits = this.#passing.some((place) => place.stage === stage && !isUsable(place));
    if (pass.carry || !waits) {
      const state = heldState(task.held, held, this.#asRead.get(tile));
      await checkpoints.save(stage, sweep, row, { held: state, kept: kept ?? NOTHING, carry });
      if (!this.serves(stage, row)) this.#passing.push({ stage, sweep, row });
    }
    const told = Object.keys(chunks).length > 0 ? { chunks } : {};
    await checkpoints.log({ pass: stage.name, sweep, row, storedTo, ...told });
    this.#onStored({ pass: stage.name, row: storedTo });
    await this.#forgetBefore(this.#passing.findLastIndex(isUsable));
    checkpoints.rest(began);
  }

  /** Keeps what the next sweep or stage begins with, unless that was done a moment ago. */
  async between(stage: Stage, sweep: number): Promise<void> {
    if (!this.#isKept || stage.pass.carry || !this.#parts.checkpoints.isDue) return;
    const { task, gpu, held, output, checkpoints, buffers } = this.#parts;
    const began = performance.now();
    const row = startOf(stage);
    // what the passes before stored since their last line would come no more
    const { isWhole, chunks } = await output.settle();
    const told = Object.keys(chunks).length > 0 ? { chunks } : {};
    // rows of a chunk that is still filling come again: it is gone on with before them
    const storedTo = isWhole ? row : stage.pass.direction === "forward" ? row - 1 : row + 1;
    const kept = await buffers.readKept(gpu);
    const state = heldState(task.held, held);
    await checkpoints.save(stage, sweep, row, { held: state, kept, carry: NOTHING });
    await checkpoints.log({ pass: stage.name, sweep, row, storedTo, ...told });
    this.#onStored({ pass: stage.name, row });
    this.#passing.push({ stage, sweep, row });
    await this.#forgetBefore(this.#passing.length - 1);
    checkpoints.rest(began);
  }

  /** Removes states that were saved before one that serves as well. */
  async #forgetBefore(index: number): Promise<void> {
    for (const { stage, sweep, row } of this.#passing.splice(0, Math.max(0, index))) {
      await this.#parts.checkpoints.delete(stage, sweep, row);
    }
  }

  /** Whether a state serves more than to go on after an interruption. */
  serves(stage: Stage, row: number): boolean {
    // who starts the next stage over begins with it
    if (row === endOf(stage)) return true;
    if (stage.kind === "burn-in") return false;
    const { layout } = this.#parts;
    return startsOthers(layout, stage.pass) ||
      (burnInOf(layout, stage.pass) !== undefined && row % MEETING_ROWS === 0);
  }

  copyAsRead(tile: Tile): void {
    const { task: { held: specs }, held, account } = this.#parts;
    const { copied } = heldBytes(specs);
    if (copied === 0 || !this.#isKept) return;
    account.take("host", copied, "held arrays as they were read");
    const names = Object.keys(specs).filter((name) => specs[name]!.changedByRead);
    this.#asRead.set(
      tile,
      Object.fromEntries(names.map((name) => [name, held[name]!.slice()])),
    );
  }

  forgetAsRead(tile: Tile): void {
    if (!this.#asRead.delete(tile)) return;
    this.#parts.account.giveBack("host", heldBytes(this.#parts.task.held).copied);
  }
}
