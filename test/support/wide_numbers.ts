/** Wide numbers for tests and benches: from natural logarithms and back. */

import { toWide, wideLog2 } from "../../src/math/wide.ts";
import { logSumsOfStates } from "../reference/logarithms.ts";

/** Wide numbers nearest to exp() of natural logarithms, -Infinity for 0. */
export function wideOfLogs(logs: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(logs, (log) => {
    if (log === -Infinity) return 0;
    const power = Math.floor(log / Math.LN2);
    return toWide(2 ** (log / Math.LN2 - power), power);
  });
}

/** Natural logarithms of wide numbers. */
export function logsOf(wide: Uint32Array): Float64Array {
  return Float64Array.from(wide, (value) => wideLog2(value) * Math.LN2);
}

/** What a kernel wrote as u32. */
export function asWide({ buffer, byteOffset, length }: Float32Array): Uint32Array<ArrayBuffer> {
  return new Uint32Array(buffer as ArrayBuffer, byteOffset, length);
}

/** How many levels of 128 binades numbers have. */
export function levelsOf(wide: Uint32Array): number {
  const deepest = wide.reduce((least, value) => Math.min(least, value ? wideLog2(value) : 0), 0);
  return deepest < -128 ? 1 + Math.floor(Math.ceil(-deepest) / 128) : 1;
}

/** `state_sums` of [lanes, bins] vectors, as the row kernels write them. */
export function stateSumsOf(
  vectors: Uint32Array,
  starts: readonly number[],
): Uint32Array<ArrayBuffer> {
  const sums: number[] = [];
  for (let at = 0; at < vectors.length; at += starts.at(-1)!) {
    const lane = vectors.subarray(at, at + starts.at(-1)!);
    sums.push(levelsOf(lane), ...wideOfLogs(logSumsOfStates(logsOf(lane), starts)));
  }
  return Uint32Array.from(sums);
}

/**
 * Numbers whose logarithms reach from 0 to -`depth`, most of them near one another with their
 * neighbours, and zeros for a share of them.
 */
export function randomWide(
  length: number,
  random: () => number,
  { depth = 8, zeros = 0 }: { depth?: number; zeros?: number } = {},
): Uint32Array<ArrayBuffer> {
  return wideOfLogs(Float64Array.from({ length }, () => {
    if (random() < zeros) return -Infinity;
    return -depth * random();
  }));
}

// below 2^-128 a number has 18 digits: a rounding to them, at most, is half of the last
const DEEP = -128 * Math.LN2;
const DEEP_ROUNDING = 2 ** -19;
const LEAST = -8191 * Math.LN2;

/**
 * Largest relative error of wide numbers against natural logarithms of what they should be: Infinity
 * where one of two is zero. Below 2^-128, `deepRoundings` are forgiven; what would be less than 2^-8191
 * may be any number of that size.
 */
export function largestError(
  got: Uint32Array,
  wanted: ArrayLike<number>,
  deepRoundings = 1,
): number {
  if (got.length !== wanted.length) {
    throw new RangeError(`lengths differ: ${got.length} and ${wanted.length}`);
  }
  let largest = 0;
  logsOf(got).forEach((log, i) => {
    const should = wanted[i]!;
    if (log === should || (should !== -Infinity && should < LEAST && log < LEAST + Math.LN2)) {
      return;
    }
    const forgiven = should < DEEP + 1e-6 ? deepRoundings * DEEP_ROUNDING : 0;
    const error = Math.abs(log - should) - forgiven;
    if (!(error <= largest)) largest = error;
  });
  return largest;
}
