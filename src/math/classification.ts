/**
 * How good scores of two classes are, on the host, in f64. Whatever ranks takes any scores, and should get
 * logits: probabilities round to 1 where logits still differ. Labels are 0 and 1, or booleans.
 *
 * What a single class leaves undefined is `null`. Nothing to look at, scores that are NaN, labels that
 * are no labels, and probabilities outside [0, 1] are errors.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { declare, number, whole } from "../options.ts";
import { quantiles } from "./quantiles.ts";
import { Random } from "./random.ts";

/** 0 and 1, or booleans. */
export type Labels = ArrayLike<number | boolean>;

/** Rows above a threshold, and rows up to it, by what they are. */
export interface Confusion {
  truePositives: number;
  falsePositives: number;
  trueNegatives: number;
  falseNegatives: number;
}

/** Rows with scores from each distinct score on, the highest first. */
interface Steps {
  scores: number[];
  truePositives: number[];
  falsePositives: number[];
  positives: number;
  negatives: number;
}

/** Cost of a missed positive, and of a false alarm, in {@link weightedError}. */
const [MISS_WEIGHT, ALARM_WEIGHT] = [5, 50] as const;
/** Thresholds that {@link bestThreshold} tries. */
const GRID = 100;

/** Share of pairs of a positive and a negative that are ranked right; ties count half. */
export function auroc(labels: Labels, scores: ArrayLike<number>): number | null {
  const { positives, negatives, truePositives, falsePositives } = stepsOf(labels, scores);
  if (positives === 0 || negatives === 0) return null;
  let twice = 0;
  falsePositives.forEach((false_, i) => {
    const [trueBefore, falseBefore] = [truePositives[i - 1] ?? 0, falsePositives[i - 1] ?? 0];
    // whole numbers: exact up to some 10^8 rows
    twice += (false_ - falseBefore) * (trueBefore + truePositives[i]!);
  });
  return twice / (2 * positives * negatives);
}

/**
 * Area under the curve of true against false positive rates, up to `maxFpr`: `raw`, at most `maxFpr`; and
 * `mcclish`, which is 0.5 for chance and 1 for perfect ranks, as scikit-learn has it.
 */
export function partialAuroc(
  labels: Labels,
  scores: ArrayLike<number>,
  maxFpr = 0.1,
): { raw: number; mcclish: number } | null {
  checkRate("take a partial AUROC", "maxFpr", maxFpr);
  if (maxFpr === 0) {
    throw new RangeError("Cannot take a partial AUROC: maxFpr is 0, wanted a number above 0");
  }
  const { positives, negatives, truePositives, falsePositives } = stepsOf(labels, scores);
  if (positives === 0 || negatives === 0) return null;
  let raw = 0;
  let [fpr, tpr] = [0, 0];
  for (let i = 0; i < falsePositives.length && fpr < maxFpr; i++) {
    const [nextFpr, nextTpr] = [falsePositives[i]! / negatives, truePositives[i]! / positives];
    const end = Math.min(nextFpr, maxFpr);
    if (end > fpr) {
      const endTpr = tpr + (nextTpr - tpr) * (end - fpr) / (nextFpr - fpr);
      raw += (end - fpr) * (tpr + endTpr) / 2;
    }
    [fpr, tpr] = [nextFpr, nextTpr];
  }
  const chance = maxFpr * maxFpr / 2;
  return { raw, mcclish: (1 + (raw - chance) / (maxFpr - chance)) / 2 };
}

/**
 * Share of positives above the threshold that lets through less than a share `maxFpr` of negatives, which
 * is one of the negatives: of n in ascending order, number min(floor((1 - maxFpr) n), n - 1). `maxFpr` is
 * taken as the decimal it is written as: 0.07 of 100 are 7.
 */
export function recallAtFpr(
  labels: Labels,
  scores: ArrayLike<number>,
  maxFpr = 0.05,
): number | null {
  checkRate("take a recall", "maxFpr", maxFpr);
  const { high, low } = bySign(labels, scores);
  if (high.length === 0 || low.length === 0) return null;
  const at = low.length - shareRoundedUp(maxFpr, low.length);
  const threshold = low[Math.min(at, low.length - 1)]!;
  let above = 0;
  while (above < high.length && high[high.length - 1 - above]! > threshold) above++;
  return above / high.length;
}

