/** What tests of interrupted runs share: states kept at every chance, a look at each, places that go again. */

import { afterAll, beforeAll } from "vitest";
import { Journal } from "../../src/store/journal.ts";
import { openStore } from "../../src/store/open_store.ts";
import { checkpointPace } from "../../src/stream/checkpoints.ts";

/** How often runs keep states where no test says otherwise. */
export const usualPace = { ...checkpointPace };
const EVERY_CHANCE = { everyMs: 0, times: 0 };

/**
 * Sets how often runs keep states, at every chance when not given.
 *
 * @returns What sets it back.
 */
export function paceStates(pace = EVERY_CHANCE): () => void {
  const before = { ...checkpointPace };
  Object.assign(checkpointPace, pace);
  return () => Object.assign(checkpointPace, before);
}

/** Has all runs of a test file keep a state at every chance. */
export function useEveryState(): void {
  beforeAll(() => paceStates());
}

/** Removes a folder with all that tests wrote below it, after the last of a file. */
export function removeAfterAll(folder: string): void {
  afterAll(async () => {
    const store = await openStore(folder, { mode: "write" });
    await store.deleteAll();
    await store.close();
  });
}

/** Where a state was taken: the stage, which is a pass and its sweep, and row of it. */
export interface Where {
  stage: string;
  row: number;
}

/** Calls back after every state that is stored, with where it was taken and how many there are. */
export async function onStates<Value>(
  onState: (where: Where, count: number) => void,
  run: () => Promise<Value>,
): Promise<Value> {
  const save = Journal.prototype.saveState;
  let count = 0;
  Journal.prototype.saveState = async function (stage, row, parts) {
    const checksum = await save.call(this, stage, row, parts);
    onState({ stage, row }, ++count);
    return checksum;
  };
  try {
    return await run();
  } finally {
    Journal.prototype.saveState = save;
  }
}
