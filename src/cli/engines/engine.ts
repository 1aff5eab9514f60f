/**
 * What starts parts: an engine gets command lines and asks the markers, and holds no state of its own.
 *
 * @module
 */

import process from "node:process";
import { nextStage } from "../../parts/next_stage.ts";
import type { NextStage } from "../../parts/part_plan.ts";
import { wholePlace } from "../part_commands.ts";

/** A plan that was cut into parts, as engines see it. */
export interface Job {
  /** What `sluice part`, `sluice status` and the markers know it by. */
  readonly place: string;
  /** Folder in which commands are started. */
  readonly folder: string;
  /**
   * Program and arguments that run a part. Without `part` the program finds it in what the engine sets:
   * SLURM_ARRAY_TASK_ID, PBS_ARRAY_INDEX, JOB_COMPLETION_INDEX or SLURM_PROCID. It exits with 0 where the part is
   * done, also when somebody else did it.
   */
  command(stage: string, part?: number): readonly string[];
  /** Program and arguments that submit this job again to an engine. */
  again(engine: string, options: readonly string[]): readonly string[];
  /** The first stage that is not done, by the markers. */
  next(): Promise<NextStage>;
}

export interface EngineOptions {
  /** Processes at a time, where the engine starts them itself. */
  workers: number;
  /** How often what is missing of a stage is started before that is an error. */
  rounds: number;
  signal: AbortSignal;
  /** Is told what happens, a line each. */
  onLine(line: string): void;
  /** Everything else that was given on the command line, by the name of its option. */
  choices: Readonly<Record<string, unknown>>;
}

/** One way of starting parts. */
export interface Engine {
  /** As `--on` knows it. */
  readonly name: string;
  /**
   * Starts what is missing. Resolves once all stages are done, or once they are handed over to something that
   * goes on by itself; calling it again goes on from the markers.
   *
   * @throws {PartsError} If parts are missing after so many rounds.
   */
  submit(job: Job, options: EngineOptions): Promise<{ done: boolean }>;
}

/** Rounds after which parts that are still missing are an error. */
export const ROUNDS = 3;

/** What starts this program again: Node or Deno, and the file that was started. */
export function ownProgram(): string[] {
  const [, main = ""] = process.argv;
  return "deno" in process.versions
    ? [process.execPath, "run", "--allow-all", main]
    : [process.execPath, ...process.execArgv, main];
}

/** A job at a place that has a plan. */
export function jobAt(
  named: string,
  { folder = process.cwd(), program = ownProgram() }: { folder?: string; program?: string[] } = {},
): Job {
  const place = wholePlace(named);
  return {
    place,
    folder,
    command: (stage, part) => [
      ...program,
      "part",
      place,
      stage,
      ...(part === undefined ? [] : [String(part)]),
    ],
    again: (engine, options) => [...program, "submit", place, "--on", engine, ...options],
    next: () => nextStage(place),
  };
}
