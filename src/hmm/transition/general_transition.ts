/**
 * A transition of any blocks: what is uniform as weights between states, everything else as rows of
 * f32. From these come the sparse and the dense operator.
 *
 * `T[i, j] = C[i, j] D[state of i, state of j]` over the interior bins of all states, state by state.
 *
 * @module
 */

import type { Grid } from "../grid.ts";
import { StateBins } from "../state_bins.ts";
import type { StateModel } from "../states.ts";
import type { BlockRow, BlockSources } from "./transition_blocks.ts";
import { transitionBlocks } from "./transition_blocks.ts";

/** Entries of a row of T that are not zero, ascending. */
export interface TransitionRow {
  bins: Uint32Array;
  values: Float32Array;
}

/** T as rows, less what is spread. */
export interface GeneralTransition {
  states: number;
  /** Bins of all states together. */
  bins: number;
  /** [states + 1] first bin of each state, then `bins`. */
  starts: number[];
  /**
   * [states + 1, 2] as the kernels take it: `starts`, and where a state's likelihoods start. States over
   * the grid have those of their kind; those of one bin have theirs after them.
   */
  stateTable: Uint32Array<ArrayBuffer>;
  /** Entries of a row of likelihoods: the grid's of every kind, then those of one-bin states; in fours. */
  likelihoods: number;
  /** Where the likelihoods of each kind start, and how many there are. */
  kindStarts: number[];
  kindBins: number[];
  /** [states, states] f32, p(a bin of `to` | `from`) of uniform blocks, 0 elsewhere; T @ v wants the
   * transpose. */
  spread: Float32Array<ArrayBuffer>;
  spreadTransposed: Float32Array<ArrayBuffer>;
  /** The rectangle of T that has all its entries: first bin and number of them. */
  firstRow: number;
  rows: number;
  firstColumn: number;
  columns: number;
  /** Row of bin i of T. */
  row(bin: number): TransitionRow;
}

/** Options of {@link generalTransition}. */
export interface GeneralTransitionOptions extends BlockSources {
  /** Keeps uniform blocks as entries of T. Default false. */
  expandUniform?: boolean;
  /** Kind of likelihood of each state; all have the same one when not given. */
  likelihoodOf?: readonly number[];
}

/**
 * Builds T from a model's blocks.
 *
 * @throws {RangeError} If a block cannot be built on this grid; see {@link blockRows}.
 */
export function generalTransition(
  grid: Grid,
  model: StateModel,
  {
    expandUniform = false,
    likelihoodOf = model.names.map(() => 0),
    ...sources
  }: GeneralTransitionOptions = {},
): GeneralTransition {
  const states = model.names.length;
  const own = new StateBins(grid, model);
  const starts = [...own.starts];
  const counts = model.names.map((_, state) => starts[state + 1]! - starts[state]!);
  const blocks = transitionBlocks(grid, model, sources);
  const isUniform = (from: number, to: number) => model.transitions[from]![to]!.kind === "uniform";
  const spread = new Float32Array(states * states);
  const spreadTransposed = new Float32Array(states * states);
  const rows = { first: Infinity, end: -Infinity };
  const columns = { first: Infinity, end: -Infinity };
  model.discreteTransition.forEach((row, from) =>
    row.forEach((probability, to) => {
      if (isUniform(from, to) && !expandUniform) {
        spread[from * states + to] = probability / counts[to]!;
        spreadTransposed[to * states + from] = probability / counts[to]!;
      } else if (probability > 0) {
        rows.first = Math.min(rows.first, starts[from]!);
        rows.end = Math.max(rows.end, starts[from + 1]!);
        columns.first = Math.min(columns.first, starts[to]!);
        columns.end = Math.max(columns.end, starts[to + 1]!);
      }
    })
  );
  const nothing = rows.end < 0;
  // states of a kind are in one environment
  const kindBins = Array.from(
    { length: Math.max(...likelihoodOf) + 1 },
    (_, kind) => {
      const state = likelihoodOf.findIndex((one, i) => one === kind && !own.isOneBin(i));
      const ownGrid = own.grids[state] ?? grid;
      likelihoodOf.forEach((other, i) => {
        if (other !== kind || own.isOneBin(i) || own.grids[i] === ownGrid) return;
        throw new RangeError(
          `Cannot build a transition: states "${model.names[state]}" and "${
            model.names[i]
          }" expect the same in a bin, ` +
            "and are in different environments, wanted likelihoods of each",
        );
      });
      return ownGrid.interiorIndex.length;
    },
  );
  let likelihoods = 0;
  const kindStarts = kindBins.map((bins) => (likelihoods += inFours(bins)) - inFours(bins));
  const likelihoodStarts = likelihoodOf.map((kind, state) =>
    own.isOneBin(state) ? likelihoods++ : kindStarts[kind]!
  );
  return {
    states,
    bins: starts[states]!,
    starts,
    stateTable: Uint32Array.from(
      starts.flatMap((start, state) => [start, likelihoodStarts[state] ?? 0]),
    ),
    likelihoods: inFours(likelihoods),
    kindStarts,
    kindBins,
    spread,
    spreadTransposed,
    firstRow: nothing ? 0 : rows.first,
    rows: nothing ? 0 : rows.end - rows.first,
    firstColumn: nothing ? 0 : columns.first,
    columns: nothing ? 0 : columns.end - columns.first,
    row(bin) {
      const from = starts.findLastIndex((start) => start <= bin);
      const bins: number[] = [];
      const values: number[] = [];
      model.discreteTransition[from]!.forEach((probability, to) => {
        if (probability === 0 || (isUniform(from, to) && !expandUniform)) return;
        const row = isUniform(from, to)
          ? uniformRow(counts[to]!)
          : blocks[from]![to]!(bin - starts[from]!);
        for (let i = 0; i < row.bins.length; i++) {
          bins.push(starts[to]! + row.bins[i]!);
          values.push(probability * row.values[i]!);
        }
      });
      return { bins: Uint32Array.from(bins), values: roundRow(values) };
    },
  };
}

function inFours(entries: number): number {
  return 4 * Math.ceil(entries / 4);
}

function uniformRow(bins: number): BlockRow {
  return {
    bins: Uint32Array.from({ length: bins }, (_, bin) => bin),
    values: new Float64Array(bins).fill(1 / bins),
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
