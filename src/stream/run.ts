/**
 * One attempt at running a plan: what is left of an earlier one, buffers, stages, and the journal.
 *
 * @module
 */

import { GpuError, QuotaError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import { formatBytes } from "../math/format.ts";
import type { SnapshotPlace } from "../store/journal.ts";
import { Journal } from "../store/journal.ts";
import { openStore } from "../store/store.ts";
import type { RunOptions } from "../types.ts";
import type { LaneReport, Stage } from "./lanes.ts";
import { boundaryOf, endOf, laneRows, MEETING_ROWS, stagesOf, startOf } from "./lanes.ts";
import type { PlanBuffers } from "./buffers.ts";
import { allocate, fillTables, projectBytes } from "./buffers.ts";
import type { Pass, Tile } from "./pass.ts";
import { cutRows, namedSteps, tilesBetween } from "./pass.ts";
import type { PlanActions, PlanLayout, StepRecord } from "./plan.ts";
import { ProgressMeter } from "./progress.ts";
import type { PassRun, StageSeconds } from "./schedule.ts";
import { runPass } from "./schedule.ts";
import type { Pace } from "./submitter.ts";

/** A stage, and the row of every lane up to which it is stored; neither while nothing is. */
export interface Position {
  pass?: string;
  row?: number;
}

interface SavedSteps {
  steps: StepRecord[];
  damaged?: string;
}

/** Where a run begins: a stage, its sweep, the row it has a carry for, and the host's state. */
interface Start {
  stage: Stage;
  sweep?: number;
  row?: number | undefined;
  state: unknown;
}

/** Time between two snapshots, at least: milliseconds, and times what the last one took. Tests want none. */
export const snapshotPace = { everyMs: 2000, times: 20 };

/** A lane that was run again: where it met what it had left, if it did, and what that took. */
interface Repair {
  lane: number;
  metAt?: number;
  distance: number;
  redoneRows: number;
}

const NO_TIME: StageSeconds = { read: 0, compute: 0, write: 0, total: 0 };

/** One attempt at running a plan. */
export class PlanRun<Result> {
  readonly #gpu: Gpu;
  readonly #actions: PlanActions<Result>;
  readonly #journal: Journal;
  readonly #signal: AbortSignal;
  readonly #options: RunOptions;
  readonly #began: number;
  #tileRows = 0;
  #layout!: PlanLayout;
  #account!: Account;
  #buffers!: PlanBuffers;
  #progress!: ProgressMeter;
  /** Rows of carries that only serve to go on, in the order they were saved. */
  #passing: number[] = [];
  /** Rows at which stages have a carry that is whole, by their names; read when first asked for. */
  readonly #carryRows = new Map<string, Set<number>>();
  #repairs: (Repair & { pass: string })[] = [];
  #reports: LaneReport[] = [];
  /** When the next snapshot may be taken, and the bytes of the one that is there. */
  #nextSnapshot = performance.now() + snapshotPace.everyMs;
  #snapshotBytes = 0;
  /** Up to where all is stored, as far as this attempt and those before it know. */
  position: Position;

  constructor(
    gpu: Gpu,
    actions: PlanActions<Result>,
    journal: Journal,
    signal: AbortSignal,
    options: RunOptions,
    began: number,
    position: Position,
  ) {
    this.position = position;
    this.#gpu = gpu;
    this.#actions = actions;
    this.#journal = journal;
    this.#signal = signal;
    this.#options = options;
    this.#began = began;
  }

  /** @param fresh Whether nothing that is there counts. */
  async run(tileRows: number, slots: number, hash: string, fresh: boolean): Promise<Result> {
    const actions = this.#actions;
    const { steps, damaged }: SavedSteps = fresh ? { steps: [] } : await this.#savedSteps();
    let begun = false;
    try {
      const goesOn = steps.length > 0 || (!fresh && await this.#journal.hasState());
      await this.#allocate(tileRows, slots, goesOn);
      this.#signal.throwIfAborted();
      const kept = fresh ? undefined : await this.#loadSnapshot();
      const from = kept ?? await this.#resumption(steps);
      const resumes = kept !== undefined || steps.length > 0;
      const row = from.row ?? startOf(from.stage);
      if (resumes) this.position = { pass: from.stage.name, row };
      begun = true;
      if (!resumes) await this.#journal.begin(hash);
      await actions.begin({
        account: this.#account,
        signal: this.#signal,
        steps,
        state: from.state,
      });
      if (kept) this.#account.giveBack("host", this.#snapshotBytes);
      const carries = this.#layout.passes.map((pass) => pass.carry?.buffer);
      const tables = this.#layout.shared.filter(({ name }) => !carries.includes(name));
      await fillTables(this.#gpu, tables, this.#buffers, this.#signal);
      const passes = await this.#runStages(from);
      for (const buffer of this.#buffers.all) this.#account.destroyBuffer(buffer);
      const result = await actions.finish({
        projectedBytes: { ...this.#account.projected },
        peakBytes: { ...this.#account.peak },
        passes,
        totalSeconds: (performance.now() - this.#began) / 1000,
        ...(this.#reports.length > 0 && { lanes: sumReports(this.#reports) }),
        ...(resumes && {
          resumed: {
            pass: from.stage.name,
            row,
            ...(from.stage.pass.sweeps && { sweeps: from.sweep ?? 0 }),
            ...(damaged && { damaged }),
          },
        }),
      });
      this.#account.close();
      return result;
    } catch (error) {
      this.#account?.abandon();
      if (begun) await actions.release();
      throw error;
    }
  }

  /** The steps of the journal that hold, and the first file that does not. The log ends with them. */
  async #savedSteps(): Promise<SavedSteps> {
    const log = await this.#journal.readLog();
    const steps = log.map(({ entry }) => entry as StepRecord);
    const verify = (count: number) => this.#actions.verify?.(steps.slice(0, count));
    const problem = await verify(steps.length) as (Error & { path?: string }) | undefined;
    let [good, bad] = [0, steps.length];
    if (!problem) good = bad;
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2);
      if (await verify(middle)) bad = middle;
      else good = middle;
    }
    await this.#journal.continueLog(log.slice(0, good).reduce((sum, { bytes }) => sum + bytes, 0));
    return { steps: steps.slice(0, good), ...(problem?.path && { damaged: problem.path }) };
  }

  /**
   * Opens the account and makes every buffer; halves the tile while the driver refuses.
   *
   * @param goesOn Whether room on disk was looked for when an earlier run began.
   */
  async #allocate(tileRows: number, slots: number, goesOn: boolean): Promise<void> {
    const gpu = this.#gpu;
    this.#layout = this.#actions.layout(tileRows);
    if (!goesOn) await this.#checkRoom(projectBytes(this.#layout, tileRows, slots).disk);
    const kernels = this.#layout.passes.flatMap(namedSteps).flatMap(({ kernels }) => kernels);
    // drivers compile for longer than a cancel may take, side by side where they can
    await unlessAborted(
      this.#signal,
      Promise.all(kernels.map(({ kernel, constants }) => gpu.kernel(kernel, constants))),
    );
    for (;;) {
      const projected = projectBytes(this.#layout, tileRows, slots);
      this.#account = gpu.ledger.open(this.#actions.name, projected);
      try {
        this.#buffers = await allocate(this.#account, this.#layout, slots);
        this.#tileRows = tileRows;
        return;
      } catch (error) {
        // the driver has less than the budget says: a smaller tile may still fit
        if (!(error instanceof GpuError) || tileRows === 1) throw error;
        this.#account.abandon();
        tileRows = Math.ceil(tileRows / 2);
        this.#layout = this.#actions.layout(tileRows);
      }
    }
  }

  /** @throws {QuotaError} If the output place has too little room for what is still to be written. */
  async #checkRoom(projectedBytes: number): Promise<void> {
    const { place, name } = this.#actions;
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

  /** Where steps lead. */
  async #resumption(steps: readonly StepRecord[]): Promise<Start> {
    const stages = stagesOf(this.#layout);
    if (steps.length === 0) {
      // nothing that an earlier run left counts
      for (const { name } of stages) this.#carryRows.set(name, new Set());
    }
    this.#repairs = steps.flatMap(({ pass, repair }) => repair ? [{ pass, ...repair }] : []);
    this.#reports = steps.flatMap(({ lanes }) => lanes ? [lanes] : []);
    const last = steps.at(-1);
    const at = Math.max(0, stages.findIndex(({ name }) => name === last?.pass));
    const stage = stages[at]!;
    // a stage that is complete leads to the next, unless that was the last one
    if (last?.storedTo === endOf(stage) && at + 1 < stages.length) {
      return { stage: stages[at + 1]!, row: undefined, state: last.state };
    }
    if (stage.kind === "repair") return { stage, row: undefined, state: last!.state };
    const forward = stage.pass.direction === "forward";
    const own = steps.filter((step) => step.pass === stage.name);
    const boundary = (step: StepRecord) => forward ? step.end : step.start;
    const stored = own.at(-1)?.storedTo ?? startOf(stage);
    const candidates = own
      .filter((step) => forward ? boundary(step) <= stored : boundary(step) >= stored)
      .sort((a, b) => forward ? boundary(b) - boundary(a) : boundary(a) - boundary(b));
    for (const step of candidates) {
      const row = boundary(step);
      const whole = !stage.pass.carry || (row === endOf(stage) && !this.#isLaned(stage)) ||
        await this.#loadCarry(stage, row).then(() => true, () => false);
      if (!whole) continue;
      // equal rows have equal states: any step that ends there will do
      return { stage, row, state: step.state };
    }
    const before = steps.filter((step) => step.pass !== stage.name).at(-1);
    return { stage, row: undefined, state: before?.state };
  }

  async #runStages(from: Start): Promise<Record<string, StageSeconds>> {
    this.#progress = new ProgressMeter(
      this.#actions.name,
      this.#layout,
      this.#account,
      this.#options,
      this.#began,
    );
    const stages = stagesOf(this.#layout);
    const seconds: Record<string, StageSeconds> = {};
    const first = stages.findIndex(({ name }) => name === from.stage.name);
    for (const [i, stage] of stages.entries()) {
      const { row, sweep = 0 }: Partial<Start> = i === first ? from : {};
      const begun = row !== undefined || sweep > 0;
      if (i < first ? !stage.pass.fillsDevice : !begun && stage.pass.needed?.() === false) continue;
      this.#progress.startStage(stage, row, sweep / (stage.pass.sweeps?.most ?? 1));
      this.#passing = [];
      seconds[stage.name] = stage.kind === "repair"
        ? await this.#repair(stage)
        : await this.#runStage(stage, row, sweep);
      this.#progress.finishStage();
      const next = stages[i + 1];
      if (next && i >= first) await this.#keepSnapshot({ pass: next.name, sweep: 0 });
    }
    return seconds;
  }

  async #runStage(stage: Stage, row: number | undefined, sweep: number): Promise<StageSeconds> {
    const { sweeps } = stage.pass;
    const most = sweeps?.most ?? 1;
    const seconds = { ...NO_TIME };
    const pace = newPace();
    for (;; sweep++, row = undefined) {
      addSeconds(seconds, await this.#runSweep(stage, row, sweep, pace));
      this.#signal.throwIfAborted();
      if (!await sweeps?.again() || sweep + 1 === most) return seconds;
      await this.#keepSnapshot({ pass: stage.name, sweep: sweep + 1 });
    }
  }

  /** Runs one of the sweeps of a stage; from a row, if it is given. */
  async #runSweep(
    stage: Stage,
    row: number | undefined,
    sweep: number,
    pace: Pace,
  ): Promise<StageSeconds> {
    const bounds = await this.#boundsOf(stage, row ?? startOf(stage));
    for (const stretch of bounds.missing) await this.#fillCarries(stage, stretch);
    const tiles = tilesBetween(bounds.rows, {
      firstLane: 0,
      lanes: this.#layout.lanes?.count ?? 1,
    });
    const carry = tiles.length === 0
      ? undefined
      : row !== undefined
      ? stage.pass.carry && await this.#loadCarry(stage, row)
      : stage.kind === "burn-in"
      ? this.#initial(stage.pass)
      : await this.#starts(stage.pass);
    const { sweeps, tables, resumesAt } = stage.pass;
    if (tables) await this.#fillTables(tables());
    return await this.#sweep(stage.pass, tiles, carry, {
      writes: stage.kind === "sweep",
      pace,
      onTile: async (tile, carry) => {
        await this.#commit(stage, tile, carry);
        const row = boundaryOf(stage.pass, tile);
        if (row !== endOf(stage) && resumesAt?.(row)) {
          await this.#keepSnapshot({ pass: stage.name, sweep, row });
        }
        return false;
      },
      onAdvance: (share, rows) =>
        this.#progress.advance((sweep + share) / (sweeps?.most ?? 1), rows),
    });
  }

  /** Stores what the host needs to go on at a place, unless it did a moment ago. */
  async #keepSnapshot(place: SnapshotPlace): Promise<void> {
    const began = performance.now();
    if (this.#layout.stateBytes === undefined || began < this.#nextSnapshot) return;
    const state = this.#actions.snapshot!(place.row);
    if (!state) return;
    const account = this.#account;
    const snapshot = { facts: { ...place, facts: state.facts }, arrays: state.arrays };
    const bytes = Journal.stateBytes(snapshot);
    account.take("host", bytes, "snapshot");
    account.take("disk", bytes, "snapshot");
    await this.#journal.saveState(snapshot);
    account.giveBack("host", bytes);
    account.giveBack("disk", this.#snapshotBytes);
    this.#snapshotBytes = bytes;
    this.position = { pass: place.pass, row: place.row ?? 0 };
    const ended = performance.now();
    const { everyMs, times } = snapshotPace;
    this.#nextSnapshot = ended + Math.max(everyMs, times * (ended - began));
  }

  /** Where the last snapshot leads; its host bytes are counted until the model has taken it. */
  async #loadSnapshot(): Promise<Start | undefined> {
    const found = this.#layout.stateBytes === undefined
      ? undefined
      : await this.#journal.loadState();
    if (!found) return undefined;
    const { state: { facts: place, arrays }, bytes } = found;
    const { pass, sweep, row, facts } = place as SnapshotPlace & { facts: unknown };
    this.#account.take("host", bytes, "snapshot");
    this.#account.take("disk", bytes, "snapshot");
    this.#snapshotBytes = bytes;
    const stage = stagesOf(this.#layout).find(({ name }) => name === pass)!;
    return { stage, sweep, row, state: { facts, arrays } };
  }

  async #fillTables(contents: Record<string, ArrayBufferView>): Promise<void> {
    const tables = this.#layout.shared.filter(({ name }) => name in contents)
      .map((table) => ({ ...table, data: contents[table.name]! }));
    await fillTables(this.#gpu, tables, this.#buffers, this.#signal);
  }

  /**
   * Rows between which the tiles of the rest of a stage lie, ascending, and stretches of them at which
   * the pass it starts from left no carries: an earlier run had larger tiles, or a carry is damaged.
   */
  async #boundsOf(stage: Stage, row: number): Promise<{ rows: number[]; missing: number[][] }> {
    const { pass, low, high } = stage;
    const [from, to] = pass.direction === "forward" ? [row, high] : [low, row];
    const meeting = this.#layout.lanes ? MEETING_ROWS : Infinity;
    if (!pass.startsFrom) {
      return { rows: cutRows(from, to, this.#tileRows, meeting), missing: [] };
    }
    const shift = this.#shiftOf(low);
    const known = [...await this.#knownRows(pass.startsFrom.pass)]
      .map((known) => known + shift)
      .filter((known) => known > from && known < to)
      .sort((a, b) => a - b);
    const rows = [from];
    const missing: number[][] = [];
    const stops = from === to ? [] : [...known, to];
    for (const [i, stop] of stops.entries()) {
      const start = rows.at(-1)!;
      // small tiles of an earlier run are put together, but lanes meet at fixed rows
      const meets = (stop - shift) % meeting === 0;
      if (i + 1 < stops.length && stops[i + 1]! - start <= this.#tileRows && !meets) continue;
      const cuts = cutRows(start - shift, stop - shift, this.#tileRows, meeting);
      if (cuts.length > 2) missing.push(cuts);
      rows.push(...cuts.slice(1).map((cut) => cut + shift));
    }
    return { rows, missing };
  }

  /** Rows past a lane's end are the first of the next lane, and so are their carries. */
  #shiftOf(row: number): number {
    const length = laneRows(this.#layout);
    return row >= length ? length : 0;
  }

  /** Runs the pass that a stage starts from over a stretch again, for its carries at the cuts. */
  async #fillCarries(stage: Stage, cuts: readonly number[]): Promise<void> {
    const name = stage.pass.startsFrom!.pass;
    const source = stagesOf(this.#layout).find((other) => other.name === name)!;
    const tiles = tilesBetween(cuts.slice(0, -1), {
      firstLane: 0,
      lanes: this.#layout.lanes?.count ?? 1,
    });
    await this.#sweep(source.pass, tiles, await this.#carriesAt(source.pass, cuts[0]!), {
      writes: false,
      onTile: async (tile, carry) => {
        await this.#saveCarry(source, tile.end, carry!);
        return false;
      },
    });
  }

  /** Runs a pass over tiles of the same lanes, from a carry. */
  async #sweep(
    pass: Pass,
    tiles: readonly Tile[],
    carry: ArrayBufferView | undefined,
    hooks: Pick<PassRun, "writes" | "onTile"> & Partial<Pick<PassRun, "pace" | "onAdvance">>,
  ): Promise<StageSeconds> {
    if (pass.carry && carry && tiles.length > 0) {
      const target = this.#layout.shared.find(({ name }) => name === pass.carry!.buffer)!;
      await fillTables(this.#gpu, [{ ...target, data: carry }], this.#buffers, this.#signal);
    }
    return await runPass({
      gpu: this.#gpu,
      pass,
      tiles,
      workspace: this.#buffers.workspace,
      slots: this.#buffers.slots,
      shared: this.#buffers.shared,
      signal: this.#signal,
      pace: newPace(),
      carryAt: (tile) => this.#checkpoint(pass.startsFrom!.pass, tile),
      onAdvance: (share, rows) => this.#progress.advance(share, rows),
      ...hooks,
    });
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
    const sweep = stagesOf(this.#layout).find(({ name }) => name === pass.name)!;
    return row === startOf(sweep) ? (await this.#starts(pass))! : await this.#loadCarry(sweep, row);
  }

  /** What a sweep starts from, of all lanes: what burn-ins ended with, where there are any. */
  async #starts(pass: Pass): Promise<Uint8Array | undefined> {
    const initial = this.#initial(pass);
    const burnIn = burnInOf(this.#layout, pass);
    if (!burnIn) return initial;
    const starts = await this.#loadCarry(burnIn, endOf(burnIn));
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
    return data && new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }

  /** Writes a finished tile into the journal; from here on it is never computed again. */
  async #commit(stage: Stage, tile: Tile, carry: Uint8Array | undefined): Promise<void> {
    if (this.#layout.restarts) return;
    const account = this.#account;
    const { pass } = stage;
    const boundary = boundaryOf(pass, tile);
    const atEnd = boundary === endOf(stage);
    const saves = carry && (!atEnd || this.#isLaned(stage));
    if (saves) {
      const bytes = Journal.carryBytes(carry.byteLength);
      account.take("host", 2 * bytes, "carry");
      account.take("disk", bytes, "carry");
      await this.#saveCarry(stage, boundary, carry);
      account.giveBack("host", 2 * bytes);
    }
    const { storedTo, output } = stage.kind === "sweep" && this.#actions.commit
      ? await this.#actions.commit(pass, tile)
      : { storedTo: boundary };
    const { start, end } = tile;
    await this.#log({ pass: stage.name, start, end, storedTo, output });
    this.position = { pass: stage.name, row: storedTo };
    if (!saves || this.#keeps(stage, boundary)) return;
    // carries before the row a resumed run would start from serve nobody
    this.#passing.push(boundary);
    while (
      this.#passing.length > 1 &&
      (pass.direction === "forward" ? this.#passing[1]! <= storedTo : this.#passing[1]! >= storedTo)
    ) {
      await this.#deleteCarry(stage, this.#passing.shift()!);
      account.giveBack("disk", Journal.carryBytes(carry.byteLength));
    }
  }

  /** Whether a carry serves more than to go on after an interruption. */
  #keeps(stage: Stage, row: number): boolean {
    if (this.#isLaned(stage) && row === endOf(stage)) return true;
    if (stage.kind === "burn-in") return false;
    if (this.#layout.passes.some(({ startsFrom }) => startsFrom?.pass === stage.pass.name)) {
      return true;
    }
    return this.#isLaned(stage) && row % MEETING_ROWS === 0;
  }

  #isLaned({ pass }: Stage): boolean {
    return burnInOf(this.#layout, pass) !== undefined;
  }

  async #log(entry: Omit<StepRecord, "state">): Promise<void> {
    const record: StepRecord = { ...entry, state: this.#actions.state?.() };
    this.#account.take("disk", Journal.entryBytes(record), "journal");
    await this.#journal.append(record);
  }

  /**
   * Looks, lane after lane, whether each started where the one before it ended, and runs those again
   * that did not. What a lane is started from is put right last: a run that was interrupted finds it
   * wrong again, and repeats that lane.
   */
  async #repair(stage: Stage): Promise<StageSeconds> {
    const { pass } = stage;
    const { count, distance, tolerance } = this.#layout.lanes!;
    const account = this.#account;
    const held = 3 * count * pass.carry!.bytes;
    account.take("host", held, "states where lanes meet");
    const sweep = sweepOf(this.#layout, pass);
    const burnIn = burnInOf(this.#layout, pass)!;
    const seconds = { ...NO_TIME };
    const report: LaneReport = { largestDistance: 0, redoneRows: 0 };
    for (let i = 1; i < count; i++) {
      const [before, lane] = pass.direction === "forward" ? [i - 1, i] : [count - i, count - 1 - i];
      const end = laneOf(await this.#loadCarry(sweep, endOf(sweep)), pass, before);
      const starts = (await this.#starts(pass))!;
      const apart = distance(laneOf(starts, pass, lane), end);
      if (apart <= tolerance) {
        report.largestDistance = Math.max(report.largestDistance, apart);
        continue;
      }
      if (!this.#repairs.some((repair) => repair.pass === stage.name && repair.lane === lane)) {
        const repair = await this.#redo(stage, lane, end, seconds);
        const row = startOf(stage);
        await this.#log({ pass: stage.name, start: row, end: row, storedTo: row, repair });
        this.#repairs.push({ pass: stage.name, ...repair });
      }
      // where others start from, or may meet it again
      for (const row of await this.#knownRows(stage.name)) {
        const own = await this.#loadCarry(stage, row);
        const carries = await this.#loadCarry(sweep, row);
        laneOf(carries, pass, lane).set(own);
        await this.#saveCarry(sweep, row, carries);
      }
      laneOf(starts, pass, lane).set(end);
      await this.#saveCarry(burnIn, endOf(burnIn), starts);
      for (const row of [...await this.#knownRows(stage.name)]) {
        await this.#deleteCarry(stage, row);
        account.giveBack("disk", Journal.carryBytes(pass.carry!.bytes));
      }
    }
    for (const { pass: name, distance, redoneRows } of this.#repairs) {
      if (name !== stage.name) continue;
      report.largestDistance = Math.max(report.largestDistance, distance);
      report.redoneRows += redoneRows;
    }
    this.#reports.push(report);
    account.giveBack("host", held);
    const { low: start, high: end } = stage;
    await this.#log({ pass: stage.name, start, end, storedTo: endOf(stage), lanes: report });
    return seconds;
  }

  /** Runs a lane again from `start`, until it meets what it left and no file is half-written. */
  async #redo(
    stage: Stage,
    lane: number,
    start: Uint8Array,
    seconds: StageSeconds,
  ): Promise<Repair> {
    const { pass } = stage;
    const { distance, tolerance } = this.#layout.lanes!;
    const sweep = sweepOf(this.#layout, pass);
    const account = this.#account;
    const repair: Repair = { lane, distance: 0, redoneRows: 0 };
    // an interrupted repair of this lane left some
    for (const row of [...await this.#knownRows(stage.name)]) await this.#deleteCarry(stage, row);
    let from: { row: number; carry: Uint8Array } | undefined = {
      row: startOf(stage),
      carry: start,
    };
    this.#actions.redo?.(pass, "all");
    while (from && from.row !== endOf(stage)) {
      const bounds = await this.#boundsOf(stage, from.row);
      for (const stretch of bounds.missing) await this.#fillCarries(stage, stretch);
      const tiles = tilesBetween(bounds.rows, { firstLane: lane, lanes: 1, again: true });
      const { carry }: { carry: Uint8Array } = from;
      from = undefined;
      const spent = await this.#sweep(pass, tiles, carry, {
        writes: true,
        onTile: async (tile, own) => {
          const row = boundaryOf(pass, tile);
          const { storedTo, output } = await this.#actions.commit?.(pass, tile) ??
            { storedTo: row };
          if (output !== undefined) {
            const { start, end } = tile;
            await this.#log({ pass: stage.name, start, end, storedTo: startOf(stage), output });
          }
          // all that is left is to complete files
          if (repair.metAt !== undefined) return storedTo === row;
          repair.redoneRows += tile.end - tile.start;
          const atEnd = row === endOf(stage);
          if (row % MEETING_ROWS === 0 && !atEnd) {
            const left = laneOf(await this.#loadCarry(sweep, row), pass, lane);
            const apart = distance(own!, left);
            if (apart <= tolerance) {
              Object.assign(repair, { metAt: row, distance: apart });
              if (storedTo !== row) from = { row, carry: left };
              return true;
            }
          }
          if (this.#keeps(sweep, row)) {
            account.take("disk", Journal.carryBytes(own!.byteLength), "carry");
            await this.#saveCarry(stage, row, own!);
          }
          return false;
        },
      });
      addSeconds(seconds, spent);
      this.#actions.redo?.(pass, "begun");
    }
    this.#actions.redo?.(pass, "none");
    return repair;
  }

  async #saveCarry(stage: Stage, row: number, carry: Uint8Array): Promise<void> {
    await this.#journal.saveCarry(stage.name, row - stage.low, carry);
    (await this.#knownRows(stage.name)).add(row);
  }

  async #loadCarry(stage: Stage, row: number): Promise<Uint8Array> {
    const carry = await this.#journal.loadCarry(stage.name, row - stage.low);
    // stores may hand out what they hold
    return carry.slice();
  }

  async #deleteCarry(stage: Stage, row: number): Promise<void> {
    await this.#journal.deleteCarry(stage.name, row - stage.low);
    (await this.#knownRows(stage.name)).delete(row);
  }

  /** Rows at which a stage has a carry. */
  async #knownRows(name: string): Promise<Set<number>> {
    let known = this.#carryRows.get(name);
    if (!known) {
      const { low } = stagesOf(this.#layout).find((stage) => stage.name === name)!;
      known = new Set((await this.#journal.carryRows(name)).map((row) => row + low));
      this.#carryRows.set(name, known);
    }
    return known;
  }
}

const newPace = (): Pace => new Map();

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

function burnInOf(layout: PlanLayout, pass: Pass): Stage | undefined {
  return stagesOf(layout).find((stage) =>
    stage.kind === "burn-in" && stage.pass.name === pass.name
  );
}

function sweepOf(layout: PlanLayout, pass: Pass): Stage {
  return stagesOf(layout).find(({ name }) => name === pass.name)!;
}

/** The part of all lanes' carries that is a lane's. */
function laneOf(carries: Uint8Array, { carry }: Pass, lane: number): Uint8Array {
  return carries.subarray(lane * carry!.bytes, (lane + 1) * carry!.bytes);
}

function sumReports(reports: readonly LaneReport[]): LaneReport {
  return {
    largestDistance: Math.max(...reports.map(({ largestDistance }) => largestDistance)),
    redoneRows: reports.reduce((sum, { redoneRows }) => sum + redoneRows, 0),
  };
}
