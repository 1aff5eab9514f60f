/**
 * An attempt at a part: work, its result under a name of its own, and the marker last. Of several attempts the
 * first marker counts; the others hand back what it says.
 *
 * @module
 */

import { PartsError, StoreError } from "../errors.ts";
import { digestOf, sha256 } from "../math/digest.ts";
import type { Store } from "../store/store.ts";
import { VERSION } from "../version.ts";
import type { Marker } from "./markers.ts";
import {
  createOnce,
  findNextStage,
  markerKey,
  missingParts,
  readMarker,
  stoppedAfter,
} from "./markers.ts";
import type { NamedStage, PartPlan, StoredPlan } from "./part_plan.ts";
import { readPartPlan, stageAt } from "./part_plan.ts";
import { encodeSealed } from "./sealed.ts";

/** What work on a part came to. */
export interface Work {
  adapter: string;
  driver: string;
  /** What a later stage needs of it; stored if there is any. */
  result?: Uint8Array<ArrayBuffer>;
  /** SHA-256 of what was written elsewhere, where that is more. */
  written?: string;
}

/** What came of an attempt. */
export interface Attempted {
  /** `undefined` where a loop had ended before. */
  marker: Marker | undefined;
  /** Whether it is this attempt's. */
  isOwn: boolean;
}

/**
 * Runs a part, unless it is done.
 *
 * @throws {StoreError} If the plan was cut by another version, or a marker is damaged.
 * @throws {PartsError} If parts are missing of a stage before it.
 */
export async function attemptPart(
  store: Store,
  { stage: name, part }: { stage: string; part: number },
  work: (plan: StoredPlan & { parts: PartPlan }, stage: NamedStage) => Promise<Work>,
): Promise<Attempted> {
  const plan = await readPartPlan(store);
  checkVersion(store, plan.parts.sluice, "the plan was cut by");
  const stage = stageAt(plan.parts, name);
  if (!(Number.isInteger(part) && part >= 0 && part < stage.parts)) {
    throw new RangeError(
      `Cannot run part ${part} of "${name}": it has ${stage.parts} parts, wanted one from 0 to ${
        stage.parts - 1
      }`,
    );
  }
  const found = await readMarker(store, plan, name, part);
  if (found) return { marker: found, isOwn: false };
  if (stage.loop && stage.turn > (await stoppedAfter(store, stage.loop) ?? Infinity)) {
    return { marker: undefined, isOwn: false };
  }
  await checkBefore(store, plan.parts, { stage: name, part });
  let done: Work;
  try {
    done = await work(plan, stage);
  } catch (error) {
    // it came too late: what it needed may have been tidied away
    const marker = await readMarker(store, plan, name, part);
    if (marker) return { marker, isOwn: false };
    throw error;
  }
  return await mark(store, plan, { stage, part }, done);
}

async function mark(
  store: Store,
  plan: StoredPlan,
  { stage: { name, parts }, part }: { stage: NamedStage; part: number },
  { adapter, driver, result, written = "" }: Work,
): Promise<Attempted> {
  const key = result ? `/results/${name}/${part}/${crypto.randomUUID()}` : "";
  if (result && !await createOnce(store, key, result)) {
    throw new StoreError(
      `Cannot write ${store.place}${key}: it is there, wanted a name that no attempt had`,
      store.place + key,
    );
  }
  const marker: Marker = {
    plan: plan.hash,
    stage: name,
    part,
    parts,
    sluice: VERSION,
    adapter,
    driver,
    result: key,
    written: await digestOf(result ? [written, await sha256(result)] : [written]),
  };
  if (await createOnce(store, markerKey(name, part), encodeSealed(marker))) {
    return { marker, isOwn: true };
  }
  const winner = (await readMarker(store, plan, name, part))!;
  // a connection that was lost may have made this attempt's marker, too
  const isOwn = JSON.stringify(winner) === JSON.stringify(marker);
  if (result && winner.result !== key) await store.delete(key);
  return { marker: winner, isOwn };
}

/** All markers of a stage, in the order of parts. @throws {PartsError} If one is missing. */
export async function markersOf(
  store: Store,
  plan: StoredPlan,
  { name, parts }: { name: string; parts: number },
  action: string,
): Promise<Marker[]> {
  const missing = await missingParts(store, { name, parts });
  if (missing.length > 0) throw notAllThere(action, name, missing);
  const markers: Marker[] = [];
  for (let part = 0; part < parts; part++) {
    const marker = await readMarker(store, plan, name, part);
    if (!marker) throw notAllThere(action, name, [part]);
    checkVersion(store, marker.sluice, `part ${part} of "${name}" was run by`);
    markers.push(marker);
  }
  return markers;
}

/** Results of a stage, in the order of parts, each as its marker says, and read when it is its turn. */
export async function* resultsInOrder(
  store: Store,
  markers: readonly Marker[],
): AsyncGenerator<Uint8Array> {
  for (const { stage, part, result: key, written } of markers) {
    const bytes = await store.get(key) as Uint8Array<ArrayBuffer> | undefined;
    if (bytes && await digestOf(["", await sha256(bytes)]) === written) {
      yield bytes;
      continue;
    }
    throw new StoreError(
      `Cannot use part ${part} of "${stage}": ${store.place}${key} is ${
        bytes ? "damaged" : "missing"
      }, wanted what its marker says; remove ${markerKey(stage, part)}, and the part is run again`,
      store.place + key,
    );
  }
}

/** All of {@link resultsInOrder}. */
export async function resultsOf(store: Store, markers: readonly Marker[]): Promise<Uint8Array[]> {
  const results: Uint8Array[] = [];
  for await (const result of resultsInOrder(store, markers)) results.push(result);
  return results;
}

/** Adapters that parts ran on. */
export function adaptersOf(markers: readonly Marker[]): string[] {
  return [...new Set(markers.map(({ adapter, driver }) => `${adapter}, ${driver}`))].sort();
}

async function checkBefore(
  store: Store,
  plan: PartPlan,
  { stage, part }: { stage: string; part: number },
): Promise<void> {
  const next = await findNextStage(store, plan, stage);
  if (!next.done) throw notAllThere(`run part ${part} of "${stage}"`, next.stage, next.missing);
}

function notAllThere(action: string, stage: string, missing: readonly number[]): PartsError {
  const some = missing.slice(0, 8).join(", ") + (missing.length > 8 ? ", ..." : "");
  return new PartsError(
    `Cannot ${action}: of "${stage}" ${missing.length} parts are missing (${some}), wanted all before it`,
    { stage, missing },
  );
}

function checkVersion(store: Store, version: string, what: string): void {
  if (version === VERSION) return;
  throw new StoreError(
    `Cannot work on parts in ${store.place}: ${what} version ${version}, this is ${VERSION}; run all parts by ` +
      "one version",
    store.place,
  );
}
