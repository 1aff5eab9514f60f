/**
 * Writes what a plan in parts is, once: whoever submits it again goes on with it.
 *
 * @module
 */

import { OutputConflictError } from "../errors.ts";
import { FORMAT_VERSION } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import { VERSION } from "../version.ts";
import type { Marker } from "./markers.ts";
import { createOnce } from "./markers.ts";
import type { PartPlan, StoredPlan } from "./part_plan.ts";
import {
  BEGIN,
  COMMANDS,
  FINISH,
  hashOf,
  PARTS_VERSION,
  PLAN_KEY,
  readPartPlan,
} from "./part_plan.ts";
import { decodeSealed } from "./sealed.ts";

/** What is to be run in parts. */
export interface Submission {
  /** One, whose rows are shared; or several, each of which is a part. */
  commands: readonly (readonly string[])[];
  folder: string;
  /** Parts that share rows. */
  count: number;
}

/**
 * Writes the plan where there is none.
 *
 * @returns Whether this call did; it was there otherwise, the same.
 * @throws {OutputConflictError} If another plan is there, or a run in one piece began.
 * @throws {StoreError} If the store cannot make a file only where there is none.
 */
export async function submitPlan(
  store: Store,
  { commands, folder, count }: Submission,
): Promise<boolean> {
  const shares = commands.length === 1;
  const parts: PartPlan = {
    version: PARTS_VERSION,
    sluice: VERSION,
    commands,
    folder,
    count: shares ? count : commands.length,
    stages: shares
      ? [{ name: BEGIN, parts: 1 }, { name: FINISH, parts: 1 }]
      : [{ name: COMMANDS, parts: commands.length }],
  };
  const hash = await hashOf(parts);
  const plan: StoredPlan = { version: FORMAT_VERSION, hash, parts };
  const bytes = new TextEncoder().encode(JSON.stringify(plan));
  if (!await store.get(PLAN_KEY)) await refuseOthersMarkers(store, hash);
  if (await createOnce(store, PLAN_KEY, bytes)) return true;
  if ((await readPartPlan(store)).hash === hash) return false;
  throw new OutputConflictError(
    `Cannot submit: ${store.place}${PLAN_KEY} is of other commands, parts, folder or version; submit as before, ` +
      `or remove ${store.place}`,
    store.place,
  );
}

/** Where a plan was removed and what it marked was not, parts of another would count as done. */
async function refuseOthersMarkers(store: Store, hash: string): Promise<void> {
  for (const key of await store.list("/done")) {
    const bytes = await store.get(key);
    if (!bytes || decodeSealed<Marker>(bytes, store.place + key).plan === hash) continue;
    throw new OutputConflictError(
      `Cannot submit: ${store.place}${key} is of another plan, wanted none or this one's; remove ${store.place}`,
      store.place,
    );
  }
}
