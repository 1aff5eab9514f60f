/**
 * Rows in units of each feature's own deviation, as probes see them.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { LookOptions } from "../feed/points.ts";
import { Points } from "../feed/points.ts";
import { panelElements, toPanels } from "../math/panels.ts";
import type { ProbeRows } from "./span.ts";

/** Deviations are not taken for less: what is divided by them stays what it is. */
const LEAST_DEVIATION = 1e-8;

/** A mean and a deviation of every feature, `[features]` f64, in the array's units. */
export interface Standard {
  mean: Float64Array;
  /** Of all rows, not of rows less one; at least 1e-8. */
  deviation: Float64Array;
}

/** Rows less their mean, over their deviation; 0 where a feature is constant, whatever its rounding. */
export class StandardRows implements ProbeRows {
  readonly points: Points;
  #standard: Standard | undefined;
  #factors = new Float64Array(0);

  /**
   * @throws {TypeError} If the array holds no numbers.
   * @throws {RangeError} If it has no rows, or another number of axes than two.
   */
  constructor(array: ChunkedArray, action: string) {
    this.points = new Points(array, { action });
  }

  get rows(): number {
    return this.points.rows;
  }

  get features(): number {
    return this.points.features;
  }

  /** What rows are measured by, once they were looked at. */
  get standard(): Standard {
    return this.#standard!;
  }

  /** Whether a feature is the same in all rows. */
  isConstant(feature: number): boolean {
    return this.#factors[feature] === 0;
  }

  /**
   * Looks at every row once, and measures rows by all of them.
   *
   * @throws {RangeError} If a value is not finite; the message names row and feature.
   */
  async look(options: LookOptions): Promise<{ digest: string | undefined }> {
    const { digest, mean, variance } = await this.points.look(options);
    const { scale } = this.points;
    this.#take(mean, variance.map((own) => Math.sqrt(own) / scale));
    return { digest };
  }

  /** Measures rows as others are. A deviation of 0 leaves 0 of a feature. */
  measureBy({ mean, deviation }: Standard): void {
    this.points.scaleTo(deviation.reduce((most, own) => Math.max(most, own), 0));
    this.#take(mean, deviation);
  }

  #take(mean: Float64Array, deviation: Float64Array): void {
    const { points } = this;
    const least = deviation.map((own) => Math.max(own, LEAST_DEVIATION));
    points.shift = mean;
    this.#standard = { mean, deviation: least };
    this.#factors = deviation.map((own, d) => own === 0 ? 0 : 1 / (points.scale * least[d]!));
  }

  /** Rows `[rows, features]` f64. */
  async read(start: number, end: number, signal: AbortSignal): Promise<Float64Array> {
    const rows = await this.points.readScaled(start, end, { signal });
    const factors = this.#factors;
    const features = factors.length;
    for (let at = 0; at < rows.length; at += features) {
      for (let d = 0; d < features; d++) rows[at + d]! *= factors[d]!;
    }
    return rows;
  }

  /** The same in panels, f32. */
  async readPanels(start: number, end: number, signal: AbortSignal): Promise<Float32Array> {
    return toPanels(await this.read(start, end, signal), this.points.features);
  }

  /** Bytes of so many rows in panels. */
  panelBytes(rows: number): number {
    return 4 * panelElements(rows, this.points.features);
  }

  /** Host bytes that reading so many rows takes beside what it gives: as they are stored, and scaled. */
  readBytes(rows: number): number {
    return 16 * rows * this.points.features;
  }
}
