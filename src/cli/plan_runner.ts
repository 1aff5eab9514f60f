/**
 * How commands run their plans: as a whole, or, within `sluice part`, some of them.
 *
 * @module
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { RunOptions } from "../stream/choices.ts";
import { Plan } from "../stream/plan.ts";
import { UsageError } from "./usage.ts";

type Run = (plan: Plan<unknown>) => Promise<void>;

/** What takes the place of running a whole plan. */
const instead = new AsyncLocalStorage<Run>();

/** Ends a command whose plan was run in part: there is no result to tell of. */
class PartRan extends Error {
  override readonly name = "PartRan";
}

/** A plan, or what runs several of them. */
interface Runnable<Result> {
  run(options: RunOptions): Promise<Result>;
}

/** Runs a plan, or what takes the place of that. */
export async function runWhole<Result>(
  plan: Runnable<Result>,
  options: RunOptions,
): Promise<Result> {
  const run = instead.getStore();
  if (!run) return await plan.run(options);
  if (!(plan instanceof Plan)) {
    throw new UsageError(
      "Cannot run in parts: the command runs several plans, wanted one, or several commands",
    );
  }
  await run(plan);
  throw new PartRan("The plan was run in part");
}

/**
 * Runs a command up to its plan, and hands that over.
 *
 * @returns Whether the command came to a plan.
 */
export async function runUpToPlan(command: () => Promise<unknown>, run: Run): Promise<boolean> {
  try {
    await instead.run(run, command);
    return false;
  } catch (error) {
    if (error instanceof PartRan) return true;
    throw error;
  }
}
