/** Random windows and batches of them, held against slices that are cut by hand. */

import { fromTypedArray } from "../../src/array/array.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { BudgetError } from "../../src/errors.ts";
import type { Shuffle } from "../../src/feed/order.ts";
import type { Sampler } from "../../src/feed/samplers.ts";
import { balanced, everyNth, prioritized, weighted } from "../../src/feed/samplers.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { decodeFloat16 } from "../../src/math/half.ts";
import type { BatchCursor, HostBatchOptions, WindowBatch } from "../../src/windows/batches.ts";
import type { Segments } from "../../src/windows/segments.ts";
import type { KeyOptions } from "../../src/windows/keys.ts";
import type { WindowOptions } from "../../src/windows/windows.ts";
import { windows } from "../../src/windows/windows.ts";
import type { NumericArray } from "../../src/types.ts";
import { seeded } from "./random.ts";
import { hidden, readBackBeside, someFrames } from "./window_frames.ts";

/** A window as it should be: frames, -1 where there is none, and what it is labelled by. */
interface Cut {
  frames: number[];
  label: number;
  /** Its last frame, real or not, and its segment. */
  last: number;
  segment: number;
  start: number;
  end: number;
}

/** What one case is made of. */
interface Case {
  options: WindowOptions;
  values: Float32Array;
  features: number;
  segments: [start: number, end: number][];
}

/**
 * Tries one case.
 *
 * @param gpu Batches are made on it, where it is given.
 * @returns Windows that were looked at: 0 where there are none to be had, and it was said.
 * @throws {Error} What is wrong, with the number of the case.
 */
export async function tryRandomWindows(number: number, gpu?: Gpu): Promise<number> {
  const random = seeded(number);
  const whole = (end: number) => Math.floor(random() * end);
  const oneOf = <Item>(items: readonly Item[]): Item => items[whole(items.length)]!;
  const own = randomCase(whole, oneOf);
  const cuts = cutByHand(own);
  const fail = (reason: string): never => {
    throw new Error(`case ${number}: ${reason}; ${JSON.stringify(own.options)}`);
  };
  const base = fromTypedArray(own.values, [own.values.length / own.features, own.features]);
  const source: ChunkedArray = oneOf([
    base,
    hidden(base),
    { ...hidden(base), wholeChunks: true, chunkRows: 1 + whole(20) },
  ]);
  if (cuts.length === 0) {
    try {
      windows(source, own.options);
    } catch (error) {
      if (error instanceof RangeError) return 0;
      throw error;
    }
    return fail("there is no window, and nobody said so");
  }
  const { keys, ...options } = own.options;
  const view = keys && whole(2) === 0
    ? windows({ frames: source, ...keys }, options)
    : windows(source, own.options);
  if (view.shape[0] !== cuts.length) fail(`${view.shape[0]} windows, wanted ${cuts.length}`);

  const choices = (): HostBatchOptions => ({
    size: 1 + whole(9),
    prefetch: whole(4),
    framesIn: oneOf(gpu ? ["device", "host", "disk"] : ["host", "disk"]),
    ...whole(6) === 0 && { eager: true, framesIn: "host" as const },
    ...whole(3) === 0 && { hold: oneOf(["float16", "bfloat16"] as const) },
    // a few rounds, where frames are on disk
    ...!gpu && whole(3) === 0 && { budget: 3000 + whole(20_000) },
  });
  const sampler = whole(2) === 0 ? undefined : randomSampler(cuts.length, whole, oneOf);
  const fixed: HostBatchOptions & { epochs: number } = {
    shuffle: oneOf<Shuffle>([false, whole(99), {
      seed: whole(99),
      block: 1 + whole(9),
      pool: 1 + whole(4),
    }]),
    epochs: 1 + whole(2),
    ...sampler && { sampler },
  };
  const given = choices();
  const dropLast = whole(4) === 0;
  const stopAt = whole(3) === 0 ? whole(20) : Infinity;
  const seen: number[][] = Array.from({ length: fixed.epochs }, () => []);
  let looked = 0;
  let cursor: BatchCursor | undefined;
  const loop = async (options: HostBatchOptions, batchesWanted: number) => {
    const batches = gpu ? view.batches(gpu, options) : view.batches(options);
    let made = 0;
    for await (const batch of batches) {
      if (made++ === batchesWanted) return;
      const { windows: list, epoch } = batch;
      const most = options.size!;
      if (list.length > most || (list.length < most && (options.dropLast || !batch.isLast))) {
        fail(`a batch of ${list.length} windows, wanted ${most}`);
      }
      const values = await valuesOf(batch, gpu);
      const held = options.hold === "bfloat16" ? { ...own, values: brainOf(own.values) } : own;
      const wrong = wrongIn(batch, values, held, cuts);
      if (wrong) fail(wrong);
      seen[epoch]!.push(...list);
      looked += list.length;
      cursor = batch.cursor;
    }
    if (batches.stats.peakBytes.host > batches.projected.host) {
      fail("more memory than was promised");
    }
  };
  try {
    await loop({ ...fixed, ...given, dropLast }, stopAt);
    if (stopAt < Infinity) {
      const from = cursor && JSON.parse(JSON.stringify(cursor)) as BatchCursor;
      await loop({ ...fixed, ...choices(), ...from && { from } }, Infinity);
    }
  } catch (error) {
    const isRefused = error instanceof BudgetError ||
      dropLast && /dropLast leaves out/.test((error as Error).message);
    if (isRefused) return 0;
    throw error instanceof Error && error.message.startsWith("case")
      ? error
      : new Error(`case ${number}: ${error}; ${JSON.stringify(own.options)}`, { cause: error });
  }
  seen.forEach((list, epoch) => {
    const wanted = sampler
      ? [...(sampler.draw(cuts.length, epoch) as Uint32Array)]
      : Array.from(cuts.keys());
    const sorted = Uint32Array.from(list).sort();
    if (dropLast) {
      if (list.length > wanted.length) fail(`${list.length} windows, wanted ${wanted.length}`);
    } else if (sorted.join() !== wanted.join()) fail(`windows ${sorted}, wanted ${wanted}`);
  });
  return looked;
}

