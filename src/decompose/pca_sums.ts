/**
 * What a fit sums up over rows, and the components that come of it.
 *
 * @module
 */

import type { RowFrames } from "../feed/row_frames.ts";
import type { Part } from "../kernels/second_moments.ts";
import { momentBlockRows, PART } from "../kernels/second_moments.ts";
import type { HeldArray } from "../stream/pass.ts";
import type { Held, HeldSpec } from "../stream/task.ts";
import { endsFaint } from "./basis.ts";
import { fixSigns, Moments, squaresLength } from "./moments.ts";
import type { PcaNumbers } from "./pca_result.ts";

/** Held arrays of a fit. */
export interface PcaHeld extends Record<string, HeldSpec> {
  /** See {@link Moments}. */
  squares: HeldSpec<"float64">;
  /** `[width, features]` by frame of a row, weighted: of the first; and what is added to those before. */
  sums: HeldSpec<"float64">;
  /** `[features]` largest magnitude in a frame, in the device's coordinates, weighted. */
  largest: HeldSpec<"float64">;
  /** The part that the sweep under way sums, and whether sums are exact ones. */
  progress: HeldSpec<"int32">;
}

export function pcaHeld({ width, frames: { features } }: RowFrames): PcaHeld {
  return {
    squares: { dtype: "float64", length: squaresLength(features, width) },
    sums: { dtype: "float64", length: width * features },
    largest: { dtype: "float64", length: features },
    progress: { dtype: "int32", length: 2 },
  };
}

/** Exact sums, part by part. */
export const EXACT_PARTS: readonly Part[] = [PART.coarse, PART.middle, PART.last];

/** What is seen of frames while they are read. */
export interface FrameLook {
  /** Weighs a frame, and takes it into account. */
  take(frame: Float64Array, isStart: boolean): void;
  /** `[blocks, features]`: sums of the first frames of rows, of blocks that ended; and the largest magnitudes. */
  seen(): { sums: Float64Array; largest: Float64Array };
}

/** Puts largest magnitudes together. */
export function keepLargest(all: HeldArray, own: HeldArray): void {
  for (let d = 0; d < all.length; d++) all[d] = Math.max(all[d]!, own[d]!);
}

export class PcaSums {
  readonly source: RowFrames;
  readonly components: number;
  /** Rows of a block, which f32 sums. */
  readonly blockRows: number;
  /** What the features of a frame are multiplied by, see `weightOf()`. */
  weights: Float64Array = new Float64Array(0);
  moments!: Moments;
  #held!: Held<PcaHeld>;
  #numbers: PcaNumbers | undefined;
  /** Sums of the block that is being read. */
  #block: Float64Array = new Float64Array(0);

  constructor(source: RowFrames, components: number) {
    this.source = source;
    this.components = components;
    this.blockRows = momentBlockRows(source.frames.features, source.width);
  }

  begin(held: Held<PcaHeld>): void {
    const { width, frames: { features } } = this.source;
    this.#held = held;
    this.#numbers = undefined;
    this.moments = new Moments(features, width, held.squares);
  }

  get part(): Part {
    return this.#held.progress[0] as Part;
  }

  get isExact(): boolean {
    return this.#held.progress[1] === 1;
  }

  get largest(): Float64Array {
    return this.#held.largest;
  }

  /** Whether sums in f32 are too coarse for the faintest component. Asked once they are there. */
  get isCoarse(): boolean {
    return !this.isExact && endsFaint(this.solve().explainedVariance);
  }

  /** Begins with sums that are exact. */
  beginExact(): void {
    this.#held.squares.fill(0);
    this.#held.progress.set([PART.coarse, 1]);
    this.#numbers = undefined;
  }

  /** Goes on with the next part; whether there is one. After the last one it is the first again. */
  nextPart(): boolean {
    const next = EXACT_PARTS[EXACT_PARTS.indexOf(this.part) + 1];
    this.#held.progress[0] = next ?? PART.coarse;
    return next !== undefined;
  }

  /** Looks at frames of rows from `start` on: reading runs ahead of what counts. */
  lookAtRows(start: number): FrameLook {
    // whoever begins or goes on does so with a block
    if (start % this.blockRows === 0) this.#block = new Float64Array(this.#held.largest.length);
    const blocks: Float64Array[] = [];
    const largest = new Float64Array(this.#held.largest.length);
    let row = start;
    return {
      take: (frame, isStart) => {
        this.#weigh(frame);
        if (this.part !== PART.whole) return;
        for (let d = 0; d < frame.length; d++) {
          if (isStart) this.#block[d]! += frame[d]!;
          largest[d] = Math.max(largest[d]!, Math.abs(frame[d]!));
        }
        if (!isStart || (++row % this.blockRows !== 0 && row !== this.source.rows.rows)) return;
        blocks.push(this.#block);
        this.#block = new Float64Array(frame.length);
      },
      seen: () => {
        const sums = new Float64Array(blocks.length * largest.length);
        blocks.forEach((block, i) => sums.set(block, i * block.length));
        return { sums, largest };
      },
    };
  }

  /** Host bytes of what {@link lookAtRows} saw of so many rows, at most. */
  seenBytes(rows: number): number {
    return 8 * this.source.frames.features * (2 + Math.ceil(rows / this.blockRows));
  }

  /** Takes what was seen of the frames of rows into account. */
  takeSeen({ sums: seen, largest: own }: { sums: Float64Array; largest: Float64Array }): void {
    const { sums, largest } = this.#held;
    for (let i = 0; i < seen.length; i++) sums[i % own.length]! += seen[i]!;
    keepLargest(largest, own);
  }

  /** Weighs a frame where a run of rows begins or ends, and takes it into account as such. */
  lookAtEnd(frame: number, weight: number, values: Float64Array): void {
    this.#weigh(values);
    if (this.part !== PART.whole) return;
    const { sums } = this.#held;
    const at = (frame + 1) * values.length;
    values.forEach((value, d) => sums[at + d]! += weight * value);
  }

  #weigh(frame: Float64Array): void {
    for (let d = 0; d < frame.length; d++) frame[d]! *= this.weights[d]!;
  }

  /** Eigenvectors of the covariance, once all moments are there. */
  solve(): PcaNumbers {
    this.#numbers ??= this.#solve();
    return this.#numbers;
  }

  #solve(): PcaNumbers {
    const { frames: { features, scale, shift }, rows: { rows } } = this.source;
    const { sums, squares } = this.#held;
    // sums stay sums: a run that goes on solves them again
    const moments = new Moments(features, this.source.width, squares.slice());
    const sum = new Float64Array(features);
    const offset = sums.map((value, i) => (sum[i % features]! += value) / rows);
    moments.addUp();
    moments.addOuter(offset, -rows);
    const factors = this.weights.map((weight) => 1 / weight);
    moments.scaleFeatures(factors);
    offset.forEach((_, i) => offset[i]! *= factors[i % features]!);
    const { values, vectors, residual } = moments.largest(this.components);
    fixSigns(vectors, moments.size);
    // in squared device units, over all rows; what is left of none is the rounding of sums
    const positive = values.map((value) => Math.max(0, value));
    const total = moments.trace;
    return {
      components: vectors,
      mean: offset.map((value, i) => value / scale + shift[i % features]!),
      explainedVariance: positive.map((value) => value / scale / scale / (rows - 1)),
      explainedVarianceRatio: positive.map((value) => total > 0 ? value / total : 0),
      singularValues: positive.map((value) => Math.sqrt(value) / scale),
      residual,
    };
  }
}
