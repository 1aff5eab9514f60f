/**
 * A plan: passes, and the memory they need, known before anything is touched.
 *
 * @module
 */

import { BudgetError, DeviceLostError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import { formatBytes, formatTable } from "../math/format.ts";
import type { HostState, Journal } from "../store/journal.ts";
import { openJournal } from "../store/journal.ts";
import type { MemoryBytes, RunOptions } from "../types.ts";
import type { PlanChoices } from "./choices.ts";
import { runOptions } from "./choices.ts";
import type { LaneReport, Lanes } from "./lanes.ts";
import { laneRows } from "./lanes.ts";
import {
  journalMemory,
  largestBuffer,
  largestTileBuffer,
  projectBytes,
  ringBytes,
  tableBytes,
} from "./buffers.ts";
import type { Pass, SharedBuffer, Tile } from "./pass.ts";
import type { Position } from "./run.ts";
import { PlanRun } from "./run.ts";
import type { StageSeconds } from "./schedule.ts";

export type { PlanChoices } from "./choices.ts";

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
  /** Stretches of the recording that are advanced side by side; one when not given. */
  lanes?: Lanes;
  /** Lines for people: what was chosen, and why. */
  notes?: readonly string[];
  /** Tiles of a whole number of these waste nothing when a run is resumed. */
  alignRows?: number;
  /** Rows of the largest tile that is worth its memory; 4096 when not given. */
  mostTileRows?: number;
  /**
   * Whether the journal knows no tiles: an interrupted run starts over, or from the last
   * {@link PlanActions.snapshot}.
   */
  restarts?: boolean;
  /** Bytes of a snapshot at most, where they are taken. */
  stateBytes?: number;
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

/** A tile that is done, as the journal holds it; rows are those of a lane. */
export interface StepRecord extends Commit {
  pass: string;
  start: number;
  end: number;
  /** The model's state on the host after it. */
  state?: unknown;
  /** What it took to put a lane right that had started wrong. */
  repair?: { lane: number; metAt?: number; distance: number; redoneRows: number };
  /** At the end of a pass: how its lanes fit together. */
  lanes?: LaneReport;
}

/** Hands a running model its account, so that host and disk bytes are counted as they come. */
export interface RunContext {
  account: Account;
  signal: AbortSignal;
  /** Tiles an earlier run stored for good, in the order they were done; none when it starts. */
  steps: readonly StepRecord[];
  /** The model's state or snapshot to go on from; `undefined` when it starts. */
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
  /**
   * Names everything that changes stored bytes, in a few characters: all that is read among it, never a
   * sample. Asked at the start of every run.
   */
  hash?(signal: AbortSignal): Promise<string>;
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
  /**
   * Tells which rows of a pass may be written again: all of them, those that complete files that were
   * begun again, or none, as at the start.
   */
  redo?(pass: Pass, rows: "all" | "begun" | "none"): void;
  /** The state on the host that tiles change: anything JSON can hold. */
  state?(): unknown;
  /**
   * All that tiles and sweeps change on the host: between two sweeps or passes, or at a row of a sweep that
   * says it resumes there. `undefined` where the one before serves as well.
   */
  snapshot?(row: number | undefined): HostState | undefined;
  /** Completes the output. */
  finish(report: RunReport): Promise<Result>;
  /** Lets go of what `begin` opened when the run failed or was cancelled. */
  release(): Promise<void>;
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
  /** How lanes fitted together, where there are several. */
  lanes?: LaneReport;
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

/** What a report says in a result. */
export function measured(
  { projectedBytes, peakBytes, passes, totalSeconds, resumed }: RunReport,
): Measured {
  const seconds: Record<string, number> = {};
  for (const [pass, stages] of Object.entries(passes)) {
    for (const [stage, value] of Object.entries(stages)) seconds[`${pass}.${stage}`] = value;
  }
  seconds.total = totalSeconds;
  return { projectedBytes, peakBytes, seconds, ...(resumed && { resumed }) };
}

// A tile larger than this gains nothing: the device is busy, and cancelling wants small steps.
const MAX_TILE_ROWS = 4096;
// Drivers clear buffers when they are first used. In software that takes a second for some hundred MiB,
// which no cancel interrupts and nothing is gained by.
const MAX_SOFTWARE_TILE_BYTES = 32 * 2 ** 20;
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
    const { rows, passes, shared, memory, lanes, notes = [] } = this.#layout;
    const own = laneRows(this.#layout);
    const count = lanes?.count ?? 1;
    const size = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);
    const table = [["", "tiles", "rows a tile", "GPU", "host", "disk"]];
    table.push(["tables and carries", "", "", size(tableBytes(shared)), "", ""]);
    for (const pass of passes) {
      const sweeps = pass.sweeps ? `, up to ${pass.sweeps.most} sweeps` : "";
      table.push([
        `${pass.name} (${pass.direction}, ${this.slots} slots${sweeps})`,
        String(Math.ceil((pass.rows ?? own) / this.tileRows)),
        `${count > 1 ? `${count} x ` : ""}${Math.min(pass.rows ?? own, this.tileRows)}`,
        size(ringBytes([pass], count, this.slots)),
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
    table.push(["in all (passes share buffers)", "", "", size(gpu), size(host), size(disk)]);
    const cut = count > 1
      ? `, ${count} lanes of ${own} that start ${lanes!.burnInRows} rows early`
      : "";
    return `Plan "${this.name}": ${rows} rows${cut} on ${this.#gpu.adapter.name}, budget ` +
      `${formatBytes(this.#gpu.budgetBytes.gpu)}\n${formatTable(table)}` +
      notes.map((note) => `\n${note}`).join("");
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
    runOptions.check(options);
    const signal = options.signal ?? new AbortController().signal;
    signal.throwIfAborted();
    const began = performance.now();
    const actions = this.#actions;
    const hash = await actions.hash?.(signal) ?? "";
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

/** The largest tile that fits budget and adapter, with two slots if they fit. */
function chooseTile<Result>(
  gpu: Gpu,
  actions: PlanActions<Result>,
  choices: PlanChoices,
): { tileRows: number; slots: number } {
  const budget = gpu.budgetBytes;
  const smallestLayout = actions.layout(1);
  const { mostTileRows = MAX_TILE_ROWS } = smallestLayout;
  const rows = laneRows(smallestLayout);
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
  const mostTileBytes = gpu.adapter.software ? MAX_SOFTWARE_TILE_BYTES : Infinity;
  for (const slots of choices.slots === undefined ? [2, 1] : [choices.slots]) {
    if (!fits(smallest, slots)) continue;
    let [low, high] = [smallest, largest];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const { passes } = actions.layout(middle);
      if (fits(middle, slots) && largestTileBuffer(passes) <= mostTileBytes) low = middle;
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
