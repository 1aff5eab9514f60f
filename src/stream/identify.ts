/**
 * What a plan is known by: all that decides the bits of its result.
 *
 * @module
 */

import { digestOf } from "../math/digest.ts";
import type { Claim } from "../store/journal.ts";
import { VERSION } from "../version.ts";
import { storedAttributes } from "./places.ts";
import type { Task } from "./task.ts";

/** A task, whatever it holds. */
// deno-lint-ignore no-explicit-any
export type AnyTask<Result> = Task<any, Result>;

export interface Identified {
  claim: Claim;
  /** Whose numbers are stored. */
  adapter: string;
  hashFor: (adapter: string) => Promise<string>;
  /** What looks at the feeds told, for others who read the same. */
  looks: unknown[];
}

/**
 * Names everything that changes stored bytes: all that is read among it, never a sample.
 *
 * @param known What an earlier look at each feed told.
 */
export async function identify<Result>(
  { feeds, identity, output }: AnyTask<Result>,
  signal: AbortSignal,
  known: readonly unknown[] = [],
): Promise<Identified> {
  const { place, kind, formatVersion, allowAdapterChange } = output;
  const digests: string[] = [];
  const looks: unknown[] = [];
  for (const [i, feed] of feeds.entries()) {
    const { digest, told } = await feed.look({
      digest: place !== undefined,
      signal,
      // of JSON, which has no other word for what was not told
      known: known[i] ?? undefined,
    });
    if (digest !== undefined) digests.push(digest);
    looks.push(told);
  }
  const { attributes, streamed, whole } = output;
  const { facts, arrays = [] } = identity ?? { facts: [attributes, streamed, whole] };
  const hashFor = (adapter: string) =>
    digestOf([
      JSON.stringify([VERSION, kind, formatVersion, facts, adapter]),
      ...arrays,
      ...digests,
    ]);
  const began = place !== undefined && allowAdapterChange
    ? (await storedAttributes(place))?.adapter
    : undefined;
  const adapter = typeof began === "string" ? began : output.adapter;
  return { claim: { hash: await hashFor(adapter) }, adapter, hashFor, looks };
}
