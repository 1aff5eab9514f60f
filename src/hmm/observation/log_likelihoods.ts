/**
 * Log-likelihoods of the caller's own, read by tile: whatever the emissions of a model are.
 *
 * They become likelihoods on the host, in f64, relative to the largest of their row: no digit is lost to how
 * large they are, and a shader needs to see neither a NaN nor an infinity.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../../chunked_array.ts";
import { toNumbers } from "../../chunked_array.ts";
import { readBlocks } from "../../feed/points.ts";
import { StreamDigest } from "../../math/digest.ts";
import { toWide } from "../../math/wide.ts";
import type { Tile } from "../../stream/pass.ts";
import { tileSize } from "../../stream/pass.ts";
import type { Feed } from "../../stream/task.ts";
import { unlessAborted } from "../../turns.ts";
import type { NumericType } from "../../zarr/data_types.ts";
import { elementBytes } from "../../zarr/data_types.ts";
import type { LaneCuts } from "../lane_cuts.ts";
import type { Recursion } from "../transition/recursion.ts";
import type { Observation } from "./observation.ts";
import { LIKELIHOOD } from "./observation.ts";

/** Rows of log-likelihoods, wherever they come from: an array, or a function. */
export interface LogLikelihoodSource {
  /** [time, bins]. */
  readonly shape: readonly number[];
  /**
   * Rows [start, end) in C order, natural logarithms; the same ones whenever they are asked for.
   */
  read(
    start: number,
    end: number,
    options?: ReadOptions,
  ): Promise<ArrayLike<number> | BigInt64Array | BigUint64Array>;
}

/** Is handed where each row begins among the values that were read, and the largest of it. */
export type OnRow = (values: ArrayLike<number>, row: number, at: number, largest: number) => void;

/** Rows of log-likelihoods as tasks read them, of the caller's own or of what was recorded. */
export interface LogRows {
  readonly columns: number;
  /** What decides the numbers and is not read. */
  readonly inputs: readonly ArrayBufferView[];
  readonly feeds: readonly Feed[];
  /** Bytes of tables the host holds. */
  readonly hostBytes: number;
  /** Host bytes that reading so many rows in a piece takes, at most. */
  readBytes(rows: number): number;
  /** Rows [start, end), f64 natural logarithms [columns] each. */
  read(start: number, end: number, signal: AbortSignal, onRow: OnRow): Promise<void>;
}

/** Log-likelihoods of the caller's own: every number is looked at. */
export class LogLikelihoodRows implements Feed, LogRows {
  readonly rows: number;
  readonly columns: number;
  readonly inputs: readonly ArrayBufferView[];
  readonly feeds: readonly Feed[] = [this];
  readonly places: readonly string[] | undefined;
  readonly hostBytes = 0;
  readonly #array: ChunkedArray;

  /**
   * @throws {TypeError} If there are no numbers to be read.
   * @throws {RangeError} If they have no rows, or another number of axes than two.
   */
  constructor(source: LogLikelihoodSource) {
    const { shape, read, dtype = "float64" } = source as Partial<ChunkedArray>;
    if (!Array.isArray(shape) || typeof read !== "function" || dtype === "string") {
      throw new TypeError(
        `Cannot read log-likelihoods: they are ${
          dtype === "string" ? "texts" : "neither an array nor { shape, read }"
        }, wanted numbers [time, bins]`,
      );
    }
    if (shape.length !== 2 || !shape.every((length) => Number.isInteger(length) && length >= 1)) {
      throw new RangeError(
        `Cannot read log-likelihoods: their shape is [${shape}], wanted [time, bins], at least one of each`,
      );
    }
    [this.rows, this.columns] = shape as [number, number];
    this.places = (source as ChunkedArray).places;
    this.inputs = [Uint32Array.of(this.rows, this.columns)];
    this.#array = {
      ...{ chunkRows: 1, dims: undefined },
      ...{ dtype, shape, wholeChunks: (source as ChunkedArray).wholeChunks ?? false },
      ...((source as ChunkedArray).chunkRows && {
        chunkRows: (source as ChunkedArray).chunkRows,
      }),
      read: async (start, end, options) => {
        const values = await source.read(start, end, options);
        const wanted = (end - start) * this.columns;
        if (values?.length !== wanted) {
          throw new RangeError(
            `Cannot read log-likelihoods: rows ${start} to ${end} came as ${values?.length} numbers, ` +
              `wanted ${wanted}`,
          );
        }
        return ArrayBuffer.isView(values) ? values : Float64Array.from(values as number[]);
      },
      close: () => Promise.resolve(),
    };
  }

  async look({ digest, signal }: { digest: boolean; signal: AbortSignal }) {
    const bytes = digest ? new StreamDigest() : undefined;
    await readBlocks(
      this.#array,
      (read) => bytes?.add(read as ArrayBufferView),
      (start, values) => {
        for (let at = 0; at < values.length; at += this.columns) {
          const end = at + this.columns;
          this.#largestOf(start + at / this.columns, values, at, end);
        }
      },
      signal,
    );
    return { digest: await bytes?.finish() };
  }

  readBytes(rows: number): number {
    const { dtype, wholeChunks, chunkRows } = this.#array;
    const rowBytes = Math.max(8, elementBytes(dtype as NumericType)) * this.columns;
    return rowBytes * (rows + (wholeChunks ? 2 * chunkRows : 0));
  }

  /** @throws {RangeError} If a value is NaN or +Infinity. */
  async read(start: number, end: number, signal: AbortSignal, onRow: OnRow): Promise<void> {
    const read = await unlessAborted(signal, this.#array.read(start, end, { signal }));
    const values = toNumbers(read);
    for (let row = start; row < end; row++) {
      const at = (row - start) * this.columns;
      onRow(values, row, at, this.#largestOf(row, values, at, at + this.columns));
    }
  }

  #largestOf(row: number, values: ArrayLike<number>, from: number, end: number): number {
    let largest = -Infinity;
    let sound = true;
    for (let at = from; at < end; at++) {
      const value = values[at]!;
      // false for NaN too
      sound = sound && value < Infinity;
      if (value > largest) largest = value;
    }
    if (sound) return largest;
    for (let at = from; at < end; at++) {
      if (values[at]! < Infinity) continue;
      throw new RangeError(
        `Cannot use log-likelihoods: row ${row}, bin ${at - from} is ${
          values[at]
        }, wanted a number or ` +
          "-Infinity",
      );
    }
    return largest;
  }
}

