/** Runs the command line of this checkout in processes, in tests and in benches: Node and Deno only. */

import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { encodeNpy } from "../../src/array/npy.ts";
import type { TestRecording } from "./recordings.ts";
import { runtime } from "./runtime.ts";

export interface CliRun {
  code: number | null;
  /** What ended it, where that was a signal. */
  signal: string | null;
  stdout: string;
  stderr: string;
}

export type Signal = "SIGINT" | "SIGTERM" | "SIGKILL";
type Kill = (signal: Signal) => void;

const root = process.cwd();
const STOPPER = pathToFileURL("test/support/stop_at.mjs").href;

const program = (preloads: readonly string[]) =>
  runtime === "deno"
    ? [
      "run",
      "--allow-all",
      ...preloads.map((url) => `--preload=${url}`),
      join(root, "src/cli/main.ts"),
    ]
    : [...preloads.map((url) => `--import=${url}`), join(root, "tools/run.mjs"), "cli"];

const NURSERY = "--max-semi-space-size=2";

/**
 * In {@link runProcess}'s `env`: no room for what V8 and glibc keep of what was freed, which they keep more of the
 * longer a run takes. What a run needs shows then.
 */
export const NOTHING_KEPT = {
  NODE_OPTIONS: `${NURSERY} --max-old-space-size=32`,
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_TRIM_THRESHOLD_: "131072",
};

export interface CliOptions {
  onStderr?: (text: string, kill: Kill) => void;
  /** Which of its outputs nobody reads: closed at once. */
  unread?: readonly ("stdout" | "stderr")[];
  /** Is told when it has started. */
  onStart?: (kill: Kill, pid: number) => void;
  /** What standard error says when the run is to stand still, until `onStop` is over. */
  stopAt?: RegExp;
  onStop?: (kill: Kill) => Promise<void> | void;
  env?: Record<string, string>;
  /** The folder that it is started in. */
  cwd?: string;
}

/** What starts the command line: a program and its arguments. */
export const cliCommand = (args: readonly string[]) => [process.execPath, ...program([]), ...args];

/** Runs a command in a process of its own, as a person would. */
export function runProcess(
  args: readonly string[],
  { onStderr, unread = [], onStart, stopAt, onStop, env = {}, cwd = root }: CliOptions = {},
): Promise<CliRun> {
  const stops = stopAt && { SLUICE_STOP_AT: stopAt.source };
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...program(stops ? [STOPPER] : []), ...args], {
      cwd,
      stdio: [stops ? "pipe" : "ignore", "pipe", "pipe"],
      // a test that has run out of time leaves nothing running
      timeout: 30 * 60_000,
      // V8 sizes its nursery by the pace of allocation; fixed, resident memory can be compared
      env: { ...process.env, NODE_OPTIONS: NURSERY, ...stops, ...env },
    });
    // not child.kill(): Deno then reports the signal instead of the exit code
    const kill: Kill = (signal) => process.kill(child.pid!, signal);
    for (const name of unread) child[name]!.destroy();
    child.on("spawn", () => onStart?.(kill, child.pid!));
    let [stdout, stderr] = ["", ""];
    let stopped = false;
    // it may be killed before it has read all
    child.stdin?.on("error", () => {});
    child.stdout!.on("data", (data) => stdout += data);
    child.stderr!.on("data", (data) => {
      stderr += data;
      onStderr?.(stderr, kill);
      if (stopped || !stopAt?.test(stderr)) return;
      stopped = true;
      const over = (async () => await onStop!(kill))();
      over.then(() => child.stdin!.end("\n"), (error) => {
        child.kill("SIGKILL");
        reject(error);
      });
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Writes a recording as .npy files; returns the options that name them, and a bin size. */
export async function writeRecording(
  folder: string,
  { position, spikes }: TestRecording,
): Promise<string[]> {
  const samples = position.times.length;
  const dimensions = position.values.length / samples;
  const files = {
    "spike-times": encodeNpy(spikes.times),
    "spike-units": encodeNpy(spikes.units),
    "position-times": encodeNpy(position.times),
    position: encodeNpy(position.values, dimensions === 1 ? [samples] : [samples, dimensions]),
  };
  const options = ["--bin-size", "3", "--position-std", "3", "--step", "0.02"];
  for (const [name, bytes] of Object.entries(files)) {
    const file = join(folder, `${name}.npy`);
    await writeFile(file, bytes);
    options.push(`--${name}`, file);
  }
  return options;
}
