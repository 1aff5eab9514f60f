/** Decodes onto disks that are too small, fill up, are read only, or are being written by others. */

import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestContext } from "vitest";
import { OutputConflictError, QuotaError, StoreError } from "../../src/errors.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { thisProcess } from "../../src/store/file_lock.ts";
import { Journal } from "../../src/store/journal.ts";
import { partialKey } from "../../src/store/place.ts";
import type { Signal } from "../support/cli.ts";
import { runCli, writeRecording } from "../support/cli.ts";
import { useGpu } from "../support/gpu.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const gpu = useGpu();

let folder: string;
let files: string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), `sluice-disk-${runtime}-`));
  files = await writeRecording(folder, smallRecording({ seconds: 4 }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const recording = smallRecording();
const decoder = sortedSpikes({
  ...recording,
  states: contFrag({ movementVar: 4 }),
  binSize: 3,
  positionStd: 3,
});

const plan = (out: string) =>
  decoder.smooth(gpu(), {
    time: { step: 0.02 },
    causal: true,
    chunkRows: 16,
    shardChunks: 4,
    tileRows: 48,
    out: `file:${out}`,
  });

let outputs = 0;
const fresh = () => join(folder, `out-${outputs++}.zarr`);

const decode = (out: string, ...extra: string[]) =>
  runCli(["decode", ...files, "--json", "--out", out, ...extra]);

let whole: string | undefined;

/** The same decode, in one go. */
async function uninterrupted(): Promise<string> {
  if (whole === undefined) {
    whole = fresh();
    await (await plan(whole).run()).close();
  }
  return whole;
}

/** Every file below a folder, by path, as text of its bytes. */
function contents(place: string): Record<string, string> {
  const found: Record<string, string> = {};
  if (!existsSync(place)) return found;
  for (const entry of readdirSync(place, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path.slice(place.length)] = readFileSync(path).toString("base64");
  }
  return found;
}

interface Disk {
  folder: string;
  /** Takes all the room that is left; `leave` bytes stay free. */
  fill(leave?: number): void;
  /** Gives the room back that {@link fill} took. */
  clear(): void;
  makeReadOnly(): void;
}

const FILLER = "filler";
const PAGE_BYTES = 4096;

/** A disk of its own of so many bytes, and so many files where they are limited, for as long as a test needs it; skips where there is none. */
async function withDisk(
  context: TestContext,
  bytes: number,
  check: (disk: Disk) => Promise<void>,
  files = 0,
): Promise<void> {
  const mounted = mkdtempSync(join(folder, "disk-"));
  try {
    const size = PAGE_BYTES * Math.ceil(bytes / PAGE_BYTES);
    const options = { stdio: "pipe" } as const;
    execFileSync("mount", [
      "-t",
      "tmpfs",
      "-o",
      `size=${size},nr_inodes=${files}`,
      "tmpfs",
      mounted,
    ], options);
  } catch (error) {
    const reason = String((error as Error).message).trim().split("\n").at(-1);
    context.skip(`a small disk cannot be mounted here: ${reason}`);
  }
  const filler = join(mounted, FILLER);
  const disk: Disk = {
    folder: mounted,
    fill(leave = 0) {
      const { bavail, bsize } = statfsSync(mounted);
      const handle = openSync(filler, "w");
      try {
        const page = new Uint8Array(PAGE_BYTES);
        const pages = Math.floor((Number(bavail) * Number(bsize) - leave) / PAGE_BYTES);
        for (let i = 0; i < pages; i++) writeSync(handle, page);
      } finally {
        closeSync(handle);
      }
    },
    clear: () => rmSync(filler),
    makeReadOnly: () => void execFileSync("mount", ["-o", "remount,ro", mounted]),
  };
  try {
    await check(disk);
  } finally {
    execFileSync("umount", [mounted]);
  }
}

/** What a run that must fail fails with. */
async function failureOf(run: Promise<unknown>): Promise<unknown> {
  return await run.then(() => {
    throw new Error("the run was to fail, and did not");
  }, (error) => error);
}

describe("a disk", () => {
  it("that is too small is refused before any work, with both numbers", (context) =>
    withDisk(context, 32 * 1024, async (disk) => {
      const small = plan(join(disk.folder, "out.zarr"));
      const error = await failureOf(small.run());
      expect(error).toBeInstanceOf(QuotaError);
      const { message, neededBytes, availableBytes } = error as QuotaError;
      expect(neededBytes).toBe(small.projected.disk);
      expect(availableBytes).toBeGreaterThan(0);
      expect(availableBytes).toBeLessThanOrEqual(32 * 1024);
      for (const bytes of [neededBytes, availableBytes]) expect(message).toContain(`(${bytes} B)`);
      expect(readdirSync(disk.folder)).toEqual([]);
      const run = await decode(join(disk.folder, "cli.zarr"));
      expect(run.code).toBe(6);
      expect(JSON.parse(run.stdout).error).toMatchObject({ name: "QuotaError" });
      expect(readdirSync(disk.folder)).toEqual([]);
    }));

  for (const steps of [1, 5, 12]) {
    it(`that fills up after ${steps} steps is named, and the run goes on when there is room`, (context) =>
      withDisk(context, plan("none").projected.disk + 2 ** 20, async (disk) => {
        const out = join(disk.folder, "out.zarr");
        const append = Journal.prototype.append;
        let appended = 0;
        Journal.prototype.append = async function (entry) {
          await append.call(this, entry);
          if (++appended === steps) disk.fill();
        };
        let error: unknown;
        try {
          error = await failureOf(plan(out).run());
        } finally {
          Journal.prototype.append = append;
        }
        expect(error).toBeInstanceOf(QuotaError);
        const { message, neededBytes, availableBytes } = error as QuotaError;
        expect(message).toContain(`Cannot write "${disk.folder}/out.zarr`);
        expect(availableBytes).toBeLessThan(PAGE_BYTES);
        expect(neededBytes).toBeGreaterThan(0);
        expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });

        disk.clear();
        const result = await plan(out).run();
        expect(result.resumed).toBeDefined();
        await result.close();
        expect(contents(out)).toEqual(contents(await uninterrupted()));
        expect(readdirSync(disk.folder)).toEqual(["out.zarr"]);
      }));
  }

  it("that has room for no more files says so, and the run goes on when it has", (context) =>
    withDisk(context, plan("none").projected.disk + 2 ** 20, async (disk) => {
      const out = join(disk.folder, "out.zarr");
      const error = await failureOf(plan(out).run());
      expect(error).toBeInstanceOf(QuotaError);
      expect((error as Error).message).toMatch(
        /no more files can be made on this disk, .* \d+ bytes/,
      );
      execFileSync("mount", ["-o", "remount,nr_inodes=1000", disk.folder]);
      await (await plan(out).run()).close();
      expect(contents(out)).toEqual(contents(await uninterrupted()));
    }, 60));

  it("that is read only is refused and left as it is", (context) =>
    withDisk(context, 2 ** 20, async (disk) => {
      writeFileSync(join(disk.folder, "mine"), "x");
      disk.makeReadOnly();
      const error = await failureOf(plan(join(disk.folder, "out.zarr")).run());
      expect(error).toBeInstanceOf(StoreError);
      expect((error as StoreError).path).toContain(disk.folder);
      expect((error as StoreError).message).toMatch(/Cannot write .*read only/);
      const run = await decode(join(disk.folder, "cli.zarr"));
      expect(run.code).toBe(6);
      const told = JSON.parse(run.stdout).error;
      expect(told.name).toBe("StoreError");
      expect(told.message).toContain(disk.folder);
      expect(readdirSync(disk.folder)).toEqual(["mine"]);
    }));
});

