/**
 * Decodes as it is told to, line by line on standard input, and dies by SIGKILL where it is told to.
 * What it does is reported line by line on standard output. Started by `killed_decodes.ts`.
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
import { INDEX_BYTES, smallDecode } from "./interrupted_decode.ts";

/** What a run is doing when it dies. */
export type Phase = "metadata" | "forward" | "backward" | "shard close" | "checkpoint";

/** Where to die. */
export interface Death {
  phase: Phase;
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
}

export type Report =
  | { event: "ready" }
  | { event: "computed" | "committed"; pass: string; row: number }
  | { event: "died"; phase: Phase }
  | { event: "finished"; moments: Record<Phase, number>; resumed: boolean }
  | { event: "failed"; name: string; message: string };

const phases = new AsyncLocalStorage<Phase>();
let death: Death | undefined;
let moments: Record<Phase, number>;
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
  store.deleteAll = function (prefix = "/") {
    const phase = phaseOf(this.place, prefix);
    return moment(phase, () => deleteAll.call(this, prefix));
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
    const { pass, row } = entry as { pass: string; row: number };
    report({ event: "committed", pass, row });
  };
}

const gpu = await openGpu({ budget: "64 MiB" });
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
watchStore();
await watchFiles();
watchTiles();

report({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as Job;
  death = job.death;
  computing = undefined;
  moments = { metadata: 0, forward: 0, backward: 0, "shard close": 0, checkpoint: 0 };
  try {
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
