/**
 * Which rows a graph reads, in which order, and which of them belong to which sample.
 *
 * @module
 */

import type { ActsGraph } from "./graph.ts";
import { RowMap } from "./row_map.ts";
import type { ActsSource } from "./source.ts";
import { oneTokenEach } from "./source.ts";

/** Rows that are read, sample by sample. */
export interface Selection {
  /** Of all planes alike. */
  readonly map: RowMap;
  /** `[samples + 1]`: number of the first row of each sample. */
  readonly offsets: Float64Array;
  /** `[samples]`: which token of its sample the first row is. */
  readonly firstTokens: Float64Array;
  /** `[rows]` of 0 and 1: tokens that count; all of them when not given. */
  readonly detected: Uint8Array | undefined;
  /** `[samples]`: tokens that count, of those that are read. */
  readonly counts: Float64Array;
}

/**
 * Rows that a graph reads. Of chosen samples there may be none that counts: they are zeros, as among all others.
 *
 * @throws {RangeError} If the source has no token that is detected, where they are pooled or extracted.
 */
export function selectRows(source: ActsSource, graph: ActsGraph): Selection {
  const tokens = source.tokens ?? oneTokenEach(source.samples);
  const { detected } = tokens;
  const { samples, tokens: step } = graph;
  if (step && step.kind !== "pick" && !(detected ?? tokens.offsets).some((own) => own > 0)) {
    throw new RangeError(
      `Cannot ${step.kind} tokens: of ${source.samples} samples none has a detected token, wanted a ` +
        "detectionMask that is not all zeros",
    );
  }
  const offsets = new Float64Array(samples.length + 1);
  const firstTokens = new Float64Array(samples.length);
  const counts = new Float64Array(samples.length);
  /** Of each sample, the stretches of its tokens that are read. */
  const spans: [from: number, to: number][][] = [];
  samples.forEach((sample, i) => {
    const first = tokens.offsets[sample]!;
    const length = tokens.offsets[sample + 1]! - first;
    const isDetected = (token: number) => detected === undefined || detected[first + token] === 1;
    let [begin, end] = [0, length];
    if (step?.kind === "pick" && step.index !== "last") {
      begin = step.index < 0 ? length + step.index : step.index;
      end = begin < 0 || begin >= length ? begin : begin + 1;
    } else if (step) {
      while (begin < end && !isDetected(begin)) begin++;
      while (end > begin && !isDetected(end - 1)) end--;
      if (step.kind === "pick") begin = Math.max(begin, end - 1);
      // windows that end at later tokens are shorter at their beginning
      if (step.kind === "pool" && step.pool.kind === "rolling" && end > begin) {
        if (step.pool.ends === "any") end = Math.min(length, end + step.pool.window - 1);
      }
    }
    const own: [number, number][] = [];
    if (step?.kind === "extract" && detected) {
      for (let token = begin; token < end; token++) {
        if (isDetected(token)) own.push([token, token + 1]);
      }
    } else if (end > begin) own.push([begin, end]);
    const rows = own.reduce((sum, [from, to]) => sum + to - from, 0);
    firstTokens[i] = begin;
    counts[i] = rows;
    for (const [from, to] of detected ? own : []) {
      for (let token = from; token < to; token++) counts[i]! -= isDetected(token) ? 0 : 1;
    }
    offsets[i + 1] = offsets[i]! + rows;
    spans.push(own);
  });
  function* stretches(): Generator<readonly [number, number]> {
    for (const [i, own] of spans.entries()) {
      for (const [from, to] of own) yield* tokens.stretches(samples[i]!, from, to);
    }
  }
  const keepsMask = detected !== undefined &&
    (step === undefined || (step.kind === "pool"));
  let mask: Uint8Array | undefined;
  if (keepsMask) {
    mask = new Uint8Array(offsets.at(-1)!);
    samples.forEach((sample, i) => {
      const from = tokens.offsets[sample]! + firstTokens[i]!;
      mask!.set(detected.subarray(from, from + offsets[i + 1]! - offsets[i]!), offsets[i]);
    });
  }
  return { map: RowMap.of(stretches()), offsets, firstTokens, detected: mask, counts };
}

/** Host bytes of a selection. */
export function selectionBytes({ map, offsets, detected, counts }: Selection): number {
  return map.bytes + offsets.byteLength + 2 * counts.byteLength + (detected?.byteLength ?? 0);
}

/** The sample that a row belongs to: the last that begins at it or before, and is not empty. */
export function sampleAt(offsets: Float64Array, row: number): number {
  let [low, high] = [0, offsets.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! <= row) low = middle;
    else high = middle;
  }
  return low;
}
