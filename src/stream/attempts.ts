/**
 * Attempts at running a task, until it is done: what pages load when the first plan is run.
 *
 * @module
 */

import type { Shown } from "../display.ts";
import { displayedResult } from "../display.ts";
import { DeviceLostError, OutputConflictError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { openJournal } from "../store/journal.ts";
import { unlessAborted } from "../turns.ts";
import type { RunOptions } from "./choices.ts";
import type { AnyTask } from "./identify.ts";
import { identify } from "./identify.ts";
import type { Position } from "./keeping.ts";
import type { Output, Stored } from "./output.ts";
import { openStored, refuseOverlap, storedAttributes } from "./places.ts";
import { TaskRun } from "./run.ts";
import type { Measured } from "./task.ts";
import { unmeasured } from "./task.ts";

/** Journals of plans that have no output place. */
let unnamedJournals = 0;

/** A plan that is run. */
interface Planned<Result> {
  gpu: Gpu;
  task: AnyTask<Result>;
  output: Output;
  tileRows: number;
  slots: number;
  options: RunOptions;
  /** When `run()` was called. */
  began: number;
}

/** The task with the choices that an output was begun with, where they were not the caller's. */
export async function adopted<Result>(task: AnyTask<Result>): Promise<AnyTask<Result>> {
  const { place, overwrite } = task.output;
  if (place === undefined || overwrite || !task.adopt) return task;
  const attributes = await storedAttributes(place);
  return attributes && task.adopt(attributes) || task;
}

/** Runs a task as `Plan.run()` says, or opens what it has stored. */
export async function runTask<Result>(planned: Planned<Result>): Promise<Shown<Result>> {
  const { gpu, task, output, options } = planned;
  const signal = options.signal ?? new AbortController().signal;
  const { place } = task.output;
  await refuseOverlap(place, task.feeds);
  const { claim, hashFor, adapter } = await identify(task, signal);
  const journal = await openJournal(
    place ?? `memory:journals of plans without a place/${unnamedJournals++}`,
  );
  const look = async () => {
    const found = await output.check(claim.hash, await journal.claim(), hashFor);
    if (found.replaces !== undefined) claim.replaces = found.replaces;
    return found.kind;
  };
  const found = async () =>
    await resultOf(task, await openStored(place!, task.output), unmeasured());
  try {
    // a run that was killed when all but the journal was done left that
    if (await look() === "finished" && await journal.isEmpty()) return await found();
    gpu.throwIfFailed();
    const unlock = await journal.lock();
    try {
      // another run may have been at work until now
      const kind = await look();
      if (kind === "finished") {
        await journal.clear();
        return await found();
      }
      if (await journal.isInParts()) throw inParts(place!);
      let fresh = kind === "nothing" || (await journal.claim())?.hash !== claim.hash;
      let position: Position = {};
      for (let losses = 0;; losses++) {
        const run = new TaskRun({ ...planned, journal, signal, position });
        const { tileRows, slots } = planned;
        try {
          const { stored, measured } = await run.run({ tileRows, slots, claim, adapter, fresh });
          await journal.clear();
          return await resultOf(task, stored, measured);
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          const loss = await gpu.loss();
          if (!loss) throw error;
          position = run.position;
          const { pass, row } = position;
          const where = pass === undefined
            ? "nothing is stored yet"
            : `pass "${pass}" is stored up to row ${row}: run the same plan again to go on there`;
          if (losses > 0) {
            throw new DeviceLostError(`${loss.message}, and it was lost before: ${where}`, {
              ...(pass !== undefined && { pass, row }),
            });
          }
          await unlessAborted(signal, gpu.reopen());
          fresh = fresh && pass === undefined;
        }
      }
    } finally {
      await unlock();
    }
  } finally {
    await journal.close();
  }
}

/** What callers get. */
async function resultOf<Result>(
  task: AnyTask<Result>,
  stored: Stored,
  measured: Measured,
): Promise<Shown<Result>> {
  if (task.result) return displayedResult<Result>(task.name, await task.result(stored, measured));
  const arrays: Record<string, unknown> = {};
  for (const { name } of task.output.whole) arrays[name] = await stored.read(name);
  return displayedResult<Result>(task.name, { ...arrays, ...measured } as Result);
}

function inParts(place: string): OutputConflictError {
  return new OutputConflictError(
    `Cannot write to ${place}: it is being made in parts, of which sluice status ${place} tells; submit ` +
      `them again to go on, or remove ${place}.journal`,
    place,
  );
}
