/**
 * Turns what stages report into {@link Progress}.
 *
 * @module
 */

import type { Description, Displayed } from "../display.ts";
import { displayed } from "../display.ts";
import type { Account } from "../gpu/ledger.ts";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { Progress } from "../types.ts";
import type { RunOptions } from "./choices.ts";
import type { Stage } from "./lanes.ts";
import { laneRows, stagesOf, startOf } from "./lanes.ts";
import type { TaskLayout } from "./task.ts";

const REPORT_EVERY_MS = 100;

/** Reports at most ten times a second. */
export class ProgressMeter {
  readonly #name: string;
  readonly #layout: TaskLayout;
  readonly #stages: readonly Stage[];
  readonly #account: Account;
  readonly #options: RunOptions;
  readonly #began: number;
  #stage!: Stage;
  #stageBegan = 0;
  /** Rows of a lane that an earlier run did. */
  #rowsBefore = 0;
  #lastReport = 0;
  /** Share of the plan that was done when this run began. */
  #fractionBefore: number | undefined;
  /** When it was: compiling kernels and looking at what is read tell nothing of what is to come. */
  #gainsFrom = 0;

  constructor(
    name: string,
    layout: TaskLayout,
    account: Account,
    options: RunOptions,
    began: number,
  ) {
    this.#name = name;
    this.#layout = layout;
    this.#stages = stagesOf(layout);
    this.#account = account;
    this.#options = options;
    this.#began = began;
  }

  /**
   * @param row Where the stage goes on; its start when not given.
   * @param share Of all its sweeps, what was done before.
   */
  startStage(stage: Stage, row: number | undefined, share = 0): void {
    this.#stage = this.#stages.find(({ name }) => name === stage.name)!;
    this.#rowsBefore = row === undefined ? 0 : Math.abs(row - startOf(stage));
    this.#stageBegan = performance.now();
    // what an earlier run did tells nothing of this one's speed
    if (row !== undefined || share > 0) this.#fractionBefore = undefined;
    this.advance(share, 0, true);
  }

  finishStage(): void {
    const { low, high } = this.#stage;
    this.advance(1, high - low - this.#rowsBefore, true);
  }

  /** Hears of the share of the stage's remaining rows the device did, and of rows of a lane written. */
  advance(share: number, rows: number, always = false): void {
    const now = performance.now();
    const { low, high } = this.#stage;
    const laneTotal = high - low;
    const index = this.#stages.indexOf(this.#stage);
    // repairs are rare, and nobody knows how long
    const costOf = ({ kind, pass, low, high }: Stage) =>
      kind === "repair" ? 0 : pass.cost * (high - low);
    const total = (stages: readonly Stage[]) =>
      stages.reduce((sum, stage) => sum + costOf(stage), 0);
    const computed = share * (laneTotal - this.#rowsBefore);
    const done = total(this.#stages.slice(0, index)) +
      costOf(this.#stage) * (this.#rowsBefore + computed) / laneTotal;
    const fraction = done / total(this.#stages);
    if (this.#fractionBefore === undefined) {
      this.#fractionBefore = fraction;
      this.#gainsFrom = now;
    }
    if (!this.#options.onProgress || (!always && now - this.#lastReport < REPORT_EVERY_MS)) return;
    this.#lastReport = now;
    const elapsedSeconds = (now - this.#began) / 1000;
    const gained = fraction - this.#fractionBefore;
    // rows of all lanes; the last lane may be shorter
    const { rows: recorded, lanes } = this.#layout;
    const inAll = (some: number) =>
      Math.round(some * Math.min(recorded / laneRows(this.#layout), lanes?.count ?? 1));
    const progress: Progress = {
      plan: this.#name,
      pass: this.#stage.name,
      passIndex: index,
      passCount: this.#stages.length,
      rows: inAll(this.#rowsBefore + rows),
      totalRows: inAll(laneTotal),
      fraction,
      bytesWritten: this.#account.peak.disk,
      rowsPerSecond: inAll(computed) * 1000 / Math.max(1, now - this.#stageBegan),
      elapsedSeconds,
      etaSeconds: gained > 0.01
        ? (now - this.#gainsFrom) / 1000 * (1 - fraction) / gained
        : undefined,
      peakBytes: { ...this.#account.peak },
    };
    this.#options.onProgress(displayedProgress(progress));
  }
}

/** How far a run is, in words. */
export function describeProgress(
  { plan, pass, passIndex, passCount, fraction, etaSeconds, elapsedSeconds, ...more }: Progress,
): Description {
  const left = etaSeconds === undefined || fraction === 1
    ? ""
    : `, ${formatSeconds(etaSeconds)} left`;
  return {
    title: `${plan}: ${pass} (${passIndex + 1}/${passCount}) ${
      (100 * fraction).toFixed(0)
    } %${left}`,
    fraction,
    facts: [
      ["so far", formatSeconds(elapsedSeconds)],
      ["written", formatBytes(more.bytesWritten)],
      [
        "at most",
        `GPU ${formatBytes(more.peakBytes.gpu)}, host ${formatBytes(more.peakBytes.host)}`,
      ],
    ],
  };
}

/** A report that shows itself as a bar. */
function displayedProgress(progress: Progress): Progress & Displayed {
  return displayed(progress, describeProgress);
}
