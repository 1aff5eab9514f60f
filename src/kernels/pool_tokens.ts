/**
 * Pools tokens of samples. See `shaders/pool_tokens.wgsl`.
 *
 * @module
 */

import code from "../../shaders/pool_tokens.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const poolTokens: KernelSpec = {
  name: "pool_tokens",
  code,
  bindings: {
    params: "uniform",
    segments: "read",
    detected: "read",
    tokens: "read",
    pooled: "read_write",
    faults: "read_write",
  },
};

/** What becomes of the detected tokens of a sample. */
export type TokenPool =
  | { kind: "sum" }
  | { kind: "max" }
  | { kind: "ema"; alpha: number }
  | { kind: "rolling"; window: number; ends: "any" | "detected" };

/** Elements as the kernel takes them. */
export type TokenFormat = "float32" | "float16" | "bfloat16";

const POOLS = ["sum", "max", "ema", "rolling"];
const FORMATS: readonly TokenFormat[] = ["float32", "float16", "bfloat16"];

export function poolTokensConstants(
  { hidden, format, pool }: { hidden: number; format: TokenFormat; pool: TokenPool },
): Record<string, number> {
  return {
    HIDDEN: hidden,
    CHANNELS: channelsOf(hidden),
    FORMAT: FORMATS.indexOf(format),
    POOL: POOLS.indexOf(pool.kind),
    WINDOW: pool.kind === "rolling" ? pool.window : 0,
    ENDS_DETECTED: pool.kind === "rolling" && pool.ends === "detected" ? 1 : 0,
    ALPHA: pool.kind === "ema" ? pool.alpha : 0,
  };
}

/** @param before Tokens that come before the tile. */
export function poolTokensParams(
  from: number,
  to: number,
  before: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, before, 0);
}

/** Channels of a thread: four halves are two words, if no token begins within a word. */
function channelsOf(hidden: number): number {
  return hidden % 4 === 0 ? 4 : 1;
}

/** Threads of some channels of a segment. */
export function poolTokensWorkgroups(hidden: number, segments: number): [number, number] {
  return [Math.ceil(hidden / channelsOf(hidden) / 64), segments];
}

/** Tokens of a sample that are summed before they are added to others. */
export const POOL_BLOCK = 64;

/** Words of an entry of `segments`. */
export const SEGMENT_WORDS = 4;

/** Tokens of a sample that lie in a tile. */
export interface Segment {
  /** Counted in the tile. */
  start: number;
  end: number;
  /** Entry of `pooled`. */
  entry: number;
  /** Tokens of the sample that come before `start`. */
  position: number;
  /** Those of them that come along before the tile, for windows. */
  before: number;
}

export function packSegments(segments: readonly Segment[]): Uint32Array {
  return Uint32Array.from(
    segments.flatMap(({ start, end, entry, position, before }) => [
      start,
      end,
      entry * POOL_BLOCK + position % POOL_BLOCK,
      2 * before + (position === 0 ? 1 : 0),
    ]),
  );
}

/** What is noted of NaN and infinities: nothing yet. */
export const NO_FAULTS = Uint32Array.of(0, 0, 0xffffffff, 0xffffffff);

/** Sums, or the numbers whose keys are the largest: f64 `[hidden]`; `undefined` where no token was detected. */
export function readPooled(
  words: Uint32Array,
  hidden: number,
  { kind }: TokenPool,
): Float64Array | undefined {
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  if (kind === "sum") {
    return Float64Array.from({ length: hidden }, (_, i) => floats[i]! + floats[hidden + i]!);
  }
  if (words[0] === 0) return undefined;
  const bits = Uint32Array.from(
    { length: hidden },
    (_, i) => words[i]! >= 0x80000000 ? words[i]! ^ 0x80000000 : ~words[i]!,
  );
  return Float64Array.from(new Float32Array(bits.buffer));
}
