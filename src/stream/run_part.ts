/**
 * A part of a plan, from its name to its marker.
 *
 * @module
 */

import { OutputConflictError, StoreError } from "../errors.ts";
import { sha256 } from "../math/digest.ts";
import type { Attempted, Work } from "../parts/attempt.ts";
import { removeHalfWritten } from "../parts/create_only_store.ts";
import { adaptersOf, attemptPart, markersOf, resultsInOrder, resultsOf } from "../parts/attempt.ts";
import { stagesSoFar, stopKey, stopLoop } from "../parts/markers.ts";
import type { NamedStage, PartPlan, StoredPlan } from "../parts/part_plan.ts";
import {
  ANEW,
  BEGIN,
  FINISH,
  readPartPlan,
  readStages,
  stageAt,
  STAGES_KEY,
} from "../parts/part_plan.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import { CHECKSUMS_KEY } from "../zarr/checksums.ts";
import { adopted } from "./attempts.ts";
import type { RunOptions } from "./choices.ts";
import { stampOf } from "./input_stamp.ts";
import type { LanesBefore } from "./lane_parts.ts";
import { finishLanes, runLanes } from "./lane_parts.ts";
import type { LanesStage } from "./lane_stages.ts";
import { lanesFound } from "./lane_stages.ts";
import { splitResult } from "./part_results.ts";
import type { PassStage } from "./part_stages.ts";
import { passStages } from "./part_stages.ts";
import { Plan } from "./plan.ts";
import type { Came, EndedStage, FoundStages, PartRun } from "./plan_parts.ts";
import { beginParts, finishParts, mergeParts, recognize, runAlone, runRows } from "./plan_parts.ts";

/** What a part is told beside its plan. */
export interface PartOptions extends RunOptions {
  signal: AbortSignal;
  /** Is told what does not stop a part. */
  onWarning(line: string): void;
}

/**
 * Runs a part of a plan that shares rows, unless it is done.
 *
 * @param store Of plan and markers.
 * @param withPlan Makes the plan, and closes what it opened once it was used. Not called where the part is done.
 */
export async function runPart<Result>(
  store: Store,
  named: { stage: string; part: number },
  withPlan: (use: (plan: PartRun<Result>["plan"]) => Promise<Work>) => Promise<Work>,
  { onWarning, ...options }: PartOptions,
): Promise<Attempted> {
  let folder: string | undefined;
  const attempted = await attemptPart(
    store,
    named,
    (stored, stage) =>
      withPlan(async (given) => {
        // an attempt before may have begun with choices that were open
        const { gpu, choices, ...made } = given.made;
        const task = await adopted(made.task);
        const plan = new Plan(gpu, task, choices);
        const { adapter } = gpu;
        const who = { adapter: adapter.name, driver: adapter.driver ?? adapter.runtime };
        const run: PartRun<Result> = { plan, options };
        if (stage.name === BEGIN) {
          await beginParts(run, store, stored.parts.count);
          return who;
        }
        const found = await readStages<FoundStages>(store);
        if (!found) {
          const path = store.place + STAGES_KEY;
          throw new StoreError(`Cannot run "${stage.name}": ${path} is missing; ${ANEW}`, path);
        }
        const lanes = lanesFound(found);
        const at = lanes.findIndex(({ name }) => name === stage.name);
        if (at >= 0) {
          folder = `/results/${stage.name}/${named.part}/${crypto.randomUUID()}`;
          const { before } = await leftBefore({ store, stored }, lanes.slice(0, at), stage.name);
          const of = { stage: lanes[at]!, part: named.part, store, folder, before };
          const result = await unlessChanged(run, store, async () => {
            await recognize(run, found);
            return await runLanes(run, found, of);
          });
          return { ...who, result };
        }
        const own = passStages(found.stages).find(({ name }) => name === stage.kind);
        if (own) {
          const result = await runOf(run, { store, stored, found, at: stage, stage: own }, {
            part: named.part,
            adapter: `${who.adapter}, ${who.driver}`,
          });
          return { ...who, result };
        }
        await finish(run, { store, stored, found }, onWarning);
        return { ...who, written: await writtenAt(task.output.place!) };
      }),
  );
  // another attempt was first
  if (folder && !attempted.isOwn) await store.deleteAll(folder);
  // nobody needs them any more, and who comes late finds the marker; whoever made it may have been killed then
  if (named.stage === FINISH && attempted.marker) await store.deleteAll("/results");
  if (attempted.isOwn) await tidy(store, named.stage);
  return attempted;
}

