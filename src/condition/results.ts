/**
 * What a conditioning finds out.
 *
 * @module
 */

import type { Check } from "./decision.ts";
import type { Diagnosis } from "./diagnose.ts";

/** A condition at a lag. */
export interface ConditionResult {
  lag: number;
  condition: string;
  /** Clusters there are, and those with enough train rows. */
  clusters: number;
  effectiveClusters: number;
  train: Diagnosis;
  /** Where utterances are held out. */
  holdout?: Diagnosis;
  eval: Diagnosis;
  passed: boolean;
  checks: Check[];
}

/** What a split is made of. */
export interface SplitSize {
  speakers: number;
  utterances: number;
  rows: number;
}

/** All results, as `metrics.json` holds them. */
export interface ConditionReport {
  /** Whether one of the conditions passed at one of the lags. */
  passed: boolean;
  frames: number;
  features: number;
  utterances: number;
  /** Utterances that were left out: those without frames, and those shorter than `minSeconds`. */
  skipped: { empty: number; short: number };
  splits: Record<string, SplitSize>;
  settings: Record<string, unknown>;
  results: ConditionResult[];
}