function randomCase(
  whole: (end: number) => number,
  oneOf: <Item>(items: readonly Item[]) => Item,
): Case {
  const features = 1 + whole(6);
  const segments: [number, number][] = [];
  let frames = 0;
  for (let left = 1 + whole(5); left > 0; left--) {
    const length = oneOf([1, 2, 1 + whole(12), 1 + whole(40)]);
    segments.push([frames, frames += length]);
  }
  const size = 1 + whole(7);
  const pad = {
    before: whole(3) === 0 ? 0 : whole(size),
    after: whole(3) === 0 ? 0 : whole(size),
    mode: oneOf(["edge", "zero"] as const),
  };
  const isPadded = whole(2) === 0;
  const labelled = whole(2) === 0;
  const options: WindowOptions = {
    size,
    stride: 1 + whole(3),
    segments: oneOf<() => Segments>([
      () => segments.map(([start]) => start),
      () => segments,
      () => ({ ends: segments.map(([, end]) => end) }),
      () => ({
        ids: segments.flatMap(([start, end], i) =>
          Array.from({ length: end - start }, () => 7 * i)
        ),
      }),
    ])(),
    ...isPadded && { pad },
    ...whole(3) === 0 && { keys: randomKeys(frames, segments, whole, oneOf) },
    ...labelled && {
      labels: Float64Array.from({ length: 2 * frames }, (_, i) => i),
      weights: Float32Array.from({ length: frames }, (_, i) => i / 2),
      previous: whole(2) === 0,
      delay: isPadded && pad.after > 0 ? 0 : whole(3),
    },
  };
  return { options, values: someFrames(frames, features), features, segments };
}

