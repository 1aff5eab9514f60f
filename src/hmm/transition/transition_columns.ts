/**
 * A transition by the bins that are led to: where each may have been reached from, as paths that are drawn backward
 * ask it.
 *
 * @module
 */

import { formatBytes, formatCount } from "../../math/format.ts";
import type { Grid } from "../grid.ts";
import type { StateBins } from "../state_bins.ts";
import type { StateModel } from "../states.ts";
import { roundRow } from "./general_transition.ts";
import type { BlockSources } from "./transition_blocks.ts";
import { transitionBlocks } from "./transition_blocks.ts";

/** Tables of `sample_paths`. */
export interface TransitionColumns {
  /** [entries, 2] bin, bin by bin that is led to, and bits of the probability, f32. */
  entries: Uint32Array<ArrayBuffer>;
  /** The other table. @param places [bins] offset of each bin in a row. */
  table(places: Uint32Array): Uint32Array<ArrayBuffer>;
  bytes: number;
}

/** @throws {RangeError} If a block cannot be built on this grid, or entries do not fit a binding. */
export function transitionColumns(
  grid: Grid,
  model: StateModel,
  bins: StateBins,
  { bindingBytes, ...sources }: BlockSources & { bindingBytes: number },
): TransitionColumns {
  const states = model.names.length;
  const blocks = transitionBlocks(grid, model, sources);
  const isUniform = (from: number, to: number) => model.transitions[from]![to]!.kind === "uniform";
  const forEachEntry = (visit: (source: number, bin: number, probability: number) => void) => {
    for (let source = 0; source < bins.count; source++) {
      const from = bins.stateOf(source);
      model.discreteTransition[from]!.forEach((probability, to) => {
        if (probability === 0 || isUniform(from, to)) return;
        const row = blocks[from]![to]!(source - bins.starts[from]!);
        const values = roundRow(row.values);
        for (let i = 0; i < values.length; i++) {
          visit(source, bins.starts[to]! + row.bins[i]!, probability * values[i]!);
        }
      });
    }
  };
  const starts = new Uint32Array(bins.count + 1);
  let count = 0;
  forEachEntry((_source, bin) => {
    count++;
    starts[bin + 1]!++;
  });
  const bytes = 8 * Math.max(1, count);
  if (bytes > bindingBytes) {
    throw new RangeError(
      `Cannot plan samples: the transition has ${formatCount(count)} entries, which take ` +
        `${formatBytes(bytes)}, a binding holds ${formatBytes(bindingBytes)}; use larger bins, a ` +
        "smaller movementVar or uniform blocks",
    );
  }
  for (let bin = 0; bin < bins.count; bin++) starts[bin + 1]! += starts[bin]!;
  const entries = new Uint32Array(bytes / 4);
  const floats = new Float32Array(entries.buffer);
  const next = starts.slice();
  forEachEntry((source, bin, probability) => {
    const at = 2 * next[bin]!++;
    entries[at] = source;
    floats[at + 1] = probability;
  });
  const words = states + 1 + states * states + bins.count + starts.length;
  return {
    entries,
    bytes: entries.byteLength + 4 * words,
    table(places) {
      const table = new Uint32Array(words);
      const floats = new Float32Array(table.buffer);
      table.set(bins.starts);
      model.discreteTransition.forEach((row, from) =>
        row.forEach((probability, to) => {
          const targets = bins.starts[to + 1]! - bins.starts[to]!;
          floats[states + 1 + from * states + to] = isUniform(from, to) ? probability / targets : 0;
        })
      );
      table.set(places, states + 1 + states * states);
      table.set(starts, states + 1 + states * states + bins.count);
      return table;
    },
  };
}
