/**
 * The pass that pools tokens: they go to the device as they are read, and a sample comes back when its last
 * token was there.
 *
 * @module
 */

import type { Segment } from "../kernels/pool_tokens.ts";
import * as kernel from "../kernels/pool_tokens.ts";
import { bytesOf } from "../stream/task.ts";
import type { Pass, SharedBuffer, Tile } from "../stream/pass.ts";
import { convert, lazily, nameValue, readBytes, readerOf } from "./copy_pass.ts";
import type { SamplePool } from "./graph.ts";
import { LostValueError, takeSteps } from "./row_steps.ts";
import { sampleName } from "./source.ts";
import type { StoredValues } from "./types.ts";
import { findUnsound, TYPE_BYTES } from "./types.ts";
import type { ActsOutput, ActsWork } from "./work.ts";
import { pooledWidth } from "./work.ts";

/** Samples that have tokens, as tiles cut them. */
export class SegmentList {
  /** `[samples + 1]`. */
  readonly #offsets: Float64Array;
  /** Samples that are not empty. */
  readonly #samples: Uint32Array;
  readonly #most = new Map<number, number>();
  readonly #mostComplete = new Map<number, number>();

  constructor(offsets: Float64Array) {
    this.#offsets = offsets;
    const samples: number[] = [];
    for (let sample = 0; sample + 1 < offsets.length; sample++) {
      if (offsets[sample + 1]! > offsets[sample]!) samples.push(sample);
    }
    this.#samples = Uint32Array.from(samples);
  }