/** Natural logarithms below it have an exponent that f32 does not. */
const DEEP = -126 * Math.LN2;
/** What stands for 1 in wide numbers near it. */
const NEAR_ONE = 2 ** 100;
const ONE = toWide(1);

interface LogLikelihoodParts {
  lanes: LaneCuts;
  recursion: Pick<Recursion, "cells" | "likelihoodAt">;
  /** [states + 1] first bin of each state, and all of them. */
  starts: readonly number[];
  /** Whether every state has columns of its own. */
  perState: boolean;
  /** [rows] 1 for rows that carry no evidence. */
  missing?: Uint8Array | undefined;
}

/** Rows that are read as an observation. */
export function logLikelihoodObservation(
  rows: LogLikelihoodRows,
  { lanes, recursion, starts, perState, missing }: LogLikelihoodParts,
): Observation {
  const width = 4 * recursion.cells;
  // what each entry of a row of likelihoods is made of
  const columnOf = new Int32Array(width).fill(-1);
  starts.slice(1).forEach((end, state) => {
    const start = starts[state]!;
    for (let bin = 0; bin < end - start; bin++) {
      columnOf[recursion.likelihoodAt(state, bin)] = perState ? start + bin : bin;
    }
  });
  return {
    inputs: [...rows.inputs, ...(missing ? [missing] : [])],
    feeds: rows.feeds,
    hostBytes: columnOf.byteLength + (missing?.byteLength ?? 0),
    shared: () => [],
    rowMaximumBytes: 0,
    uploads: (tileRows) => [
      { name: LIKELIHOOD, bytes: 4 * width * lanes.count * tileRows, role: "upload" },
    ],
    readBytes: (tileRows) => ({
      read: rows.readBytes(tileRows),
      beside: 8 * lanes.count * tileRows,
    }),
    steps: () => [],

    async read(tile: Tile, signal) {
      const tileRows = tile.end - tile.start;
      const likelihood = new Uint32Array(tileSize(tile) * width);
      const near = new Float32Array(likelihood.buffer);
      const largest = new Float64Array(tileSize(tile));
      for (let lane = 0; lane < tile.lanes; lane++) {
        const first = (tile.firstLane + lane) * lanes.rows + tile.start;
        const from = Math.min(rows.rows, Math.max(0, first));
        const end = Math.min(rows.rows, Math.max(0, first + tileRows));
        const at = (row: number) => lane * tileRows + row - first;
        // rows that nobody recorded say nothing
        for (let row = first; row < first + tileRows; row++) {
          if (row >= from && row < end && !missing?.[row]) continue;
          const out = at(row) * width;
          for (let i = 0; i < width; i++) likelihood[out + i] = columnOf[i]! < 0 ? 0 : ONE;
        }
        if (from === end) continue;
        await rows.read(from, end, signal, (values, row, start, most) => {
          if (missing?.[row] || most === -Infinity) return;
          largest[at(row)] = most;
          const out = at(row) * width;
          for (let i = 0; i < width; i++) {
            if (columnOf[i]! < 0) continue;
            const below = values[start + columnOf[i]!]! - most;
            if (below > DEEP) near[out + i] = Math.exp(below) * NEAR_ONE;
            else likelihood[out + i] = deepOf(below);
          }
        });
      }
      return { [LIKELIHOOD]: likelihood, largest };
    },

    evidence(_rowMaximum, { largest }) {
      return (logSum, _row, at) => logSum + (largest as Float64Array)[at]!;
    },
  };
}

/** The wide number nearest to e^`log`. */
function deepOf(log: number): number {
  if (log === -Infinity) return 0;
  const power = Math.floor(log / Math.LN2);
  return toWide(Math.exp(log - power * Math.LN2), power);
}
