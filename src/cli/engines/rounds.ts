/**
 * Rounds: how often what is missing of a stage is started. All engines ask the markers for it, and hold nothing.
 *
 * @module
 */

import { PartsError } from "../../errors.ts";
import type { Job } from "./engine.ts";

/** A stage with parts missing, and how often it has been started with this time. */
export interface Round {
  stage: string;
  parts: number;
  missing: readonly number[];
  round: number;
}

/** What was started before. */
export type Before = Pick<Round, "stage" | "round">;

const SHOWN = 10;

/**
 * What is to be started next; `undefined` once all is done.
 *
 * @throws {PartsError} If a stage has been started so many times.
 */
export async function nextRound(
  job: Job,
  rounds: number,
  before?: Before,
): Promise<Round | undefined> {
  const next = await job.next();
  if (next.done) return undefined;
  const { stage, parts, missing } = next;
  const round = stage === before?.stage ? before.round + 1 : 1;
  if (round <= rounds) return { stage, parts, missing, round };
  const few = missing.slice(0, SHOWN).join(", ") + (missing.length > SHOWN ? ", …" : "");
  throw new PartsError(
    `Cannot go on at ${job.place}: after ${rounds} rounds ${missing.length} of ${parts} parts of stage ` +
      `"${stage}" are missing (${few}), wanted all; what their engine printed tells why, and to submit ` +
      "again goes on",
    { stage, missing },
  );
}

/** What is started, in a line. */
export const describeRound = ({ stage, parts, missing, round }: Round) =>
  `${stage}: ${missing.length} of ${parts} parts${round > 1 ? `, round ${round}` : ""}`;
