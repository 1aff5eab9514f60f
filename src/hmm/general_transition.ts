/**
 * A transition of any blocks: what is uniform as weights between states, everything else as rows of
 * f32. From these come the sparse and the dense operator.
 *
 * `T[i, j] = C[i, j] D[state of i, state of j]` over the interior bins of all states, state by state.
 *
 * @module
 */

import type { Grid } from "./grid.ts";
import type { StateModel } from "./states.ts";
import type { BlockSources } from "./transition_blocks.ts";
import { transitionBlocks } from "./transition_blocks.ts";

/** Entries of a row of T that are not zero, ascending. */
export interface TransitionRow {
  bins: Uint32Array;
  values: Float32Array;
}

/** T as rows, less what is spread. */
export interface GeneralTransition {
  /** Discrete states, interior bins of one, and of all. */
  states: number;
  interior: number;
  bins: number;
  /** [states + 1, 2] first bin of each state and 0, as the kernels take it; then `bins`. */
  stateTable: Uint32Array;
  /** [states, states] f32, p(a bin of `to` | `from`) of uniform blocks, 0 elsewhere; T @ v wants the
   * transpose. */
  spread: Float32Array;
  spreadTransposed: Float32Array;
  /** States that have anything but uniform blocks: rows and columns of T outside are empty. */
  rowStates: { first: number; end: number };
  columnStates: { first: number; end: number };
  /** Row of bin i of T. */
  row(bin: number): TransitionRow;
}

/** Options of {@link generalTransition}. */
export interface GeneralTransitionOptions extends BlockSources {
  /** Keeps uniform blocks as entries of T. Default false. */
  expandUniform?: boolean;
}

/**
 * Builds T from a model's blocks.
 *
 * @throws {RangeError} If a block cannot be built on this grid; see {@link blockRows}.
 */
export function generalTransition(
  grid: Grid,
  model: StateModel,
  { expandUniform = false, ...sources }: GeneralTransitionOptions = {},
): GeneralTransition {
  const interior = grid.interiorIndex.length;
  const states = model.names.length;
  const blocks = transitionBlocks(grid, model, sources);
  const isSpread = (from: number, to: number) =>
    !expandUniform && model.transitions[from]![to]!.kind === "uniform";
  const spread = new Float32Array(states * states);
  const spreadTransposed = new Float32Array(states * states);
  const used: [number, number][] = [];
  model.discreteTransition.forEach((row, from) =>
    row.forEach((probability, to) => {
      if (isSpread(from, to)) {
        spread[from * states + to] = probability / interior;
        spreadTransposed[to * states + from] = probability / interior;
      } else if (probability > 0) used.push([from, to]);
    })
  );
  const range = (numbers: number[]) => ({
    first: Math.min(states, ...numbers),
    end: Math.max(Math.min(states, ...numbers), ...numbers.map((number) => number + 1)),
  });
  return {
    states,
    interior,
    bins: states * interior,
    stateTable: Uint32Array.from(
      { length: 2 * (states + 1) },
      (_, i) => i % 2 === 0 ? i / 2 * interior : 0,
    ),
    spread,
    spreadTransposed,
    rowStates: range(used.map(([from]) => from)),
    columnStates: range(used.map(([, to]) => to)),
    row(index) {
      const from = Math.floor(index / interior);
      const bins: number[] = [];
      const values: number[] = [];
      model.discreteTransition[from]!.forEach((probability, to) => {
        if (probability === 0 || isSpread(from, to)) return;
        const row = blocks[from]![to]!(index % interior);
        for (let i = 0; i < row.bins.length; i++) {
          bins.push(to * interior + row.bins[i]!);
          values.push(probability * row.values[i]!);
        }
      });
      return { bins: Uint32Array.from(bins), values: roundRow(values) };
    },
  };
}

/**
 * Rounds to f32 and keeps the sum: what rounding took from one entry goes to the next of its size. A
 * row that summed to 1 + 1e-8 would add up to a hundredth of a nat in a recording of a million rows.
 */
export function roundRow(values: ArrayLike<number>): Float32Array {
  let lost = 0;
  return Float32Array.from(values, (value) => {
    const rounded = Math.fround(Math.abs(lost) < value * 2 ** -23 ? value + lost : value);
    lost += value - rounded;
    return rounded;
  });
}
