/**
 * Results of parts, as bytes: what was stored, and arrays.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import { decodeSealed, encodeSealed } from "../parts/sealed.ts";
import type { LanesResult } from "./lane_stages.ts";
import type { StoredChunks } from "./output.ts";

/** What comes before the arrays of a result. */
export interface ResultHead {
  chunks: StoredChunks;
  /** How often the sums of a pass follow; none of held arrays. */
  sections: number;
  /** Held arrays that follow. */
  held: readonly string[];
  isMixed: boolean;
  /** That had a part in what is held. */
  adapters: readonly string[];
  /** Loops that ended so far, with their last turn. */
  stops: Record<string, number>;
  /** Of a part that advanced lanes, or put them right. */
  lanes?: LanesResult;
}

export const EMPTY: ResultHead = {
  chunks: {},
  sections: 0,
  held: [],
  isMixed: false,
  adapters: [],
  stops: {},
};

/** Length of the head, the head, and the bytes of all arrays, one after the other. */
export function joinResult(
  head: ResultHead,
  arrays: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const text = encodeSealed(head);
  const all = new Uint8Array(
    4 + text.byteLength + arrays.reduce((bytes, own) => bytes + own.byteLength, 0),
  );
  new DataView(all.buffer).setUint32(0, text.byteLength, true);
  let at = 4;
  for (const own of [text, ...arrays]) {
    all.set(own, at);
    at += own.byteLength;
  }
  return all;
}

export function splitResult(bytes: Uint8Array): { head: ResultHead; body: Uint8Array } {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = decodeSealed<ResultHead>(bytes.subarray(4, 4 + length), "of a part");
  return { head, body: bytes.subarray(4 + length) };
}

/** What helps where a file is not what its part stored. */
export function lost(problem: Error & { path?: string }, marker: string): StoreError {
  return new StoreError(
    `Cannot finish parts: ${problem.message}, though ${marker} says that it is done; remove that marker, and its ` +
      "part is run again",
    problem.path ?? marker,
    problem,
  );
}
