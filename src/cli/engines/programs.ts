/**
 * Programs of others, such as `sbatch`, and words as a shell reads them.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { UsageError } from "../usage.ts";

interface Start {
  folder: string;
  env?: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Whether what it prints is shown, instead of returned. */
  shows?: boolean;
}

/** How a program ended, and what it printed. */
interface End {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, which may be a failure. */
export function runToEnd(
  [program, ...args]: readonly string[],
  { folder, env, signal, shows = false }: Start,
): Promise<End> {
  return new Promise((resolve, reject) => {
    const stream = shows ? "inherit" : "pipe";
    const child = spawn(program!, args, {
      ...{ cwd: folder, signal, stdio: ["ignore", shows ? 2 : "pipe", stream] },
      ...env && { env },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout?.on("data", (data) => stdout += data);
    child.stderr?.on("data", (data) => stderr += data);
    child.on("error", ({ message }) => {
      if (signal.aborted) return reject(signal.reason);
      reject(new UsageError(`Cannot run ${program}: ${message}, wanted a program of that name`));
    });
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** Words as a line of a shell that keeps them as they are. */
export const shellLine = (words: readonly string[]) =>
  words.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
  ).join(" ");

const WORD = /(?:[^\s"']|"[^"]*"|'[^']*')+/g;

/** Words of a line, as a shell would tell them apart by spaces and quotation marks. */
export function wordsOf(line: string): string[] {
  if (line.replace(WORD, "").trim() !== "") {
    throw new UsageError(`Cannot read ${line}: a quotation mark is open, wanted pairs of them`);
  }
  return (line.match(WORD) ?? [])
    .map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, two, one) => two ?? one));
}
