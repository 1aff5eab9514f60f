/**
 * Progress of an analysis: steps that weigh the same, and plans that run as a part of one.
 *
 * @module
 */

import type { Plan } from "../stream/plan.ts";
import type { Progress, RunOptions } from "../types.ts";

export class Steps {
  readonly #options: RunOptions;
  readonly #count: number;
  readonly #began = performance.now();
  #done = 0;
  #fraction = 0;
  #name = "prepare";

  constructor(count: number, options: RunOptions) {
    this.#options = options;
    this.#count = count;
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  begin(name: string): void {
    this.#name = name;
  }

  end(): void {
    this.#done++;
  }

  /** Tells that a share of a stage, which may be part of the step, is done. */
  show(stage: string, share: number, [from, to] = [0, 1], inner: Partial<Progress> = {}): void {
    // steps that are found done, and plans that share a part, count as they end
    const done = (this.#done + from + (to - from) * share) / this.#count;
    this.#fraction = Math.min(1, Math.max(this.#fraction, done));
    const elapsedSeconds = (performance.now() - this.#began) / 1000;
    this.#options.onProgress?.({
      rows: 0,
      totalRows: 0,
      bytesWritten: 0,
      rowsPerSecond: 0,
      peakBytes: { gpu: 0, host: 0, disk: 0 },
      ...inner,
      plan: "condition",
      pass: `${this.#name}, ${stage}`,
      passIndex: this.#done,
      passCount: this.#count,
      fraction: this.#fraction,
      elapsedSeconds,
      etaSeconds: undefined,
    });
  }

  /** Runs a plan as a part of the step. */
  run<Result>(plan: Plan<Result>, part: [number, number]): Promise<Result> {
    return plan.run({
      ...(this.signal && { signal: this.signal }),
      onProgress: (inner) => this.show(`${plan.name} ${inner.pass}`, inner.fraction, part, inner),
    });
  }
}