/** Mean precision over recalls; rows that tie come in together, so that their order means nothing. */
export function averagePrecision(labels: Labels, scores: ArrayLike<number>): number | null {
  const { positives, truePositives, falsePositives } = stepsOf(labels, scores);
  if (positives === 0) return null;
  let sum = 0;
  truePositives.forEach((true_, i) => {
    sum += (true_ - (truePositives[i - 1] ?? 0)) * true_ / (true_ + falsePositives[i]!);
  });
  return sum / positives;
}

/** Mean squared distance of probabilities from labels. */
export function brier(labels: Labels, probabilities: ArrayLike<number>): number {
  let sum = 0;
  forEachProbability(labels, probabilities, (label, probability) => {
    sum += (probability - label) ** 2;
  });
  return sum / labels.length;
}

/** Rows with scores above a threshold are called positive; the threshold itself is not above. */
export function confusion(
  labels: Labels,
  scores: ArrayLike<number>,
  threshold = 0.5,
): Confusion {
  if (Number.isNaN(threshold)) {
    throw new RangeError("Cannot count errors: the threshold is NaN, wanted a number");
  }
  const counts = { truePositives: 0, falsePositives: 0, trueNegatives: 0, falseNegatives: 0 };
  forEachRow(labels, scores, (label, score) => {
    if (score > threshold) label ? counts.truePositives++ : counts.falsePositives++;
    else label ? counts.falseNegatives++ : counts.trueNegatives++;
  });
  return counts;
}

/** Mean of the recalls of both classes. */
export function balancedAccuracy(
  labels: Labels,
  scores: ArrayLike<number>,
  threshold?: number,
): number | null {
  const errors = ratesOf(confusion(labels, scores, threshold));
  return errors && (errors.tpr + errors.tnr) / 2;
}

/** Harmonic mean of precision and recall; `null` where nothing is positive, and nothing called so. */
export function f1(labels: Labels, scores: ArrayLike<number>, threshold?: number): number | null {
  const { truePositives, falsePositives, falseNegatives } = confusion(labels, scores, threshold);
  const all = 2 * truePositives + falsePositives + falseNegatives;
  return all === 0 ? null : 2 * truePositives / all;
}

/** Share of negatives that are called positive. */
export function fpr(labels: Labels, scores: ArrayLike<number>, threshold?: number): number | null {
  const { falsePositives, trueNegatives } = confusion(labels, scores, threshold);
  const negatives = falsePositives + trueNegatives;
  return negatives === 0 ? null : falsePositives / negatives;
}

/** Share of positives that are not called so. */
export function fnr(labels: Labels, scores: ArrayLike<number>, threshold?: number): number | null {
  const { truePositives, falseNegatives } = confusion(labels, scores, threshold);
  const positives = truePositives + falseNegatives;
  return positives === 0 ? null : falseNegatives / positives;
}

/** (5 fnr + 50 fpr) / 55: a false alarm costs ten times a miss. */
export function weightedError(
  labels: Labels,
  scores: ArrayLike<number>,
  threshold?: number,
): number | null {
  return weigh(confusion(labels, scores, threshold));
}

/** Of 100 thresholds from 0 to 1 the lowest with the least {@link weightedError}. */
export function bestThreshold(
  labels: Labels,
  probabilities: ArrayLike<number>,
): { threshold: number; weightedError: number } | null {
  checkProbabilities(probabilities);
  const steps = stepsOf(labels, probabilities);
  let best: { threshold: number; weightedError: number } | null = null;
  for (let i = GRID - 1, above = 0; i >= 0; i--) {
    const threshold = i / (GRID - 1);
    while (above < steps.scores.length && steps.scores[above]! > threshold) above++;
    const error = weigh(confusionAt(steps, above));
    if (error === null) return null;
    if (!best || error <= best.weightedError) best = { threshold, weightedError: error };
  }
  return best;
}

/**
 * The score, as a least score of what is called positive, with the best {@link balancedAccuracy}; the
 * highest of equals.
 */
export function bestBalancedThreshold(
  labels: Labels,
  scores: ArrayLike<number>,
): { threshold: number; balancedAccuracy: number } | null {
  const steps = stepsOf(labels, scores);
  let best: { threshold: number; balancedAccuracy: number } | null = null;
  for (const [i, threshold] of steps.scores.entries()) {
    const rates = ratesOf(confusionAt(steps, i + 1));
    if (!rates) return null;
    const accuracy = (rates.tpr + rates.tnr) / 2;
    if (!best || accuracy > best.balancedAccuracy) best = { threshold, balancedAccuracy: accuracy };
  }
  return best;
}

