/**
 * Rows of spikes, whose log-likelihoods are added up without an error. See `shaders/shared/spike_rows.wgsl`.
 *
 * @module
 */

import power from "../../shaders/shared/power_of_two.wgsl?raw" with { type: "text" };
import spikeRows from "../../shaders/shared/spike_rows.wgsl?raw" with { type: "text" };
import wide from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };

/** The code of a kernel with what it uses. */
export const withSpikeRows = (code: string): string => [code, spikeRows, power, wide].join("\n");

/** What stands for 1 in the integers that logarithms are kept in. */
export const FIXED_ONE = 2 ** 24;
/** Whole part of the silence term where there is no bin. */
export const OUTSIDE = -(2 ** 30);
/** Set in `spike_starts` of a row that says nothing. */
export const SILENT_ROW = 0x80000000;
export const ROW_MAXIMUM_BYTES = 8;

/**
 * Silence is not counted further below its maximum: whole parts stay above {@link OUTSIDE}, and within an
 * i32 with spikes added. It takes four million spikes a row to come back from there.
 */
const DEEPEST_SILENCE = -(2 ** 29);

/** How bins lie in cells of 4. */
export interface RowCells {
  cells: number;
  toCells(values: (bin: number, kind: number) => number, outside: number): Float64Array;
}

/**
 * What a row without spikes says.
 *
 * @param totals `[kinds, bins]` f64, spikes that are expected of a row.
 * @returns `[cells, 2, 4]` minus the totals over ln 2, whole and in 2^-24, whose maximum is 0; and the natural logarithm that
 * was subtracted, f64.
 */
export function packSilence(
  totals: Float64Array,
  bins: number,
  { cells, toCells }: RowCells,
): { silence: Int32Array<ArrayBuffer>; silenceConstant: number } {
  const lowest = totals.reduce((least, value) => Math.min(least, value), Infinity);
  // rounded to nearest: a bias would add up over rows
  const silenceOf = (bin: number, kind: number) =>
    Math.round(
      Math.max(DEEPEST_SILENCE, (lowest - totals[kind * bins + bin]!) / Math.LN2) * FIXED_ONE,
    );
  const wholeOf = (bin: number, kind: number) => Math.floor(silenceOf(bin, kind) / FIXED_ONE);
  const whole = toCells(wholeOf, OUTSIDE);
  const fraction = toCells(
    (bin, kind) => silenceOf(bin, kind) - wholeOf(bin, kind) * FIXED_ONE,
    0,
  );
  const silence = new Int32Array(cells * 8);
  for (let cell = 0; cell < cells; cell++) {
    silence.set(whole.subarray(4 * cell, 4 * cell + 4), 8 * cell);
    silence.set(fraction.subarray(4 * cell, 4 * cell + 4), 8 * cell + 4);
  }
  return { silence, silenceConstant: -lowest };
}

/** Natural logarithm that a sum of the kernel's stands for. */
export function fromFixed(whole: number, fraction: number): number {
  return (whole + fraction / FIXED_ONE) * Math.LN2;
}
