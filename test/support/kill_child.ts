/**
 * Decodes, or does other work, as it is told to, line by line on standard input, and dies by SIGKILL where it is
 * told to. What it does is reported line by line on standard output. Started by `killed_decodes.ts` and
 * `kill_campaign.ts`.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import process from "node:process";
import { createInterface } from "node:readline";
import { openGpu } from "../../src/gpu/device.ts";
import type { Tile } from "../../src/stream/pass.ts";
import { StoredOutput } from "../../src/stream/stored_output.ts";
import { FileStore } from "../../src/store/fs.ts";
import { Journal } from "../../src/store/journal.ts";
import type { Appender } from "../../src/store/store.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { checkpointPace } from "../../src/stream/checkpoints.ts";
import { SeriesPlace } from "../../src/stream/series_place.ts";
import { INDEX_BYTES, smallDecode } from "./interrupted_decode.ts";
import type { Work, WorkOptions } from "./killed_works.ts";
import { doOther, doWork } from "./killed_works.ts";

/** What a run is doing when it dies. */
export type Phase = "metadata" | "forward" | "backward" | "shard close" | "checkpoint";

/** Where to die. */
export interface Death {
  /** `logged`: any moment after a first step was stored for good. */
  phase: Phase | "logged";
  /** The how many-th moment of that phase: calls of the system and submits to the device count. */
  at: number;
  /**
   * Before or after the call, in the middle of it, with half of the bytes written, or a while after
   * it began, with everything going on.
   */
  how: "before" | "after" | "within" | "half" | "soon";
  /** The while, for `within` and `soon`. */
  milliseconds: number;
}

export interface Job {
  out: string;
  death?: Death;
  /** What is done instead of the decode; `other` first puts another plan's result there. */
  work?: {
    kind: Work;
    other: boolean;
    budgetMiB: number;
    options: Omit<WorkOptions, "out" | "onProgress">;
  };
}

export type Report =
  | { event: "ready" }
  | { event: "resumed" }
  | { event: "computed" | "committed"; pass: string; row: number }
  | { event: "died"; phase: Phase }
  | { event: "finished"; moments: Record<Phase | "logged", number>; resumed: boolean }
  | { event: "failed"; name: string; message: string };

const phases = new AsyncLocalStorage<Phase>();
let death: Death | undefined;
let moments: Record<Phase | "logged", number>;
/** Whether a first step is stored for good. */
let isLogged = false;
/** The pass that is being computed. */
let computing: Phase | undefined;

/** Standard output is written at once: nothing that was reported is lost. */
function report(line: Report): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function die(phase: Phase): never {
  report({ event: "died", phase });
  process.kill(process.pid, "SIGKILL");
  for (;;); // the signal is on its way
}

function dieWithin(phase: Phase, milliseconds: number): never {
  // threads that write go on meanwhile
  for (const end = performance.now() + milliseconds; performance.now() < end;);
  die(phase);
}

function dieSoon(phase: Phase, milliseconds: number): void {
  const end = performance.now() + milliseconds;
  const look = () => performance.now() < end ? setImmediate(look) : die(phase);
  look();
}

/** Whether this moment is the one to die at. */
function isLast(phase: Phase): boolean {
  moments[phase]++;
  if (isLogged) moments.logged++;
  if (death?.phase === "logged") return isLogged && death.at === moments.logged;
  return death?.phase === phase && death.at === moments[phase];
}

/** Does something that a run of a phase may die in. */
async function moment<Result>(
  phase: Phase,
  action: () => Promise<Result>,
  half?: () => Promise<unknown>,
): Promise<Result> {
  if (!isLast(phase)) return await action();
  const { how, milliseconds } = death!;
  if (how === "before") die(phase);
  if (how === "half" && half) {
    await half();
    die(phase);
  }
  const done = action();
  if (how === "within") dieWithin(phase, milliseconds);
  if (how === "soon") dieSoon(phase, milliseconds);
  const result = await done;
  if (how !== "soon") die(phase);
  return result;
}

/** The phase that a write of a key serves. */
function phaseOf(place: string, key: string): Phase {
  if (place.endsWith(".journal")) {
    return /^\/(plan\.json|lock)/.test(key) ? "metadata" : "checkpoint";
  }
  // rows are written on the way back alone
  return /^\/a?causal_\w+\/c\//.test(key) ? "backward" : "metadata";
}

function watchStore(): void {
  const store = FileStore.prototype;
  const { set, append, delete: remove, deleteAll, lock } = store;
  store.set = function (key, bytes) {
    return phases.run(phaseOf(this.place, key), () => set.call(this, key, bytes));
  };
  store.delete = function (key) {
    const phase = phaseOf(this.place, key);
    return moment(phase, () => remove.call(this, key));
  };
  store.deleteAll = function (prefix = "/", isOwn) {
    const phase = phaseOf(this.place, prefix);
    return moment(phase, () => deleteAll.call(this, prefix, isOwn));
  };
  store.lock = async function (key) {
    const unlock = await phases.run("metadata", () => lock.call(this, key));
    return () => moment("metadata", unlock);
  };
  store.append = async function (key, options) {
    const phase = phaseOf(this.place, key);
    const appender = await phases.run(phase, () => append.call(this, key, options));
    return watchAppender(appender, phase);
  };
}

function watchAppender(appender: Appender, phase: Phase): Appender {
  return {
    get size() {
      return appender.size;
    },
    append(bytes, options) {
      const closing = phase !== "checkpoint" && bytes.byteLength === INDEX_BYTES;
      return phases.run(closing ? "shard close" : phase, () => appender.append(bytes, options));
    },
    sync: () => phases.run(phase, () => appender.sync()),
    finish: () => phases.run("shard close", () => appender.finish()),
    close: () => appender.close(),
  };
}

