/**
 * Progress on stderr: a bar of one line on a terminal, a line for every percent elsewhere.
 *
 * @module
 */

import process from "node:process";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { Progress } from "../types.ts";

const [BAR_CELLS, NARROW_CELLS] = [24, 8];
/** Columns from which on the bar is long. */
const WIDE_FROM = 80;
/** What a terminal has that does not tell its width. */
const USUAL_COLUMNS = 80;

/** How far a run is. */
interface Point {
  pass?: string;
  fraction: number;
}

export class ProgressPrinter {
  readonly #terminal = process.stderr.isTTY === true;
  readonly #quiet: boolean;
  #lastPercent = -1;
  #lastPass = "";
  #drawn = false;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  /** Shows one report; bound, so that it can be handed to `plan.run`. */
  readonly show = (progress: Progress): void => {
    const { pass, passIndex, passCount, fraction, peakBytes, etaSeconds } = progress;
    this.print([
      `${pass} (${passIndex + 1}/${passCount}) ${String(percentOf(fraction)).padStart(3)} %`,
      // unknown until a tile of the pass is done; where a row is an epoch it may be none
      ...Math.round(progress.rowsPerSecond) > 0
        ? [`${Math.round(progress.rowsPerSecond)} rows/s`]
        : [],
      ...etaSeconds === undefined || fraction === 1 ? [] : [`${formatSeconds(etaSeconds)} left`],
      `GPU ${formatBytes(peakBytes.gpu)}`,
      `host ${formatBytes(peakBytes.host)}`,
      `${formatBytes(progress.bytesWritten)} written`,
    ], { pass, fraction });
  };

  /**
   * Shows a line; elsewhere than on a terminal when the pass is new, and whenever another percent is done.
   *
   * @param parts The first is always shown; the others as far as there is room for them.
   */
  print(parts: string | readonly string[], { pass = "", fraction }: Point): void {
    if (this.#quiet) return;
    const all = [parts].flat();
    if (this.#terminal) {
      process.stderr.write(`\r\x1b[2K${barOf(all, fraction, columnsOf())}`);
      this.#drawn = true;
      return;
    }
    const percent = percentOf(fraction);
    if (pass === this.#lastPass && percent <= this.#lastPercent) return;
    this.#lastPass = pass;
    this.#lastPercent = percent;
    process.stderr.write(`${all.join(", ")}\n`);
  }

  /** Ends the bar's line. */
  end(): void {
    if (this.#drawn) process.stderr.write("\n");
    this.#drawn = false;
  }
}

/** Whole percents that are done. */
export function percentOf(fraction: number): number {
  return Math.floor(100 * fraction + 1e-9);
}

/** Of the terminal as it is now: it may have been made narrower. */
function columnsOf(): number {
  return process.stderr.columns || USUAL_COLUMNS;
}

/** A bar and what has room behind it: one line, which leaves the last column empty, since some terminals break there. */
export function barOf(parts: readonly string[], fraction: number, columns: number): string {
  const cells = columns < WIDE_FROM ? NARROW_CELLS : BAR_CELLS;
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * cells);
  let line = `${"█".repeat(full)}${"░".repeat(cells - full)} ${parts[0]}`;
  for (const part of parts.slice(1)) {
    if (line.length + 2 + part.length >= columns) break;
    line += `, ${part}`;
  }
  return line.length < columns ? line : line.slice(0, Math.max(0, columns - 1));
}
