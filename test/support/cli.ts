/** Runs the command line of this checkout as a person would: Node and Deno only. */

import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { encodeNpy } from "../../src/array/npy.ts";
import type { TestRecording } from "./recordings.ts";
import { runtime } from "./runtime.ts";

export interface CliRun {
  code: number | null;
  stdout: string;
  stderr: string;
}

export type Signal = "SIGINT" | "SIGKILL" | "SIGSTOP" | "SIGCONT";

const PROGRAM = runtime === "deno"
  ? ["run", "--allow-all", "src/cli/main.ts"]
  : ["tools/run.mjs", "cli"];

const NURSERY = "--max-semi-space-size=2";

/**
 * In {@link runCli}'s `env`: no room for what V8 and glibc keep of what was freed, which they keep more of the
 * longer a run takes. What a run needs shows then.
 */
export const NOTHING_KEPT = {
  NODE_OPTIONS: `${NURSERY} --max-old-space-size=32`,
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_TRIM_THRESHOLD_: "131072",
};

export function runCli(
  args: readonly string[],
  { onStderr, env = {} }: {
    onStderr?: (text: string, kill: (signal: Signal) => void) => void;
    env?: Record<string, string>;
  } = {},
): Promise<CliRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...PROGRAM, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      // a test that has run out of time leaves nothing running
      timeout: 30 * 60_000,
      // V8 sizes its nursery by the pace of allocation; fixed, resident memory can be compared
      env: { ...process.env, NODE_OPTIONS: NURSERY, ...env },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data) => stdout += data);
    child.stderr.on("data", (data) => {
      stderr += data;
      // not child.kill(): Deno then reports the signal instead of the exit code
      onStderr?.(stderr, (signal) => process.kill(child.pid!, signal));
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
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
