/**
 * One attempt at running a task: what is left of an earlier one, buffers, stages, checkpoints.
 *
 * @module
 */

import { GpuError, QuotaError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import { formatBytes } from "../math/format.ts";
import { unlessAborted } from "../turns.ts";
import type { Claim, Journal } from "../store/journal.ts";
import { openStore } from "../store/open_store.ts";
import type { PlanBuffers } from "./buffers.ts";
import { allocate, fillTables, grainOf, keptBuffers, projectBytes } from "./buffers.ts";
import type { Checkpoint, Start, State } from "./checkpoints.ts";
import { Checkpoints, findStart, restoreHeld } from "./checkpoints.ts";
import type { RunOptions } from "./choices.ts";
import type { Position, RunParts } from "./keeping.ts";
import { Keeping, NOTHING } from "./keeping.ts";
import { sumReports } from "./lane_repair.ts";
import type { Stage } from "./lanes.ts";
import { endOf, stagesOf, startOf } from "./lanes.ts";
import type { Output, Stored, StoredChunks } from "./output.ts";
import { namedSteps } from "./pass.ts";
import type { OnSection } from "./sections.ts";
import { StageRun } from "./stage_run.ts";
import type { Held, HeldSpecs, Measured, Resumption, Task, TaskLayout } from "./task.ts";
import { createHeld, heldBytes, secondsOf } from "./task.ts";

/** What an attempt works with. */
export interface Attempt<Specs extends HeldSpecs, Result> {
  gpu: Gpu;
  task: Task<Specs, Result>;
  output: Output;
  journal: Journal;
  signal: AbortSignal;
  options: RunOptions;
  /** When `run()` was called. */
  began: number;
  /** Up to where all is stored, as far as attempts before this one know. */
  position: Position;
  /** As in {@link RunParts}. */
  onSection?: OnSection;
  only?: readonly string[];
}

/** One attempt at running a task. */
export class TaskRun<Specs extends HeldSpecs, Result> {
  readonly #attempt: Attempt<Specs, Result>;
  #tileRows = 0;
  #layout!: TaskLayout;
  #stages!: readonly Stage[];
  #account!: Account;
  #buffers!: PlanBuffers;
  position: Position;

  constructor(attempt: Attempt<Specs, Result>) {
    this.#attempt = attempt;
    this.position = attempt.position;
  }

  /** @param fresh Whether nothing that is there counts. */
  async run(
    { tileRows, slots, claim, adapter, fresh }: {
      tileRows: number;
      slots: number;
      claim: Claim;
      adapter: string;
      fresh: boolean;
    },
  ): Promise<{ stored: Stored; measured: Measured }> {
    const { gpu, task, output, journal, signal, options, began } = this.#attempt;
    const saved = fresh ? { lines: [] } : await this.#savedLines();
    let begun = false;
    try {
      await this.#allocate(tileRows, slots, saved.lines.length > 0);
      signal.throwIfAborted();
      const stages = stagesOf(this.#layout);
      const checkpoints = new Checkpoints(
        journal,
        this.#account,
        task.held,
        keptBuffers(this.#layout).reduce((sum, { bytes }) => sum + bytes, 0),
      );
      const found = await findStart(saved.lines, stages, checkpoints);
      const lines = found ? saved.lines : [];
      const start: Start = found ?? { index: 0, sweep: 0, row: undefined, state: NO_STATE };
      const resumed = found && resumption(found, stages, saved.damaged);
      if (resumed) this.position = { pass: resumed.pass, row: resumed.row };
      else checkpoints.disown(stages);
      begun = true;
      if (!found) await journal.begin(claim);
      await output.begin(this.#account, claim.hash, adapter, found && chunksOf(lines));
      const held = await this.#begin(found);
      await this.#fill(start.state, found !== undefined);
      const parts: RunParts<Specs> = {
        gpu,
        task,
        output,
        signal,
        layout: this.#layout,
        stages,
        account: this.#account,
        buffers: this.#buffers,
        held,
        checkpoints,
        onSection: this.#attempt.onSection,
        only: this.#attempt.only,
      };
      const keeping = new Keeping(parts, (position) => this.position = position, found);
      const running = new StageRun(parts, keeping, this.#tileRows);
      const passes = await running.run(start, lines, options, began);
      for (const buffer of this.#buffers.all) this.#account.destroyBuffer(buffer);
      const { reports } = running;
      const lanes = reports.length > 0 ? { lanes: sumReports(reports) } : {};
      const stored = await output.finish(task.finish(held, lanes));
      const account = this.#account;
      account.giveBack("host", this.#standingBytes);
      account.close();
      const seconds = secondsOf(passes, (performance.now() - began) / 1000);
      const { projected: projectedBytes, peak: peakBytes } = account;
      return {
        stored,
        measured: {
          projectedBytes: { ...projectedBytes },
          peakBytes: { ...peakBytes },
          seconds,
          ...(resumed && { resumed }),
        },
      };
    } catch (error) {
      this.#account?.abandon();
      if (begun) await output.release();
      throw error;
    }
  }

  /** Host bytes that are there from the first tile to the last. */
  get #standingBytes(): number {
    const { tables = [] } = this.#layout;
    return heldBytes(this.#attempt.task.held).all +
      tables.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async #begin(found: Start | undefined): Promise<Held<Specs>> {
    const { task, signal } = this.#attempt;
    this.#account.take("host", this.#standingBytes, "held arrays and tables");
    const held = createHeld(task.held);
    if (found) restoreHeld(task.held, held, found.state);
    await unlessAborted(
      signal,
      Promise.resolve(task.begin?.(held, { restored: found !== undefined, signal })),
    );
    return held;
  }

  /** The lines of the journal that hold, and the first file that does not. The log ends with them. */
  async #savedLines(): Promise<{ lines: Checkpoint[]; damaged?: string }> {
    const { journal, output } = this.#attempt;
    const log = await journal.readLog();
    const lines = log.map(({ entry }) => entry as Checkpoint);
    const verify = (count: number) => output.verify(chunksOf(lines.slice(0, count)));
    const problem = await verify(lines.length) as (Error & { path?: string }) | undefined;
    let [good, bad] = [0, lines.length];
    if (!problem) good = bad;
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2);
      if (await verify(middle)) bad = middle;
      else good = middle;
    }
    await journal.continueLog(log.slice(0, good).reduce((sum, { bytes }) => sum + bytes, 0));
    return { lines: lines.slice(0, good), ...(problem?.path && { damaged: problem.path }) };
  }

  /**
   * Opens the account and makes every buffer; halves the tile while the driver refuses.
   *
   * @param goesOn Whether room on disk was looked for when an earlier run began.
   */
  async #allocate(tileRows: number, slots: number, goesOn: boolean): Promise<void> {
    const { gpu, task, output, signal } = this.#attempt;
    this.#layout = task.layout(tileRows);
    const project = () => projectBytes(task, output, this.#layout, tileRows, slots);
    if (!goesOn) await this.#checkRoom(project().disk);
    const kernels = this.#layout.passes.flatMap(namedSteps).flatMap(({ kernels }) => kernels);
    // drivers compile for longer than a cancel may take, side by side where they can
    await unlessAborted(
      signal,
      Promise.all(kernels.map(({ kernel, constants }) => gpu.kernel(kernel, constants))),
    );
    for (;;) {
      this.#account = gpu.ledger.open(task.name, project());
      try {
        this.#buffers = await allocate(this.#account, this.#layout, slots);
        this.#tileRows = tileRows;
        return;
      } catch (error) {
        // the driver has less than the budget says: a smaller tile may still fit
        const grain = grainOf(this.#layout);
        if (!(error instanceof GpuError) || tileRows <= grain) throw error;
        this.#account.abandon();
        tileRows = Math.ceil(tileRows / 2 / grain) * grain;
        this.#layout = task.layout(tileRows);
      }
    }
  }

  /** @throws {QuotaError} If the output place has too little room for what is still to be written. */
  async #checkRoom(projectedBytes: number): Promise<void> {
    const { name, output: { place } } = this.#attempt.task;
    if (place === undefined) return;
    const store = await openStore(place);
    const availableBytes = await store.availableBytes();
    await store.close();
    if (availableBytes >= projectedBytes) return;
    throw new QuotaError(
      `Cannot start "${name}": ${place} will take up to ${formatBytes(projectedBytes)} ` +
        `(${projectedBytes} B), ${
          formatBytes(availableBytes)
        } (${availableBytes} B) are free there`,
      { neededBytes: projectedBytes, availableBytes },
    );
  }

  /** Brings tables to the device, and buffers that are kept as they were. */
  async #fill({ kept }: State, restored: boolean): Promise<void> {
    const { gpu, signal } = this.#attempt;
    const carries = this.#layout.passes.map((pass) => pass.carry?.buffer);
    let at = 0;
    const tables = this.#layout.shared.filter(({ name }) => !carries.includes(name))
      .map((table) => {
        if (!table.kept || !restored) return table;
        return { ...table, data: kept.subarray(at, at += table.bytes) };
      });
    await fillTables(gpu, tables, this.#buffers, signal);
  }
}

/** The chunks that lines told of, by array. */
export function chunksOf(lines: readonly Pick<Checkpoint, "chunks">[]): StoredChunks {
  const all: StoredChunks = {};
  for (const { chunks = {} } of lines) {
    for (const [name, own] of Object.entries(chunks)) (all[name] ??= []).push(...own);
  }
  return all;
}

const NO_STATE: State = { held: NOTHING, kept: NOTHING, carry: NOTHING };

/** Where a run goes on, in words for people. */
function resumption(
  { index, sweep, row }: Start,
  stages: readonly Stage[],
  damaged: string | undefined,
): Resumption {
  const stage = stages[Math.min(index, stages.length - 1)]!;
  const done = index === stages.length;
  return {
    pass: stage.name,
    row: done ? endOf(stage) : row ?? startOf(stage),
    ...(stage.pass.sweeps && { sweeps: sweep }),
    ...(damaged && { damaged }),
  };
}
