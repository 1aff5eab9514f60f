/** Runs that are stopped on their way, through what everybody may call. */

import type { ChunkedArray, Plan } from "../../../src/mod.ts";
import type { Progress } from "../../../src/mod.ts";

/**
 * Runs a plan until its progress is as far as that.
 *
 * @throws {Error} If the plan came to its end.
 */
export async function stopAt<Result>(
  plan: Plan<Result>,
  isThere: (progress: Progress) => boolean,
): Promise<void> {
  const cancel = new AbortController();
  await stopped(
    plan.run({
      signal: cancel.signal,
      onProgress: (progress) => isThere(progress) && cancel.abort(STOP),
    }),
  );
}

const STOP = new Error("stopped on its way");

/** Milliseconds a read of {@link stopAtRead} takes at least. */
const READ_MS = 100;

/**
 * Runs a plan over rows that come so slowly that it keeps what it has, and stops it at a read.
 *
 * @throws {Error} If the plan came to its end.
 */
export async function stopAtRead<Result>(
  array: ChunkedArray,
  count: number,
  plan: (slow: ChunkedArray) => Plan<Result>,
): Promise<void> {
  const cancel = new AbortController();
  let reads = 0;
  const { values: _, ...rest } = array;
  const slow: ChunkedArray = {
    ...rest,
    async read(start, end, options) {
      if (++reads === count) cancel.abort(STOP);
      await new Promise((resolve) => setTimeout(resolve, READ_MS));
      return await array.read(start, end, options);
    },
  };
  await stopped(plan(slow).run({ signal: cancel.signal }));
}

async function stopped(run: Promise<unknown>): Promise<void> {
  try {
    await run;
  } catch (error) {
    if (error === STOP) return;
    throw error;
  }
  throw new Error("The run came to its end before it was to be stopped");
}

/** @throws {Error} If a run began anew, or went on in another pass than the one it is given. */
export function expectResumed<Result extends { resumed?: { pass: string } }>(
  result: Result,
  pass?: string,
): Result {
  const { resumed } = result;
  if (resumed && (pass === undefined || resumed.pass === pass)) return result;
  throw new Error(
    `The run ${resumed ? `went on in "${resumed.pass}"` : "began anew"}, wanted one that goes on` +
      (pass === undefined ? "" : ` in "${pass}"`),
  );
}
