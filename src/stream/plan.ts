/**
 * A plan: passes, and the memory they need, known before anything is touched.
 *
 * @module
 */

import { BudgetError, DeviceLostError, GpuError, QuotaError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account, BufferRequest } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage, MapMode } from "../gpu/usage.ts";
import { formatBytes, formatTable } from "../math/format.ts";
import { Journal, openJournal } from "../store/journal.ts";
import { openStore } from "../store/store.ts";
import type { MemoryBytes, Progress, RunOptions } from "../types.ts";
import type { Pass, SharedBuffer, SlotBuffer, Tile } from "./pass.ts";
import { cutRows, isKernelStep, PARAMS_BYTES, tilesBetween } from "./pass.ts";
import type { PassRun, Slot, StageSeconds } from "./schedule.ts";
import { CARRY_STAGING, runPass } from "./schedule.ts";
import type { Pace } from "./submitter.ts";

/** A line of the memory table: what is held, how many bytes, and whether on the host or on disk. */
export interface MemoryItem {
  what: string;
  kind: "host" | "disk";
  bytes: number;
}

/** What a model says it needs for tiles of a given number of rows. */
export interface PlanLayout {
  /** Rows of the recording. */
  rows: number;
  shared: readonly SharedBuffer[];
  passes: readonly Pass[];
  memory: readonly MemoryItem[];
  /** Tiles of a whole number of these waste nothing when a run is resumed. */
  alignRows?: number;
  /** Rows of the largest tile that is worth its memory; 4096 when not given. */
  mostTileRows?: number;
  /** Whether an interrupted run starts over: nothing is kept in a journal. */
  restarts?: boolean;
}

/** What an output place holds, before any work. */
export type FoundOutput<Result> =
  | { kind: "nothing" }
  /** This plan's output, not finished. */
  | { kind: "unfinished" }
  | { kind: "finished"; result: Result };

/** What a model made safe at the end of a tile. */
export interface Commit {
  /** Rows up to here, in the pass's direction, are stored for good. */
  storedTo: number;
  /** What {@link PlanActions.begin} needs to go on from here: anything JSON can hold. */
  output?: unknown;
}

/** A tile that is done, as the journal holds it. */
export interface StepRecord extends Commit {
  pass: string;
  start: number;
  end: number;
  /** The model's state on the host after it. */
  state?: unknown;
}

/** Hands a running model its account, so that host and disk bytes are counted as they come. */
export interface RunContext {
  account: Account;
  signal: AbortSignal;
  /** Tiles an earlier run stored for good, in the order they were done; none when it starts. */
  steps: readonly StepRecord[];
  /** The model's state on the host to go on from; `undefined` when it starts. */
  state: unknown;
}

/** What a model does around its passes. */
export interface PlanActions<Result> {
  /** Name of the plan in tables and errors. */
  name: string;
  /** Where the output goes; its journal lies beside it. The memory of this process when not given. */
  place?: string;
  /** Buffers, passes and memory for a tile size. Costs nothing and touches nothing. */
  layout(tileRows: number): PlanLayout;
  /** Names everything that changes stored bytes, in a few characters. */
  hash?(): Promise<string>;
  /**
   * Looks at the output place.
   *
   * @param begun Whether the journal beside it is this plan's.
   * @throws {OutputConflictError} If something else is there.
   */
  check?(begun: boolean): Promise<FoundOutput<Result>>;
  /** Why stored files are not what the steps told; `undefined` if they are. */
  verify?(steps: readonly StepRecord[]): Promise<Error | undefined>;
  /** Writes metadata, or goes on where the steps end. From here on the output place is ours. */
  begin(context: RunContext): Promise<void>;
  /** Makes what a tile wrote safe. */
  commit?(pass: Pass, tile: Tile): Promise<Commit>;
  /** The state on the host that tiles change: anything JSON can hold. */
  state?(): unknown;
  /** Completes the output. */
  finish(report: RunReport): Promise<Result>;
  /** Lets go of what `begin` opened when the run failed or was cancelled. */
  release(): Promise<void>;
}

/** Where a run went on that had been interrupted. */
export interface Resumption {
  pass: string;
  /** First row, in the pass's direction, that was not stored. */
  row: number;
  /** The file that was damaged or missing, when stored work had to be done again for that. */
  damaged?: string;
}