function randomKeys(
  frames: number,
  segments: readonly [number, number][],
  whole: (end: number) => number,
  oneOf: <Item>(items: readonly Item[]) => Item,
): Record<string, KeyOptions> {
  const counted = <Values extends NumericArray>(values: Values) => {
    const isBig = values instanceof BigInt64Array;
    for (let i = 0; i < values.length; i++) values[i] = isBig ? BigInt(i) : i;
    return values;
  };
  /** In memory, or to be read, by chunks or not. */
  const placed = (values: NumericArray, rows: number) => {
    const array = fromTypedArray(values, [rows, values.length / rows]);
    const chunks = { wholeChunks: true, chunkRows: 1 + whole(9) };
    return oneOf<() => Pick<KeyOptions, "values" | "rowsIn">>([
      () => ({ values: array }),
      () => ({ values: hidden(array) }),
      () => ({ values: hidden(array), rowsIn: "disk" }),
      () => ({ values: { ...hidden(array), ...chunks }, rowsIn: "disk" }),
    ])();
  };
  const outside = () => oneOf(["edge", "zero"] as const);
  const times = oneOf([2, 3]);
  const slow = segments.map(([start, end]) => Math.ceil((end - start) / 3));
  const slowRows = slow.reduce((sum, rows) => sum + rows, 0);
  const slowEnds = slow.map((_, i) => slow.slice(0, i + 1).reduce((sum, rows) => sum + rows, 0));
  return {
    action: {
      ...placed(counted(new Int16Array(3 * frames)), frames),
      offsets: Array.from({ length: 1 + whole(6) }, () => whole(20) - 8),
      outside: outside(),
      ...whole(2) === 0 && { dtype: "float32" },
    },
    reward: { ...placed(counted(new Float64Array(frames)), frames), offsets: [-0.5, 0], rate: 4 },
    // those of the window
    seen: { ...placed(counted(new BigInt64Array(frames)), frames), outside: outside() },
    fast: {
      ...placed(counted(new Float32Array(2 * frames * times)), frames * times),
      rate: 10,
      sampled: 10 * times,
      offsets: Array.from({ length: 1 + whole(3) }, () => (whole(9) - 4) / (10 * times)),
      outside: outside(),
    },
    // a row every third frame of each segment
    slow: {
      ...placed(counted(new Int32Array(slowRows)), slowRows),
      rate: 3,
      sampled: 1,
      segments: { ends: slowEnds },
      offsets: [-1, 0, 0.25],
      outside: outside(),
    },
  };
}

/** The row of a key at an offset from the last frame of a window, as exact fractions say, and its segment there. */
function rowByHand(
  key: KeyOptions,
  offset: number,
  { anchor, start, end, segment }: { anchor: number; start: number; end: number; segment: number },
) {
  const { rate = 1, sampled = rate, segments } = key;
  const ends = (segments as { ends: number[] } | undefined)?.ends;
  const from = ends ? ends[segment - 1] ?? 0 : start * sampled / rate;
  const to = ends ? ends[segment]! : end * sampled / rate;
  // rates are whole, and offsets are of 120ths of a second
  const parts = Math.round(120 * offset);
  const time = (anchor - start) * sampled * 120 + parts * sampled * rate;
  return { row: from + Math.floor(time / (120 * rate)), from, to };
}

function cutByHand({ options, segments }: Case): Cut[] {
  const { size, stride = 1, pad, delay = 0, previous = false } = options;
  const { before = 0, after = 0 } = pad ?? {};
  const cuts: Cut[] = [];
  for (const [segment, [start, end]] of segments.entries()) {
    if (previous && end - start < 2) continue;
    let first = start - before;
    // the label before has to be in the segment
    while (previous && first + size - 1 + delay - 1 < start) first++;
    for (; first + size - 1 + delay < end + after; first += stride) {
      const frames = Array.from({ length: size }, (_, i) => {
        const frame = first + i;
        return frame >= start && frame < end ? frame : -1;
      });
      const last = first + size - 1;
      cuts.push({ frames, label: Math.min(last + delay, end - 1), last, segment, start, end });
    }
  }
  return cuts;
}

