/**
 * Progress of a series: parts with a share each, and plans that run as a stretch of one.
 *
 * @module
 */

import type { Progress } from "../types.ts";
import type { RunOptions } from "./choices.ts";

/** From and to where in a part, as shares of it. */
export type Stretch = readonly [from: number, to: number];

export class SeriesProgress {
  readonly #series: string;
  readonly #costs: readonly number[];
  readonly #options: RunOptions;
  readonly #began = performance.now();
  #part = "";
  /** Parts that are over, and their cost. */
  #count = 0;
  #done = 0;
  #fraction = 0;

  /** @param costs Of all parts, in any unit. */
  constructor(series: string, costs: readonly number[], options: RunOptions) {
    this.#series = series;
    this.#costs = costs;
    this.#options = options;
  }

  begin(part: string): void {
    this.#part = part;
  }

  end(cost: number): void {
    this.#count++;
    this.#done += cost;
  }

  /** Tells how much of a stage is done, which takes a stretch of a part of this cost. */
  show(
    stage: string,
    share: number,
    cost: number,
    [from, to]: Stretch = [0, 1],
    inner: Partial<Progress> = {},
  ): void {
    const all = this.#costs.reduce((sum, cost) => sum + cost, 0);
    // plans that share a stretch count as they end, and the last stage is the end
    const done = (this.#done + cost * (from + (to - from) * share)) / all;
    this.#fraction = Math.min(1, Math.max(this.#fraction, done));
    this.#tell(stage, inner);
  }

  finish(): void {
    this.#part = "done";
    this.#fraction = 1;
    this.#tell("stored", {});
  }

  #tell(stage: string, inner: Partial<Progress>): void {
    this.#options.onProgress?.({
      rows: 0,
      totalRows: 0,
      bytesWritten: 0,
      rowsPerSecond: 0,
      peakBytes: { gpu: 0, host: 0, disk: 0 },
      ...inner,
      plan: this.#series,
      pass: `${this.#part}, ${stage}`,
      passIndex: Math.min(this.#count, this.#costs.length - 1),
      passCount: this.#costs.length,
      fraction: this.#fraction,
      elapsedSeconds: (performance.now() - this.#began) / 1000,
      etaSeconds: undefined,
    });
  }
}
