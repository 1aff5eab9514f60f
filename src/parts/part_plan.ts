/**
 * A plan in parts: stages of parts that depend on nothing but the stage before. `plan.json` in the journal beside
 * a result says which; markers beside it say what is done. Any engine may start a part, twice or late.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import { openStore } from "../store/open_store.ts";
import { siblingPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { VERSION } from "../version.ts";
import { decodeSealed } from "./sealed.ts";

/** Version of the layout of plans and markers; another one is refused. */
export const PARTS_VERSION = 1;

/** Parts that may run side by side, once all of the stage before are done. */
export interface PartStage {
  /** As engines and markers name it: `rows`, or `iterate/sums` in a loop. */
  name: string;
  parts: number;
}

/** A stage by its name, and its turn where it is of a loop. */
export interface NamedStage extends PartStage {
  /** Without the turn. */
  kind: string;
  loop?: string;
  turn: number;
}

/** Stages that come again: `iterate/sums` is `iterate/sums/7` in turn 7, counted from 0. */
export interface PartLoop {
  loop: string;
  stages: readonly PartStage[];
  /** Turns at most; a stop marker ends it sooner, or has none begin where it names turn -1. */
  most: number;
}

/** What `plan.json` tells of parts, beside the claim of the plan. */
export interface PartPlan {
  version: number;
  /** Of the package that cut the plan, and that all parts are run by. */
  sluice: string;
  /** Command lines without the program's name: one, or one for each recording. */
  commands: readonly (readonly string[])[];
  /** Folder that paths in commands are read from. */
  folder: string;
  /** Parts of a stage whose rows are shared. */
  count: number;
  /** Of a plan whose rows are shared the first and the last; its first part finds those between them. */
  stages: readonly (PartStage | PartLoop)[];
}

/** What is in `plan.json`. */
export interface StoredPlan {
  /** Of the journal's layout. */
  version: number;
  /** Of all that decides the result. */
  hash: string;
  parts?: PartPlan;
}

export const PLAN_KEY = "/plan.json";
/** What the first part found: the stages between it and the last. */
export const STAGES_KEY = "/stages";
/** What helps where that is lost: of rows that are stored nothing else says how they were cut. */
export const ANEW = "remove the result and its journal, and submit again";
/** The first stage of a plan whose rows are shared, and the last. */
export const [BEGIN, FINISH] = ["begin", "finish"] as const;
/** The only stage of a plan whose parts are commands. */
export const COMMANDS = "commands";

/** What has to be done, and what is missing of it; or that nothing has. */
export type NextStage =
  | { done: true }
  | {
    done: false;
    /** As {@link stageAt} knows it, with the turn of its loop: `iterate/sums/7`. */
    stage: string;
    parts: number;
    /** Parts without a marker, ascending. */
    missing: readonly number[];
  };

/** Stages one after the other, as far as `stoppedAfter` says which turns of a loop there are. */
export function* stagesInOrder(
  plan: PartPlan,
  stoppedAfter: (loop: string) => number | undefined,
): Generator<NamedStage> {
  for (const stage of plan.stages) {
    if (!("loop" in stage)) {
      yield { ...stage, kind: stage.name, turn: 0 };
      continue;
    }
    const { loop } = stage;
    const last = Math.min(stage.most - 1, stoppedAfter(loop) ?? Infinity);
    for (let turn = 0; turn <= last; turn++) {
      for (const { name, parts } of stage.stages) {
        yield { name: `${name}/${turn}`, kind: name, parts, loop, turn };
      }
    }
  }
}

/** @throws {RangeError} If the plan has no stage of that name. */
export function stageAt(plan: PartPlan, name: string): NamedStage {
  const known: string[] = [];
  for (const stage of plan.stages) {
    if (!("loop" in stage)) {
      if (stage.name === name) return { ...stage, kind: name, turn: 0 };
      known.push(stage.name);
      continue;
    }
    for (const own of stage.stages) {
      const turn = name.startsWith(`${own.name}/`) ? name.slice(own.name.length + 1) : "";
      if (/^\d+$/.test(turn) && Number(turn) < stage.most) {
        return { name, kind: own.name, parts: own.parts, loop: stage.loop, turn: Number(turn) };
      }
      known.push(`${own.name}/0`);
    }
  }
  throw new RangeError(
    `Cannot run a part of stage "${name}": the plan has none of that name, wanted one of ${
      known.join(", ")
    }`,
  );
}

/** What markers know a plan by. */
export function hashOf(parts: PartPlan): Promise<string> {
  return digestOf([JSON.stringify(parts)]);
}

/** The store beside a place that has plan and markers. */
export async function openParts(place: string, mode: "read" | "write"): Promise<Store> {
  return await openStore(siblingPlace(place, ".journal"), { mode });
}

/**
 * What a place was cut into.
 *
 * @throws {StoreError} If nothing was, or by a version that this one does not know.
 */
export async function readPartPlan(store: Store): Promise<StoredPlan & { parts: PartPlan }> {
  const path = store.place + PLAN_KEY;
  const bytes = await store.get(PLAN_KEY);
  if (!bytes) {
    throw new StoreError(
      `Cannot work on parts: ${path} is not there, wanted a plan that sluice submit wrote`,
      path,
    );
  }
  const damaged = (wanted: string) =>
    new StoreError(
      `Cannot work on parts: ${path} is damaged, wanted ${wanted}; remove it and submit again`,
      path,
    );
  let plan: StoredPlan | undefined;
  try {
    plan = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw damaged("JSON");
  }
  if (!plan?.parts) {
    throw new StoreError(
      `Cannot work on parts: ${path} is of a run in one piece, wanted a plan that sluice submit wrote`,
      path,
    );
  }
  if (plan.parts.version !== PARTS_VERSION) {
    throw new StoreError(
      `Cannot work on parts: ${path} has layout ${plan.parts.version}, this version knows ${PARTS_VERSION}`,
      path,
    );
  }
  // what another version wrote, its parts refuse
  if (plan.parts.sluice === VERSION && plan.hash !== await hashOf(plan.parts)) {
    throw damaged("what its own hash is of");
  }
  const found = await readStages(store);
  if (found) {
    const { stages } = found;
    const [begin, ...rest] = plan.parts.stages;
    plan.parts.stages = [begin!, ...stages, ...rest];
  }
  return plan as StoredPlan & { parts: PartPlan };
}

/** What the first part found; `undefined` before it. */
export async function readStages<Found extends { stages: readonly (PartStage | PartLoop)[] }>(
  store: Store,
): Promise<Found | undefined> {
  const bytes = await store.get(STAGES_KEY);
  return bytes && decodeSealed<Found>(bytes, store.place + STAGES_KEY, ANEW);
}
