/**
 * What comes next of a plan in parts, as its markers say: engines ask nothing else.
 *
 * @module
 */

import { findNextStage } from "./markers.ts";
import type { NextStage } from "./part_plan.ts";
import { openParts, readPartPlan } from "./part_plan.ts";

/**
 * The stage that is next at a place, and its parts without a marker. Needs no GPU.
 *
 * @throws {StoreError} If the place was not cut into parts.
 */
export async function nextStage(place: string): Promise<NextStage> {
  const store = await openParts(place, "read");
  try {
    return await findNextStage(store, (await readPartPlan(store)).parts);
  } finally {
    await store.close();
  }
}