/** Makes every call of the system that changes a file a moment of the phase it serves. */
async function watchFiles(): Promise<void> {
  const some = await open(process.execPath, "r");
  const handles = Object.getPrototypeOf(some) as FileHandle;
  await some.close();
  const seen = new WeakSet<FileHandle>();
  // in Node every handle has its own
  const watchClose = (handle: FileHandle) => {
    if (seen.has(handle)) return;
    seen.add(handle);
    const close = handle.close;
    handle.close = () => {
      const phase = phases.getStore();
      return phase ? moment(phase, () => close.call(handle)) : close.call(handle);
    };
  };
  const { write, sync, truncate } = handles;
  type Write = (bytes: Uint8Array, offset: number, length: number, at: number) => ReturnType<
    FileHandle["write"]
  >;
  handles.write = function (this: FileHandle, ...args: Parameters<Write>) {
    watchClose(this);
    const all = write as unknown as Write;
    const [bytes, offset, length, at] = args;
    const phase = phases.getStore();
    if (!phase) return all.apply(this, args);
    const half = () => all.call(this, bytes, offset, Math.floor(length / 2), at);
    return moment(phase, () => all.apply(this, args), half);
  } as unknown as FileHandle["write"];
  handles.sync = function () {
    watchClose(this);
    const phase = phases.getStore();
    return phase ? moment(phase, () => sync.call(this)) : sync.call(this);
  };
  handles.truncate = function (length) {
    watchClose(this);
    const phase = phases.getStore();
    return phase ? moment(phase, () => truncate.call(this, length)) : truncate.call(this, length);
  };
}

/** Reports every tile that is computed and every one that is stored for good. */
/** Where a decode's pass stands after a tile. */
function placeOf({ start, end }: Tile, forward: boolean): { pass: string; row: number } {
  return forward ? { pass: "filter", row: end } : { pass: "smooth", row: start };
}

function watchTiles(): void {
  const output = StoredOutput.prototype;
  const { commit } = output;
  output.commit = function (tile, forward) {
    report({ event: "computed", ...placeOf(tile, forward) });
    return commit.call(this, tile, forward);
  };
  const { append } = Journal.prototype;
  Journal.prototype.append = async function (entry) {
    await append.call(this, entry);
    isLogged = true;
    const { pass, row } = entry as { pass: string; row: number };
    report({ event: "committed", pass, row });
  };
}

/** Reports when a run goes on with what an earlier one stored: checkpoints, or parts of a series. */
function watchResumes(): void {
  const { begin } = StoredOutput.prototype;
  StoredOutput.prototype.begin = async function (account, hash, adapter, chunks) {
    if (chunks) report({ event: "resumed" });
    if (chunks) isLogged = true;
    return await begin.call(this, account, hash, adapter, chunks);
  };
  const { read, write } = SeriesPlace.prototype;
  SeriesPlace.prototype.read = async function (key) {
    const text = await read.call(this, key);
    const isPart = key.startsWith("/results/") && text !== undefined;
    if (isPart) report({ event: "resumed" });
    isLogged ||= isPart;
    return text;
  };
  SeriesPlace.prototype.write = async function (key, text) {
    await write.call(this, key, text);
    isLogged ||= key.startsWith("/results/");
  };
}

/** Makes submits moments to die at. */
function watchGpu(gpu: Gpu): Gpu {
  const { queue } = gpu.device;
  const submit = queue.submit.bind(queue);
  queue.submit = (commands) => {
    if (computing === undefined || !isLast(computing)) return submit(commands);
    const { how, milliseconds } = death!;
    if (how === "before" || how === "half") die(computing);
    submit(commands);
    if (how === "soon") dieSoon(computing, milliseconds);
    else dieWithin(computing, how === "after" ? 0 : milliseconds);
  };
  return gpu;
}

async function work(out: string, { kind, other, budgetMiB, options }: NonNullable<Job["work"]>) {
  // a state at every chance: runs are too short for the usual pace
  Object.assign(checkpointPace, { everyMs: 0, times: 0 });
  const own = budgetMiB === BUDGET_MIB
    ? gpu
    : watchGpu(await openGpu({ budget: `${budgetMiB} MiB` }));
  try {
    const later = death;
    death = undefined;
    if (other) await doOther(own, out);
    death = later;
    for (const phase of Object.keys(moments)) moments[phase as Phase] = 0;
    isLogged = kind === "export";
    const onProgress = () => {
      computing = "forward";
      // an export writes its file without a call that could be watched
      if (kind === "export" && isLast("forward")) die("forward");
    };
    await doWork(own, kind, { ...options, out, onProgress });
  } finally {
    if (own !== gpu) await own.close();
  }
}

const BUDGET_MIB = 64;
const gpu = watchGpu(await openGpu({ budget: `${BUDGET_MIB} MiB` }));
watchStore();
await watchFiles();
watchTiles();
watchResumes();

report({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as Job;
  death = job.death;
  computing = undefined;
  isLogged = false;
  moments = { metadata: 0, forward: 0, backward: 0, "shard close": 0, checkpoint: 0, logged: 0 };
  try {
    if (job.work) {
      await work(job.out, job.work);
      report({ event: "finished", moments, resumed: false });
      continue;
    }
    const result = await smallDecode(gpu, job.out).run({
      onProgress: ({ pass }) => computing = pass === "filter" ? "forward" : "backward",
    });
    await result.close();
    report({ event: "finished", moments, resumed: result.resumed !== undefined });
  } catch (error) {
    const { name, message } = error as Error;
    report({ event: "failed", name, message });
  }
}
gpu.close();
