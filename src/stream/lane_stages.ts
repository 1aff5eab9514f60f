/**
 * How a task in lanes is cut into stages: parts advance lanes of a pass, then one part puts right those that started
 * wrong, and so for the next pass.
 *
 * @module
 */

import type { PartStage } from "../parts/part_plan.ts";
import type { AnyTask } from "./identify.ts";
import type { LaneRange, LaneReport } from "./lanes.ts";
import type { Left } from "./part_journal.ts";
import { keptNames } from "./task.ts";

/** A stage of parts that advance lanes of a pass, or of the one that puts them right. */
export interface LanesStage extends PartStage {
  pass: string;
  does: "lanes" | "repair";
}

/** What a part of it left, beside its chunks and sums. */
export interface LanesResult extends Left {
  /** Of a repair. */
  report: LaneReport;
  /** Files that take the place of those that are stored, by their keys, with the CRC-32C of each; in `<folder>/files`. */
  files: Record<string, number>;
}

/** Whether a stage is one of lanes. */
export function isOfLanes(stage: object): stage is LanesStage {
  return "does" in stage && (stage.does === "lanes" || stage.does === "repair");
}

/** Stages of lanes of a plan. */
export function lanesFound({ stages }: { stages: readonly object[] }): LanesStage[] {
  return stages.filter(isOfLanes);
}

/** Whether all passes of a task go from row to row. */
export function goesInLanes<Result>(task: AnyTask<Result>): boolean {
  return task.layout(1).passes.every(({ carry }) => carry);
}

/**
 * The stages of a task in lanes, in their order.
 *
 * @throws {RangeError} If it has one lane or fewer than parts, or they cannot be other runs'.
 */
export function laneStages<Result>(task: AnyTask<Result>, parts: number): LanesStage[] {
  const { lanes, passes, shared } = task.layout(1);
  const { companion, passRow } = task.output;
  const refuse = (why: string) => new RangeError(`Cannot run "${task.name}" in parts: ${why}`);
  if (!lanes || lanes.count === 1) {
    throw refuse(
      `it has one lane, in which each row waits for the one before, wanted several, as --lanes 8 makes them; list ` +
        "several commands to have each run as a part",
    );
  }
  const isOwn = keptNames(task.held).some((name) => !lanes.sums?.includes(name));
  if (isOwn || companion || passRow || shared.some(({ kept }) => kept)) {
    throw refuse("lanes are to each other what no part knows, wanted lanes that add to sums alone");
  }
  const { count, rows } = lanes;
  if (parts > count) {
    throw new RangeError(
      `Cannot run "${task.name}" in ${parts} parts: it has ${count} lanes of ${rows} rows, which no part can cut, ` +
        `wanted at most ${count} parts, or more lanes`,
    );
  }
  return passes.flatMap(({ name }): LanesStage[] => [
    { name: `lanes/${name}`, parts, pass: name, does: "lanes" },
    { name: `repair/${name}`, parts: 1, pass: name, does: "repair" },
  ]);
}

/** Lanes of a part: as many as others have, or one more. */
export function lanesOfPart(
  { parts }: LanesStage,
  part: number,
  { count }: { count: number },
): LaneRange {
  const cut = (i: number) => Math.floor(i * count / parts);
  return { first: cut(part), end: cut(part + 1) };
}