/** What a run measured. */
export interface RunReport {
  projectedBytes: MemoryBytes;
  peakBytes: MemoryBytes;
  /** Seconds by stage and pass. */
  passes: Record<string, StageSeconds>;
  /** Seconds from the call of `run()` to the last pass's end. */
  totalSeconds: number;
  /** Where it went on, if it did not start from nothing. */
  resumed?: Resumption;
}

/** Choices that change speed and memory, never results. */
export interface PlanChoices {
  /** Rows of a tile; the largest that fits the budget when not given. */
  tileRows?: number;
  /** Slots in the ping-pong, 1 to 4; 2 when not given, 1 when two would not fit. */
  slots?: number;
}

// A tile larger than this gains nothing: the device is busy, and cancelling wants small steps.
const MAX_TILE_ROWS = 4096;
// Tables cross in pieces of at most this size.
const TABLE_STAGING_BYTES = 4 * 2 ** 20;
// What an entry of the journal's log takes at most, but for what the model puts into it.
const LOG_ENTRY_BYTES = 400;

/** Journals of plans that have no output place. */
let unnamedJournals = 0;

/** Passes with their memory, ready to be looked at and run. */
export class Plan<Result> {
  readonly name: string;
  /** Bytes the run will hold at most, by place. */
  readonly projected: MemoryBytes;
  readonly tileRows: number;
  readonly slots: number;
  readonly #gpu: Gpu;
  readonly #actions: PlanActions<Result>;
  readonly #layout: PlanLayout;