/** A part among all. */
interface PartOf {
  store: Store;
  stored: StoredPlan & { parts: PartPlan };
  found: FoundStages;
  at: NamedStage;
  stage: PassStage;
}

async function runOf<Result>(
  run: PartRun<Result>,
  { store, stored, found, at, stage }: PartOf,
  { part, adapter }: { part: number; adapter: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const before = await stagesBefore(store, stored.parts, found, at.name);
  const markersAt = (stage: NamedStage) => markersOf(store, stored, stage, `run "${at.name}"`);
  const [state] = before.state ? await resultsOf(store, await markersAt(before.state)) : [];
  if (at.loop !== undefined && state) await refuseEnded(store, at, splitResult(state).head.stops);
  const turn = { stage, turn: at.turn, state };
  const work = async (): Promise<Came> => {
    if (stage.does === "rows") return await runRows(run, found, turn, part);
    if (stage.does === "alone") return await runAlone(run, found, turn, adapter);
    const markers = await markersAt(before.last!);
    const results = resultsInOrder(store, markers);
    return await mergeParts(run, found, turn, { results, adapters: adaptersOf(markers) });
  };
  const { result, stops } = await unlessChanged(run, store, work);
  const own = at.loop !== undefined && stage.does !== "rows" ? [[at.loop, at.turn] as const] : [];
  for (const [loop, turn] of new Map([...own, ...stops])) {
    await stopLoop(store, loop, turn, stops.get(loop) === turn);
  }
  return result;
}

/** @throws {StoreError} If a loop had ended, and nothing says so any more; it is said again. */
async function refuseEnded(
  store: Store,
  { name, loop, turn }: NamedStage,
  stops: Readonly<Record<string, number>>,
): Promise<void> {
  const last = stops[loop!];
  if (last === undefined || turn <= last) return;
  await stopLoop(store, loop!, last, true);
  const path = store.place + stopKey(loop!);
  throw new StoreError(
    `Cannot run "${name}": ${path} was missing, and says again that the loop ended after turn ${last}; ` +
      "go on with what is missing",
    path,
  );
}

/** What comes before a stage: the last that held anything, the last of all, and those whose results the end needs. */
async function stagesBefore(
  store: Store,
  plan: PartPlan,
  found: FoundStages,
  until: string,
): Promise<{
  state?: NamedStage;
  last?: NamedStage;
  ended: { at: NamedStage; stage: PassStage; isMerged: boolean }[];
}> {
  const stages = passStages(found.stages);
  const before: Awaited<ReturnType<typeof stagesBefore>> = { ended: [] };
  for (const at of await stagesSoFar(store, plan)) {
    if (at.name === until) break;
    const stage = stages.find(({ name }) => name === at.kind);
    if (!stage) continue;
    before.last = at;
    if (stage.does !== "rows") before.state = at;
    const isMerged = stages.some(({ does, pass }) => does === "merge" && pass === stage.pass);
    if (stage.writes || (stage.does === "rows" && !isMerged)) {
      before.ended.push({ at, stage, isMerged: isMerged || stage.does !== "rows" });
    }
  }
  return before;
}

/** Removes what a stage that put something together had that from. */
async function tidy(store: Store, name: string): Promise<void> {
  const { parts } = await readPartPlan(store);
  const found = await readStages<FoundStages>(store);
  if (!found) return;
  const doesOf = (kind: string) => passStages(found.stages).find(({ name }) => name === kind);
  const { kind } = stageAt(parts, name);
  if ((doesOf(kind)?.does ?? "rows") === "rows") return;
  const { state, last } = await stagesBefore(store, parts, found, name);
  for (const at of [state, last]) {
    if (at && !doesOf(at.kind)!.writes) await store.deleteAll(`/results/${at.name}`);
  }
}

/**
 * Runs what reads files, unless they change meanwhile: nobody knows then which of the rows that were stored are wrong,
 * and the plan goes on no more.
 *
 * @throws {OutputConflictError} If they did.
 */
async function unlessChanged<Result, Value>(
  { plan: { made: { task } } }: PartRun<Result>,
  store: Store,
  work: () => Promise<Value>,
): Promise<Value> {
  const before = await stampOf(task.feeds);
  const done = await Promise.allSettled([work()]);
  if (await stampOf(task.feeds) !== before) {
    await store.delete(STAGES_KEY);
    throw new OutputConflictError(
      `Cannot run a part of "${task.name}": what it reads was changed while it was read; ${ANEW}`,
      task.output.place!,
    );
  }
  if (done[0].status === "rejected") throw done[0].reason;
  return done[0].value;
}

async function finish<Result>(
  run: PartRun<Result>,
  { store, stored, found }: Pick<PartOf, "store" | "stored" | "found">,
  onWarning: (line: string) => void,
): Promise<void> {
  if (found.stages.length === 0) return;
  // one that was stopped and goes on must not undo what another has finished
  const unlock = await store.lock("/lock");
  try {
    const result = await openStore(run.plan.made.task.output.place!, { mode: "write" });
    await removeHalfWritten(result).finally(() => result.close());
    const lanes = lanesFound(found);
    const { isMixed, adapters } = lanes.length > 0
      ? await finishOfLanes(run, { store, stored, found }, lanes)
      : await finishOfRows(run, { store, stored, found });
    const names = [...adapters].join("; ");
    if (adapters.size > 1) {
      onWarning(
        `parts ran on different adapters (${names}): last bits may differ from those of one alone`,
      );
    } else if (isMixed) {
      onWarning(
        `files of an attempt that ended early stay, and are not what ${names} makes: last bits may differ where its ` +
          "adapter was another, and more where it read other data; in an empty place none of them would stay",
      );
    }
  } finally {
    await unlock();
  }
}

type PlanOf = Pick<PartOf, "store" | "stored" | "found">;

async function finishOfRows<Result>(
  run: PartRun<Result>,
  { store, stored, found }: PlanOf,
): Promise<{ isMixed: boolean; adapters: Set<string> }> {
  const action = `finish "${run.plan.name}"`;
  const before = await stagesBefore(store, stored.parts, found, FINISH);
  const markersAt = (at: NamedStage) => markersOf(store, stored, at, action);
  const [state] = await resultsOf(store, before.state ? await markersAt(before.state) : []);
  const ended: EndedStage[] = [];
  const adapters = new Set<string>();
  for (const { at, stage, isMerged } of before.ended) {
    const markers = await markersAt(at);
    for (const adapter of adaptersOf(markers)) adapters.add(adapter);
    ended.push({ stage, name: at.name, results: await resultsOf(store, markers), isMerged });
  }
  const { isMixed, adapters: others } = await finishParts(run, found, { state, ended });
  return { isMixed, adapters: new Set([...adapters, ...others]) };
}

async function finishOfLanes<Result>(
  run: PartRun<Result>,
  { store, stored, found }: PlanOf,
  stages: readonly LanesStage[],
): Promise<{ isMixed: boolean; adapters: Set<string> }> {
  // what was read may have changed since the first part
  await recognize(run, { ...found, looks: [] });
  const { before, adapters } = await leftBefore({ store, stored }, stages, FINISH);
  return { ...await finishLanes(run, found, { store, before }), adapters };
}

/** What parts of stages of lanes left, and what they ran on. */
async function leftBefore(
  { store, stored }: Pick<PartOf, "store" | "stored">,
  stages: readonly LanesStage[],
  until: string,
): Promise<{ before: LanesBefore[]; adapters: Set<string> }> {
  const before: LanesBefore[] = [];
  const adapters = new Set<string>();
  for (const stage of stages) {
    const markers = await markersOf(store, stored, stage, `run "${until}"`);
    for (const adapter of adaptersOf(markers)) adapters.add(adapter);
    before.push({ stage, parts: (await resultsOf(store, markers)).map(splitResult) });
  }
  return { before, adapters };
}

/** SHA-256 of the list of a result's files, which has a checksum of each. */
export async function writtenAt(place: string): Promise<string> {
  const store = await openStore(place);
  try {
    const bytes = await store.get(CHECKSUMS_KEY) as Uint8Array<ArrayBuffer> | undefined;
    return bytes ? await sha256(bytes) : "";
  } finally {
    await store.close();
  }
}
