/**
 * Progress on stderr: a bar on a terminal, a line every few seconds elsewhere.
 *
 * @module
 */

import process from "node:process";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { Progress } from "../types.ts";

const BAR_CELLS = 24;
const LINE_EVERY_SECONDS = 5;

export class ProgressPrinter {
  readonly #terminal = process.stderr.isTTY === true;
  readonly #quiet: boolean;
  #lastLine = -Infinity;
  #lastPass = "";
  #drawn = false;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  /** Shows one report; bound, so that it can be handed to `plan.run`. */
  readonly show = (progress: Progress): void => {
    if (this.#quiet) return;
    const { pass, passIndex, passCount, fraction, peakBytes, elapsedSeconds } = progress;
    const eta = progress.etaSeconds === undefined
      ? ""
      : `, ${formatSeconds(progress.etaSeconds)} left`;
    // unknown until a tile of the pass is done
    const rate = progress.rowsPerSecond > 0 ? `, ${Math.round(progress.rowsPerSecond)} rows/s` : "";
    const text =
      `${pass} (${passIndex + 1}/${passCount}) ${(100 * fraction).toFixed(0).padStart(3)} %` +
      `${rate}${eta}, GPU ${formatBytes(peakBytes.gpu)}, host ${formatBytes(peakBytes.host)}, ` +
      `${formatBytes(progress.bytesWritten)} written`;
    this.print(text, { pass, fraction, elapsedSeconds });
  };

  /** Shows a line; elsewhere than on a terminal when the pass is new, at the end, and now and then. */
  print(
    text: string,
    { pass = "", fraction, elapsedSeconds }: {
      pass?: string;
      fraction: number;
      elapsedSeconds: number;
    },
  ): void {
    if (this.#quiet) return;
    if (this.#terminal) {
      const full = Math.round(fraction * BAR_CELLS);
      const bar = "█".repeat(full) + "░".repeat(BAR_CELLS - full);
      process.stderr.write(`\r\x1b[2K${bar} ${text}`);
      this.#drawn = true;
    } else if (
      pass !== this.#lastPass || fraction >= 1 ||
      elapsedSeconds - this.#lastLine >= LINE_EVERY_SECONDS
    ) {
      this.#lastPass = pass;
      this.#lastLine = elapsedSeconds;
      process.stderr.write(`${text}\n`);
    }
  }

  /** Ends the bar's line. */
  end(): void {
    if (this.#drawn) process.stderr.write("\n");
    this.#drawn = false;
  }
}
