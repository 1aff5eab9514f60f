/** The patches of a photograph, and what scikit-learn says of them (test/fixtures/make_china.py). */

import type { ChunkedArray } from "../../src/array/array.ts";
import { openArray } from "../../src/array/array.ts";
import { patches } from "../../src/array/patches.ts";
import fixture from "../fixtures/china.json" with { type: "json" };
import { sharedFile } from "./shared_data.ts";

export const china = fixture;

/** `[rows, 192]` u8. */
export async function chinaPatches(stride: number): Promise<ChunkedArray> {
  return patches(await openArray(await sharedFile("data/china/rgb.npy")), { size: 8, stride });
}

/** Where the centroids begin: means of three neighbouring rows, evenly spread. */
export async function firstCentroids(rows: ChunkedArray, k: number): Promise<Float64Array> {
  const [count, features] = rows.shape as [number, number];
  const init = new Float64Array(k * features);
  for (let i = 0; i < k; i++) {
    const row = Math.floor(i * count / k);
    const values = await rows.read(row, row + 3) as Uint8Array;
    values.forEach((value, at) => init[i * features + at % features]! += value / 3);
  }
  return init;
}
