/**
 * Measures batches beside a stand-in for training.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Batches, WindowBatch } from "./batches.ts";

/** What {@link measureBatches} found. */
export interface BatchTiming {
  batches: number;
  /** Seconds until the first batch: the table is read, or a part of it. */
  firstSeconds: number;
  /** Milliseconds a step waited for its batch, gathered on the device too: median and worst. */
  waitMs: number;
  worstWaitMs: number;
  /** Seconds that steps took; a timer may be late. */
  stepSeconds: number;
  /** From the first batch on. */
  batchesPerSecond: number;
}

/**
 * Takes batches one after the other, and does nothing with each for as long as a training step takes.
 *
 * @param most Batches at most.
 */
export async function measureBatches(
  batches: Batches<WindowBatch>,
  { gpu, stepMs, most, signal }: {
    gpu: Gpu | undefined;
    stepMs: number;
    most: number;
    signal?: AbortSignal;
  },
): Promise<BatchTiming> {
  const began = performance.now();
  let asked = began;
  let [first, used] = [0, 0];
  const waits: number[] = [];
  for await (const _ of batches) {
    await gpu?.device.queue.onSubmittedWorkDone();
    const now = performance.now();
    if (first === 0) first = now;
    else waits.push(now - asked);
    if (stepMs > 0) await new Promise((resolve) => setTimeout(resolve, stepMs));
    signal?.throwIfAborted();
    asked = performance.now();
    used += asked - now;
    if (waits.length + 1 >= most) break;
  }
  const sorted = waits.sort((a, b) => a - b);
  return {
    batches: waits.length + 1,
    firstSeconds: (first - began) / 1000,
    waitMs: sorted[sorted.length >> 1] ?? 0,
    worstWaitMs: sorted.at(-1) ?? 0,
    stepSeconds: used / 1000,
    batchesPerSecond: 1000 * (waits.length + 1) / (asked - first),
  };
}
