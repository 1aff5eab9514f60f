/**
 * What expected transitions between discrete states are counted by: the blocks of a transition, apart from how likely
 * their states follow one another.
 *
 * @module
 */

import { ALIKE } from "../../kernels/expected_transitions.ts";
import { formatBytes, formatCount } from "../../math/format.ts";
import type { Grid } from "../grid.ts";
import type { StateBins } from "../state_bins.ts";
import type { StateModel } from "../states.ts";
import { roundRow } from "./general_transition.ts";
import type { BlockRows, BlockSources } from "./transition_blocks.ts";
import { transitionBlocks } from "./transition_blocks.ts";

/** Tables of `expected_transitions`. */
export interface TransitionCounts {
  /** [entries, 2] bin of a state, and bits of its probability, f32. */
  entries: Uint32Array<ArrayBuffer>;
  /** The other table, of a model with these probabilities of states. */
  tables(
    discreteTransition: StateModel["discreteTransition"],
    places: Uint32Array,
  ): Uint32Array<ArrayBuffer>;
  /** Bytes of both. */
  bytes: number;
}

/**
 * Builds the tables. Equal blocks share their rows.
 *
 * @throws {RangeError} If a block cannot be built on this grid, or entries do not fit a binding.
 */
export function transitionCounts(
  grid: Grid,
  model: StateModel,
  bins: StateBins,
  { bindingBytes, ...sources }: BlockSources & { bindingBytes: number },
): TransitionCounts {
  const states = model.names.length;
  const blocks = transitionBlocks(grid, model, sources);
  const bytesOf = (count: number) => 8 * Math.max(1, count);
  const rowStarts: number[] = [];
  const rows: { bins: ArrayLike<number>; values: Float32Array }[] = [];
  const begins = new Map<BlockRows, number>();
  const pairs: number[] = [];
  let count = 0;
  model.transitions.forEach((line, from) =>
    line.forEach(({ kind }, to) => {
      if (kind === "uniform") return pairs.push(ALIKE);
      const rowsOf = blocks[from]![to]!;
      const known = begins.get(rowsOf);
      pairs.push(known ?? rowStarts.length);
      if (known !== undefined) return;
      begins.set(rowsOf, rowStarts.length);
      for (let bin = 0; bin < bins.grids[from]!.interiorIndex.length; bin++) {
        const row = rowsOf(bin);
        rowStarts.push(count);
        rows.push({ bins: row.bins, values: roundRow(row.values) });
        count += row.bins.length;
        if (bytesOf(count) <= bindingBytes) continue;
        throw new RangeError(
          `Cannot count transitions: the blocks of the transition have more than ${
            formatCount(count)
          } entries, which take ${formatBytes(bytesOf(count))}, a binding holds ${
            formatBytes(bindingBytes)
          }; use larger bins, a smaller movementVar or uniform blocks`,
        );
      }
      rowStarts.push(count);
    })
  );
  const entries = new Uint32Array(bytesOf(count) / 4);
  const values = new Float32Array(entries.buffer);
  let at = 0;
  for (const row of rows) {
    for (let i = 0; i < row.values.length; i++, at += 2) {
      entries[at] = row.bins[i]!;
      values[at + 1] = row.values[i]!;
    }
  }
  const head = states + 1 + 2 * states * states + bins.count;
  const words = head + rowStarts.length;
  return {
    entries,
    bytes: entries.byteLength + 4 * words,
    tables(discreteTransition, places) {
      const table = new Uint32Array(words);
      const floats = new Float32Array(table.buffer);
      table.set(bins.starts);
      pairs.forEach((begin, pair) => {
        const [from, to] = [Math.floor(pair / states), pair % states];
        const targets = bins.starts[to + 1]! - bins.starts[to]!;
        const own = discreteTransition[from]![to]!;
        const at = states + 1 + 2 * pair;
        table[at] = begin === ALIKE ? ALIKE : head + begin;
        floats[at + 1] = begin === ALIKE ? own / targets : own;
      });
      table.set(places, states + 1 + 2 * states * states);
      table.set(rowStarts, head);
      return table;
    },
  };
}