  /** Samples that lie in so many rows in a row, at most. */
  most(rows: number): number {
    const known = this.#most.get(rows);
    if (known !== undefined) return known;
    let most = 1;
    for (let first = 0, end = 0; first < this.#samples.length; first++) {
      const last = this.#offsets[this.#samples[first]! + 1]! - 1 + rows;
      while (end < this.#samples.length && this.#offsets[this.#samples[end]!]! < last) end++;
      most = Math.max(most, end - first);
    }
    this.#most.set(rows, most);
    return most;
  }

  /** Samples that are complete within so many rows, at most: those without tokens, too. */
  mostComplete(rows: number): number {
    const known = this.#mostComplete.get(rows);
    if (known !== undefined) return known;
    const offsets = this.#offsets;
    let most = 1;
    for (let first = 0, end = 0; first + 1 < offsets.length; first++) {
      while (end + 1 < offsets.length && offsets[end + 1]! <= offsets[first + 1]! - 1 + rows) end++;
      most = Math.max(most, end - first);
    }
    this.#mostComplete.set(rows, most);
    return most;
  }

  /** Position among those that are not empty of the first that ends after a row. */
  #firstAfter(row: number): number {
    let [low, high] = [0, this.#samples.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[this.#samples[middle]! + 1]! > row) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Samples that have tokens in a tile. @param lookBack Tokens before the tile that come along, at most. */
  of({ start, end }: Tile, tileRows: number, lookBack: number): (Segment & { sample: number })[] {
    const segments: (Segment & { sample: number })[] = [];
    const ring = this.most(tileRows);
    for (let i = this.#firstAfter(start); i < this.#samples.length; i++) {
      const sample = this.#samples[i]!;
      const [from, to] = [this.#offsets[sample]!, this.#offsets[sample + 1]!];
      if (from >= end) break;
      const position = Math.max(0, start - from);
      segments.push({
        sample,
        start: Math.max(from, start) - start,
        end: Math.min(to, end) - start,
        entry: i % ring,
        position,
        before: Math.min(position, lookBack),
      });
    }
    return segments;
  }

  /** Samples that are complete with a tile; those without tokens come with the token before them. */
  completeIn({ start, end }: Tile): [first: number, end: number] {
    const countTo = (row: number) => {
      // samples that end at the row or before
      let [low, high] = [0, this.#offsets.length - 1];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (this.#offsets[middle + 1]! <= row) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    return [start === 0 ? 0 : countTo(start), countTo(end)];
  }

  /** Whether no sample goes on across a row. */
  beginsAt(row: number): boolean {
    const sample = this.#samples[this.#firstAfter(row)];
    return sample === undefined || this.#offsets[sample]! === row;
  }

  /** Sums and keys of samples go on from tile to tile. */
  shared(width: number, tileRows: number): SharedBuffer[] {
    return [
      {
        name: "pooled",
        bytes: pooledBytes(width, this.most(tileRows)),
        kind: "storage",
        scratch: true,
      },
      {
        name: "no_faults",
        bytes: kernel.NO_FAULTS.byteLength,
        kind: "storage",
        data: kernel.NO_FAULTS,
      },
    ];
  }
}

const pooledBytes = (width: number, samples: number) => 8 * width * samples;

export function poolPass(
  work: ActsWork,
  output: ActsOutput,
  { index, tileRows, pool, segments }: {
    index: number;
    tileRows: number;
    pool: SamplePool;
    segments: SegmentList;
  },
): Pass {
  const { source, graph, selection } = work;
  const { detected, counts } = selection;
  const width = pooledWidth(work, output);
  const reader = lazily(() => readerOf(work, output));
  const onDevice = pool.kind === "mean" ? { kind: "sum" } as const : pool;
  const isFloat = graph.before.length > 0 || source.dtype === "float64";
  const format = isFloat ? "float32" : source.dtype as kernel.TokenFormat;
  const lookBack = pool.kind === "rolling" ? pool.window - 1 : 0;
  const most = segments.most(tileRows);
  const uploadRows = tileRows + lookBack;
  const tokenBytes = 4 * Math.ceil(uploadRows * width * TYPE_BYTES[format] / 4);
  const segmentsOf = (tile: Tile) => segments.of(tile, tileRows, lookBack);
  const beforeTile = (tile: Tile) => segmentsOf(tile)[0]!.before;
  const shape = { layers: output.planes.length, hidden: source.hidden };
  const outWidth = width / (graph.after.some(({ kind }) => kind === "layers") ? shape.layers : 1);

  const refuse = (row: number, values: StoredValues, infinite: boolean): never => {
    const at = Math.max(0, findUnsound(values, source.dtype, { infinite }));
    const value = findUnsound(values.subarray(at, at + 1), source.dtype, { infinite: false }) < 0
      ? "infinite"
      : "NaN";
    throw new RangeError(
      `Cannot pool tokens: ${
        nameValue(work, output, row, at)
      } is ${value}, wanted finite numbers; leave the ` +
        "token out by a detectionMask, or the sample by sliceBatch()",
    );
  };

  return {
    name: output.name,
    direction: "forward",
    cost: 1,
    slotBuffers: [
      { name: "segments", bytes: 4 * kernel.SEGMENT_WORDS * most, role: "upload" },
      { name: "detected", bytes: 4 * uploadRows, role: "upload" },
      { name: "tokens", bytes: tokenBytes, role: "upload" },
      { name: "faults", bytes: kernel.NO_FAULTS.byteLength, role: "download" },
      { name: "pooled_tile", bytes: pooledBytes(width, most), role: "download" },
    ],
    steps: [
      {
        copy: { from: "no_faults", to: "faults" },
        ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: kernel.NO_FAULTS.byteLength }],
      },
      {
        kernel: kernel.poolTokens,
        constants: kernel.poolTokensConstants({ hidden: width, format, pool: onDevice }),
        order: "ascending",
        params: (tile, from, to) => kernel.poolTokensParams(from, to, beforeTile(tile)),
        workgroups: (_rows, tile) => kernel.poolTokensWorkgroups(width, segmentsOf(tile).length),
      },
      {
        copy: { from: "pooled", to: "pooled_tile" },
        ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: pooledBytes(width, most) }],
      },
    ],
    resumesAt: (row) => segments.beginsAt(row),
    writes: [output.name],
    hostBytes: {
      read: readBytes(work, output, uploadRows),
      write: 2 * (8 + 4 + 4) * width * segments.mostComplete(tileRows),
    },
    async read(tile, { signal }) {
      const own = segmentsOf(tile);
      const { before } = own[0]!;
      const from = tile.start - before;
      const values = await reader().read(from, tile.end, { signal });
      const flags = new Uint32Array(tile.end - from);
      for (let row = from; row < tile.end; row++) flags[row - from] = detected?.[row] ?? 1;
      return {
        segments: kernel.packSegments(own),
        detected: flags,
        tokens: bytesOf(isFloat ? stepped(values, from) : values),
      };
    },
    async write(tile, downloads, { held, signal, store }) {
      const [nans, infinities, firstNaN, firstInfinite] = new Uint32Array(
        downloads.faults!,
      ) as unknown as [number, number, number, number];
      const isFatal = nans > 0 || (infinities > 0 && pool.kind !== "max");
      if (isFatal) {
        const row = tile.start + (nans > 0 ? firstNaN : firstInfinite);
        refuse(row, await readerOf(work, output).read(row, row + 1, { signal }), nans === 0);
      }
      held.infinities![index]! += infinities;
      const words = new Uint32Array(downloads.pooled_tile!);
      const [first, end] = segments.completeIn(tile);
      const entries = new Map(segmentsOf(tile).map(({ sample, entry }) => [sample, entry]));
      const pooled = new Float32Array((end - first) * width);
      for (let sample = first; sample < end; sample++) {
        const entry = entries.get(sample);
        const count = counts[sample]!;
        if (entry === undefined || count === 0) continue;
        const own = kernel.readPooled(
          words.subarray(2 * entry * width, 2 * (entry + 1) * width),
          width,
          onDevice,
        );
        if (!own) continue;
        const scaled = pool.kind === "mean" ? own.map((sum) => sum / count) : own;
        pooled.set(scaled, (sample - first) * width);
      }
      await store(output.name, first, finished(pooled, first));
    },
  };

  /** Tokens after what is made of rows. */
  function stepped(values: StoredValues, firstRow: number): Float32Array {
    try {
      return takeSteps(values, source.dtype, graph.before, shape);
    } catch (error) {
      if (!(error instanceof LostValueError)) throw error;
      const each = shape.layers * shape.hidden;
      const { position } = error;
      const where = nameValue(
        work,
        output,
        firstRow + Math.floor(position / each),
        position % each,
      );
      throw new RangeError(`Cannot cast activations: ${where} is ${error.message}`);
    }
  }

  /** What is made of pooled rows. */
  function finished(pooled: Float32Array, first: number): StoredValues {
    const name = (position: number, each: number) =>
      sampleName(source, graph.samples[first + Math.floor(position / each)]!);
    // sums of finite numbers that are too many for f32
    const at = pool.kind === "max" ? -1 : findUnsound(pooled, "float32", { infinite: true });
    if (at >= 0) {
      throw new RangeError(
        `Cannot pool tokens: the ${pool.kind} of ${
          name(at, width)
        } is beyond what f32 holds, wanted ` +
          "smaller activations",
      );
    }
    try {
      return convert(pooled, "float32", graph.after, graph.dtype, shape);
    } catch (error) {
      if (!(error instanceof LostValueError)) throw error;
      throw new RangeError(
        `Cannot cast activations: a channel of ${
          name(error.position, outWidth)
        } is ${error.message}`,
      );
    }
  }
}
