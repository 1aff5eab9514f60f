/**
 * Whether position and spikes are in seconds of one clock, as far as their times tell.
 *
 * @module
 */

import { formatCount } from "../math/format.ts";
import type { GivenOf } from "../options.ts";
import { number } from "../options.ts";
import { medianInterval } from "./exposure.ts";

/** How stamps become seconds of one clock, the position's. */
export const clockOptions = {
  /** Spike times are counts at this rate, Hz: 30000 for samples at 30 kHz. Before `timeRate`. */
  spikeRate: number({
    above: 0,
    takes: "HZ",
    says: "spike times are counts at this rate, as 30000 for samples at 30 kHz",
  }),
  /** Position and spike times are counts at this rate, Hz: 1e3 for milliseconds, 1e6 for microseconds. */
  timeRate: number({
    above: 0,
    takes: "HZ",
    says:
      "spike and position times are counts at this rate: 1000 for milliseconds, 1e6 for microseconds",
  }),
  /** Seconds added to spike times. */
  timeOffset: number({
    takes: "S",
    says: "seconds added to spike times",
    helps: "seconds added to spike times (--time-offset=-5 for less)",
  }),
};

export type Clock = GivenOf<typeof clockOptions>;

/** Times of a recording, ascending. */
interface Times {
  position: Float64Array;
  spikes: Float64Array;
  /** Spike times as they came in. */
  stored: ArrayLike<number>;
}

/** Nobody tracks an animal at longer intervals, seconds; milliseconds of a camera are longer. */
const LONGEST_INTERVAL = 5;
/** No camera's interval is below one count of its clock. */
const SHORTEST_COUNT = 1;
/** Fewer spikes than this say nothing about the unit of their times. */
const TELLING_SPIKES = 20;
/** Spans of position and spikes that differ by this factor are not in one unit. */
const SPAN_RATIO = 500;
/** Share of spikes outside the recording, or of its time that spikes span, that is worth a word. */
const WORTH_A_WORD = 0.1;
/** Spans that differ by less may well be one. */
const SIMILAR = 1.5;

/** Counts a second that clocks have. */
const CLOCK_RATES: readonly (readonly [rate: number, name: string])[] = [
  [1e3, "milliseconds"],
  [1e6, "microseconds"],
  [1e9, "nanoseconds"],
  ...[30_000, 20_000, 25_000, 24_414.0625, 32_000, 32_768, 40_000, 44_100, 48_000, 1250].map(
    (rate) => [rate, `samples at ${rate} Hz`] as const,
  ),
];

/**
 * Holds the times of position and spikes against each other. What a given rate says is believed.
 *
 * @returns What is odd and can be: sentences for people.
 * @throws {RangeError} If they cannot be on one clock; with both ranges and what would mend it.
 */
export function checkClocks(times: Times, { timeRate, spikeRate }: Clock): string[] {
  const { position, spikes, stored } = times;
  const [from, to] = [position[0]!, position.at(-1)!];
  const interval = medianInterval(position);
  const count = spikes.length;
  const range = (first: number, last: number) => `from ${readable(first)} to ${readable(last)} s`;
  const ranges = `position times run ${range(from, to)}` +
    (count > 0 ? `, spike times ${range(spikes[0]!, spikes[count - 1]!)}` : "");
  const refuse = (is: string, remedy: string): never => {
    throw new RangeError(
      `Cannot use the recording: ${is}; ${ranges}, wanted both in seconds of one clock: ${remedy}`,
    );
  };
  if (timeRate === undefined && interval > LONGEST_INTERVAL) {
    refuse(`position is sampled every ${readable(interval)} s`, positionRemedy(times));
  }
  if (count === 0) return [];
  const outside = spikes.reduce(
    (sum, time) => sum + (time < from - interval || time > to + interval ? 1 : 0),
    0,
  );
  const asserted = timeRate !== undefined || spikeRate !== undefined;
  if (outside === count) {
    refuse("all spikes are outside of the position's time", spikeRemedy(times, asserted));
  }
  if (count < TELLING_SPIKES) return [];
  const ratio = (spikes[count - 1]! - spikes[0]!) / (to - from);
  const spans = `the position spans ${(1 / ratio).toFixed(0)} times the spikes' time`;
  if (!asserted) {
    const whole = { position: isWhole(position), spikes: isWhole(stored) };
    if (whole.spikes && !whole.position) {
      const remedy = spikeRemedy(times, false);
      refuse(
        "spike times are whole numbers, position times are not",
        `${remedy}; with spikeRate: 1, --spike-rate 1, if they are whole seconds`,
      );
    }
    if (ratio > SPAN_RATIO && outside > (1 - WORTH_A_WORD) * count) {
      refuse(
        `spikes span ${ratio.toFixed(0)} times the position's time`,
        spikeRemedy(times, false),
      );
    }
    const counted = whole.position && !whole.spikes && ratio < WORTH_A_WORD;
    if (counted || (ratio < 1 / SPAN_RATIO && interval >= SHORTEST_COUNT)) {
      refuse(spans, positionRemedy(times));
    }
  }
  if (outside > WORTH_A_WORD * count) {
    const share = `${formatCount(outside)} of ${formatCount(count)} spikes`;
    return [`${share} are outside of the position's time; ${ranges}`];
  }
  return ratio < WORTH_A_WORD ? [`${spans}; ${ranges}`] : [];
}

