/**
 * The frames at which runs of rows begin and end: what makes the moments of a row's frames differ, see
 * {@link Moments}. The first `width - 1` frames of a run are one row here, and those after the first
 * frames of all its rows another; their second moments are summed as those of any rows.
 *
 * @module
 */

import * as kernel from "../kernels/second_moments.ts";
import type { Tile } from "../stream/pass.ts";
import type { RowFrames } from "../feed/row_frames.ts";

/** Ends of one kind, of some runs. */
interface TileEnds {
  /** Runs [first, first + count). */
  first: number;
  count: number;
  /** -1 for the frames where runs begin, which later frames of a row never see, 1 where they end. */
  weight: number;
  /** Whether a block of sums is complete with them. */
  isLast: boolean;
}

/**
 * Blocks of beginnings, then blocks of ends, each over whole tiles, so that there is room for one block
 * of sums alone: it is width / 2 times as large as the moments of rows.
 */
export class RunEnds {
  /** Of a row: every frame padded to whole squares. */
  readonly features: number;
  /** Rows of the pass. */
  readonly rows: number;
  readonly #source: RowFrames;
  readonly #tileRows: number;
  /** Elements of a frame. */
  readonly #stride: number;
  readonly #blockRuns: number;
  readonly #blocks: number;
  readonly #tileRuns: number;
  readonly #blockTiles: number;

  constructor(source: RowFrames, tileRows: number) {
    const { runs, frames, width } = source;
    this.#source = source;
    this.#tileRows = tileRows;
    this.#stride = Math.ceil(frames.features / kernel.SQUARE) * kernel.SQUARE;
    this.features = (width - 1) * this.#stride;
    this.#blockRuns = kernel.momentBlockRows(this.features);
    this.#blocks = Math.ceil(runs.length / this.#blockRuns);
    this.#tileRuns = Math.max(1, Math.floor(tileRows / (width - 1)));
    this.#blockTiles = Math.ceil(Math.min(runs.length, this.#blockRuns) / this.#tileRuns);
    this.rows = 2 * this.#blocks * this.#blockTiles * tileRows;
  }

  /** Bytes of a block of sums. */
  get bytes(): number {
    return 4 * kernel.momentElements(this.features);
  }

  /** Bytes of the ends of a tile. */
  get tileBytes(): number {
    return 4 * this.#tileRuns * this.features;
  }

  /** Host bytes that reading a tile takes. */
  get readBytes(): number {
    return this.#source.readBytes(this.#tileRuns * (this.#source.width - 1));
  }

  grains(largest: Float64Array): Float32Array<ArrayBuffer> {
    const ofFrame = (_: unknown, i: number) => largest[i % this.#stride] ?? 0;
    return kernel.momentGrains(Array.from({ length: this.features }, ofFrame), this.shape);
  }

  /** The kernel's rows that belong to rows of a tile, and the one at which it begins. */
  rowsOf(tile: Tile, from: number, to: number): [from: number, to: number, arrayRow: number] {
    const { first, count } = this.tile(tile);
    const share = (row: number) => Math.floor(row * count / this.#tileRows);
    return [share(from), share(to), first];
  }

  tile({ start }: Tile): TileEnds {
    const tile = start / this.#tileRows;
    const block = Math.floor(tile / this.#blockTiles);
    const own = block % this.#blocks;
    const inBlock = tile % this.#blockTiles;
    const first = own * this.#blockRuns + inBlock * this.#tileRuns;
    const blockEnd = Math.min(this.#source.runs.length, (own + 1) * this.#blockRuns);
    return {
      first,
      count: Math.max(0, Math.min(first + this.#tileRuns, blockEnd) - first),
      weight: block < this.#blocks ? -1 : 1,
      isLast: inBlock === this.#blockTiles - 1,
    };
  }

  /**
   * Frames of a tile, in the device's coordinates; hands each to `look`, by its place in the row, which may
   * change it.
   */
  async read(
    tile: Tile,
    signal: AbortSignal,
    look: (frame: number, weight: number, values: Float64Array) => void,
  ): Promise<Float32Array> {
    const { first, count, weight } = this.tile(tile);
    const { runs, frames, width } = this.#source;
    const into = new Float32Array(count * this.features);
    const pieces = runs.slice(first, first + count).map(({ frame, rows }, i) => ({
      frame: weight < 0 ? frame : frame + rows,
      frames: width - 1,
      at: i * (width - 1),
    }));
    await this.#source.read(pieces, signal, ({ frame, at }, values) => {
      let place = 0;
      return frames.readStrided(frame, frame + width - 1, this.#stride, {
        values,
        into,
        at,
        look: (own) => look(place++, weight, own),
      });
    });
    return into;
  }

  get shape(): kernel.MomentsShape {
    const { features } = this;
    return { features, blockRows: this.#blockRuns, tileRows: this.#tileRows, ring: 1 };
  }
}