function randomSampler(
  count: number,
  whole: (end: number) => number,
  oneOf: <Item>(items: readonly Item[]) => Item,
): Sampler {
  const numbers = Array.from({ length: count }, () => whole(8) / 2);
  numbers[whole(count)] = 1;
  const seed = whole(100);
  return oneOf([
    () => everyNth(1 + whole(3)),
    () => weighted(numbers, seed),
    () => prioritized(numbers, { seed, count: 1 + whole(2 * count) }),
    () => balanced(numbers.map(Math.floor), { seed, count: 1 + whole(2 * count) }),
  ])();
}

async function valuesOf(batch: WindowBatch, gpu: Gpu | undefined): Promise<Float32Array> {
  const { buffer, frames, shape } = batch as WindowBatch & {
    buffer?: GPUBuffer;
    frames?: Float32Array | Uint16Array;
  };
  const elements = shape.reduce((product, size) => product * size, 1);
  if (buffer) {
    return new Float32Array(await readBackBeside(gpu!, buffer, 0, 4 * elements), 0, elements);
  }
  return frames instanceof Uint16Array ? decodeFloat16(frames) : frames!;
}

/** What is wrong with a batch, if anything is. */
function wrongIn(
  batch: WindowBatch,
  values: Float32Array,
  { values: table, features, options }: Case,
  cuts: readonly Cut[],
): string | undefined {
  const { size, pad, previous } = options;
  const elements = size * features;
  if (values.length !== batch.windows.length * elements) return `${values.length} elements`;
  for (const [i, window] of batch.windows.entries()) {
    const { frames, label } = cuts[window]!;
    const real = frames.filter((frame) => frame >= 0);
    for (let w = 0; w < size; w++) {
      const frame = frames[w]!;
      const isReal = frame >= 0;
      if (pad && (pad.before || pad.after) && batch.mask![i * size + w] !== Number(isReal)) {
        return `mask of window ${window} at ${w}`;
      }
      const edge = frames.indexOf(real[0]!) > w ? real[0]! : real.at(-1)!;
      for (let e = 0; e < features; e++) {
        const wanted = isReal
          ? table[frame * features + e]!
          : pad!.mode === "zero"
          ? 0
          : table[edge * features + e]!;
        if (!Object.is(values[i * elements + w * features + e], wanted)) {
          return `window ${window}, frame ${w}, element ${e}`;
        }
      }
    }
    const { start, end, segment, last } = cuts[window]!;
    for (const [name, key] of Object.entries(options.keys ?? {})) {
      const { values: got, mask, shape, offsets } = batch.keys![name]!;
      const width = shape.slice(2).reduce((product, size) => product * size, 1);
      if (key.dtype && !(got instanceof Float32Array)) return `type of ${name}`;
      for (const [k, offset] of offsets.entries()) {
        const anchor = key.offsets ? real.at(-1)! : last;
        const { row, from, to } = rowByHand(key, offset, { anchor, start, end, segment });
        const isThere = row >= from && row < to;
        const at = i * offsets.length + k;
        if (mask[at] !== Number(isThere)) return `mask of ${name} of window ${window}`;
        const edge = Math.max(from, Math.min(row, to - 1));
        for (let e = 0; e < width; e++) {
          const wanted = isThere || key.outside !== "zero" ? edge * width + e : 0;
          if (Number(got[at * width + e]) !== wanted) {
            return `${name} of window ${window} at ${offset}`;
          }
        }
      }
    }
    if (!options.labels) continue;
    if (batch.labels![2 * i + 1] !== 2 * label + 1) return `label of window ${window}`;
    if (previous && batch.previous![2 * i] !== 2 * (label - 1)) return `label before ${window}`;
    if (batch.weights![i] !== label / 2) return `weight of window ${window}`;
  }
  return undefined;
}

/** The nearest numbers of 8 bits, ties to even. */
function brainOf(values: Float32Array): Float32Array {
  return values.map((value) => {
    if (value === 0) return value;
    const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7);
    const steps = value / step;
    const down = Math.floor(steps);
    const isUp = steps - down > 0.5 || steps - down === 0.5 && down % 2 !== 0;
    return step * (isUp ? down + 1 : down);
  });
}
