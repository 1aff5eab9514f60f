/**
 * What goes from batch to batch.
 *
 * @module
 */

import type { Held, HeldSpec } from "../stream/task.ts";
import type { Basis } from "./basis.ts";
import type { KeptDirections } from "./pca_result.ts";

/** All that goes from batch to batch, in f64 and the array's units. */
export interface BatchState {
  rows: number;
  /** About which means are taken: far from 0, f64 would have fewer digits of them than of the rows. */
  origin: Float64Array;
  /** Less the origin. */
  mean: Float64Array;
  /** Root of the sum of squares of all features about their mean. */
  norm: number;
  /** `[kept, features]`, and a singular value each, largest first: components, and what is kept beside. */
  directions: Float64Array;
  singularValues: Float64Array;
}

export function explainedVariance({ singularValues, rows }: BatchState): Float64Array {
  return singularValues.map((value) => value * value / (rows - 1));
}

export function basisOfState(state: BatchState, components: number, whiten: boolean): Basis {
  const { directions, origin, mean } = state;
  return {
    components: directions.slice(0, components * mean.length),
    mean: origin.map((value, d) => value + mean[d]!),
    explainedVariance: explainedVariance(state).slice(0, components),
    whiten,
  };
}

/** What a finished fit goes on with. */
export function stateOf(rows: number, mean: Float64Array, kept: KeptDirections): BatchState {
  return { rows, origin: mean, mean: new Float64Array(mean.length), ...kept };
}

/** Largest of what earlier batches deviate by, and a new batch's mean from theirs. */
export function reachOf({ rows, norm, origin, mean }: BatchState, own: Float64Array): number {
  const moved = own.map((value, d) => Math.abs(value - origin[d]! - mean[d]!));
  return moved.reduce((most, value) => Math.max(most, value), norm / Math.sqrt(rows));
}

/** Held arrays of a fit by batches. */
export interface BatchHeld extends Record<string, HeldSpec> {
  /** Rows, norm, directions there are; residual of the eigenvectors of any batch; whether sums are exact. */
  numbers: HeldSpec<"float64">;
  origin: HeldSpec<"float64">;
  mean: HeldSpec<"float64">;
  directions: HeldSpec<"float64">;
  singularValues: HeldSpec<"float64">;
}

/** @param most Directions there will be. */
export function batchHeld(features: number, most: number): BatchHeld {
  const numbers = (length: number) => ({ dtype: "float64" as const, length });
  return {
    numbers: numbers(5),
    origin: numbers(features),
    mean: numbers(features),
    directions: numbers(most * features),
    singularValues: numbers(most),
  };
}

/** The state as it lies in held arrays. */
export class HeldBatches {
  readonly #held: Held<BatchHeld>;

  constructor(held: Held<BatchHeld>) {
    this.#held = held;
  }

  /** `undefined` before the first batch. */
  get state(): BatchState | undefined {
    const { numbers, origin, mean, directions, singularValues } = this.#held;
    const [rows, norm, kept] = numbers as unknown as [number, number, number];
    if (rows === 0) return undefined;
    return {
      rows,
      norm,
      origin,
      mean,
      directions: directions.subarray(0, kept * mean.length),
      singularValues: singularValues.subarray(0, kept),
    };
  }

  get residual(): number {
    return this.#held.numbers[3]!;
  }

  /** Whether batches are taken again, and their products summed exactly. */
  get isExact(): boolean {
    return this.#held.numbers[4] === 1;
  }

  begin(state: BatchState | undefined, isExact: boolean): void {
    this.#held.numbers.fill(0);
    this.#held.numbers[4] = isExact ? 1 : 0;
    if (state) this.set(state, 0);
  }

  /** Takes what there is after a batch, whose eigenvectors had a residual. */
  set(state: BatchState, residual: number): void {
    const { numbers, origin, mean, directions, singularValues } = this.#held;
    numbers.set([state.rows, state.norm, state.singularValues.length]);
    numbers[3] = Math.max(numbers[3]!, residual);
    origin.set(state.origin);
    mean.set(state.mean);
    directions.set(state.directions);
    singularValues.set(state.singularValues);
  }
}
