/**
 * Layers as a sweep takes them: arrays that are there, or rows that are opened or made when it is their turn.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { digestRows } from "../feed/points.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import type { SampleArray } from "../feed/samples.ts";
import type { Gpu } from "../gpu/device.ts";
import { digestOf } from "../math/digest.ts";
import type { Plan } from "../stream/plan.ts";

/** Rows that are opened when it is their turn, and closed after it; what they will be is known before. */
export interface LaterRows {
  /** `[rows, features]`. */
  readonly shape: readonly [rows: number, features: number];
  readonly dtype: ChunkedArray["dtype"];
  /** As the array has it; 1024 when not given. */
  readonly chunkRows?: number;
  readonly places?: ChunkedArray["places"];
  /** Makes them at a place, if they have to be made. A run that goes on finds what was made. */
  plan?(gpu: Gpu, out: string): Plan<unknown>;
  /** @param made Where the plan left them. */
  open(made: string): Promise<ChunkedArray>;
  /** Equal for equal rows. They are opened and read for it when not given, which rows that are made cannot be. */
  fingerprint?(options: ReadOptions): Promise<string>;
}

/** A layer: what probes of features get of it, and what probes of sequences get. */
export interface SweepLayer {
  layer: number | string;
  /** `[samples, features]`, pooled. */
  features?: ChunkedArray | LaterRows;
  /** Samples of tokens. */
  tokens?: RaggedArray | (Omit<RaggedArray, "rows"> & { rows: LaterRows });
}

/** What probes of one kind get of a layer. */
export class LayerData {
  readonly layer: number | string;
  /** As probes take it. It can be read while it is open. */
  readonly data: SampleArray;
  readonly #later: LaterRows | undefined;
  #opened: ChunkedArray | undefined;

  /** @throws {TypeError} If nothing tells whether rows that are made are the same as before. */
  constructor(layer: number | string, given: NonNullable<SweepLayer["features" | "tokens"]>) {
    this.layer = layer;
    const rows = "offsets" in given ? given.rows : given;
    this.#later = "read" in rows ? undefined : rows;
    if (this.#later?.plan && !this.#later.fingerprint) {
      throw new TypeError(
        `Cannot sweep: rows of layer ${layer} are made by a plan, wanted a fingerprint of what it reads, too`,
      );
    }
    const array = "read" in rows ? rows : this.#arrayOf(rows);
    this.data = "offsets" in given ? { ...given, rows: array } : array;
  }

  get samples(): number {
    const { data } = this;
    return "offsets" in data ? data.offsets.length - 1 : data.shape[0]!;
  }

  /** What decides results beside values. */
  get facts(): unknown {
    const { shape, dtype } = this.#rows;
    return [this.layer, shape, dtype, "offsets" in this.data];
  }

  get places(): ChunkedArray["places"] {
    return this.#rows.places;
  }

  /** The plan that makes it, if one does. */
  plan(gpu: Gpu, out: string): Plan<unknown> | undefined {
    return this.#later?.plan?.(gpu, out);
  }

  /** Host bytes of rows that are made in memory. */
  get madeBytes(): number {
    const [rows, features] = this.#rows.shape as [number, number];
    return this.#later?.plan ? 4 * rows * features : 0;
  }

  /** Of all values, offsets and masks. */
  async digest(options: ReadOptions): Promise<string> {
    const { data } = this;
    const rows = this.#later?.fingerprint
      ? await this.#later.fingerprint(options)
      : await this.use("", () => digestRows(this.#rows, options));
    if (!("offsets" in data)) return rows;
    return await digestOf([rows, data.offsets, ...(data.detected ? [data.detected] : [])]);
  }

  /** Opens it for as long as something is done. @param made Where its plan left it. */
  async use<Value>(made: string, work: () => Promise<Value>): Promise<Value> {
    if (!this.#later) return await work();
    const { shape, dtype, open } = this.#later;
    const opened = await open(made);
    try {
      if (opened.shape.join() !== shape.join() || opened.dtype !== dtype) {
        throw new RangeError(
          `Cannot sweep: layer ${this.layer} is [${opened.shape}] of ${opened.dtype}, wanted what was told, ` +
            `[${shape}] of ${dtype}`,
        );
      }
      this.#opened = opened;
      return await work();
    } finally {
      this.#opened = undefined;
      await opened.close();
    }
  }

  get #rows(): ChunkedArray {
    return "offsets" in this.data ? this.data.rows : this.data;
  }

  #arrayOf({ shape, dtype, chunkRows = 1024, places }: LaterRows): ChunkedArray {
    return {
      ...{ shape, dtype, places, dims: undefined, wholeChunks: true },
      chunkRows: Math.max(1, Math.min(chunkRows, shape[0])),
      read: async (start, end, options) => await this.#opened!.read(start, end, options),
      close: () => Promise.resolve(),
    };
  }
}
