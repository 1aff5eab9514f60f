/**
 * Whether a conditional model is worth building.
 *
 * @module
 */

import type { CheckedOf } from "../options.ts";
import { declare, number } from "../options.ts";
import type { Diagnosis } from "./diagnose.ts";

const limit = <const Default extends number>(usual: Default, says: string) =>
  number({ default: usual, from: 0, says });

export const thresholdOptions = declare("decide", {
  /** Largest variance ratio of all rows, train and eval. Default 0.6. */
  ratio: limit(0.6, "largest variance ratio of all rows, train and eval"),
  /** Largest (eval - train) / train of those. Default 0.2. */
  degradation: limit(0.2, "largest (eval - train) / train of those"),
  /** Largest variance ratio of a slice, train and eval. Default 0.65. */
  slice: limit(0.65, "largest variance ratio of a slice, train and eval"),
  /** Largest distance of the control's ratio from 1, train and eval. Default 0.05. */
  control: limit(0.05, "largest distance of the control's ratio from 1, train and eval"),
});

/** What has to hold. */
export type Thresholds = CheckedOf<typeof thresholdOptions.options>;

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
  const limits = thresholdOptions.check(thresholds);
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
