/**
 * The last steps of a descent and what they changed of the gradient: L-BFGS, as in Nocedal 1980, "Updating
 * quasi-Newton matrices with limited storage".
 *
 * @module
 */

import { dot, lengthOf } from "../math/vectors.ts";
import type { DescentState } from "./descent_state.ts";
import { PAIRS } from "./descent_state.ts";

export class StepHistory {
  readonly #state: DescentState;

  constructor(state: DescentState) {
    this.#state = state;
  }

  forget(): void {
    this.#state.set("pairs", 0);
  }

  /** Remembers a step and by how much the gradient turned, unless it bends the wrong way. */
  remember(way: Float64Array, turn: Float64Array): void {
    const curve = dot(way, turn);
    if (!(curve > 1e-12 * lengthOf(way) * lengthOf(turn))) return;
    const { moved, turned } = this.#state.arrays;
    const pairs = this.#state.fact("pairs");
    const at = pairs % PAIRS * way.length;
    moved.set(way, at);
    turned.set(turn, at);
    this.#state.set("pairs", pairs + 1);
  }

  /**
   * The way down from where the gradient is this.
   *
   * @param solve Of a gradient, where the bottom would be by all that is known beside these steps.
   */
  wayDown(gradient: Float64Array, solve: (gradient: Float64Array) => Float64Array): Float64Array {
    const { moved, turned } = this.#state.arrays;
    const size = gradient.length;
    const all = this.#state.fact("pairs");
    const pairs = Array.from({ length: Math.min(all, PAIRS) }, (_, i) => {
      const at = (all - 1 - i) % PAIRS * size;
      const own = { s: moved.subarray(at, at + size), y: turned.subarray(at, at + size) };
      return { ...own, curve: dot(own.s, own.y), along: 0 };
    });
    const down = gradient.map((value) => -value);
    for (const pair of pairs) {
      pair.along = dot(pair.s, down) / pair.curve;
      for (let i = 0; i < size; i++) down[i]! -= pair.along * pair.y[i]!;
    }
    const newest = pairs[0];
    // how far the last step went, of what the shape had told
    const stretch = newest ? newest.curve / dot(newest.y, solve(newest.y)) : 1;
    down.set(solve(down));
    for (let i = 0; i < size; i++) down[i]! *= stretch;
    for (const pair of pairs.reverse()) {
      const off = pair.along - dot(pair.y, down) / pair.curve;
      for (let i = 0; i < size; i++) down[i]! += off * pair.s[i]!;
    }
    return down;
  }
}
