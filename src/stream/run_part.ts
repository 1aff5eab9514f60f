/**
 * A part of a plan, from its name to its marker.
 *
 * @module
 */

import { OutputConflictError, StoreError } from "../errors.ts";
import { sha256 } from "../math/digest.ts";
import type { Attempted, Work } from "../parts/attempt.ts";
import { adaptersOf, attemptPart, markersOf, resultsOf } from "../parts/attempt.ts";
import type { StoredPlan } from "../parts/part_plan.ts";
import { ANEW, BEGIN, FINISH, readStages, STAGES_KEY } from "../parts/part_plan.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import { CHECKSUMS_KEY } from "../zarr/checksums.ts";
import type { RunOptions } from "./choices.ts";
import { stampOf } from "./input_stamp.ts";
import type { FoundStages, PartRun } from "./plan_parts.ts";
import { beginParts, finishParts, runRows } from "./plan_parts.ts";

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
  const attempted = await attemptPart(
    store,
    named,
    (stored, stage) =>
      withPlan(async (plan) => {
        const { gpu: { adapter }, task } = plan.made;
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
        const rows = found.stages.find(({ name }) => name === stage.name);
        if (rows) {
          const result = await unlessChanged(
            run,
            store,
            () => runRows(run, found, rows, named.part),
          );
          return { ...who, result };
        }
        await finish(run, { store, stored, found }, onWarning);
        return { ...who, written: await writtenAt(task.output.place!) };
      }),
  );
  // nobody needs them any more, and who comes late finds the marker; whoever made it may have been killed then
  if (named.stage === FINISH && attempted.marker) await store.deleteAll("/results");
  return attempted;
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
  { store, stored, found }: { store: Store; stored: StoredPlan; found: FoundStages },
  onWarning: (line: string) => void,
): Promise<void> {
  if (found.stages.length === 0) return;
  const name = run.plan.name;
  // one that was stopped and goes on must not undo what another has finished
  const unlock = await store.lock("/lock");
  try {
    const results: Uint8Array[][] = [];
    const adapters = new Set<string>();
    for (const stage of found.stages) {
      const markers = await markersOf(store, stored, stage, `finish "${name}"`);
      for (const adapter of adaptersOf(markers)) adapters.add(adapter);
      results.push(await resultsOf(store, markers));
    }
    const { isMixed } = await finishParts(run, found, results);
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
