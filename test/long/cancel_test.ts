/** How soon cancels answer, at random moments of everything that takes its time. For a quiet machine. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fromTypedArray, openArray } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { PCA } from "../../src/decompose/pca.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import type { CliRun, Signal } from "../support/cli.ts";
import { runCli, writeRecording } from "../support/cli.ts";
import { useGpu } from "../support/gpu.ts";
import type { PlayedServer } from "../support/played_server.ts";
import { serving, startServer } from "../support/played_server.ts";
import { seeded } from "../support/random.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";

/** What a cancel may take. */
const MOST_MS = 250;

const gpu = useGpu();
const next = seeded(15);
let folder: string;
let server: PlayedServer;
let recording: string[];
let rowsFile: string;

const values = Float32Array.from({ length: 400_000 * 8 }, seeded(1));
const rows = () => fromTypedArray(values, [400_000, 8]);
const decoder = sortedSpikes({
  ...smallRecording({ seconds: 60 }),
  states: contFrag({ movementVar: 4 }),
  binSize: 1,
  positionStd: 3,
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-long-cancel-${runtime}-`));
  server = await startServer();
  recording = await writeRecording(folder, smallRecording({ seconds: 60 }));
  rowsFile = join(folder, "rows.npy");
  await writeFile(rowsFile, encodeNpy(values, [400_000, 8]));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

let outputs = 0;
const fresh = () => join(folder, `out-${outputs++}.zarr`);

/** Everything that is cancelled within this process, and how long it would take at most. */
const CALLS: Record<string, { mostMs: number; call: (signal: AbortSignal) => Promise<unknown> }> = {
  "opening a GPU": {
    // a process opens its first one when a command begins: that is cancelled below
    mostMs: 2,
    call: async (signal) => (await openGpu({ signal })).close(),
  },
  "a k-means, stored": {
    mostMs: 4000,
    call: (signal) =>
      new KMeans({ k: 32, inits: 2 }).fit(gpu(), rows(), { out: fresh() }).run({ signal }),
  },
  "a PCA": {
    mostMs: 1500,
    call: (signal) =>
      new PCA({ components: 4 }).fit(gpu(), rows(), { out: fresh() }).run({ signal }),
  },
  "a decode": {
    mostMs: 4000,
    call: (signal) =>
      decoder.smooth(gpu(), { time: { step: 0.004 }, causal: true, out: fresh() }).run({ signal }),
  },
  "a server that says nothing": {
    mostMs: 200,
    call: async (signal) => {
      server.play(() => {});
      await openArray(`${server.origin}/rows.npy`, { signal });
    },
  },
  "a server that stops in the middle": {
    mostMs: 1500,
    call: async (signal) => {
      const file = encodeNpy(values, [400_000, 8]);
      server.play((request, response) =>
        server.asked.length > 6 ? undefined : serving({ "/rows.npy": file })(request, response)
      );
      const array = await openArray(`${server.origin}/rows.npy`);
      await new KMeans({ k: 4, inits: 1 }).fit(gpu(), array, { out: fresh() }).run({ signal });
    },
  },
};

/** Milliseconds from a random moment to the end of a call that is aborted then; none if it ended before. */
async function answerOf({ mostMs, call }: (typeof CALLS)[string]): Promise<number | undefined> {
  const cancel = new AbortController();
  const delay = mostMs * next();
  // the moment counts, not when this thread comes to it
  const moment = performance.now() + delay;
  const timer = setTimeout(() => cancel.abort(new Error("cancelled")), delay);
  try {
    await call(cancel.signal);
    return undefined;
  } catch (error) {
    expect((error as Error).message).toBe("cancelled");
    return performance.now() - moment;
  } finally {
    clearTimeout(timer);
  }
}

function tell(what: string, taken: readonly number[]): number {
  const sorted = [...taken].sort((a, b) => a - b);
  const [median, largest] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
  console.log(
    `${what}: ${taken.length} cancels, median ${median.toFixed(0)} ms, largest ${
      largest.toFixed(0)
    } ms`,
  );
  return largest;
}

it("an abort is answered within 250 ms, at any of 144 moments", async () => {
  const all: number[] = [];
  for (const [name, own] of Object.entries(CALLS)) {
    const taken: number[] = [];
    for (let i = 0; i < 24; i++) {
      const ms = await answerOf(own);
      if (ms !== undefined) taken.push(ms);
    }
    if (taken.length > 0) tell(name, taken);
    all.push(...taken);
  }
  expect(all.length).toBeGreaterThan(60);
  expect(tell("all aborts", all)).toBeLessThan(MOST_MS);
});

it("Ctrl-C is answered within 250 ms, at any of 60 moments of a command's life", async () => {
  const commands: Record<string, () => string[]> = {
    decode: () => ["decode", ...recording, "--step", "0.004", "--causal", "--out", fresh()],
    kmeans: () => ["kmeans", "--input", rowsFile, "--k", "32", "--out", fresh()],
    "a server": () => ["kmeans", "--input", `${server.origin}/rows.npy`, "--k", "3"],
  };
  server.play(() => {});
  // in a checkout the first one builds the program
  await runCli(["--version"]);
  const all: number[] = [];
  for (const [command, args] of Object.entries(commands)) {
    const taken: number[] = [];
    for (let i = 0; i < 20; i++) {
      let kill!: (signal: Signal) => void;
      let ended = false;
      const run = runCli(args(), { onStart: (own) => kill = own });
      void run.then(() => ended = true);
      await new Promise((resolve) => setTimeout(resolve, 600 + 4000 * next()));
      if (ended) continue;
      const began = performance.now();
      const name = i % 2 === 0 ? "SIGINT" : "SIGTERM";
      kill(name);
      const { code, signal, stderr }: CliRun = await run;
      taken.push(performance.now() - began);
      // one that had not begun to listen, or did not answer, ends as any program does
      if (signal === null) expect(code === 0 ? 130 : code).toBe(130);
      else expect(["SIGINT", name]).toContain(signal);
      expect(stderr).not.toMatch(/\n +at /);
    }
    tell(command, taken);
    all.push(...taken);
  }
  expect(tell("all signals", all)).toBeLessThan(MOST_MS);
});
