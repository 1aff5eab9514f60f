/**
 * What a fit of logistic probes has come to: a descent of every label column, of every penalty, and the
 * directions of the rows that they share.
 *
 * @module
 */

import type { Held } from "../stream/task.ts";
import { componentHeld, Components } from "./components.ts";
import { Descent } from "./descent.ts";
import { descentHeld, DescentState, STATUS } from "./descent_state.ts";
import type { LabelColumn } from "./labels.ts";
import type { ProbeNumbers } from "./results.ts";
import { isSpanned, spanHeld } from "./span.ts";
import type { ProbeRows } from "./span.ts";

export interface LogisticSettings {
  c: readonly number[];
  tolerance: number;
  maxPasses: number;
}

export function logisticHeld(rows: number, features: number, probes: number) {
  const dims = isSpanned(rows, features) ? rows : features;
  return {
    ...componentHeld(rows, dims),
    ...spanHeld(rows, features, probes),
    ...descentHeld(probes, rows, dims),
    /** Times that rows were gone through. */
    passes: { dtype: "float64", length: 1 },
  } as const;
}

export type LogisticHeld = ReturnType<typeof logisticHeld>;

export class LogisticFit {
  readonly held: Held<LogisticHeld>;
  readonly components: Components;
  readonly descents: readonly Descent[];
  readonly #states: readonly DescentState[];
  readonly #columns: readonly LabelColumn[];
  readonly #c: readonly number[];

  /**
   * @param fitted Rows as they are fitted.
   * @param features Those that rows have beside that.
   */
  constructor(
    held: Held<LogisticHeld>,
    fitted: ProbeRows,
    features: number,
    columns: readonly LabelColumn[],
    { c, tolerance }: LogisticSettings,
  ) {
    const { rows } = fitted;
    const components = new Components(held, rows, fitted.features);
    const probes = columns.length * c.length;
    this.held = held;
    this.components = components;
    this.#columns = columns;
    this.#c = c;
    this.#states = Array.from({ length: probes }, (_, i) => new DescentState(held, i, probes));
    this.descents = this.#states.map((state, i) => {
      const { values: labels, positives } = this.#columnOf(i);
      const own = c[i % c.length]!;
      const problem = {
        labels,
        positives,
        penalty: own > 0 ? 1 / (own * rows) : 0,
        tolerance,
        components,
        isConstant: (feature: number) => fitted.isConstant(feature),
        // every feature deviates by 1
        reach: Math.sqrt(features),
      };
      return new Descent(problem, state);
    });
  }

  start(): void {
    // the look was one
    this.held.passes[0] = 1;
    this.components.start();
    this.descents.forEach((descent, i) => {
      if (this.#columnOf(i).reason === undefined) descent.start();
    });
  }

  /** Times that rows were gone through. */
  get passes(): number {
    return this.held.passes[0]!;
  }

  /** Counts one more. */
  countPass(): number {
    return ++this.held.passes[0]!;
  }

  /** A probe's part of what is `[probes, features]`. */
  partOf(values: Float64Array, probe: number): Float64Array {
    const features = values.length / this.descents.length;
    return values.subarray(probe * features, (probe + 1) * features);
  }

  /** What every probe has come to. */
  numbers(): ProbeNumbers[] {
    const { spanWeights } = this.held;
    return this.descents.map(({ anchor }, i) => {
      const state = this.#states[i]!;
      const reason = this.#columnOf(i).reason ??
        (state.fact("status") === STATUS.separable
          ? "a plane separates the classes, so that without a penalty there is no optimum"
          : undefined);
      return {
        label: this.#columnOf(i).name,
        c: this.#c[i % this.#c.length]!,
        ...(reason !== undefined && { reason }),
        weights: spanWeights.length > 0 ? this.partOf(spanWeights, i) : anchor.weights.slice(0, -1),
        bias: anchor.bias,
        loss: state.fact("loss"),
        gradientNorm: state.fact("norm"),
        distance: state.fact("distance"),
        iterations: state.fact("iterations"),
        converged: state.fact("converged") === 1,
      };
    });
  }

  #columnOf(probe: number): LabelColumn {
    return this.#columns[Math.floor(probe / this.#c.length)]!;
  }
}
