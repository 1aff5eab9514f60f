/**
 * How a task is cut into stages: rows of a pass that parts share, a merge of what they came to where later passes
 * need it, and passes that one part runs alone. A pass that comes to all rows again, or whose turn depends on what was
 * before, is a loop.
 *
 * @module
 */

import type { PartLoop, PartStage } from "../parts/part_plan.ts";
import type { AnyTask } from "./identify.ts";
import type { LanesStage } from "./lane_stages.ts";
import { goesInLanes, isOfLanes, laneStages } from "./lane_stages.ts";
import type { Pass } from "./pass.ts";
import { fileRowsOf, isTotal, sectionRowsOf } from "./sections.ts";
import type { HeldSpecs } from "./task.ts";

/** A stage of a pass. */
export interface PassStage extends PartStage {
  /** Shares its rows, puts together what they came to, or runs all of it. */
  does: "rows" | "merge" | "alone";
  pass: string;
  /** Rows of the pass. */
  rows: number;
  /** Rows of a section, or of a file where nothing is summed: no part cuts one. */
  unit: number;
  /** Whether it stores rows: the end wants to know what files are there. */
  writes: boolean;
}

/** A pass that has turns, named by the pass. */
export interface PassLoop extends PartLoop {
  stages: readonly PassStage[];
}

export type FoundStage = PassStage | PassLoop | LanesStage;

/** The stages between the first and the last. @throws {RangeError} If there are more parts than sections or files. */
export function cutTask<Result>(task: AnyTask<Result>, parts: number): FoundStage[] {
  if (goesInLanes(task)) return laneStages(task, parts);
  const all = sharedPasses(task);
  const passes = all.filter((pass) => !pass.fillsDevice);
  const units = passes.map((pass) => unitsOf(task, pass));
  const most = units.reduce((most, own) => own.count > most.count ? own : most);
  if (parts > most.count) {
    throw new RangeError(
      `Cannot run "${task.name}" in ${parts} parts: its ${most.rows} rows are ${most.count} times ${most.unit}, ` +
        `which no part can cut, wanted at most ${most.count} parts`,
    );
  }
  return passes.flatMap((pass, i): FoundStage[] => {
    const { name, alone, sums, sweeps, needed } = pass;
    const { rows, unit, count } = units[i]!;
    const stage = { pass: name, rows, unit };
    const stages: PassStage[] = [{
      ...{ ...stage, writes: (pass.writes?.length ?? 0) > 0 },
      ...{ does: alone ? "alone" : "rows", name: stageName("rows", name) },
      parts: Math.min(parts, count),
    }];
    // of the last pass the end puts together what it summed
    if (!alone && sums && (sweeps || i + 1 < passes.length)) {
      const merge = { name: stageName("merge", name), parts: 1, writes: false };
      stages.push({ ...stage, ...merge, does: "merge" });
    }
    const most = alone ? 1 : sweeps?.most ?? 1;
    return needed || (sweeps && !alone) ? [{ loop: loopOf(name), most, stages }] : stages;
  });
}

/** Engines make names of files and jobs of them. */
const stageName = (does: string, pass: string) => `${does}/${loopOf(pass)}`;
/** The loop of a pass. */
export const loopOf = (pass: string): string => pass.replaceAll(" ", "-");

/** All stages of rows, those of loops among them. */
export function passStages(stages: readonly FoundStage[]): PassStage[] {
  return stages.flatMap((stage) =>
    "loop" in stage ? stage.stages : isOfLanes(stage) ? [] : [stage]
  );
}

/** Rows of a part: whole units, as many as others have or one more. */
export function rowsOfPart(
  { rows, unit, parts }: PassStage,
  part: number,
): { from: number; to: number } {
  const units = Math.ceil(rows / unit);
  const cut = (i: number) => Math.min(rows, unit * Math.floor(i * units / parts));
  return { from: cut(part), to: cut(part + 1) };
}

/**
 * Of the passes that come next, those that have nothing to do, as far as that is known: one that changes what is
 * held decides on those after it.
 */
export function unneeded(passes: readonly Pass[]): Pass[] {
  const found: Pass[] = [];
  for (const pass of passes) {
    if (pass.needed?.() === false) found.push(pass);
    else if (pass.sums || pass.alone) break;
  }
  return found;
}

/** Passes of which parts may share the rows, in the order of a run. @throws {RangeError} If there are others. */
function sharedPasses<Result>(task: AnyTask<Result>): Pass[] {
  const layout = task.layout(1);
  const { streamed, passRow, companion } = task.output;
  const { passes } = layout;
  const summed = passes.flatMap(({ sums }) => sums?.held ?? []);
  const why = layout.lanes && layout.lanes.count > 1
    ? "it has lanes"
    : companion || passRow
    ? "rows of what it stores are not those of its passes"
    : task.adopt
    ? "an earlier run's choices may be taken over"
    : Object.values(task.held as HeldSpecs).some(({ changedByRead }) => changedByRead)
    ? "reading a row changes what others are"
    : layout.shared.some(({ kept }) => kept)
    ? "the device keeps what rows leave there"
    : passes.map(whyNotByRows).find((why) => why !== undefined) ??
      (streamed.some(({ shardChunks }) => shardChunks !== undefined)
        ? "it stores shards, which one run alone can write"
        : summed.length === 0 && Object.keys(task.held).some((name) => !isTotal(name)) &&
          "rows are to each other what no part knows");
  if (why) {
    throw new RangeError(
      `Cannot run "${task.name}" in parts: ${why}, wanted rows that depend on no others; list several commands ` +
        "to have each run as a part",
    );
  }
  // only where no pass has to wait for others they know beforehand
  const beforehand = unneeded(passes);
  const known = passes.findIndex(({ sums, alone }) => sums || alone);
  return passes.filter((pass) => !beforehand.includes(pass)).map((pass) => {
    const { needed: _, ...others } = pass;
    return known < 0 || passes.indexOf(pass) <= known ? others : pass;
  });
}

function whyNotByRows(pass: Pass): string | undefined {
  const { name, direction, carry, startsFrom, sweeps, sums, alone, fillsDevice, writes = [] } =
    pass;
  if (carry || startsFrom || direction === "backward") return `pass "${name}" goes from row to row`;
  if (alone && writes.length > 0) return `pass "${name}" needs all rows for each that it stores`;
  if (alone || fillsDevice || sums) return undefined;
  if (sweeps) return `pass "${name}" comes to all rows again and again`;
  if (writes.length === 0) return `pass "${name}" goes on from the rows before`;
}

/** How often a pass can be cut. */
function unitsOf<Result>(
  task: AnyTask<Result>,
  pass: Pass,
): { rows: number; unit: number; count: number } {
  const rows = pass.rows ?? task.layout(1).rows;
  const unit = pass.alone
    ? rows
    : pass.sums
    ? sectionRowsOf(pass, task.output, rows)
    : fileRowsOf(pass, task.output, rows);
  return { rows, unit, count: Math.max(1, Math.ceil(rows / unit)) };
}
