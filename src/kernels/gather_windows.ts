/**
 * Gathers windows of frames into a batch. See `shaders/gather_windows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/gather_windows.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const gatherWindows: KernelSpec = {
  name: "gather_windows",
  code,
  bindings: {
    params: "uniform",
    window_table: "read",
    frame_table: "read",
    batch: "read_write",
  },
};

/** Values of the shader's `FORMAT`: how frames are held, and what a batch has. */
export const GATHER_FORMATS = { float32: 0, widened: 1, float16: 2, widenedBrain: 3 } as const;

/** Values of the shader's `PADDED`: what frames beyond those of a window's segment are. */
export const GATHER_PADDING = { none: 0, edge: 1, zero: 2 } as const;

/** A row of workgroups has a window each: as many as one dimension of a dispatch takes. */
export const MOST_WINDOWS = 65535;

const WORKGROUP = 256;
const WORDS_PER_THREAD = 8;

export function gatherWindowsConstants(
  format: keyof typeof GATHER_FORMATS,
  padding: keyof typeof GATHER_PADDING = "none",
): Record<string, number> {
  const FORMAT = GATHER_FORMATS[format];
  return { WORKGROUP, WORDS_PER_THREAD, FORMAT, PADDED: GATHER_PADDING[padding] };
}

export function gatherWindowsParams(
  firstEntry: number,
  windowWords: number,
  features = 0,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(firstEntry, windowWords, features, 0);
}

/** A thread 8 words of a window. */
export function gatherWindowsWorkgroups(windows: number, windowWords: number): [number, number] {
  return [Math.ceil(windowWords / (WORKGROUP * WORDS_PER_THREAD)), windows];
}
