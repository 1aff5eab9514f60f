/**
 * Twin of `gather_windows`: `batch[slot, w, e] = frames[start + w, e]`, for the first frame and the slot
 * of each entry. Frames as f32, or as the bits of halves, which are widened where that is asked for.
 */

import { float16BitsToFloat32 } from "../../src/math/half.ts";

export function gatherWindows<Frames extends Float32Array | Uint16Array>(
  frames: Frames,
  features: number,
  size: number,
  entries: readonly (readonly [start: number, slot: number])[],
): Frames {
  const window = size * features;
  const slots = 1 + Math.max(...entries.map(([, slot]) => slot));
  const batch = new (frames.constructor as new (length: number) => Frames)(slots * window);
  for (const [start, slot] of entries) {
    for (let w = 0; w < size; w++) {
      for (let e = 0; e < features; e++) {
        batch[slot * window + w * features + e] = frames[(start + w) * features + e]!;
      }
    }
  }
  return batch;
}

/** Frames of a window that are real: from `start` on, behind `lead` of padding. */
export interface PaddedEntry {
  start: number;
  lead: number;
  count: number;
}

/** Windows one after the other, of frames that are repeated or 0 where there are none. */
export function gatherPadded<Frames extends Float32Array | Uint16Array>(
  frames: Frames,
  features: number,
  size: number,
  entries: readonly PaddedEntry[],
  padding: "edge" | "zero",
): Frames {
  const batch = new (frames.constructor as new (length: number) => Frames)(
    entries.length * size * features,
  );
  entries.forEach(({ start, lead, count }, slot) => {
    for (let w = 0; w < size; w++) {
      const inside = w >= lead && w < lead + count;
      if (!inside && padding === "zero") continue;
      const frame = start + (w < lead ? 0 : inside ? w - lead : count - 1);
      for (let e = 0; e < features; e++) {
        batch[(slot * size + w) * features + e] = frames[frame * features + e]!;
      }
    }
  });
  return batch;
}

/** The same of brain floats, whose bits are the upper ones of f32. */
export function widenBrain(bits: Uint16Array): Uint32Array {
  return Uint32Array.from(bits, (half) => half * 2 ** 16);
}

export function widen(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, float16BitsToFloat32);
}
