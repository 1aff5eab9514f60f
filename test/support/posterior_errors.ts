/** How far stored probabilities are from the f32 they were computed as, and what they take. */

import { openStore } from "../../src/store/open_store.ts";

/** Over rows of probabilities. */
export interface PosteriorErrors {
  /** Sum of |stored - exact| over a row: the largest, and the mean over rows. */
  l1Max: number;
  l1Mean: number;
  /** Largest |sum of a row - 1|. */
  rowSum: number;
  /** Largest difference of a row's entropy, nats. */
  entropy: number;
  /** Rows whose largest element is another one. */
  argmaxMismatches: number;
}

/** @param width Elements of a row of both. */
export function posteriorErrors(
  stored: Float32Array,
  exact: Float32Array,
  width: number,
): PosteriorErrors {
  const rows = exact.length / width;
  const errors = { l1Max: 0, l1Mean: 0, rowSum: 0, entropy: 0, argmaxMismatches: 0 };
  for (let row = 0; row < rows; row++) {
    const own = stored.subarray(row * width, (row + 1) * width);
    const wanted = exact.subarray(row * width, (row + 1) * width);
    const l1 = own.reduce((total, p, bin) => total + Math.abs(p - wanted[bin]!), 0);
    errors.l1Max = Math.max(errors.l1Max, l1);
    errors.l1Mean += l1 / rows;
    errors.rowSum = Math.max(errors.rowSum, Math.abs(own.reduce((sum, p) => sum + p, 0) - 1));
    errors.entropy = Math.max(errors.entropy, Math.abs(entropy(own) - entropy(wanted)));
    if (argmax(own) !== argmax(wanted)) errors.argmaxMismatches++;
  }
  return errors;
}

function entropy(row: Float32Array): number {
  return -row.reduce((total, p) => total + (p > 0 ? p * Math.log(p) : 0), 0);
}

function argmax(row: Float32Array): number {
  return row.indexOf(row.reduce((most, p) => Math.max(most, p), 0));
}

/** Bytes that the chunks of arrays take in a store. */
export async function chunkBytes(place: string, names: readonly string[]): Promise<number> {
  const store = await openStore(place);
  let bytes = 0;
  for (const name of names) {
    for (const key of await store.list(`/${name}/c`)) bytes += (await store.size(key))!;
  }
  await store.close();
  return bytes;
}
