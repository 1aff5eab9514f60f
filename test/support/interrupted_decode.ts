/** A small decode in many tiles, and a look at what one left that did not come to its end. */

import { openArray, readAll } from "../../src/array/array.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { DecodeOptions, DecodeResult } from "../../src/hmm/decoder.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { Plan } from "../../src/stream/plan.ts";
import { smallRecording } from "./recordings.ts";

/** Bytes of a shard's index: offset and length of each chunk, and a checksum. */
export const INDEX_BYTES = 4 * 16 + 4;

/** Six tiles a pass, four shards an array; a tile ends where a chunk does. */
export function smallDecode(
  gpu: Gpu,
  out: string,
  options: Partial<DecodeOptions> = {},
): Plan<DecodeResult> {
  const decoder = sortedSpikes({
    ...smallRecording({ seconds: 5 }),
    states: contFrag({ movementVar: 4 }),
    binSize: 3,
    positionStd: 3,
  });
  return decoder.smooth(gpu, {
    out,
    time: { step: 0.02 },
    causal: true,
    chunkRows: 16,
    shardChunks: 4,
    tileRows: 48,
    ...options,
  });
}

/** SHA-256 of every file of a store, by key. */
export async function hashesOf(place: string): Promise<Record<string, string>> {
  const store = await openStore(place);
  const hashes: Record<string, string> = {};
  for (const key of await store.list("/")) {
    const hash = await crypto.subtle.digest("SHA-256", (await store.get(key))! as BufferSource);
    hashes[key] = [...new Uint8Array(hash)].map((byte) => byte.toString(16)).join(" ");
  }
  await store.close();
  return hashes;
}

const ARRAYS = ["acausal", "causal"].flatMap((kind) => [
  `${kind}_posterior`,
  `${kind}_state_probabilities`,
]);

/**
 * Reads all there is of a decode that may be anywhere between nothing and finished.
 *
 * @param finished Place of the same decode, finished.
 * @returns Rows of the smoothed posterior that are stored; `undefined` if there is no decode yet.
 * @throws {Error} If something cannot be read, or is neither missing nor equal to the finished decode's.
 */
export async function checkStored(out: string, finished: string): Promise<number | undefined> {
  let result: DecodeResult;
  try {
    result = await openResult(out, { unfinished: true });
  } catch (error) {
    if (/no decode is stored there/.test((error as Error).message)) return undefined;
    throw error;
  }
  const whole = await openResult(finished);
  const rows = whole.posterior.shape[0]!;
  const [from, to] = result.storedRows[0] ?? [rows, rows];
  const { binCenters } = result;
  await result.close();
  await whole.close();
  if (
    JSON.stringify(binCenters.map((c) => [...c])) !==
      JSON.stringify(whole.binCenters.map((c) => [...c]))
  ) {
    throw new Error(`The bin centers of ${out} are ${binCenters}, wanted ${whole.binCenters}`);
  }
  for (const name of [...ARRAYS, "time"]) {
    const values = await valuesOf(`${out}/${name}`);
    const wanted = await valuesOf(`${finished}/${name}`);
    const columns = wanted.length / whole.posterior.shape[0]!;
    const stored = [from * columns, to * columns];
    values.forEach((value, i) => {
      const missing = name !== "time" && Number.isNaN(value) &&
        !(i >= stored[0]! && i < stored[1]!);
      if (value === wanted[i] || missing) return;
      throw new Error(
        `Row ${Math.floor(i / columns)} of ${out}/${name} has ${value}, wanted ${
          wanted[i]
        }; rows ` +
          `${from} to ${to} are stored`,
      );
    });
  }
  return to - from;
}

async function valuesOf(place: string): Promise<Float64Array> {
  const array = await openArray(place);
  const values = Float64Array.from(await readAll(array) as ArrayLike<number>, Number);
  await array.close();
  return values;
}