/** A number without the digits that are rounding. */
export function readable(value: number): number {
  return Number(value.toPrecision(12));
}

function isWhole(times: ArrayLike<number>): boolean {
  for (let i = 0; i < times.length; i++) if (!Number.isInteger(times[i]!)) return false;
  return true;
}

/** What would bring spikes into the position's time, as far as their spans tell. */
function spikeRemedy({ position, spikes }: Times, asserted: boolean): string {
  const [from, span] = [position[0]!, position.at(-1)! - position[0]!];
  const [first, last] = [spikes[0]!, spikes.at(-1)!];
  const guesses = CLOCK_RATES.map(([rate, name]) => ({
    rate,
    name,
    inside: first / rate >= from - span / 10 && last / rate <= from + 1.1 * span,
    off: Math.abs(Math.log((last - first) / rate / span)),
  })).filter(() => !asserted).sort((a, b) => a.off - b.off);
  const best = guesses.find(({ inside, off }) => inside && off < -Math.log(WORTH_A_WORD));
  if (best) {
    return `spike times look like ${best.name} (spikeRate: ${best.rate}, --spike-rate ${best.rate})`;
  }
  const offsetFor = (rate: number) => {
    const start = first / rate;
    // whichever of the two starts near 0 counts from the start
    const offset = Math.abs(start) < span ? from : Math.abs(from) < span ? -start : from - start;
    return readable(offset);
  };
  const orSo = "or whatever the start was";
  if (last - first <= SIMILAR * span) {
    const offset = offsetFor(1);
    return "they start at different zeros, and spike times look like seconds from another start " +
      `(timeOffset: ${offset}, --time-offset=${offset}, ${orSo})`;
  }
  const [scaled] = guesses;
  if (scaled && scaled.off < Math.log(SIMILAR)) {
    const { rate, name } = scaled;
    const offset = offsetFor(rate);
    return `spike times look like ${name} from another start (spikeRate: ${rate} and timeOffset: ` +
      `${offset}, --spike-rate ${rate} --time-offset=${offset}, ${orSo})`;
  }
  return "say what spike times are (spikeRate and timeOffset, --spike-rate and --time-offset)";
}

/** What would bring position times into seconds, going by how often animals are tracked. */
function positionRemedy({ position, spikes }: Times): string {
  const interval = medianInterval(position);
  const ours = position.at(-1)! - position[0]!;
  const theirs = spikes.length > 0 ? spikes.at(-1)! - spikes[0]! : 0;
  const plausible = CLOCK_RATES.find(([rate]) =>
    interval / rate >= 1 / 500 && interval / rate <= 0.1
  );
  if (theirs === 0 || theirs > WORTH_A_WORD * ours) {
    return plausible
      ? `times look like ${plausible[1]} (timeRate: ${plausible[0]}, --time-rate ${
        plausible[0]
      }; 1 ` +
        "if they are seconds)"
      : "say what times are (timeRate, --time-rate; 1 if they are seconds)";
  }
  const [rate, name] = plausible ??
    [Math.round(ours / theirs), `counts at about ${Math.round(ours / theirs)} Hz`];
  return `position times look like ${name} (timeRate: ${rate} and spikeRate: 1, --time-rate ${rate} ` +
    "--spike-rate 1; both 1 if they are seconds)";
}
