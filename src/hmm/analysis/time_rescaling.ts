/**
 * How well a model of rates fits spikes: the time-rescaling theorem.
 *
 * Source: Brown et al. 2002, and Wiener 2003 for short trials.
 *
 * @module
 */

import { fromTypedArray } from "../../array/array.ts";
import type { ChunkedArray } from "../../chunked_array.ts";
import { toNumbers } from "../../chunked_array.ts";
import type { Is, OptionsOf } from "../../options.ts";
import { custom, declare, flag, isObject } from "../../options.ts";
import type { NumericArray } from "../../types.ts";

/** `[time]`, in memory or stored. */
export type RowNumbers = ChunkedArray | NumericArray;

const rowNumbers = isObject as Is<RowNumbers>;

export const timeRescalingOptions = declare("rescale time", {
  /** [time] How many spikes the model expects in each row: its rate times the seconds of a row. */
  intensity: custom("numbers, or an array of them", rowNumbers, {
    required: true,
    says: "how many spikes the model expects in each row",
  }),
  /** [time] 1 where there is a spike, 0 where there is none. */
  spikes: custom("numbers, or an array of them", rowNumbers, {
    required: true,
    says: "1 where there is a spike, 0 where there is none",
  }),
  /** [time] Number of each row's trial; rows of a trial lie together, and time begins anew with each. Default: one. */
  trials: custom("numbers, or an array of them", rowNumbers, {
    otherwise: "a single one",
    says: "number of each row's trial, which lie together",
  }),
  /** Takes into account that no interval is longer than its trial. Default false. */
  adjustForShortTrials: flag({
    default: false,
    says: "take into account that no interval is longer than its trial",
  }),
});

export type TimeRescalingOptions = OptionsOf<typeof timeRescalingOptions>;

/** Intervals between spikes as the model sees them. */
export interface TimeRescaling {
  /** [spikes] f64, in order of time: evenly spread over 0 to 1 if the model is right. */
  uniformIntervals: Float64Array;
  /** [spikes] The same, ascending, and what they would be if the model were right: (i + 0.5) / spikes. */
  empirical: Float64Array;
  expected: Float64Array;
  /** The largest distance of these two: the statistic of Kolmogorov and Smirnov. NaN without spikes. */
  ksStatistic: number;
  /** What it stays below in 95 % and in 99 % of data from the model: 1.36 and 1.63 over the root of the spikes. */
  band95: number;
  band99: number;
}

/** Of distances, by their share of data from the model. */
const [BAND_95, BAND_99] = [1.36, 1.63];
const READ_ROWS = 2 ** 16;

/**
 * Rescales the intervals between spikes by what the model expected in them, and compares them with the exponential
 * distribution that they have if it is right. Intensity is integrated by trapezoids from row to row, and the first interval
 * begins with the first row (of a trial), as in the original's `TimeRescaling`.
 *
 * @throws {RangeError} If lengths differ, an intensity is negative or not finite, or a row has several spikes, for which rows
 * are too long.
 */
export async function timeRescaling(given: TimeRescalingOptions): Promise<TimeRescaling> {
  const options = timeRescalingOptions.check(given);
  const { action } = timeRescalingOptions;
  const [intensity, spikes] = [asArray(options.intensity), asArray(options.spikes)];
  const trials = options.trials && asArray(options.trials);
  const [rows] = intensity.shape as [number];
  for (const [name, array] of Object.entries({ intensity, spikes, ...(trials && { trials }) })) {
    if (array.shape.length === 1 && array.shape[0] === rows) continue;
    throw new RangeError(
      `Cannot ${action}: ${name} has the shape [${array.shape}], wanted [${rows}], one for each row`,
    );
  }
  const intervals: number[] = [];
  const seen = new Set<number>();
  const trial = new Trial(options.adjustForShortTrials);
  for (let start = 0; start < rows; start += READ_ROWS) {
    const end = Math.min(rows, start + READ_ROWS);
    const [rates, counts, ids] = await Promise.all(
      [intensity, spikes, trials].map(async (array) =>
        array && toNumbers(await array.read(start, end))
      ),
    );
    for (let row = start; row < end; row++) {
      const [rate, count] = [rates![row - start]!, counts![row - start]!];
      if (!(rate >= 0 && rate < Infinity)) {
        throw new RangeError(`Cannot ${action}: intensity[${row}] is ${rate}, wanted 0 or more`);
      }
      if (count !== 0 && count !== 1) {
        throw new RangeError(
          `Cannot ${action}: spikes[${row}] is ${count}, wanted 0 or 1: use shorter rows`,
        );
      }
      const id = ids ? ids[row - start]! : 0;
      if (row === 0 || id !== trial.id) {
        if (seen.has(id)) {
          throw new RangeError(
            `Cannot ${action}: trial ${id} comes again in row ${row}, wanted rows of a trial together`,
          );
        }
        seen.add(id);
        trial.end(intervals);
        trial.begin(id);
      }
      trial.take(rate, count === 1);
    }
  }
  trial.end(intervals);
  return described(Float64Array.from(intervals));
}

function described(uniformIntervals: Float64Array): TimeRescaling {
  const { length } = uniformIntervals;
  const empirical = uniformIntervals.toSorted();
  const expected = Float64Array.from(empirical, (_, i) => (i + 0.5) / length);
  const ksStatistic = length === 0
    ? NaN
    : empirical.reduce((most, own, i) => Math.max(most, Math.abs(own - expected[i]!)), 0);
  return {
    ...{ uniformIntervals, empirical, expected, ksStatistic },
    band95: BAND_95 / Math.sqrt(length),
    band99: BAND_99 / Math.sqrt(length),
  };
}

/** What is integrated over a trial, from its first row on. */
class Trial {
  id = NaN;
  readonly #isAdjusted: boolean;
  #integral = 0;
  #rateBefore = NaN;
  /** Integrals at spikes. */
  #atSpikes: number[] = [];

  constructor(isAdjusted: boolean) {
    this.#isAdjusted = isAdjusted;
  }

  begin(id: number): void {
    this.id = id;
    this.#integral = 0;
    this.#rateBefore = NaN;
    this.#atSpikes = [];
  }

  take(rate: number, isSpike: boolean): void {
    if (!Number.isNaN(this.#rateBefore)) this.#integral += (this.#rateBefore + rate) / 2;
    this.#rateBefore = rate;
    if (isSpike) this.#atSpikes.push(this.#integral);
  }

  /** Adds the intervals of the trial, brought to 0 to 1. */
  end(intervals: number[]): void {
    this.#atSpikes.forEach((at, i) => {
      const before = i === 0 ? 0 : this.#atSpikes[i - 1]!;
      // no interval could have been longer than this one
      const longest = this.#isAdjusted ? -Math.expm1(-(this.#integral - before)) : 1;
      intervals.push(-Math.expm1(-(at - before)) / longest);
    });
  }
}

function asArray(numbers: RowNumbers): ChunkedArray {
  return ArrayBuffer.isView(numbers) ? fromTypedArray(numbers as NumericArray) : numbers;
}
