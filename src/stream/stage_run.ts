/**
 * Runs a task's stages, one after the other: sweeps over tiles, burn-ins, and the repair of lanes.
 *
 * @module
 */

import { fillTables, keptBuffers } from "./buffers.ts";
import { Carries } from "./carries.ts";
import type { Checkpoint, Start } from "./checkpoints.ts";
import { heldState } from "./checkpoints.ts";
import type { RunOptions } from "./choices.ts";
import type { Keeping, RunParts } from "./keeping.ts";
import { NOTHING, startsOthers } from "./keeping.ts";
import type { LaneRepair } from "./lane_repair.ts";
import { repairLanes } from "./lane_repair.ts";
import type { LaneReport, Stage } from "./lanes.ts";
import {
  boundaryOf,
  burnInOf,
  carriesOf,
  endOf,
  lanesOfTile,
  lanesSeen,
  ownLanes,
  startOf,
} from "./lanes.ts";
import type { Pass, Tile, Turn, WriteTurn } from "./pass.ts";
import { tilesBetween } from "./pass.ts";
import { ProgressMeter } from "./progress.ts";
import { beginSections, endSection } from "./sections.ts";
import type { StageSeconds, SweepHooks } from "./schedule.ts";
import { runPass } from "./schedule.ts";
import type { Pace } from "./submitter.ts";
import type { HeldSpecs } from "./task.ts";

const NO_TIME: StageSeconds = { read: 0, compute: 0, write: 0, total: 0 };

/** The stages of one attempt. */
export class StageRun<Specs extends HeldSpecs> {
  readonly #parts: RunParts<Specs>;
  readonly #keeping: Keeping<Specs>;
  readonly #carries: Carries;
  #progress!: ProgressMeter;
  /** How lanes fitted together, by repair. */
  reports: LaneReport[] = [];

  constructor(parts: RunParts<Specs>, keeping: Keeping<Specs>, tileRows: number) {
    this.#parts = parts;
    this.#keeping = keeping;
    this.#carries = new Carries(parts.layout, parts.stages, parts.checkpoints, tileRows);
  }