/** Rows whose probabilities lie in [from, to); the last bin has 1, too. */
export interface CalibrationBin {
  from: number;
  to: number;
  rows: number;
  /** `null` of no rows. */
  meanProbability: number | null;
  /** Share of rows that are positive; `null` of no rows. */
  positives: number | null;
}

/**
 * How far probabilities are from shares of positives, in bins of equal width. `expectedError` is the mean of the
 * distance over rows.
 */
export function calibration(
  labels: Labels,
  probabilities: ArrayLike<number>,
  bins = 10,
): { bins: CalibrationBin[]; expectedError: number } {
  if (!(Number.isInteger(bins) && bins >= 1)) {
    throw new RangeError(
      `Cannot take a calibration: bins is ${bins}, wanted a whole number from 1`,
    );
  }
  const rows = new Float64Array(bins);
  const sums = new Float64Array(bins);
  const positives = new Float64Array(bins);
  forEachProbability(labels, probabilities, (label, probability) => {
    let bin = Math.min(bins - 1, Math.floor(probability * bins));
    // the product is rounded
    if (probability < bin / bins) bin--;
    else if (bin < bins - 1 && probability >= (bin + 1) / bins) bin++;
    rows[bin]!++;
    sums[bin]! += probability;
    positives[bin]! += label;
  });
  const apart = sums.reduce((total, sum, bin) => total + Math.abs(sum - positives[bin]!), 0);
  return {
    bins: Array.from(rows, (count, bin) => ({
      from: bin / bins,
      to: (bin + 1) / bins,
      rows: count,
      meanProbability: count === 0 ? null : sums[bin]! / count,
      positives: count === 0 ? null : positives[bin]! / count,
    })),
    expectedError: apart / labels.length,
  };
}

export const bootstrapOptions = declare("take an interval", {
  /** Times that rows are drawn anew. Default 1000. */
  resamples: whole({ default: 1000, from: 1, says: "times that rows are drawn anew" }),
  /** Default 0. */
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of the rows that are drawn" }),
  /** Share of the draws that lie in the interval. Default 0.95. */
  level: number({ default: 0.95, above: 0, below: 1, says: "share of draws in the interval" }),
});

/** What {@link bootstrap} is told. */
export type BootstrapOptions = OptionsOf<typeof bootstrapOptions>;

/** A number, and where it lies in draws of as many rows with replacement. */
export interface Interval {
  value: number;
  low: number;
  high: number;
  /** Draws that had a value; those of one class often have none. */
  resamples: number;
}

/**
 * The interval of a metric by percentiles of the bootstrap: the same numbers for a seed in every runtime.
 * `null` where the metric is, of all rows or of every draw.
 */
export function bootstrap(
  labels: Labels,
  scores: ArrayLike<number>,
  metric: (labels: Uint8Array, scores: Float64Array) => number | null,
  options: BootstrapOptions = {},
): Interval | null {
  const { resamples, seed, level } = bootstrapOptions.check(options);
  const rows = labels.length;
  const own = { labels: new Uint8Array(rows), scores: new Float64Array(rows) };
  let row = 0;
  forEachRow(labels, scores, (label, score) => {
    own.labels[row] = label;
    own.scores[row++] = score;
  });
  const value = metric(own.labels, own.scores);
  if (value === null) return null;
  const random = new Random(seed);
  const drawn = { labels: new Uint8Array(rows), scores: new Float64Array(rows) };
  const values: number[] = [];
  for (let i = 0; i < resamples; i++) {
    for (let at = 0; at < rows; at++) {
      const from = random.integer(rows);
      drawn.labels[at] = own.labels[from]!;
      drawn.scores[at] = own.scores[from]!;
    }
    const again = metric(drawn.labels, drawn.scores);
    if (again !== null) values.push(again);
  }
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const outside = (1 - level) / 2;
  const [low, high] = quantiles(sorted, [outside, 1 - outside]) as unknown as [number, number];
  return { value, low, high, resamples: values.length };
}

function weigh(counts: Confusion): number | null {
  const rates = ratesOf(counts);
  return rates &&
    (MISS_WEIGHT * (1 - rates.tpr) + ALARM_WEIGHT * (1 - rates.tnr)) / (MISS_WEIGHT + ALARM_WEIGHT);
}

/** Recalls of both classes, where both are there. */
function ratesOf(counts: Confusion): { tpr: number; tnr: number } | null {
  const positives = counts.truePositives + counts.falseNegatives;
  const negatives = counts.trueNegatives + counts.falsePositives;
  if (positives === 0 || negatives === 0) return null;
  return { tpr: counts.truePositives / positives, tnr: counts.trueNegatives / negatives };
}

