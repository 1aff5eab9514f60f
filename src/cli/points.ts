/**
 * Rows as `sluice kmeans` and `sluice pca` take them.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { openArray } from "../array/array.ts";
import { patches } from "../array/patches.ts";
import type { MemoryBytes } from "../types.ts";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { Options } from "./usage.ts";
import { UsageError } from "./usage.ts";

export const pointsHelp = `Input:
  --input X            [rows, features] of any number type: a .npy file or a zarr array
  --patches HxW[:S]    X is an image, [height, width] or [height, width, channels]: its rows are its
                       patches of H x W pixels, every S pixels (default 1), none of which is stored
`;

/** Names of the options that {@link openPoints} reads. */
export const POINTS_OPTIONS = ["input", "patches"];

export async function openPoints(options: Options): Promise<ChunkedArray> {
  const size = options.text("patches");
  const match = size === undefined ? [] : /^(\d+)x(\d+)(?::(\d+))?$/.exec(size);
  if (!match) {
    throw new UsageError(`Cannot read --patches: got "${size}", wanted HxW or HxW:STRIDE, as 8x8`);
  }
  const array = await openArray(options.required("input"));
  if (size === undefined) return array;
  try {
    const [, height, width, stride = "1"] = match;
    return patches(array, { size: [Number(height), Number(width)], stride: Number(stride) });
  } catch (error) {
    await array.close();
    throw error;
  }
}

/** A last line for people: time and memory. */
export function describeRun(
  { seconds, peakBytes, projectedBytes }: {
    seconds: Record<string, number>;
    peakBytes: MemoryBytes;
    projectedBytes: MemoryBytes;
  },
): string {
  if (seconds.total === undefined) return "already finished: nothing had to be computed";
  return `${formatSeconds(seconds.total)}; GPU peak ${formatBytes(peakBytes.gpu)} of ` +
    `${formatBytes(projectedBytes.gpu)} promised, host ${formatBytes(peakBytes.host)} of ` +
    `${formatBytes(projectedBytes.host)}`;
}

/** The entries of an object that are defined. */
export function given<Value>(fields: Record<string, Value | undefined>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Record<string, Value>;
}
