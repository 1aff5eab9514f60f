/**
 * Where a recording is cut into lanes: stretches that the filter and the smoother advance side by side.
 *
 * @module
 */

/** A recording in lanes. */
export interface LaneCuts {
  count: number;
  /** Rows of a lane, a multiple of 64 where there are several; the last lane has the rest. */
  rows: number;
  /** Rows before a lane from which its start is guessed. */
  burnInRows: number;
  /** Hilbert distance at which a guess counts as right. */
  tolerance: number;
}

export interface LaneOptions {
  lanes?: "auto" | number;
  burnInRows?: number;
  laneTolerance?: number;
}

const CUT_ROWS = 64;
/**
 * Time after which a filter has mostly forgotten where it started: on a recording of a rat the distance
 * falls below 1e-5 after 2 to 9 s, at 2 ms as at 20 ms a row; not in 80 s where hardly a
 * cell fires.
 */
const BURN_IN_SECONDS = 20;
/** Units that work side by side. SwiftShader runs workgroups one after the other: lanes gain nothing. */
const SOFTWARE_LANES = 1;
const DEVICE_LANES = 64;
/** Burn-ins are at most this share of a lane when lanes are chosen. */
const MOST_BURN_IN = 0.25;
const DEFAULT_TOLERANCE = 1e-5;

/**
 * Cuts `rows` rows of `step` seconds. Cuts depend on nothing but the rows and the count. Without a
 * choice there are as many lanes as keep the device busy and burn-ins short, and chunks of a given
 * number of rows divide a lane.
 *
 * @throws {RangeError} If a choice makes no sense.
 */
export function cutLanes(
  rows: number,
  step: number,
  options: LaneOptions,
  { software, chunkRows = 1 }: { software: boolean; chunkRows?: number | undefined },
): LaneCuts {
  const { lanes = "auto", laneTolerance: tolerance = DEFAULT_TOLERANCE } = options;
  const natural = Math.ceil(BURN_IN_SECONDS / step / CUT_ROWS) * CUT_ROWS;
  const { burnInRows = natural } = options;
  for (const [name, value] of Object.entries({ lanes, burnInRows })) {
    if (value !== "auto" && !(Number.isInteger(value) && value >= 1)) {
      throw new RangeError(
        `Cannot plan a decode: ${name} is ${value}, wanted a whole number from 1`,
      );
    }
  }
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new RangeError(
      `Cannot plan a decode: laneTolerance is ${tolerance}, wanted a number between 0 and 1`,
    );
  }
  const cut = (count: number): LaneCuts => {
    const own = count === 1 ? rows : Math.ceil(rows / count / CUT_ROWS) * CUT_ROWS;
    return {
      count: Math.ceil(rows / own),
      rows: own,
      burnInRows: Math.min(burnInRows, own),
      tolerance,
    };
  };
  if (lanes !== "auto") return cut(lanes);
  const most = Math.floor(rows * MOST_BURN_IN / burnInRows);
  for (let count = Math.min(most, software ? SOFTWARE_LANES : DEVICE_LANES); count > 1; count--) {
    const cuts = cut(count);
    if (cuts.rows % chunkRows === 0) return cuts;
  }
  return cut(1);
}

/** The largest number up to `most` that divides `whole`. */
export function largestDivisor(whole: number, most: number): number {
  for (let divisor = Math.min(whole, most); divisor > 1; divisor--) {
    if (whole % divisor === 0) return divisor;
  }
  return 1;
}
