/**
 * Markers: what is done of a plan in parts. Each is made once, after all that it tells of, and never replaced.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { decodeSealed, encodeSealed } from "./sealed.ts";
import type { NamedStage, NextStage, PartPlan, StoredPlan } from "./part_plan.ts";
import { stagesInOrder } from "./part_plan.ts";

/** What a marker says of the part that it is of. */
export interface Marker {
  /** Hash of the plan. */
  plan: string;
  stage: string;
  part: number;
  parts: number;
  /** Version of the package that ran it. */
  sluice: string;
  adapter: string;
  driver: string;
  /** Key of the result, which no other attempt writes; empty where the stage stores none. */
  result: string;
  /** SHA-256 of what says what was written: a result, and the list of a store's files. Of other files it says nothing. */
  written: string;
}

/** `/done/<stage>/<part>`, six digits at least. */
export function markerKey(stage: string, part: number): string {
  return `/done/${stage}/${String(part).padStart(6, "0")}`;
}

/** `/stop/<loop>`: which turn of a loop was its last. */
export function stopKey(loop: string): string {
  return `/stop/${loop}`;
}

/**
 * The marker of a part, where there is one.
 *
 * @throws {StoreError} If it is damaged, or of another plan or part.
 */
export async function readMarker(
  store: Store,
  plan: Pick<StoredPlan, "hash">,
  stage: string,
  part: number,
): Promise<Marker | undefined> {
  const key = markerKey(stage, part);
  const path = store.place + key;
  const bytes = await store.get(key);
  const marker = bytes && decodeSealed<Marker>(bytes, path);
  if (!marker || (marker.plan === plan.hash && marker.stage === stage && marker.part === part)) {
    return marker;
  }
  throw new StoreError(
    `Cannot use ${path}: it is of ${
      marker.plan === plan.hash ? `part ${marker.part} of "${marker.stage}"` : "another plan"
    }, wanted one of part ${part} of "${stage}"; remove it, and the part is run again`,
    path,
  );
}

/**
 * Makes a key that is not there.
 *
 * @returns Whether this call made it: of several at once, one does.
 * @throws {StoreError} If the store has no such writes.
 */
export async function createOnce(store: Store, key: string, bytes: Uint8Array): Promise<boolean> {
  if (store.create) return await store.create(key, bytes);
  throw new StoreError(
    `Cannot work on parts in "${store.place}": it cannot make a file only where there is none, so that ` +
      "two attempts would replace each other's; wanted files, a bucket or memory:",
    store.place,
  );
}

/**
 * Ends a loop after a turn, or lets it go on after that.
 *
 * @param turn -1 before the first.
 * @throws {StoreError} If another attempt found otherwise.
 */
export async function stopLoop(
  store: Store,
  loop: string,
  turn: number,
  isLast: boolean,
): Promise<void> {
  if (isLast && await createOnce(store, stopKey(loop), encodeSealed({ turn }))) return;
  const stopped = await stoppedAfter(store, loop);
  if (isLast ? stopped === turn : stopped === undefined || stopped > turn) return;
  throw new StoreError(
    `Cannot go on after turn ${turn} of "${loop}": another attempt ended it after turn ${stopped}, wanted the same; run all parts ` +
      "by one runtime, and submit again from the beginning",
    store.place + stopKey(loop),
  );
}

/** The last turn of a loop that was stopped. */
export async function stoppedAfter(store: Store, loop: string): Promise<number | undefined> {
  const key = stopKey(loop);
  const bytes = await store.get(key);
  return bytes && decodeSealed<{ turn: number }>(bytes, store.place + key).turn;
}

/** Parts of a stage that have no marker, ascending. */
export async function missingParts(
  store: Store,
  { name, parts }: { name: string; parts: number },
): Promise<number[]> {
  return missingOf(await store.list(`/done/${name}`), { name, parts });
}

/** Parts of a stage that none of these keys is the marker of, ascending. */
function missingOf(
  keys: readonly string[],
  { name, parts }: { name: string; parts: number },
): number[] {
  const there = new Set(keys);
  return Array.from({ length: parts }, (_, part) => part)
    .filter((part) => !there.has(markerKey(name, part)));
}

/** All stages in their order, of loops that were stopped none after their last turn. */
export async function stagesSoFar(store: Store, plan: PartPlan): Promise<Iterable<NamedStage>> {
  const stops = new Map<string, number | undefined>();
  for (const stage of plan.stages) {
    if ("loop" in stage) stops.set(stage.loop, await stoppedAfter(store, stage.loop));
  }
  return stagesInOrder(plan, (loop) => stops.get(loop));
}

/**
 * The first stage that is not done.
 *
 * @param before A stage before which it is looked for; all of them when not given.
 */
export async function findNextStage(
  store: Store,
  plan: PartPlan,
  before?: string,
): Promise<NextStage> {
  // once: of loops there are many stages
  const done = new Map<string, string[]>();
  for (const key of await store.list("/done")) {
    const stage = key.slice("/done/".length, key.lastIndexOf("/"));
    if (!done.has(stage)) done.set(stage, []);
    done.get(stage)!.push(key);
  }
  for (const stage of await stagesSoFar(store, plan)) {
    const { name, parts } = stage;
    if (name === before) break;
    const missing = missingOf(done.get(name) ?? [], stage);
    if (missing.length > 0) return { done: false, stage: name, parts, missing };
  }
  return { done: true };
}
