/**
 * One attempt at running a task: what is left of an earlier one, buffers, stages, checkpoints.
 *
 * @module
 */

import { GpuError, QuotaError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import { formatBytes } from "../math/format.ts";
import type { Claim, Journal } from "../store/journal.ts";
import { openStore } from "../store/open_store.ts";
import type { RunOptions } from "../types.ts";
import type { PlanBuffers } from "./buffers.ts";
import {
  allocate,
  fillTables,
  grainOf,
  keepsJournal,
  keptBuffers,
  projectBytes,
} from "./buffers.ts";
import type { Checkpoint, Start, State } from "./checkpoints.ts";
import { Checkpoints, findStart, heldState, restoreHeld } from "./checkpoints.ts";
import type { LaneReport, Stage } from "./lanes.ts";
import {
  boundaryOf,
  burnInOf,
  endOf,
  laneOf,
  laneRows,
  MEETING_ROWS,
  stagesOf,
  startOf,
} from "./lanes.ts";
import type { LaneRepair } from "./lane_repair.ts";
import { repairLanes, sumReports } from "./lane_repair.ts";
import type { Output, Stored, StoredChunks } from "./output.ts";
import type { Pass, Tile, Turn, WriteTurn } from "./pass.ts";
import { cutRows, namedSteps, tilesBetween } from "./pass.ts";
import { ProgressMeter } from "./progress.ts";
import type { StageSeconds, SweepHooks } from "./schedule.ts";
import { runPass } from "./schedule.ts";
import type { Pace } from "./submitter.ts";
import type { Held, HeldSpecs, Measured, Task, TaskLayout } from "./task.ts";
import { bytesOf, createHeld, heldBytes, secondsOf } from "./task.ts";

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
}

const NO_TIME: StageSeconds = { read: 0, compute: 0, write: 0, total: 0 };
const NOTHING = new Uint8Array(0);

