/**
 * Whether a prediction beats a baseline in one condition, by more than chance among its cells makes of it.
 *
 * @module
 */

import { studentQuantile } from "../math/student.ts";
import type { Profile } from "./profile_metrics.ts";
import { deltaPearson, distance } from "./profile_metrics.ts";

/** A difference from a baseline, with 95 % around it over the cells of the condition. */
export interface Difference {
  difference: number;
  interval: readonly [low: number, high: number];
}

export interface CellComparison {
  predictor: string;
  baseline: "no-change" | "additive";
  condition: string;
  context: number;
  deltaPearson: Difference;
  l2: Difference;
  /** Both differ in favour of the predictor, and both intervals agree. */
  beats: boolean;
}

export interface Rivals {
  predictions: readonly { name: string; profile: Profile }[];
  baselines: readonly { name: CellComparison["baseline"]; profile: Profile }[];
  truth: Profile;
  /** The truth without each part of its cells. */
  reduced: readonly Profile[];
  control: Profile;
  /** Genes over which distances are taken. */
  expressed: Uint32Array;
}

/** @returns None where cells are too few for parts. */
export function compareOverCells(
  { predictions, baselines, truth, reduced, control, expressed }: Rivals,
): Omit<CellComparison, "condition" | "context">[] {
  if (reduced.length < 2) return [];
  const scores = (profile: Profile) =>
    [truth, ...reduced].map((own) => ({
      deltaPearson: deltaPearson(profile, own, control).value,
      l2: distance(profile, own, expressed),
    }));
  const others = baselines.map(({ name, profile }) => ({ name, known: scores(profile) }));
  return predictions.flatMap(({ name: predictor, profile }) => {
    const own = scores(profile);
    return others.map(({ name: baseline, known }) => {
      const differ = (key: "deltaPearson" | "l2"): Difference => {
        const [difference, ...without] = own.map((one, i) => one[key] - known[i]![key]);
        return { difference: difference!, interval: jackknife(difference!, without) };
      };
      const [correlation, l2] = [differ("deltaPearson"), differ("l2")];
      const beats = correlation.interval[0] > 0 && l2.interval[1] < 0;
      return { predictor, baseline, deltaPearson: correlation, l2, beats };
    });
  });
}

/**
 * 95 % around a value, from what it is without each part of the cells. Source: Tukey's jackknife. Of few counts a
 * bootstrap of the same parts spreads two thirds of what new cells do, and claims too much.
 */
export function jackknife(value: number, reduced: readonly number[]): readonly [number, number] {
  const count = reduced.length;
  const mean = reduced.reduce((sum, own) => sum + own, 0) / count;
  const squares = reduced.reduce((sum, own) => sum + (own - mean) ** 2, 0);
  const margin = studentQuantile(0.95, count - 1) * Math.sqrt((count - 1) / count * squares);
  return [value - margin, value + margin];
}