/** Errors where so many distinct scores are called positive. */
function confusionAt(steps: Steps, above: number): Confusion {
  const truePositives = steps.truePositives[above - 1] ?? 0;
  const falsePositives = steps.falsePositives[above - 1] ?? 0;
  return {
    truePositives,
    falsePositives,
    trueNegatives: steps.negatives - falsePositives,
    falseNegatives: steps.positives - truePositives,
  };
}

function stepsOf(labels: Labels, scores: ArrayLike<number>): Steps {
  const { high, low } = bySign(labels, scores);
  const steps: Steps = {
    scores: [],
    truePositives: [],
    falsePositives: [],
    positives: high.length,
    negatives: low.length,
  };
  let [i, j] = [high.length - 1, low.length - 1];
  while (i >= 0 || j >= 0) {
    const score = Math.max(high[i] ?? -Infinity, low[j] ?? -Infinity);
    while (i >= 0 && high[i]! === score) i--;
    while (j >= 0 && low[j]! === score) j--;
    steps.scores.push(score);
    steps.truePositives.push(high.length - 1 - i);
    steps.falsePositives.push(low.length - 1 - j);
  }
  return steps;
}

/** Scores of positives and of negatives, ascending. */
function bySign(
  labels: Labels,
  scores: ArrayLike<number>,
): { high: Float64Array; low: Float64Array } {
  const rows = scores.length;
  const own = { high: new Float64Array(rows), low: new Float64Array(rows) };
  let [high, low] = [0, 0];
  forEachRow(labels, scores, (label, score) => {
    if (label) own.high[high++] = score;
    else own.low[low++] = score;
  });
  return { high: own.high.subarray(0, high).sort(), low: own.low.subarray(0, low).sort() };
}

function forEachRow(
  labels: Labels,
  scores: ArrayLike<number>,
  take: (label: 0 | 1, score: number) => void,
): void {
  const rows = labels.length;
  const refuse = (is: string, wanted: string) => {
    throw new RangeError(`Cannot rate scores: ${is}, wanted ${wanted}`);
  };
  if (rows === 0) refuse("there are none", "at least one");
  if (scores.length !== rows) {
    refuse(`there are ${scores.length} of ${rows} labels`, "one of each label");
  }
  for (let row = 0; row < rows; row++) {
    const [label, score] = [binaryOf(labels[row]), scores[row]!];
    if (label !== 0 && label !== 1) refuse(`label ${row} is ${shownLabel(labels[row])}`, "0 or 1");
    if (Number.isNaN(score)) refuse(`score ${row} is NaN`, "numbers");
    take(label as 0 | 1, score);
  }
}

function forEachProbability(
  labels: Labels,
  probabilities: ArrayLike<number>,
  take: (label: 0 | 1, probability: number) => void,
): void {
  checkProbabilities(probabilities);
  forEachRow(labels, probabilities, take);
}

function checkProbabilities(probabilities: ArrayLike<number>): void {
  const bad = Array.prototype.findIndex.call(
    probabilities,
    (value: number) => !(value >= 0 && value <= 1),
  );
  if (bad < 0) return;
  throw new RangeError(
    `Cannot rate probabilities: probability ${bad} is ${
      probabilities[bad]
    }, wanted numbers from 0 ` +
      "to 1: `sigmoid` makes them of logits",
  );
}

/** 0 or 1 of a label or a mask; NaN of what is neither number nor boolean: null is no 0. */
export function binaryOf(value: unknown): number {
  return ["number", "boolean", "bigint"].includes(typeof value) ? Number(value) : NaN;
}

/** A label or a mask as messages show it: text in quotes, since "1" is no 1. */
export function shownLabel(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}

function checkRate(action: string, name: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new RangeError(`Cannot ${action}: ${name} is ${value}, wanted a number from 0 to 1`);
}

/** The least whole number from share x count on, of the share as the decimal it is written as. */
function shareRoundedUp(share: number, count: number): number {
  const [digits, exponent = "0"] = String(share).split("e");
  const [whole, fraction = ""] = digits!.split(".");
  const places = fraction.length - Number(exponent);
  const numerator = BigInt(whole! + fraction) * BigInt(count);
  const denominator = 10n ** BigInt(Math.max(0, places));
  return Number((numerator + denominator - 1n) / denominator);
}

/** 1 / (1 + e^-z), of logits of any size without an overflow. */
export function sigmoid(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit));
  const e = Math.exp(logit);
  return e / (1 + e);
}