/** One attempt at running a task. */
export class TaskRun<Specs extends HeldSpecs, Result> {
  readonly #attempt: Attempt<Specs, Result>;
  #tileRows = 0;
  #layout!: TaskLayout;
  #stages!: readonly Stage[];
  #account!: Account;
  #buffers!: PlanBuffers;
  #held!: Held<Specs>;
  /** Held arrays that reading changes, as they were when a tile had been read. */
  readonly #asRead = new Map<Tile, Record<string, ArrayBufferView>>();
  #checkpoints!: Checkpoints;
  #progress!: ProgressMeter;
  /** States that only serve to go on, in the order they were saved. */
  #passing: Place[] = [];
  #reports: LaneReport[] = [];
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
    const { task, output, journal, signal, began } = this.#attempt;
    const saved = fresh ? { lines: [] } : await this.#savedLines();
    let begun = false;
    try {
      await this.#allocate(tileRows, slots, saved.lines.length > 0);
      signal.throwIfAborted();
      this.#checkpoints = new Checkpoints(
        journal,
        this.#account,
        task.held,
        keptBuffers(this.#layout).reduce((sum, { bytes }) => sum + bytes, 0),
      );
      const found = await findStart(saved.lines, this.#stages, this.#checkpoints);
      const lines = found ? saved.lines : [];
      const start: Start = found ?? { index: 0, sweep: 0, row: undefined, state: emptyState() };
      const resumed = found && this.#resumption(found, saved.damaged);
      const stage = this.#stages[start.index];
      if (found && stage && start.row !== undefined && !this.#serves(stage, start.row)) {
        this.#passing.push({ stage, sweep: start.sweep, row: start.row });
      }
      if (resumed) this.position = { pass: resumed.pass, row: resumed.row };
      else this.#checkpoints.disown(this.#stages);
      begun = true;
      if (!found) await journal.begin(claim);
      await output.begin(this.#account, claim.hash, adapter, found && chunksOf(lines));
      await this.#beginTask(found);
      await this.#fill(start.state, found !== undefined);
      const passes = await this.#runStages(start, lines);
      for (const buffer of this.#buffers.all) this.#account.destroyBuffer(buffer);
      const lanes = this.#reports.length > 0 ? { lanes: sumReports(this.#reports) } : {};
      const stored = await output.finish(task.finish(this.#held, lanes));
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

  async #beginTask(found: Start | undefined): Promise<void> {
    const { task, signal } = this.#attempt;
    this.#account.take("host", this.#standingBytes, "held arrays and tables");
    this.#held = createHeld(task.held);
    if (found) restoreHeld(task.held, this.#held, found.state);
    await task.begin?.(this.#held, { restored: found !== undefined, signal });
  }

  #resumption({ index, sweep, row }: Start, damaged: string | undefined) {
    const stage = this.#stages[Math.min(index, this.#stages.length - 1)]!;
    const done = index === this.#stages.length;
    return {
      pass: stage.name,
      row: done ? endOf(stage) : row ?? startOf(stage),
      ...(stage.pass.sweeps && { sweeps: sweep }),
      ...(damaged && { damaged }),
    };
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
        this.#stages = stagesOf(this.#layout);
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

  async #runStages(
    from: Start,
    lines: readonly Checkpoint[],
  ): Promise<Record<string, StageSeconds>> {
    const { task, options, began } = this.#attempt;
    this.#progress = new ProgressMeter(task.name, this.#layout, this.#account, options, began);
    this.#reports = lines.flatMap(({ lanes }) => lanes ? [lanes] : []);
    const repairs = lines.flatMap(({ pass, repair }) => repair ? [{ pass, ...repair }] : []);
    const seconds: Record<string, StageSeconds> = {};
    for (const [i, stage] of this.#stages.entries()) {
      const { row, sweep = 0 }: Partial<Start> = i === from.index ? from : {};
      const begun = row !== undefined || sweep > 0;
      const done = i < from.index;
      if (done ? !stage.pass.fillsDevice : !begun && stage.pass.needed?.() === false) continue;
      this.#progress.startStage(stage, row, sweep / (stage.pass.sweeps?.most ?? 1));
      seconds[stage.name] = stage.kind === "repair"
        ? await this.#repair(stage, repairs.filter(({ pass }) => pass === stage.name))
        : await this.#runStage(stage, row, sweep, !done);
      this.#progress.finishStage();
      const next = this.#stages[i + 1];
      if (next && !done) await this.#keepBetween(next, 0);
    }
    return seconds;
  }

  /** @param keeps Whether checkpoints are taken: not of a stage that is run again for the device's sake. */
  async #runStage(
    stage: Stage,
    row: number | undefined,
    sweep: number,
    keeps: boolean,
  ): Promise<StageSeconds> {
    const { signal } = this.#attempt;
    const { sweeps } = stage.pass;
    const most = sweeps?.most ?? 1;
    const seconds = { ...NO_TIME };
    const pace: Pace = new Map();
    for (;; sweep++, row = undefined) {
      addSeconds(seconds, await this.#runSweep(stage, row, sweep, { pace, keeps }));
      signal.throwIfAborted();
      if (!await sweeps?.again({ sweep, signal }) || sweep + 1 === most) return seconds;
      if (keeps) await this.#keepBetween(stage, sweep + 1);
    }
  }

  /** Runs one of the sweeps of a stage; from a row, if it is given. */
  async #runSweep(
    stage: Stage,
    row: number | undefined,
    sweep: number,
    { pace, keeps }: { pace: Pace; keeps: boolean },
  ): Promise<StageSeconds> {
    const bounds = await this.boundsOf(stage, row ?? startOf(stage));
    for (const stretch of bounds.missing) await this.fillCarries(stage, stretch);
    const tiles = tilesBetween(bounds.rows, {
      firstLane: 0,
      lanes: this.#layout.lanes?.count ?? 1,
    });
    const carry = tiles.length === 0 || !stage.pass.carry
      ? undefined
      : row !== undefined
      ? (await this.#checkpoints.load(stage, sweep, row))!.carry
      : stage.kind === "burn-in"
      ? this.#initial(stage.pass)
      : await this.starts(stage.pass);
    const { sweeps, tables } = stage.pass;
    if (tables) await this.#fillTables(tables());
    return await this.sweep(stage.pass, tiles, carry, {
      sweep,
      writes: stage.kind === "sweep",
      pace,
      onTile: async (tile, carry, kept) => {
        if (keeps) await this.#keepAfter(stage, sweep, tile, { carry, kept });
        this.#forgetAsRead(tile);
        return false;
      },
      onAdvance: (share, rows) =>
        this.#progress.advance((sweep + share) / (sweeps?.most ?? 1), rows),
    });
  }

  async #fillTables(contents: Record<string, ArrayBufferView>): Promise<void> {
    const { gpu, signal } = this.#attempt;
    const tables = this.#layout.shared.filter(({ name }) => name in contents)
      .map((table) => ({ ...table, data: contents[table.name]! }));
    await fillTables(gpu, tables, this.#buffers, signal);
  }

  /** Whether there is anything to go on from, should the run be interrupted. */
  get #isKept(): boolean {
    return keepsJournal(this.#attempt.task.output.place, this.#layout);
  }

  /** Whether a checkpoint after a tile is worth its time. */
  #wantsCheckpoint(stage: Stage, tile: Tile): boolean {
    const { pass } = stage;
    if (!this.#isKept) return false;
    if (pass.carry) return true;
    const row = boundaryOf(pass, tile);
    return row !== endOf(stage) && pass.resumesAt?.(row) === true && this.#checkpoints.isDue;
  }

  /** Makes a finished tile safe: from here on it is never computed again. */
  async #keepAfter(
    stage: Stage,
    sweep: number,
    tile: Tile,
    { carry = NOTHING, kept }: { carry: Uint8Array | undefined; kept: Uint8Array | undefined },
  ): Promise<void> {
    if (!this.#wantsCheckpoint(stage, tile)) return;
    // what the device keeps comes with a tile that was known to want it
    if (keptBuffers(this.#layout).length > 0 && !kept) return;
    const { task, output } = this.#attempt;
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
      const held = heldState(task.held, this.#held, this.#asRead.get(tile));
      await this.#checkpoints.save(stage, sweep, row, { held, kept: kept ?? NOTHING, carry });
      if (!this.#serves(stage, row)) this.#passing.push({ stage, sweep, row });
    }
    const told = Object.keys(chunks).length > 0 ? { chunks } : {};
    await this.#checkpoints.log({ pass: stage.name, sweep, row, storedTo, ...told });
    this.position = { pass: stage.name, row: storedTo };
    await this.#forgetBefore(this.#passing.findLastIndex(isUsable));
    this.#checkpoints.rest(began);
  }

  /** Keeps what the next sweep or stage begins with, unless that was done a moment ago. */
  async #keepBetween(stage: Stage, sweep: number): Promise<void> {
    if (!this.#isKept || stage.pass.carry || !this.#checkpoints.isDue) return;
    const { task, gpu } = this.#attempt;
    const began = performance.now();
    const row = startOf(stage);
    const kept = await this.#buffers.readKept(gpu);
    const held = heldState(task.held, this.#held);
    await this.#checkpoints.save(stage, sweep, row, { held, kept, carry: NOTHING });
    await this.#checkpoints.log({ pass: stage.name, sweep, row, storedTo: row });
    this.position = { pass: stage.name, row };
    this.#passing.push({ stage, sweep, row });
    await this.#forgetBefore(this.#passing.length - 1);
    this.#checkpoints.rest(began);
  }

  /** Removes states that were saved before one that serves as well. */
  async #forgetBefore(index: number): Promise<void> {
    for (const { stage, sweep, row } of this.#passing.splice(0, Math.max(0, index))) {
      await this.#checkpoints.delete(stage, sweep, row);
    }
  }

  /** Whether a state serves more than to go on after an interruption. */
  #serves(stage: Stage, row: number): boolean {
    // who starts the next stage over begins with it
    if (row === endOf(stage)) return true;
    if (stage.kind === "burn-in") return false;
    return this.#startsOthers(stage.pass) || (this.isLaned(stage) && row % MEETING_ROWS === 0);
  }

  #startsOthers({ name }: Pass): boolean {
    return this.#layout.passes.some(({ startsFrom }) => startsFrom?.pass === name);
  }

  isLaned({ pass }: Stage): boolean {
    return burnInOf(this.#layout, pass) !== undefined;
  }

  /** Looks whether lanes started where those before them ended, and puts right what did not. */
  async #repair(stage: Stage, repairs: LaneRepair[]): Promise<StageSeconds> {
    const { output } = this.#attempt;
    const { seconds, report } = await repairLanes(stage, repairs, {
      lanes: this.#layout.lanes!,
      sweep: this.#stages.find(({ name }) => name === stage.pass.name)!,
      burnIn: burnInOf(this.#layout, stage.pass)!,
      account: this.#account,
      checkpoints: this.#checkpoints,
      held: () => heldState(this.#attempt.task.held, this.#held),
      output,
      startsOthers: this.#startsOthers(stage.pass),
      run: this,
    });
    this.#reports.push(report);
    return seconds;
  }

  /**
   * Rows between which the tiles of the rest of a stage lie, ascending, and stretches of them at which
   * the pass it starts from left no carries: an earlier run had larger tiles, or a carry is damaged.
   */
  async boundsOf(stage: Stage, row: number): Promise<{ rows: number[]; missing: number[][] }> {
    const { pass, low, high } = stage;
    const [from, to] = pass.direction === "forward" ? [row, high] : [low, row];
    const meeting = this.#layout.lanes ? MEETING_ROWS : Infinity;
    const tileRows = this.#tileRows;
    // a lane is put right at the rows at which its sweep left states
    const known = pass.startsFrom
      ? await this.#sweepRows(pass.startsFrom.pass)
      : stage.kind === "repair"
      ? await this.#sweepRows(pass.name)
      : undefined;
    if (!known) return { rows: cutRows(from, to, tileRows, meeting), missing: [] };
    const shift = this.#shiftOf(low);
    const stops = [...known].map((known) => known + shift)
      .filter((known) => known > from && known < to)
      .sort((a, b) => a - b);
    if (from !== to) stops.push(to);
    const rows = [from];
    const missing: number[][] = [];
    for (const [i, stop] of stops.entries()) {
      const start = rows.at(-1)!;
      // small tiles of an earlier run are put together, but lanes meet at fixed rows
      const meets = stage.kind === "repair" && !pass.startsFrom || (stop - shift) % meeting === 0;
      if (i + 1 < stops.length && stops[i + 1]! - start <= tileRows && !meets) continue;
      const cuts = cutRows(start - shift, stop - shift, tileRows, meeting);
      if (cuts.length > 2 && pass.startsFrom) missing.push(cuts);
      rows.push(...cuts.slice(1).map((cut) => cut + shift));
    }
    return { rows, missing };
  }

  /** Rows at which a pass's sweep left states. */
  async #sweepRows(name: string): Promise<Set<number>> {
    return await this.#checkpoints.rows(this.#stages.find((stage) => stage.name === name)!);
  }

  /** Rows past a lane's end are the first of the next lane, and so are their carries. */
  #shiftOf(row: number): number {
    const length = laneRows(this.#layout);
    return row >= length ? length : 0;
  }

  /** Runs the pass that a stage starts from over a stretch again, for its carries at the cuts. */
  async fillCarries(stage: Stage, cuts: readonly number[]): Promise<void> {
    const name = stage.pass.startsFrom!.pass;
    const source = this.#stages.find((other) => other.name === name)!;
    const tiles = tilesBetween(cuts.slice(0, -1), {
      firstLane: 0,
      lanes: this.#layout.lanes?.count ?? 1,
    });
    const end = await this.#checkpoints.load(source, 0, endOf(source));
    await this.sweep(source.pass, tiles, await this.#carriesAt(source.pass, cuts[0]!), {
      writes: false,
      onTile: async (tile, carry) => {
        const held = end?.held ?? heldState(this.#attempt.task.held, this.#held);
        const state = { held, kept: NOTHING, carry: carry! };
        await this.#checkpoints.save(source, 0, tile.end, state);
        return false;
      },
    });
  }

  /** Runs a pass over tiles of the same lanes, from a carry. */
  async sweep(
    pass: Pass,
    tiles: readonly Tile[],
    carry: ArrayBufferView | undefined,
    { sweep = 0, pace = new Map(), ...hooks }: SweepHooks,
  ): Promise<StageSeconds> {
    const { gpu, signal } = this.#attempt;
    if (pass.carry && carry && tiles.length > 0) {
      const target = this.#layout.shared.find(({ name }) => name === pass.carry!.buffer)!;
      await fillTables(gpu, [{ ...target, data: carry }], this.#buffers, signal);
    }
    const stage = this.#stages.find(({ name }) => name === pass.name)!;
    const turn: Turn = { sweep, signal };
    return await runPass({
      gpu,
      pass,
      tiles,
      workspace: this.#buffers.workspace,
      slots: this.#buffers.slots,
      shared: this.#buffers.shared,
      signal,
      pace,
      account: this.#account,
      read: async (tile) => {
        const contents = await pass.read(tile, turn);
        this.#copyAsRead(tile);
        return contents;
      },
      write: async (tile, downloads, beside) =>
        await pass.write(tile, downloads, this.#writing(turn, beside)),
      carryAt: (tile) => this.#checkpoint(pass.startsFrom!.pass, tile),
      keeper: keptBuffers(this.#layout).length === 0 ? undefined : {
        wants: (tile) => this.#wantsCheckpoint(stage, tile),
        keep: (encoder) => this.#buffers.copyKept(encoder),
        read: () => this.#buffers.mapKept(),
      },
      onAdvance: (share, rows) => this.#progress.advance(share, rows),
      ...hooks,
    });
  }

  #writing(turn: Turn, beside: Record<string, ArrayBufferView>): WriteTurn {
    const { output, signal } = this.#attempt;
    const store: WriteTurn["store"] = (name, start, values) =>
      output.write(name, start, values, signal);
    return { ...turn, beside, store };
  }

  #copyAsRead(tile: Tile): void {
    const { held: specs } = this.#attempt.task;
    const { copied } = heldBytes(specs);
    if (copied === 0 || !this.#isKept) return;
    this.#account.take("host", copied, "held arrays as they were read");
    const names = Object.keys(specs).filter((name) => specs[name]!.changedByRead);
    this.#asRead.set(
      tile,
      Object.fromEntries(names.map((name) => [name, this.#held[name]!.slice()])),
    );
  }

  #forgetAsRead(tile: Tile): void {
    if (!this.#asRead.delete(tile)) return;
    this.#account.giveBack("host", heldBytes(this.#attempt.task.held).copied);
  }

  /** The carries that a pass had at the start of a tile, of the tile's lanes. */
  async #checkpoint(name: string, { start, firstLane, lanes }: Tile): Promise<Uint8Array> {
    const pass = this.#layout.passes.find((pass) => pass.name === name)!;
    const shift = this.#shiftOf(start);
    const all = await this.#carriesAt(pass, start - shift);
    const { bytes } = pass.carry!;
    const first = (firstLane + (shift > 0 ? 1 : 0)) * bytes;
    // nothing comes after the last lane
    const own = new Uint8Array(lanes * bytes);
    own.set(all.subarray(first, first + lanes * bytes));
    return own;
  }

  /** The carries of all lanes that a sweep has at a row. */
  async #carriesAt(pass: Pass, row: number): Promise<Uint8Array> {
    const sweep = this.#stages.find(({ name }) => name === pass.name)!;
    if (row === startOf(sweep)) return (await this.starts(pass))!;
    return (await this.#checkpoints.load(sweep, 0, row))!.carry;
  }

  /** What a sweep starts from, of all lanes: what burn-ins ended with, where there are any. */
  async starts(pass: Pass): Promise<Uint8Array | undefined> {
    const initial = this.#initial(pass);
    const burnIn = burnInOf(this.#layout, pass);
    if (!burnIn) return initial;
    const starts = (await this.#checkpoints.load(burnIn, 0, endOf(burnIn)))!.carry;
    // the lane where the pass begins needs no guess
    const lane = pass.direction === "forward" ? 0 : this.#layout.lanes!.count - 1;
    const own = laneOf(starts, pass, lane);
    if (initial) own.set(laneOf(initial, pass, lane));
    else own.fill(0);
    return starts;
  }

  #initial({ carry }: Pass): Uint8Array | undefined {
    const given = this.#layout.shared.find(({ name }) => name === carry?.buffer)?.data;
    const data = typeof given === "function" ? given() : given;
    return data && bytesOf(data);
  }
}

/** Rejects when the signal does; what was waited for goes on. */
async function unlessAborted<Value>(signal: AbortSignal, value: Promise<Value>): Promise<Value> {
  let stop!: () => void;
  try {
    return await new Promise<Value>((resolve, reject) => {
      stop = () => reject(signal.reason);
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
      value.then(resolve, reject);
    });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function addSeconds(sum: StageSeconds, spent: StageSeconds): void {
  for (const key of Object.keys(sum) as (keyof StageSeconds)[]) sum[key] += spent[key];
}

/** The chunks that lines told of, by array. */
function chunksOf(lines: readonly Checkpoint[]): StoredChunks {
  const all: StoredChunks = {};
  for (const { chunks = {} } of lines) {
    for (const [name, own] of Object.entries(chunks)) (all[name] ??= []).push(...own);
  }
  return all;
}

function emptyState(): State {
  return { held: NOTHING, kept: NOTHING, carry: NOTHING };
}