  /**
   * @throws {BudgetError} If no tile fits the budget, or the one asked for does not.
   */
  constructor(gpu: Gpu, actions: PlanActions<Result>, choices: PlanChoices = {}) {
    this.#gpu = gpu;
    this.#actions = actions;
    this.name = actions.name;
    const { tileRows, slots } = chooseTile(gpu, actions, choices);
    this.tileRows = tileRows;
    this.slots = slots;
    this.#layout = actions.layout(tileRows);
    this.projected = projectBytes(this.#layout, tileRows, slots);
  }

  /** A table for people: what is held where, per pass and in all. */
  explain(): string {
    const { rows, passes, shared, memory } = this.#layout;
    const size = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);
    const table = [["", "tiles", "rows a tile", "GPU", "host", "disk"]];
    table.push(["tables and carries", "", "", size(tableBytes(shared)), "", ""]);
    for (const pass of passes) {
      const sweeps = pass.sweeps ? `, up to ${pass.sweeps.most} sweeps` : "";
      table.push([
        `${pass.name} (${pass.direction}, ${this.slots} slots${sweeps})`,
        String(Math.ceil(rows / this.tileRows)),
        String(Math.min(rows, this.tileRows)),
        size(this.slots * slotBytes([pass])),
        "",
        "",
      ]);
    }
    for (
      const { what, kind, bytes } of [...memory, ...journalMemory(this.#layout, this.tileRows)]
    ) {
      table.push([
        what,
        "",
        "",
        "",
        kind === "host" ? size(bytes) : "",
        kind === "disk" ? size(bytes) : "",
      ]);
    }
    const { gpu, host, disk } = this.projected;
    table.push(["in all (passes share slots)", "", "", size(gpu), size(host), size(disk)]);
    return `Plan "${this.name}": ${rows} rows on ${this.#gpu.adapter.name}, budget ` +
      `${formatBytes(this.#gpu.budgetBytes.gpu)}\n${formatTable(table)}`;
  }

  /**
   * Runs every pass, or those that an interrupted run of the same plan left. Buffers are allocated
   * before the first read and destroyed at the end. A device that is lost is opened again once, and
   * the run goes on from its last stored tile.
   *
   * @throws {OutputConflictError} If the output place holds something else, or another run is at work
   * there.
   * @throws {QuotaError} If the output place has too little room, before any work.
   * @throws {DeviceLostError} If the device is lost twice; says where the next run will go on.
   * @throws The signal's reason, within 250 ms, if it is aborted. The next run of the same plan goes on.
   */
  async run(options: RunOptions = {}): Promise<Result> {
    const signal = options.signal ?? new AbortController().signal;
    signal.throwIfAborted();
    const began = performance.now();
    const actions = this.#actions;
    const hash = await actions.hash?.() ?? "";
    const journal = await openJournal(
      actions.place ?? `memory:journals of plans without a place/${unnamedJournals++}`,
    );
    try {
      const before = await this.#check(journal, hash);
      // a run that was killed when all but the journal was done left that
      if (before.kind === "finished" && await journal.isEmpty()) return before.result;
      this.#gpu.throwIfFailed();
      const unlock = await journal.lock();
      try {
        // another run may have been at work until now
        const found = await this.#check(journal, hash);
        if (found.kind === "finished") {
          await journal.clear();
          return found.result;
        }
        let fresh = found.kind === "nothing" || await journal.planHash() !== hash;
        let position: Position = {};
        for (let losses = 0;; losses++) {
          const run = new PlanRun(
            this.#gpu,
            actions,
            journal,
            signal,
            options,
            began,
            position,
          );
          try {
            const result = await run.run(this.tileRows, this.slots, hash, fresh);
            await journal.clear();
            return result;
          } catch (error) {
            if (signal.aborted) throw signal.reason;
            const loss = await this.#gpu.loss();
            if (!loss) throw error;
            position = run.position;
            const { pass, row } = position;
            const where = pass === undefined
              ? "nothing is stored yet"
              : `pass "${pass}" is stored up to row ${row}: run the same plan again to go on there`;
            if (losses > 0) {
              throw new DeviceLostError(`${loss.message}, and it was lost before: ${where}`, {
                ...(pass !== undefined && { pass, row }),
              });
            }
            await this.#gpu.reopen();
            fresh = fresh && pass === undefined;
          }
        }
      } finally {
        await unlock();
      }
    } finally {
      await journal.close();
    }
  }

  async #check(journal: Journal, hash: string): Promise<FoundOutput<Result>> {
    if (!this.#actions.check) return { kind: "nothing" };
    return await this.#actions.check(await journal.planHash() === hash);
  }
}

/** A pass, and the row up to which it is stored; neither while nothing is. */
interface Position {
  pass?: string;
  row?: number;
}

interface SavedSteps {
  steps: StepRecord[];
  damaged?: string;
}

/** One attempt at running a plan. */
class PlanRun<Result> {
  readonly #gpu: Gpu;
  readonly #actions: PlanActions<Result>;
  readonly #journal: Journal;
  readonly #signal: AbortSignal;
  readonly #options: RunOptions;
  readonly #began: number;
  #layout!: PlanLayout;
  #account!: Account;
  #buffers!: PlanBuffers;
  readonly #pace: Pace = { msPerRow: new Map(), largest: new Map() };
  /** Rows of carries that only serve to go on, in the order they were saved. */
  #passing: number[] = [];
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
      tileRows = await this.#allocate(tileRows, slots, steps);
      this.#signal.throwIfAborted();
      const from = await this.#resumption(steps);
      const row = from.row ?? startOf(from.pass, this.#layout.rows);
      if (steps.length > 0) this.position = { pass: from.pass.name, row };
      begun = true;
      if (steps.length === 0) await this.#journal.begin(hash);
      await actions.begin({
        account: this.#account,
        signal: this.#signal,
        steps,
        state: from.state,
      });
      const carries = this.#layout.passes.map((pass) => pass.carry?.buffer);
      const tables = this.#layout.shared.filter(({ name }) => !carries.includes(name));
      await fillTables(this.#gpu, tables, this.#buffers);
      const passes = await this.#runPasses(from, tileRows);
      for (const buffer of this.#buffers.all) this.#account.destroyBuffer(buffer);
      const result = await actions.finish({
        projectedBytes: { ...this.#account.projected },
        peakBytes: { ...this.#account.peak },
        passes,
        totalSeconds: (performance.now() - this.#began) / 1000,
        ...(steps.length > 0 && {
          resumed: {
            pass: from.pass.name,
            row,
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

  /** Opens the account and makes every buffer; halves the tile while the driver refuses. */
  async #allocate(
    tileRows: number,
    slots: number,
    steps: readonly StepRecord[],
  ): Promise<number> {
    const gpu = this.#gpu;
    this.#layout = this.#actions.layout(tileRows);
    await this.#checkRoom(projectBytes(this.#layout, tileRows, slots).disk, steps);
    for (const pass of this.#layout.passes) {
      for (const step of pass.steps.filter(isKernelStep)) {
        await gpu.kernel(step.kernel, step.constants);
      }
    }
    for (;;) {
      const projected = projectBytes(this.#layout, tileRows, slots);
      this.#account = gpu.ledger.open(this.#actions.name, projected);
      try {
        this.#buffers = await allocate(this.#account, this.#layout, slots);
        return tileRows;
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
  async #checkRoom(projectedBytes: number, steps: readonly StepRecord[]): Promise<void> {
    const { place, name } = this.#actions;
    // what is there already was allowed for when that run began
    if (place === undefined || steps.length > 0) return;
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

  /** Where steps lead: the pass to go on with, the row it has a carry for, and the host's state. */
  async #resumption(
    steps: readonly StepRecord[],
  ): Promise<{ pass: Pass; row: number | undefined; state: unknown }> {
    const { passes, rows } = this.#layout;
    const last = steps.at(-1);
    let pass = passes.find(({ name }) => name === last?.pass) ?? passes[0]!;
    // a pass that is complete leads to the next, unless that was the last one
    if (last?.storedTo === endOf(pass, rows) && pass !== passes.at(-1)) {
      pass = passes[passes.indexOf(pass) + 1]!;
      return { pass, row: undefined, state: last.state };
    }
    const forward = pass.direction === "forward";
    const own = steps.filter((step) => step.pass === pass.name);
    const boundary = (step: StepRecord) => forward ? step.end : step.start;
    const stored = own.at(-1)?.storedTo ?? startOf(pass, rows);
    const candidates = own
      .filter((step) => forward ? boundary(step) <= stored : boundary(step) >= stored)
      .sort((a, b) => forward ? boundary(b) - boundary(a) : boundary(a) - boundary(b));
    for (const step of candidates) {
      const row = boundary(step);
      const whole = !pass.carry || row === endOf(pass, rows) ||
        await this.#journal.loadCarry(pass.name, row).then(() => true, () => false);
      if (!whole) continue;
      // equal rows have equal states: any step that ends there will do
      return { pass, row, state: step.state };
    }
    const before = steps.filter((step) => step.pass !== pass.name).at(-1);
    return { pass, row: undefined, state: before?.state };
  }

  async #runPasses(
    from: { pass: Pass; row: number | undefined },
    tileRows: number,
  ): Promise<Record<string, StageSeconds>> {
    const { passes, rows } = this.#layout;
    const { name } = this.#actions;
    const progress = new ProgressMeter(
      name,
      this.#layout,
      this.#account,
      this.#options,
      this.#began,
    );
    const seconds: Record<string, StageSeconds> = {};
    for (const pass of passes.slice(passes.indexOf(from.pass))) {
      const row = pass === from.pass ? from.row : undefined;
      const rest: [number, number] = pass.direction === "forward"
        ? [row ?? 0, rows]
        : [0, row ?? rows];
      progress.startPass(pass, rows - (rest[1] - rest[0]));
      const bounds = await this.#boundsOf(pass, rest, tileRows);
      for (const stretch of bounds.missing) await this.#fillCarries(pass, stretch);
      const most = pass.sweeps?.most ?? 1;
      for (let sweep = 0;; sweep++) {
        if (pass.tables) await this.#fillTables(pass.tables());
        const stages = await this.#sweep(pass, tilesBetween(bounds.rows), row, {
          writes: true,
          onTile: (tile, carry) => this.#commit(pass, tile, carry),
          onAdvance: (share, rows) => progress.advance((sweep + share) / most, rows),
        });
        seconds[pass.name] = addStages(seconds[pass.name], stages);
        this.#signal.throwIfAborted();
        if (!await pass.sweeps?.again() || sweep + 1 === most) break;
      }
      progress.finishPass();
      this.#passing = [];
    }
    return seconds;
  }

  /**
   * Rows between which the tiles of a pass lie, ascending, and stretches of them at which the pass it
   * starts from left no carries: an earlier run had larger tiles, or a carry is damaged.
   */
  async #boundsOf(
    pass: Pass,
    [from, to]: [number, number],
    tileRows: number,
  ): Promise<{ rows: number[]; missing: number[][] }> {
    if (!pass.startsFrom) return { rows: cutRows(from, to, tileRows), missing: [] };
    const known = await this.#journal.carryRows(pass.startsFrom.pass);
    const rows = [from];
    const missing: number[][] = [];
    const stops = [...known.filter((row) => row > from && row < to), to];
    for (const [i, stop] of stops.entries()) {
      const start = rows.at(-1)!;
      // small tiles of an earlier run are put together
      if (i + 1 < stops.length && stops[i + 1]! - start <= tileRows) continue;
      const cuts = cutRows(start, stop, tileRows);
      if (cuts.length > 2) missing.push(cuts);
      rows.push(...cuts.slice(1));
    }
    return { rows, missing };
  }

  /** Runs the pass that `pass` starts from over a stretch again, for its carries at the cuts. */
  async #fillCarries(pass: Pass, cuts: readonly number[]): Promise<void> {
    const source = this.#layout.passes.find(({ name }) => name === pass.startsFrom!.pass)!;
    await this.#sweep(source, tilesBetween(cuts.slice(0, -1)), cuts[0] || undefined, {
      writes: false,
      onTile: async (tile, carry) => {
        await this.#journal.saveCarry(source.name, tile.end, carry!);
      },
      onAdvance: () => {},
    });
  }

  async #fillTables(contents: Record<string, ArrayBufferView>): Promise<void> {
    const tables = this.#layout.shared.filter(({ name }) => name in contents)
      .map((table) => ({ ...table, data: contents[table.name]! }));
    await fillTables(this.#gpu, tables, this.#buffers);
  }

  /** Runs a pass over tiles, from the carry the journal has at `row`, or from its initial one. */
  async #sweep(
    pass: Pass,
    tiles: readonly Tile[],
    row: number | undefined,
    hooks: Pick<PassRun, "writes" | "onTile" | "onAdvance">,
  ): Promise<StageSeconds> {
    if (pass.carry && tiles.length > 0) {
      const target = this.#layout.shared.find(({ name }) => name === pass.carry!.buffer)!;
      const data = row === undefined ? target.data : await this.#journal.loadCarry(pass.name, row);
      if (data) await fillTables(this.#gpu, [{ ...target, data }], this.#buffers);
    }
    return await runPass({
      gpu: this.#gpu,
      pass,
      tiles,
      slots: this.#buffers.slots,
      shared: this.#buffers.shared,
      signal: this.#signal,
      carryAt: (row) => this.#carryAt(pass.startsFrom!.pass, row),
      pace: this.#pace,
      ...hooks,
    });
  }

  async #carryAt(name: string, row: number): Promise<ArrayBufferView> {
    if (row > 0) return await this.#journal.loadCarry(name, row);
    const { buffer } = this.#layout.passes.find((pass) => pass.name === name)!.carry!;
    return this.#layout.shared.find((shared) => shared.name === buffer)!.data!;
  }

  /** Writes a finished tile into the journal; from here on it is never computed again. */
  async #commit(pass: Pass, tile: Tile, carry: Uint8Array | undefined): Promise<void> {
    const account = this.#account;
    const { rows, passes, restarts } = this.#layout;
    if (restarts) return;
    const boundary = pass.direction === "forward" ? tile.end : tile.start;
    if (carry && boundary !== endOf(pass, rows)) {
      const bytes = Journal.carryBytes(carry.byteLength);
      account.take("host", 2 * bytes, "carry");
      account.take("disk", bytes, "carry");
      await this.#journal.saveCarry(pass.name, boundary, carry);
      account.giveBack("host", 2 * bytes);
    }
    const { storedTo, output } = await this.#actions.commit?.(pass, tile) ?? { storedTo: boundary };
    const { start, end } = tile;
    const state = this.#actions.state?.();
    const entry: StepRecord = { pass: pass.name, start, end, storedTo, state, output };
    account.take("disk", Journal.entryBytes(entry), "journal");
    await this.#journal.append(entry);
    this.position = { pass: pass.name, row: storedTo };
    if (!carry || passes.some(({ startsFrom }) => startsFrom?.pass === pass.name)) return;
    // carries before the row a resumed run would start from serve nobody
    this.#passing.push(boundary);
    while (
      this.#passing.length > 1 &&
      (pass.direction === "forward" ? this.#passing[1]! <= storedTo : this.#passing[1]! >= storedTo)
    ) {
      await this.#journal.deleteCarry(pass.name, this.#passing.shift()!);
      account.giveBack("disk", Journal.carryBytes(carry.byteLength));
    }
  }
}

/** The row a pass starts from, and the one it ends at. */
function startOf({ direction }: Pass, rows: number): number {
  return direction === "forward" ? 0 : rows;
}

function endOf({ direction }: Pass, rows: number): number {
  return direction === "forward" ? rows : 0;
}

/** Seconds of the sweeps of a pass together. */
function addStages(sum: StageSeconds | undefined, more: StageSeconds): StageSeconds {
  if (!sum) return more;
  return {
    read: sum.read + more.read,
    compute: sum.compute + more.compute,
    write: sum.write + more.write,
    total: sum.total + more.total,
  };
}

/** Bytes of GPU, host and disk a layout needs. */
function projectBytes(layout: PlanLayout, tileRows: number, slots: number): MemoryBytes {
  const items = [...layout.memory, ...journalMemory(layout, tileRows)];
  const sum = (kind: "host" | "disk") =>
    items.reduce((bytes, item) => bytes + (item.kind === kind ? item.bytes : 0), 0);
  return {
    gpu: tableBytes(layout.shared) + slots * slotBytes(layout.passes),
    host: sum("host"),
    disk: sum("disk"),
  };
}

/** What the journal holds until the run is done. */
function journalMemory(layout: PlanLayout, tileRows: number): MemoryItem[] {
  const { rows, passes, alignRows = 1, restarts } = layout;
  if (restarts) return [];
  // a resumed run may have one tile more
  const tiles = Math.ceil(rows / tileRows) + 1;
  // of passes that no other starts from: the last one, and those since what is stored
  const passing = Math.min(tiles, 2 + Math.ceil(alignRows / tileRows));
  let carries = 0;
  let largest = 0;
  for (const { name, carry } of passes) {
    if (!carry) continue;
    const bytes = Journal.carryBytes(carry.bytes);
    const kept = passes.some(({ startsFrom }) => startsFrom?.pass === name);
    carries += bytes * (kept ? tiles : passing);
    largest = Math.max(largest, bytes);
  }
  const log = tiles * passes.length * LOG_ENTRY_BYTES;
  return [
    { what: "carry on its way to the journal", kind: "host", bytes: 2 * largest },
    { what: "journal, removed at the end", kind: "disk", bytes: carries + log },
  ];
}

function tableBytes(shared: readonly SharedBuffer[]): number {
  const staging = tableStagingBytes(shared);
  return shared.reduce((bytes, buffer) => bytes + bufferBytes(buffer.bytes), staging);
}

function tableStagingBytes(shared: readonly SharedBuffer[]): number {
  // a carry without data may still be filled, from the journal
  const largest = Math.max(0, ...shared.map(({ bytes, scratch }) => scratch ? 0 : bytes));
  return largest === 0 ? 0 : bufferBytes(Math.min(largest, TABLE_STAGING_BYTES));
}

function slotBytes(passes: readonly Pass[]): number {
  return slotRequests(passes).reduce((bytes, request) => bytes + bufferBytes(request.bytes), 0);
}

interface SlotRequest extends BufferRequest {
  name: string;
  place: keyof Slot;
}

/** The buffers of one slot: passes run one after the other, so equal names share a buffer. */
function slotRequests(passes: readonly Pass[]): SlotRequest[] {
  const requests = new Map<string, SlotRequest>();
  const add = (request: SlotRequest) => {
    const key = `${request.place} ${request.name}`;
    const before = requests.get(key);
    requests.set(key, {
      ...request,
      bytes: Math.max(request.bytes, before?.bytes ?? 0),
      usage: request.usage | (before?.usage ?? 0),
    });
  };
  const addBuffer = ({ name, bytes, role }: SlotBuffer) => {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    add({ name, label: name, bytes, usage, place: "device" });
    if (role === "scratch") return;
    add({
      name,
      label: `${name} staging`,
      bytes,
      usage: role === "upload"
        ? BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC
        : BufferUsage.MAP_READ | BufferUsage.COPY_DST,
      place: "staging",
    });
  };
  for (const pass of passes) {
    for (const buffer of pass.slotBuffers) addBuffer(buffer);
    if (pass.carry) {
      add({
        name: CARRY_STAGING,
        label: "carry staging",
        bytes: pass.carry.bytes,
        usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
        place: "staging",
      });
    }
    for (const { kernel } of pass.steps.filter(isKernelStep)) {
      add({
        name: kernel.name,
        label: `${kernel.name} params`,
        bytes: PARAMS_BYTES,
        usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST,
        place: "params",
      });
    }
  }
  return [...requests.values()];
}

/** The largest tile that fits budget and adapter, with two slots if they fit. */
function chooseTile<Result>(
  gpu: Gpu,
  actions: PlanActions<Result>,
  choices: PlanChoices,
): { tileRows: number; slots: number } {
  const budget = gpu.budgetBytes;
  const { rows, mostTileRows = MAX_TILE_ROWS } = actions.layout(1);
  for (
    const [name, value, most] of [
      ["tileRows", choices.tileRows, Infinity],
      ["slots", choices.slots, 4],
    ] as const
  ) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= most)) {
      throw new RangeError(
        `Cannot plan "${actions.name}": ${name} is ${value}, wanted a whole number from 1` +
          (most === Infinity ? "" : ` to ${most}`),
      );
    }
  }
  const fits = (tileRows: number, slots: number): boolean => {
    const layout = actions.layout(tileRows);
    const projected = projectBytes(layout, tileRows, slots);
    return projected.gpu <= budget.gpu && projected.host <= budget.host &&
      largestBuffer(layout) <=
        Math.min(
          gpu.device.limits.maxStorageBufferBindingSize,
          gpu.device.limits.maxBufferSize,
        );
  };
  const largest = Math.min(rows, choices.tileRows ?? mostTileRows);
  const smallest = choices.tileRows === undefined ? 1 : largest;
  for (const slots of choices.slots === undefined ? [2, 1] : [choices.slots]) {
    if (!fits(smallest, slots)) continue;
    let [low, high] = [smallest, largest];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (fits(middle, slots)) low = middle;
      else high = middle - 1;
    }
    const { alignRows = 1 } = actions.layout(low);
    const aligned = Math.floor(low / alignRows) * alignRows;
    const free = choices.tileRows === undefined && low < rows && aligned > 0;
    return { tileRows: free ? aligned : low, slots };
  }
  return refuse(gpu, actions, choices, smallest);
}

function refuse<Result>(
  gpu: Gpu,
  actions: PlanActions<Result>,
  choices: PlanChoices,
  tileRows: number,
): never {
  const budget = gpu.budgetBytes;
  const slots = choices.slots ?? 1;
  const projected = projectBytes(actions.layout(tileRows), tileRows, slots);
  const over = (["gpu", "host"] as const).find((kind) => projected[kind] > budget[kind]);
  if (over) {
    throw new BudgetError(
      `Cannot plan "${actions.name}": tiles of ${tileRows} rows need ` +
        `${formatBytes(projected[over])} (${projected[over]} B) of ${over} memory, the budget is ` +
        `${formatBytes(budget[over])} (${budget[over]} B); the smallest that works is ` +
        `${formatBytes(projected[over])} (${projected[over]} B)`,
      {
        projectedBytes: projected[over],
        budgetBytes: budget[over],
        smallestBudgetBytes: projected[over],
      },
    );
  }
  throw new RangeError(
    `Cannot plan "${actions.name}": tiles of ${tileRows} rows need one buffer of ` +
      `${formatBytes(largestBuffer(actions.layout(tileRows)))}, the adapter allows ` +
      formatBytes(gpu.device.limits.maxStorageBufferBindingSize),
  );
}

function largestBuffer({ shared, passes }: PlanLayout): number {
  return Math.max(
    ...shared.map(({ bytes }) => bytes),
    ...passes.flatMap((pass) => pass.slotBuffers.map(({ bytes }) => bytes)),
  );
}

interface PlanBuffers {
  shared: Record<string, GPUBuffer>;
  slots: Slot[];
  tableStaging: GPUBuffer | undefined;
  all: GPUBuffer[];
}

async function allocate(
  account: Account,
  { shared, passes }: PlanLayout,
  slotCount: number,
): Promise<PlanBuffers> {
  const transfer = BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
  const requests: BufferRequest[] = shared.map(({ name, bytes, kind }) => ({
    label: name,
    bytes,
    usage: transfer | (kind === "uniform" ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
  }));
  const stagingBytes = tableStagingBytes(shared);
  if (stagingBytes > 0) {
    requests.push({
      label: "table staging",
      bytes: stagingBytes,
      usage: BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC,
    });
  }
  const perSlot = slotRequests(passes);
  for (let i = 0; i < slotCount; i++) requests.push(...perSlot);
  const all = await account.createBuffers(requests);
  const remaining = [...all];
  const buffers: PlanBuffers = { shared: {}, slots: [], tableStaging: undefined, all };
  for (const { name } of shared) buffers.shared[name] = remaining.shift()!;
  if (stagingBytes > 0) buffers.tableStaging = remaining.shift()!;
  for (let i = 0; i < slotCount; i++) {
    const slot: Slot = { device: {}, staging: {}, params: {} };
    for (const { name, place } of perSlot) slot[place][name] = remaining.shift()!;
    buffers.slots.push(slot);
  }
  return buffers;
}

/** Brings tables to the device through one bounded staging buffer. */
async function fillTables(
  gpu: Gpu,
  shared: readonly SharedBuffer[],
  { shared: targets, tableStaging }: PlanBuffers,
): Promise<void> {
  for (const { name, data } of shared) {
    if (!data) continue;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let offset = 0; offset < bytes.length; offset += tableStaging!.size) {
      const piece = bytes.subarray(offset, offset + tableStaging!.size);
      await tableStaging!.mapAsync(MapMode.WRITE);
      new Uint8Array(tableStaging!.getMappedRange()).set(piece);
      tableStaging!.unmap();
      await gpu.submit(`fill ${name}`, (encoder) => {
        encoder.copyBufferToBuffer(
          tableStaging!,
          0,
          targets[name]!,
          offset,
          bufferBytes(piece.length),
        );
      });
    }
  }
}

const REPORT_EVERY_MS = 100;

/** Turns what passes report into {@link Progress}, at most ten times a second. */
class ProgressMeter {
  readonly #name: string;
  readonly #layout: PlanLayout;
  readonly #account: Account;
  readonly #options: RunOptions;
  readonly #began: number;
  #pass: Pass | undefined;
  #passBegan = 0;
  /** Rows of the pass that an earlier run did. */
  #rowsBefore = 0;
  #lastReport = 0;
  /** Share of the plan that was done when this run began. */
  #fractionBefore: number | undefined;

  constructor(
    name: string,
    layout: PlanLayout,
    account: Account,
    options: RunOptions,
    began: number,
  ) {
    this.#name = name;
    this.#layout = layout;
    this.#account = account;
    this.#options = options;
    this.#began = began;
  }

  startPass(pass: Pass, rowsBefore: number): void {
    this.#pass = pass;
    this.#rowsBefore = rowsBefore;
    this.#passBegan = performance.now();
    this.advance(0, 0, true);
  }

  finishPass(): void {
    this.advance(1, this.#layout.rows - this.#rowsBefore, true);
  }

  /** Hears of the share of the pass's remaining rows the device did, and of rows written. */
  advance(share: number, rows: number, always = false): void {
    const now = performance.now();
    const { passes, rows: totalRows } = this.#layout;
    const pass = this.#pass!;
    const index = passes.indexOf(pass);
    const computed = share * (totalRows - this.#rowsBefore);
    const costOf = (some: readonly Pass[]) => some.reduce((sum, { cost }) => sum + cost, 0);
    const done = costOf(passes.slice(0, index)) +
      pass.cost * (this.#rowsBefore + computed) / totalRows;
    const fraction = done / costOf(passes);
    this.#fractionBefore ??= fraction;
    if (!this.#options.onProgress || (!always && now - this.#lastReport < REPORT_EVERY_MS)) return;
    this.#lastReport = now;
    const elapsedSeconds = (now - this.#began) / 1000;
    const gained = fraction - this.#fractionBefore;
    const progress: Progress = {
      plan: this.#name,
      pass: pass.name,
      passIndex: index,
      passCount: passes.length,
      rows: this.#rowsBefore + rows,
      totalRows,
      fraction,
      bytesWritten: this.#account.peak.disk,
      rowsPerSecond: computed * 1000 / Math.max(1, now - this.#passBegan),
      elapsedSeconds,
      etaSeconds: gained > 0.01 ? elapsedSeconds * (1 - fraction) / gained : undefined,
      peakBytes: { ...this.#account.peak },
    };
    this.#options.onProgress(progress);
  }
}
