/**
 * What the descent of a probe remembers from one sweep to the next: held arrays, which checkpoints keep.
 *
 * @module
 */

import type { Held } from "../stream/task.ts";
import { isWhole } from "./components.ts";

/** Pairs of steps and what they change of the gradient that are remembered. */
export const PAIRS = 16;
/** Second derivatives of all probes together, at most. */
const FACTOR_BYTES = 64 * 2 ** 20;

/** What a probe is at. */
export const STATUS = { none: 0, running: 1, waiting: 2, done: 3, separable: 4 } as const;

/** Numbers of a probe, in their order. */
const FACTS = [
  ...["status", "pairs", "loss", "iterations", "curvature", "exact", "distance", "norm"],
  ...["converged", "cycleNorm", "steps", "slow", "shaped", "retried"],
] as const;
type Fact = typeof FACTS[number];

/** Whether each probe may have second derivatives of its own. */
function hasFactors(probes: number, features: number): boolean {
  return isWhole(features) && 8 * probes * (features + 1) ** 2 <= FACTOR_BYTES;
}

/** What so many probes hold; `values` of a row are for every probe, `[probes, rows]`. */
export function descentHeld(probes: number, rows: number, features: number) {
  const size = probes * (features + 1);
  const point = { dtype: "float64", length: size } as const;
  return {
    /** `[probes, features + 1]`, the bias last: weights where logits are known; steps from there. */
    anchor: point,
    anchorGradient: point,
    step: point,
    gradient: point,
    /** The step from the anchor that is tried next, each number one of f32. */
    trial: point,
    /** `[probes, PAIRS, features + 1]` */
    moved: { dtype: "float64", length: size * PAIRS },
    turned: { dtype: "float64", length: size * PAIRS },
    facts: { dtype: "float64", length: probes * FACTS.length },
    /** `[probes, rows]`: logits at the anchor, and how far the device moved them. */
    logits: { dtype: "float64", length: probes * rows },
    shifts: { dtype: "float32", length: probes * rows },
    trialShifts: { dtype: "float32", length: probes * rows, role: "scratch" },
    /** `[probes, 2, features]`: sums of residuals times rows, and of curvatures, which outlive a sweep. */
    sums: { dtype: "float64", length: 2 * probes * features },
    /** `[probes, (features + 1)^2]`, where it is no more than so much: factors of second derivatives. */
    factors: {
      dtype: "float64",
      length: hasFactors(probes, features) ? probes * (features + 1) ** 2 : 0,
    },
  } as const;
}

type DescentArrays = Held<ReturnType<typeof descentHeld>>;

/** One probe's part of the arrays. */
export class DescentState {
  readonly arrays: DescentArrays;

  /** @param held Of so many probes. */
  constructor(held: DescentArrays, probe: number, probes: number) {
    const own = Object.keys(descentHeld(0, 0, 0)).map((name) => {
      const values = held[name as keyof DescentArrays];
      const length = values.length / probes;
      return [name, values.subarray(probe * length, (probe + 1) * length)];
    });
    this.arrays = Object.fromEntries(own);
  }

  fact(name: Fact): number {
    return this.arrays.facts[FACTS.indexOf(name)]!;
  }

  set(name: Fact, value: number): void {
    this.arrays.facts[FACTS.indexOf(name)] = value;
  }
}