  async run(
    from: Start,
    lines: readonly Checkpoint[],
    options: RunOptions,
    began: number,
  ): Promise<Record<string, StageSeconds>> {
    const { task, layout, account, only } = this.#parts;
    this.#progress = new ProgressMeter(task.name, layout, account, options, began);
    this.reports = lines.flatMap(({ lanes }) => lanes ? [lanes] : []);
    const repairs = lines.flatMap(({ pass, repair }) => repair ? [{ pass, ...repair }] : []);
    const seconds: Record<string, StageSeconds> = {};
    for (const [i, stage] of this.#parts.stages.entries()) {
      const { row, sweep = 0 }: Partial<Start> = i === from.index ? from : {};
      const begun = row !== undefined || sweep > 0;
      const done = i < from.index;
      if (only && !only.includes(stage.name)) continue;
      if (done ? !stage.pass.fillsDevice : !begun && stage.pass.needed?.() === false) continue;
      this.#progress.startStage(stage, row, sweep / (stage.pass.sweeps?.most ?? 1));
      seconds[stage.name] = stage.kind === "repair"
        ? await this.#repair(stage, repairs.filter(({ pass }) => pass === stage.name))
        : await this.#runStage(stage, row, sweep, !done);
      this.#progress.finishStage();
      const next = this.#parts.stages[i + 1];
      if (next && !done) await this.#keeping.between(next, 0);
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
    const { held, signal } = this.#parts;
    const { sweeps } = stage.pass;
    const most = sweeps?.most ?? 1;
    const seconds = { ...NO_TIME };
    const pace: Pace = new Map();
    for (;; sweep++, row = undefined) {
      addSeconds(seconds, await this.#runSweep(stage, row, sweep, { pace, keeps }));
      signal.throwIfAborted();
      if (!await sweeps?.again({ sweep, held, signal }) || sweep + 1 === most) return seconds;
      if (keeps) await this.#keeping.between(stage, sweep + 1);
    }
  }

  /** Runs one of the sweeps of a stage; from a row, if it is given. */
  async #runSweep(
    stage: Stage,
    row: number | undefined,
    sweep: number,
    { pace, keeps }: { pace: Pace; keeps: boolean },
  ): Promise<StageSeconds> {
    const bounds = await this.#carries.boundsOf(stage, row ?? startOf(stage));
    for (const stretch of bounds.missing) await this.fillCarries(stage, stretch);
    const own = ownLanes(this.#parts.layout);
    const tiles = tilesBetween(bounds.rows, lanesOfTile(own));
    const carries = tiles.length === 0 || !stage.pass.carry
      ? undefined
      : row !== undefined
      ? (await this.#parts.checkpoints.load(stage, sweep, row))!.carry
      : stage.kind === "burn-in"
      ? this.#carries.initial(stage.pass)
      : await this.#carries.starts(stage.pass);
    const carry = carries && carriesOf(carries, this.#parts.layout, stage.pass, own);
    const { sweeps, tables } = stage.pass;
    if (tables) await this.#fillTables(tables());
    if (row === undefined) beginSections(stage.pass, this.#parts.held, this.#parts.onSection);
    return await this.sweep(stage.pass, tiles, carry, {
      sweep,
      writes: stage.kind === "sweep",
      pace,
      onTile: async (tile, carry, kept) => {
        endSection(stage, tile, this.#parts.held, this.#parts.onSection);
        if (keeps) await this.#keeping.after(stage, sweep, tile, { carry, kept });
        this.#keeping.forgetAsRead(tile);
        return false;
      },
      onAdvance: (share, rows) =>
        this.#progress.advance((sweep + share) / (sweeps?.most ?? 1), rows),
    });
  }

  async #fillTables(contents: Record<string, ArrayBufferView>): Promise<void> {
    const { gpu, signal, layout, buffers } = this.#parts;
    const tables = layout.shared.filter(({ name }) => name in contents)
      .map((table) => ({ ...table, data: contents[table.name]! }));
    await fillTables(gpu, tables, buffers, signal);
  }

  /** Looks whether lanes started where those before them ended, and puts right what did not. */
  async #repair(stage: Stage, repairs: LaneRepair[]): Promise<StageSeconds> {
    const { output, layout, stages, account, checkpoints, task, held } = this.#parts;
    const { seconds, report } = await repairLanes(stage, repairs, {
      lanes: layout.lanes!,
      sweep: stages.find(({ name }) => name === stage.pass.name)!,
      burnIn: burnInOf(layout, stage.pass)!,
      account: account,
      checkpoints: checkpoints,
      held: () => heldState(task.held, held),
      output,
      startsOthers: startsOthers(layout, stage.pass),
      carries: this.#carries,
      run: this,
    });
    this.reports.push(report);
    return seconds;
  }

  /** Runs the pass that a stage starts from over a stretch again, for its carries at the cuts. */
  async fillCarries(stage: Stage, cuts: readonly number[]): Promise<void> {
    const name = stage.pass.startsFrom!.pass;
    const source = this.#parts.stages.find((other) => other.name === name)!;
    // what it had at its last cut is known
    const isForward = source.pass.direction === "forward";
    const { layout } = this.#parts;
    const seen = lanesSeen(layout);
    const bounds = isForward ? cuts.slice(0, -1) : cuts.slice(1);
    const tiles = tilesBetween(bounds, lanesOfTile(seen));
    const end = await this.#parts.checkpoints.load(source, 0, endOf(source));
    const from = isForward ? cuts[0]! : cuts.at(-1)!;
    const carries = await this.#carries.at(source.pass, from);
    await this.sweep(source.pass, tiles, carriesOf(carries, layout, source.pass, seen), {
      writes: false,
      onTile: async (tile, carry) => {
        const held = end?.held ?? heldState(this.#parts.task.held, this.#parts.held);
        const state = { held, kept: NOTHING, carry: carry! };
        await this.#parts.checkpoints.save(source, 0, boundaryOf(source.pass, tile), state);
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
    const { gpu, signal, layout, buffers, stages, account } = this.#parts;
    if (pass.carry && carry && tiles.length > 0) {
      const target = layout.shared.find(({ name }) => name === pass.carry!.buffer)!;
      await fillTables(gpu, [{ ...target, data: carry }], buffers, signal);
    }
    const stage = stages.find(({ name }) => name === pass.name)!;
    const turn: Turn = { sweep, held: this.#parts.held, signal };
    return await runPass({
      gpu,
      pass,
      tiles,
      workspace: buffers.workspace,
      slots: buffers.slots,
      shared: buffers.shared,
      signal,
      pace,
      account: account,
      read: async (tile) => {
        const contents = await pass.read(tile, turn);
        this.#keeping.copyAsRead(tile);
        return contents;
      },
      write: async (tile, downloads, beside) =>
        await pass.write(tile, downloads, this.#writing(turn, beside)),
      carryAt: (tile) => this.#carries.ofTile(pass.startsFrom!.pass, tile),
      keeper: keptBuffers(layout).length === 0 ? undefined : {
        wants: (tile) => this.#keeping.wants(stage, tile),
        keep: (encoder) => buffers.copyKept(encoder),
        read: () => buffers.mapKept(),
      },
      onAdvance: (share, rows) => this.#progress.advance(share, rows),
      ...hooks,
    });
  }

  #writing(turn: Turn, beside: Record<string, ArrayBufferView>): WriteTurn {
    const { output, signal } = this.#parts;
    const store: WriteTurn["store"] = (name, start, values) =>
      output.write(name, start, values, signal);
    return { ...turn, beside, store };
  }
}

function addSeconds(sum: StageSeconds, spent: StageSeconds): void {
  for (const key of Object.keys(sum) as (keyof StageSeconds)[]) sum[key] += spent[key];
}
