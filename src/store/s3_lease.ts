/**
 * Locks in a bucket. Nobody there knows whether a process is alive, so a lock is a lease: whoever holds it
 * renews it, and one that was not renewed for long is taken over.
 *
 * @module
 */

import { OutputConflictError, StoreError } from "../errors.ts";
import { hasFileSystem } from "./place.ts";
import type { S3Client, Tag } from "./s3_client.ts";

/** How long a lease lasts without being renewed, and how often it is, in milliseconds. */
export interface LeaseTimes {
  lastsMs: number;
  renewMs: number;
}

export const LEASE_TIMES: LeaseTimes = { lastsMs: 120_000, renewMs: 20_000 };
/** A lease that is let go of and taken again just when it is looked at is tried so often. */
const MOST_TRIES = 20;

/**
 * Takes a lease and renews it until the returned function is called.
 *
 * @param place What is locked, for messages.
 * @param onLost Told if somebody else took it over, as after a long sleep.
 * @throws {OutputConflictError} If somebody else has it; says who, and for how long at most.
 */
export async function takeLease(
  client: S3Client,
  name: string,
  { place, times, onLost }: {
    place: string;
    times: LeaseTimes;
    onLost: (error: StoreError) => void;
  },
): Promise<() => Promise<void>> {
  const who = await thisHolder();
  const mine = new TextEncoder().encode(JSON.stringify({ id: crypto.randomUUID(), who }));
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const tag = await client.put(name, mine, "absent");
    if (tag) return hold(tag);
    const theirs = await client.get(name);
    if (!theirs) continue;
    // an answer that was lost: the request came through, and was made again
    if (isMine(theirs.bytes)) return hold(theirs);
    const leftMs = times.lastsMs - 1000 * theirs.ageSeconds;
    // servers that tell no times leave no lease
    if (!(leftMs <= 0)) throw conflict(theirs.bytes, leftMs);
    const taken = await client.put(name, mine, theirs);
    if (taken) return hold(taken);
  }
  throw new StoreError(
    `Cannot take the lock "${place}/${name}": it came and went ${MOST_TRIES} times, wanted it for this run`,
    name,
  );

  function hold(tag: Tag): () => Promise<void> {
    let renewing = Promise.resolve();
    const timer = setInterval(() => {
      renewing = renewing.then(async () => {
        const next = await client.put(name, mine, tag);
        if (next) {
          tag = next;
          return;
        }
        const there = await client.get(name);
        if (there && isMine(there.bytes)) {
          tag = there;
          return;
        }
        clearInterval(timer);
        const then = there ? `${holderOf(there.bytes)} took it over` : "it was removed";
        onLost(
          new StoreError(
            `Cannot write to ${place}: its lock was not renewed for more than ` +
              `${times.lastsMs / 1000} s, and ${then}`,
            place,
          ),
        );
        // a server that does not answer may do so next time
      }).catch(() => {});
    }, times.renewMs);
    // what waits for its end does not wait for a lease
    (timer as { unref?(): void }).unref?.();
    return async () => {
      clearInterval(timer);
      await renewing;
      const there = await client.get(name);
      if (there && isMine(there.bytes)) await client.delete(name);
    };
  }

  function isMine(bytes: Uint8Array): boolean {
    return bytes.length === mine.length && bytes.every((byte, i) => byte === mine[i]);
  }

  function conflict(theirs: Uint8Array, leftMs: number): OutputConflictError {
    const seconds = Math.ceil(leftMs / 1000);
    const then = Number.isNaN(seconds)
      ? `if it is gone, remove "${name}" from the bucket`
      : `if it is gone, its lock ends in ${seconds} s`;
    return new OutputConflictError(
      `Cannot write beside ${place}: ${holderOf(theirs)} is at work there; ${then}`,
      place,
    );
  }
}

function holderOf(bytes: Uint8Array): string {
  try {
    const { who } = JSON.parse(new TextDecoder().decode(bytes)) as { who?: unknown };
    return typeof who === "string" ? who : "another run";
  } catch {
    return "another run";
  }
}

/** This process or page, in words for people. */
async function thisHolder(): Promise<string> {
  if (!hasFileSystem()) return `a page of ${globalThis.location?.origin}`;
  const { host, pid } = await (await import("./file_lock.ts")).thisProcess();
  return `process ${pid} on ${host}`;
}
