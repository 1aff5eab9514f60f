/**
 * Options of batches.
 *
 * @module
 */

import type { FrameType, HeldType } from "../feed/frame_table.ts";
import type { Shuffle } from "../feed/order.ts";
import type { Sampler } from "../feed/samplers.ts";
import { MOST_WINDOWS } from "../kernels/gather_windows.ts";
import type { Is, OptionsOf } from "../options.ts";
import { bytes, custom, declare, flag, isObject, oneOf, signal, whole } from "../options.ts";
import type { FramesIn } from "./choose.ts";

/** Where an epoch stands after a batch; JSON can hold it. */
export interface BatchCursor {
  epoch: number;
  /** Windows of the epoch that came, whatever the size of their batches. */
  position: number;
  /** Checksums of the order and of a few frames: another order or table is refused. */
  order: number;
  frames: number;
}

const FRAME_TYPES: readonly FrameType[] = ["float32", "float16"];
const HELD_TYPES: readonly HeldType[] = [...FRAME_TYPES, "bfloat16"];
const FRAMES_IN: readonly FramesIn[] = ["device", "host", "disk"];

export const batchOptions = declare("make batches", {
  /** Windows of a batch. Default 256. */
  size: whole({
    default: 256,
    from: 1,
    to: MOST_WINDOWS,
    flag: "batch",
    says: "windows of a batch",
  }),
  /** Default 0, a seed: every window once an epoch, in an order drawn from all of them. */
  shuffle: custom(
    "a seed, false, or { seed, block, pool }",
    ((value) => value === false || typeof value === "number" || isObject(value)) as Is<Shuffle>,
    {
      default: 0,
      takes: "KIND",
      says:
        "a seed: exact, over all windows; false; or two levels, which read frames on disk about once",
      helps:
        "a seed: exact, over all windows; none; or two-level, which reads frames on disk about " +
        "once: two-level[:SEED[:BLOCKxPOOL]]",
    },
  ),
  /** Leaves out the last batch of an epoch if it is short. Default false. */
  dropLast: flag({ default: false, flag: false, says: "leave out a last batch that is short" }),
  /** Which windows an epoch has. Default: each once. */
  sampler: custom(
    "a sampler, as weighted() makes one",
    ((value) => isObject(value) && "draw" in (value as object)) as Is<Sampler>,
    { otherwise: "each once", says: "which windows an epoch has" },
  ),
  /** Batches made ahead, 0 to 16. Default 2. */
  prefetch: whole({ default: 2, from: 0, to: 16, says: "batches made ahead" }),
  /** Elements of a batch: f32, or f16 as bits. Default f32. */
  dtype: oneOf(FRAME_TYPES, {
    default: "float32",
    flag: false,
    says: "elements of a batch; halves come as bits",
  }),
  /** How frames are held until then; f16 and bf16 take half the memory. Default: as they are stored. */
  hold: oneOf(HELD_TYPES, {
    otherwise: "as they are stored",
    flag: false,
    says: "how frames are kept until then; halves take half the memory",
  }),
  /** Where frames are kept. Default: on the device if they fit; `explain()` tells what was chosen. */
  framesIn: oneOf(FRAMES_IN, {
    otherwise: "what fits",
    takes: "PLACE",
    says: "where frames are kept",
  }),
  /**
   * Whether windows are made beforehand, each whole: size / stride times the memory. `"auto"` does so
   * where they fit half of the machine's memory, and the budget. Default false.
   */
  eager: flag({
    or: ["auto"],
    default: false,
    flag: false,
    says: `make windows beforehand, each whole; "auto" where they fit half of the machine's memory`,
  }),
  /** First epoch, and how many there are; `Infinity` goes on for ever. Default 0 and 1. */
  epoch: whole({ default: 0, from: 0, to: 2 ** 32 - 1, flag: false, says: "first epoch" }),
  epochs: whole({
    default: 1,
    from: 1,
    to: Infinity,
    flag: false,
    says: "how many there are; Infinity goes on for ever",
  }),
  /** Where to go on: the cursor of the last batch that counts. The last epoch stays what it was. */
  from: custom("the cursor of a batch", isObject as Is<BatchCursor>, {
    says: "where to go on: the cursor of the last batch that counts",
  }),
  signal,
});

/** Options of {@link Windows.batches}. */
export type BatchOptions = OptionsOf<typeof batchOptions>;

export const hostBatchOptions = declare("make batches", {
  ...batchOptions.options,
  /** Memory allowed, in bytes or as text such as `"512 MiB"`. Default half of the machine's. */
  budget: bytes({ otherwise: "half of the machine's", stored: false, says: "memory allowed" }),
});

/** Options where no GPU is given. */
export type HostBatchOptions = OptionsOf<typeof hostBatchOptions>;

export type CheckedBatchOptions = ReturnType<typeof hostBatchOptions.check>;
