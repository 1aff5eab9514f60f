/**
 * Locks that lie in files: who holds one is told by its text.
 *
 * @module
 */

import type { open } from "node:fs/promises";
import { lstat, readFile, readlink, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import process from "node:process";
import { OutputConflictError, StoreError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { describeError, describeWriteError, errorCode } from "./disk_errors.ts";

/** A process, so that no other is taken for it: numbers are given again, and every container counts anew. */
export interface Holder {
  host: string;
  /** Fingerprint of the machine; like all that follows, `undefined` where the system does not tell. */
  machine?: string | undefined;
  /** Its start, which every boot has another of. */
  boot?: string | undefined;
  /** Where its number counts: containers have namespaces of their own. */
  namespace?: string | undefined;
  pid: number;
  /** When it started, in the system's own words. */
  started?: string | undefined;
}

/** How long a lock counts that was not written to its end: its process may be about to. */
const TORN_MS = 1000;
/** The namespace of processes outside all containers, on every Linux. */
const OUTERMOST = "pid:[4026531836]";
/** A lock that is let go of and taken again just when it is looked at is tried so often. */
const MOST_TRIES = 100;

/**
 * Takes a lock, unless the process that has it may still be there.
 *
 * @param make Makes a file that was not there, with its folders, and opens it.
 * @param place What is locked, for messages.
 * @param onStale Told whose lock is taken over, before it is.
 * @throws {OutputConflictError} If somebody else has it, or that cannot be known; says who, and what to do.
 * @throws {StoreError} If what is in its place is no lock.
 */
export async function takeLock(
  path: string,
  place: string,
  { make, onStale }: {
    make: (path: string) => ReturnType<typeof open>;
    onStale?: (holder: Holder) => Promise<void>;
  },
): Promise<() => Promise<void>> {
  const mine = JSON.stringify(await thisProcess());
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (await create(path, mine, make)) return () => letGo(path, mine);
    const theirs = await readLock(path);
    if (theirs === undefined) continue;
    const holder = parseHolder(theirs);
    if (!(await isStale(path, holder))) throw conflict(path, place, holder);
    // whoever takes over a lock does so alone: two that remove it could remove each other's
    const taking = `${path}.taking`;
    if (!(await create(taking, mine, make))) {
      const other = await readLock(taking);
      if (other === undefined) continue;
      throw conflict(taking, place, parseHolder(other));
    }
    try {
      if (await readLock(path) !== theirs) continue;
      if (holder) await onStale?.(holder);
      await unlink(path);
      if (await create(path, mine, make)) return () => letGo(path, mine);
    } finally {
      await unlink(taking);
    }
  }
  throw new StoreError(
    `Cannot take the lock "${path}": it came and went ${MOST_TRIES} times, wanted it for this run`,
    path,
  );
}

/** Makes a lock; `false` if there is one. */
async function create(
  path: string,
  text: string,
  make: (path: string) => ReturnType<typeof open>,
): Promise<boolean> {
  try {
    const handle = await make(path);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    // whoever had it removed the folder when it was made
    if (errorCode(error) === "ENOENT") return false;
    throw describeWriteError(path, text.length, error);
  }
  // whoever was stopped for long in between may find that it was taken for torn
  return await readLock(path) === text;
}

async function letGo(path: string, mine: string): Promise<void> {
  if (await readFile(path, "utf8").catch(() => undefined) !== mine) return;
  await unlink(path).catch((error) => {
    if (errorCode(error) !== "ENOENT") throw describeError("delete", path, error);
  });
}

/**
 * The text of a lock; `undefined` if there is none any more.
 *
 * @throws {StoreError} If something else is there, or it cannot be read.
 */
async function readLock(path: string): Promise<string | undefined> {
  const refuse = (what: string, cause?: unknown) =>
    new StoreError(
      `Cannot take the lock "${path}": ${what}; if no run is at work there, remove it`,
      path,
      cause,
    );
  try {
    const found = await lstat(path);
    if (found.isSymbolicLink()) throw refuse("it is a link, wanted a file");
    if (!found.isFile()) throw refuse("it is a folder or a device, wanted a file");
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if (errorCode(error) === "ENOENT") return undefined;
    throw refuse(`it cannot be read (${(error as Error).message})`, error);
  }
}

/** `undefined` of a lock that was not written to its end. */
function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    return typeof holder?.host === "string" && Number.isSafeInteger(holder.pid)
      ? holder
      : undefined;
  } catch {
    return undefined;
  }
}

function conflict(path: string, place: string, holder: Holder | undefined): OutputConflictError {
  const who = holder ? `process ${holder.pid} on ${holder.host}` : "another process";
  return new OutputConflictError(
    `Cannot write beside ${place}: ${who} is at work there; if it is gone, remove "${path}"`,
    place,
  );
}

async function isStale(path: string, holder: Holder | undefined): Promise<boolean> {
  if (holder) return isGone(holder, await thisProcess(), await stateOf(holder.pid));
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > TORN_MS;
}

/**
 * Whether a process is surely gone.
 *
 * @param own Who asks.
 * @param there The process that has its number here; `undefined` if none has.
 */
export function isGone(
  holder: Holder,
  own: Holder,
  there: { started: string | undefined } | undefined,
): boolean {
  if (holder.host !== own.host || holder.machine !== own.machine) return false;
  if (holder.boot !== own.boot) {
    // names of containers are given anew; those of machines that were booted again are not
    const [theirs, ours] = [holder.namespace, own.namespace];
    const isBooted = holder.boot !== undefined && own.boot !== undefined;
    return isBooted && theirs === OUTERMOST && ours === OUTERMOST && own.machine !== undefined;
  }
  if (holder.namespace !== own.namespace) return false;
  if (!there) return true;
  return holder.started !== undefined && there.started !== undefined &&
    holder.started !== there.started;
}

const NAMESPACE = "/proc/self/ns/pid";

/** Deno would ask its user where it has no permission. */
function mayRead(path: string): boolean {
  const { Deno: deno } = globalThis as {
    Deno?: { permissions: { querySync(what: { name: "read"; path: string }): { state: string } } };
  };
  return !deno || deno.permissions.querySync({ name: "read", path }).state === "granted";
}

let known: Promise<Holder> | undefined;

/** This process, as locks name it. */
export function thisProcess(): Promise<Holder> {
  known ??= (async () => {
    const text = async (path: string) =>
      mayRead(path) && (await readFile(path, "utf8")).trim() || undefined;
    const machine = await text("/etc/machine-id").catch(() => undefined);
    return {
      host: hostname(),
      machine: machine && crc32c(new TextEncoder().encode(machine)).toString(16),
      boot: await text("/proc/sys/kernel/random/boot_id").catch(() => undefined),
      namespace: mayRead(NAMESPACE) ? await readlink(NAMESPACE).catch(() => undefined) : undefined,
      pid: process.pid,
      started: (await stateOf(process.pid))?.started,
    };
  })();
  return known;
}

/** When a process started, in clock ticks since the machine did: Linux alone tells. `undefined` if it is gone. */
async function stateOf(pid: number): Promise<{ started: string | undefined } | undefined> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, "utf8");
    // the name, in parentheses, may hold spaces; state and start time are the 1st and 20th field after
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    // a zombie is gone: only its parent has not noticed
    return fields[0] === "Z" ? undefined : { started: fields[19] };
  } catch {
    try {
      process.kill(pid, 0);
    } catch (error) {
      if (errorCode(error) === "ESRCH") return undefined;
    }
    // it runs and belongs to somebody else, or nobody may ask
    return { started: undefined };
  }
}
