/** Runs the command line of this checkout in tests: Node and Deno only. */

import process from "node:process";
import { expect, vi } from "vitest";
import { runCommand } from "../../src/cli/run_command.ts";
import type { CliOptions, CliRun } from "./cli_process.ts";
import { runProcess } from "./cli_process.ts";
import { quick } from "./tier.ts";

export * from "./cli_process.ts";

/** Whether a run that was cancelled answered: one that did not, in time, ends as any program does. */
export function hasAnswered({ code, signal }: CliRun): boolean {
  if (signal === null) expect(code).toBe(130);
  else expect(signal).toBe("SIGINT");
  return signal === null;
}

/**
 * Runs a command: in a process of its own, as a person would, where anything of that process matters. Where only
 * what it prints and exits with does, the quick tier runs it in this process, on a device that is there: most of
 * what such tests take is to start, and to compile kernels.
 */
export const runCli = (args: readonly string[], options?: CliOptions): Promise<CliRun> =>
  quick && options === undefined ? runHere(args) : runProcess(args, options);

/** One run after the other: all print to the same streams. */
let running: Promise<unknown> = Promise.resolve();
function runHere(args: readonly string[]): Promise<CliRun> {
  const run = running.then(() => runNow(args));
  running = run.catch(() => {});
  return run;
}

async function runNow(args: readonly string[]): Promise<CliRun> {
  const printed = { stdout: "", stderr: "" };
  const replaced = [
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      printed.stdout += text;
      return true;
    }),
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      printed.stderr += text;
      return true;
    }),
    vi.spyOn(console, "log").mockImplementation((text) => printed.stdout += `${text}\n`),
  ];
  try {
    const code = await runCommand(args, new AbortController().signal);
    return { code, signal: null, ...printed };
  } finally {
    for (const each of replaced) each.mockRestore();
  }
}
