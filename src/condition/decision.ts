/**
 * Whether a conditional model is worth building.
 *
 * @module
 */

import type { Diagnosis } from "./diagnose.ts";

/** What has to hold. */
export interface Thresholds {
  /** Largest variance ratio of all rows, train and eval. Default 0.6. */
  ratio: number;
  /** Largest (eval - train) / train of those. Default 0.2. */
  degradation: number;
  /** Largest variance ratio of a slice, train and eval. Default 0.65. */
  slice: number;
  /** Largest distance of the control's ratio from 1, train and eval. Default 0.05. */
  control: number;
}

export const DEFAULT_THRESHOLDS: Thresholds = {
  ratio: 0.6,
  degradation: 0.2,
  slice: 0.65,
  control: 0.05,
};

/** A condition that was looked at: `value` has to be at most `limit`. */
export interface Check {
  name: string;
  value: number;
  limit: number;
  passed: boolean;
}

/** Holds train against eval; `passed` if all checks are. A value that is NaN passes none. */
export function decide(
  train: Pick<Diagnosis, "slices" | "control">,
  evaluation: Pick<Diagnosis, "slices" | "control">,
  thresholds: Partial<Thresholds> = {},
): { passed: boolean; checks: Check[] } {
  const limits = { ...DEFAULT_THRESHOLDS, ...thresholds };
  const checks: Check[] = [];
  const check = (name: string, value: number, limit: number) =>
    checks.push({ name, value, limit, passed: value <= limit });
  const splits = Object.entries({ train, eval: evaluation });
  for (const [split, { slices }] of splits) {
    check(`${split} ratio`, slices.all!.ratio, limits.ratio);
  }
  const [before, after] = [train.slices.all!.ratio, evaluation.slices.all!.ratio];
  const degradation = after === before ? 0 : (after - before) / before;
  check("degradation", degradation, limits.degradation);
  for (const [split, { slices }] of splits) {
    for (const [name, { ratio }] of Object.entries(slices)) {
      if (name !== "all") check(`${split} ratio, ${name}`, ratio, limits.slice);
    }
  }
  for (const [split, { control }] of splits) {
    check(`${split} control from 1`, Math.abs(control.ratio - 1), limits.control);
  }
  return { passed: checks.every(({ passed }) => passed), checks };
}
