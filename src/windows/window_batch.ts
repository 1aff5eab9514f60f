/**
 * What batches of windows are, and what making them takes.
 *
 * @module
 */

import type { FrameType, FrameValues } from "../feed/frame_table.ts";
import type { MemoryBytes, NumericArray } from "../types.ts";
import type { KeyBatch } from "./keys.ts";
import type { BatchCursor } from "./batch_options.ts";

/** What every batch has. It is valid until the next one is asked for. */
export interface WindowBatch {
  /** [windows, size, ...]. */
  shape: readonly number[];
  /** Elements from one to the next along each axis. */
  strides: readonly number[];
  /** A name per axis, where those of frames are known. */
  dims: readonly string[] | undefined;
  dtype: FrameType;
  epoch: number;
  /** Whether it is the last of its epoch. */
  isLast: boolean;
  /** Numbers of the windows, [windows]. */
  windows: Uint32Array;
  /** Where windows are padded: 1 for a frame that is real, 0 for one that is not, [windows, size]. */
  mask?: Uint8Array;
  /** Label of each window: [windows, ...], as labels are. */
  labels?: NumericArray;
  /** Label of the frame before the labelled one, where asked for. */
  previous?: NumericArray;
  /** Weight of each window's labelled frame, [windows]. */
  weights?: Float32Array;
  /** Other values of frames, by name, where asked for. */
  keys?: Readonly<Record<string, KeyBatch>>;
  /** Goes on after this batch. */
  cursor: BatchCursor;
}

/**
 * A batch as a typed array; it is detached, of length 0, once the next one is asked for. Who wants to keep it
 * transfers its buffer, `worker.postMessage(frames, [frames.buffer])`: later batches have other memory then.
 */
export interface HostBatch extends WindowBatch {
  /** [windows, size, ...] in C order; f16 as bits. */
  frames: FrameValues;
}

/** A batch as a buffer of the device, which later batches write into again. */
export interface DeviceBatch extends WindowBatch {
  /** Usages: storage, copy source and destination. A short batch fills the beginning of it. */
  buffer: GPUBuffer;
  byteOffset: number;
}

/** What making batches took so far. */
export interface BatchStats {
  batches: number;
  /** Sweeps over the table on disk. */
  rounds: number;
  reads: number;
  bytesRead: number;
  /** Seconds in which reads were under way, and in which the next batch was waited for. */
  readSeconds: number;
  waitSeconds: number;
  peakBytes: MemoryBytes;
}