/** Decodes with the command line; stands still when rows are stored and more are to come. */
function decodeInSteps(
  out: string,
  onStop: (kill: (signal: Signal) => void) => Promise<void> | void,
) {
  const args = ["decode", ...files, "--json", "--tile-rows", "4", "--out", out];
  return runCli(args, {
    stopAt: /smooth \(2\/2\)/,
    onStop(kill) {
      expect(existsSync(partialKey(join(`${out}.journal`, "log/steps")))).toBe(true);
      return onStop(kill);
    },
  });
}

function writeLock(out: string, text: string): string {
  const path = join(`${out}.journal`, "lock");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** The number of a process that has ended. */
function endedProcess(): number {
  return Number(execFileSync("sh", ["-c", "echo $$"]).toString());
}

describe("an output", () => {
  it("is written by one process at a time: the second is told who is at work", async () => {
    const out = fresh();
    let refused = false;
    const first = await decodeInSteps(out, async () => {
      const holder = JSON.parse(readFileSync(join(`${out}.journal`, "lock"), "utf8"));
      const before = contents(out);
      const second = await decode(out);
      expect(second.code).toBe(5);
      const { name, message } = JSON.parse(second.stdout).error;
      expect(name).toBe("OutputConflictError");
      expect(message).toContain(`process ${holder.pid} on ${hostname()} is at work`);
      expect(contents(out)).toEqual(before);
      refused = true;
    });
    expect(refused).toBe(true);
    expect(first.code).toBe(0);
    await (await openResult(out)).close();
  });

  it("is gone on with after its process was killed", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const out = fresh();
    const killed = await decodeInSteps(out, (kill) => kill("SIGKILL"));
    expect(killed.code).not.toBe(0);
    expect(existsSync(join(`${out}.journal`, "lock"))).toBe(true);
    expect((await decode(out)).code).toBe(0);
    expect(existsSync(`${out}.journal`)).toBe(false);
    const whole = fresh();
    expect((await decode(whole)).code).toBe(0);
    expect(contents(out)).toEqual(contents(whole));
  });

  it("takes no notice of locks whose process is gone", async () => {
    const gone = { ...await thisProcess(), pid: endedProcess() };
    // another process has the number by now
    const reused = { ...await thisProcess(), started: "1" };
    for (const holder of [gone, { ...gone, started: "12345" }, reused]) {
      const out = fresh();
      writeLock(out, JSON.stringify(holder));
      await (await plan(out).run()).close();
      expect(existsSync(`${out}.journal`)).toBe(false);
    }
  });

  it("is left alone when it cannot be known whether its process is gone", async () => {
    const out = fresh();
    const path = writeLock(out, JSON.stringify({ host: "elsewhere", pid: 12, started: "3" }));
    const error = await failureOf(plan(out).run());
    expect(error).toBeInstanceOf(OutputConflictError);
    expect((error as OutputConflictError).message)
      .toContain(`process 12 on elsewhere is at work there; if it is gone, remove "${path}"`);
    expect(existsSync(out)).toBe(false);
    rmSync(path);
    await (await plan(out).run()).close();
  });
});
