/**
 * Reading windows: those that overlap or adjoin come from one read, and what lies beyond a segment is filled.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { NumericArray } from "../types.ts";
import { elementCount } from "../zarr/data_types.ts";

/** What stands for frames beyond a segment: its first or last one again, or 0. */
export type PaddingMode = "edge" | "zero";

/** Frames that windows may have before the first of their segment and after the last. */
export interface Padding {
  before: number;
  after: number;
  mode: PaddingMode;
}

/** The frames of a window that are real: so many from the first, behind `lead` of padding. */
export interface RealFrames {
  first: number;
  frames: number;
  lead: number;
}

/** Windows as they lie over frames. */
interface WindowsToRead {
  readonly shape: readonly number[];
  readonly base: ChunkedArray;
  readonly size: number;
  readonly stride: number;
  readonly padding: Padding | undefined;
  starts(from: number, to: number): Uint32Array;
  realOf(window: number): RealFrames;
}

/** Windows [start, end) as [end - start, size, ...] in C order, of frames that `readBase` reads. */
export async function readWindows<Values extends NumericArray>(
  view: WindowsToRead,
  readBase: (from: number, to: number) => Promise<Values>,
  start: number,
  end: number,
): Promise<Values> {
  if (view.padding) return await readPadded(view, readBase, start, end, view.padding.mode);
  const starts = view.starts(start, end);
  const { base, size, stride } = view;
  const width = elementCount(base.shape.slice(1));
  let windows: Values | undefined;
  for (let i = 0; i < starts.length;) {
    // windows that overlap or adjoin come from one read
    let next = i + 1;
    while (
      next < starts.length && stride <= size && starts[next]! - starts[next - 1]! === stride
    ) {
      next++;
    }
    const first = starts[i]!;
    const frames = await readBase(first, starts[next - 1]! + size);
    windows ??= new (frames.constructor as new (length: number) => Values)(
      (end - start) * size * width,
    );
    for (; i < next; i++) {
      const from = (starts[i]! - first) * width;
      const window = frames.subarray(from, from + size * width);
      (windows as Float32Array).set(window as Float32Array, i * size * width);
    }
  }
  return windows ?? await readBase(0, 0);
}

async function readPadded<Values extends NumericArray>(
  view: WindowsToRead,
  readBase: (from: number, to: number) => Promise<Values>,
  start: number,
  end: number,
  mode: PaddingMode,
): Promise<Values> {
  checkRows(view.shape, start, end);
  const { base, size, stride } = view;
  const width = elementCount(base.shape.slice(1));
  const reals = Array.from({ length: end - start }, (_, i) => view.realOf(start + i));
  let windows: Values | undefined;
  for (let i = 0; i < reals.length;) {
    // as far as frames overlap or adjoin
    const from = reals[i]!.first;
    let [next, to] = [i, from];
    while (next < reals.length && stride <= size && reals[next]!.first <= to || next === i) {
      const { first, frames } = reals[next++]!;
      to = Math.max(to, first + frames);
    }
    const frames = await readBase(from, to);
    windows ??= new (frames.constructor as new (length: number) => Values)(
      (end - start) * size * width,
    );
    for (; i < next; i++) {
      const real = reals[i]!;
      const at = (real.first - from) * width;
      const own = frames.subarray(at, at + real.frames * width) as Float32Array;
      const window = windows.subarray(i * size * width, (i + 1) * size * width) as Float32Array;
      window.set(own, real.lead * width);
      padWindow(window, real, width, mode);
    }
  }
  return windows ?? await readBase(0, 0);
}

/** Fills a window, [frames, width], around its real frames, which are there already. */
export function padWindow(
  window: Float32Array | Uint16Array,
  { frames, lead }: Omit<RealFrames, "first">,
  width: number,
  mode: PaddingMode,
): void {
  const [first, tail] = [lead * width, (lead + frames) * width];
  if (mode === "zero") {
    window.fill(0, 0, first);
    window.fill(0, tail);
    return;
  }
  for (let at = 0; at < first; at += width) window.copyWithin(at, first, first + width);
  for (let at = tail; at < window.length; at += width) window.copyWithin(at, tail - width, tail);
}
