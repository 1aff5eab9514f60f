/**
 * Puts lanes right that started wrong: each is run again from where the one before it ended, until it meets
 * what it left, and no file is half-written.
 *
 * @module
 */

import type { Account } from "../gpu/ledger.ts";
import type { Carries } from "./carries.ts";
import type { Checkpoints, Repair } from "./checkpoints.ts";
import type { LaneReport, Lanes, Stage } from "./lanes.ts";
import { boundaryOf, endOf, laneOf, MEETING_ROWS, startOf } from "./lanes.ts";
import type { Output } from "./output.ts";
import type { Pass, Tile } from "./pass.ts";
import { tilesBetween } from "./pass.ts";
import type { StageSeconds, SweepHooks } from "./schedule.ts";

/** A repair, with the name of its stage. */
export type LaneRepair = Repair & { pass: string };

/** What a repair needs of the run it is part of. */
interface RepairContext {
  lanes: Lanes;
  /** The sweep whose lanes are looked at, and the burn-in that they were started from. */
  sweep: Stage;
  burnIn: Stage;
  account: Account;
  checkpoints: Checkpoints;
  held(): Uint8Array;
  output: Output;
  /** Whether another pass starts from what this one carries. */
  startsOthers: boolean;
  carries: Carries;
  run: {
    fillCarries(stage: Stage, cuts: readonly number[]): Promise<void>;
    sweep(
      pass: Pass,
      tiles: readonly Tile[],
      carry: ArrayBufferView | undefined,
      hooks: SweepHooks,
    ): Promise<StageSeconds>;
  };
}

const NOTHING = new Uint8Array(0);

/**
 * Looks, lane after lane, whether each started where the one before it ended, and runs those again
 * that did not. What a lane is started from is put right last: a run that was interrupted finds it
 * wrong again, and repeats that lane.
 *
 * @param repairs Those that an earlier run did.
 */
export async function repairLanes(
  stage: Stage,
  repairs: LaneRepair[],
  context: RepairContext,
): Promise<{ seconds: StageSeconds; report: LaneReport }> {
  const { lanes: { count, distance, tolerance }, account, checkpoints, sweep, burnIn } = context;
  const { pass } = stage;
  const held = 3 * count * pass.carry!.bytes;
  account.take("host", held, "states where lanes meet");
  const seconds: StageSeconds = { read: 0, compute: 0, write: 0, total: 0 };
  const report: LaneReport = { largestDistance: 0, redoneRows: 0 };
  const log = { pass: stage.name, sweep: 0 };
  for (let i = 1; i < count; i++) {
    const [before, lane] = pass.direction === "forward" ? [i - 1, i] : [count - i, count - 1 - i];
    const ends = (await checkpoints.load(sweep, 0, endOf(sweep)))!;
    const end = laneOf(ends.carry, pass, before);
    const starts = (await context.carries.starts(pass))!;
    const apart = distance(laneOf(starts, pass, lane), end);
    if (apart <= tolerance) {
      report.largestDistance = Math.max(report.largestDistance, apart);
      continue;
    }
    if (!repairs.some((repair) => repair.lane === lane)) {
      const repair = await redo(stage, lane, end, seconds, context);
      const row = startOf(stage);
      await checkpoints.log({ ...log, row, storedTo: row, repair });
      repairs.push({ pass: stage.name, ...repair });
    }
    // where others start from, or may meet it again
    const own = [...await checkpoints.rows(stage)];
    for (const row of own) {
      const redone = (await checkpoints.load(stage, 0, row))!;
      const state = await checkpoints.load(sweep, 0, row);
      // damaged meanwhile: who starts there computes it again
      if (!state) continue;
      laneOf(state.carry, pass, lane).set(redone.carry);
      await checkpoints.save(sweep, 0, row, state);
    }
    laneOf(starts, pass, lane).set(end);
    await checkpoints.save(burnIn, 0, endOf(burnIn), {
      held: context.held(),
      kept: NOTHING,
      carry: starts,
    });
    for (const row of own) await checkpoints.delete(stage, 0, row);
  }
  for (const { distance, redoneRows } of repairs) {
    report.largestDistance = Math.max(report.largestDistance, distance);
    report.redoneRows += redoneRows;
  }
  account.giveBack("host", held);
  await checkpoints.log({ ...log, row: endOf(stage), storedTo: endOf(stage), lanes: report });
  return { seconds, report };
}

/** Runs a lane again from `start`. */
async function redo(
  stage: Stage,
  lane: number,
  start: Uint8Array,
  seconds: StageSeconds,
  { lanes: { distance, tolerance }, sweep, checkpoints, output, startsOthers, held, carries, run }:
    RepairContext,
): Promise<Repair> {
  const { pass } = stage;
  const forward = pass.direction === "forward";
  const written = pass.writes ?? [];
  const repair: Repair = { lane, distance: 0, redoneRows: 0 };
  // an interrupted repair of this lane left some
  for (const row of [...await checkpoints.rows(stage)]) await checkpoints.delete(stage, 0, row);
  const left = await checkpoints.rows(sweep);
  let from: { row: number; carry: Uint8Array } | undefined = { row: startOf(stage), carry: start };
  output.redo(written, "all");
  while (from && from.row !== endOf(stage)) {
    const bounds = await carries.boundsOf(stage, from.row);
    for (const stretch of bounds.missing) await run.fillCarries(stage, stretch);
    const tiles = tilesBetween(bounds.rows, { firstLane: lane, lanes: 1, again: true });
    const { carry }: { carry: Uint8Array } = from;
    from = undefined;
    const spent = await run.sweep(pass, tiles, carry, {
      writes: true,
      onTile: async (tile, own) => {
        const row = boundaryOf(pass, tile);
        const { storedTo, chunks } = await output.commit(tile, forward);
        if (Object.keys(chunks).length > 0) {
          const place = { pass: stage.name, sweep: 0, row: startOf(stage) };
          await checkpoints.log({ ...place, storedTo: startOf(stage), chunks });
        }
        // all that is left is to complete files
        if (repair.metAt !== undefined) return storedTo === row;
        repair.redoneRows += tile.end - tile.start;
        if (row % MEETING_ROWS === 0 && row !== endOf(stage)) {
          const state = await checkpoints.load(sweep, 0, row);
          const before = state && laneOf(state.carry, pass, lane);
          const apart = before ? distance(own!, before) : Infinity;
          if (before && apart <= tolerance) {
            Object.assign(repair, { metAt: row, distance: apart });
            if (storedTo !== row) from = { row, carry: before };
            return true;
          }
        }
        // where the sweep has a state that others start from, may be met again, or is the end
        const serves = startsOthers || row % MEETING_ROWS === 0 || row === endOf(stage);
        if (serves && left.has(row)) {
          await checkpoints.save(stage, 0, row, { held: held(), kept: NOTHING, carry: own! });
        }
        return false;
      },
    });
    for (const key of Object.keys(seconds) as (keyof StageSeconds)[]) seconds[key] += spent[key];
    output.redo(written, "begun");
  }
  output.redo(written, "none");
  return repair;
}

export function sumReports(reports: readonly LaneReport[]): LaneReport {
  return {
    largestDistance: Math.max(...reports.map(({ largestDistance }) => largestDistance)),
    redoneRows: reports.reduce((sum, { redoneRows }) => sum + redoneRows, 0),
  };
}
