/**
 * A transition in logarithms, as the search for the likeliest path takes it: for every bin, where it may lead,
 * and how likely.
 *
 * @module
 */

import { formatBytes, formatCount } from "../../math/format.ts";
import type { PathSources } from "../../kernels/viterbi_step.ts";
import { writeScore } from "../../math/log_score.ts";
import type { Grid } from "../grid.ts";
import type { StateBins } from "../state_bins.ts";
import type { StateModel } from "../states.ts";
import type { BlockSources } from "./transition_blocks.ts";
import { transitionBlocks } from "./transition_blocks.ts";

/** Tables of `viterbi_step`; scores are those of `math/log_score.ts`. */
export interface PathTransition {
  /** [bins + 2, 2] state of a bin and its first entry; the start, after all bins; and the end of entries. */
  sources: Uint32Array<ArrayBuffer>;
  /** Entries as bindings hold them, and whose they are. */
  parts: readonly PathPart[];
  /** [states + 1, states] score of any bin of a state, from uniform blocks; none from the start. */
  spread: Uint32Array<ArrayBuffer>;
}

export interface PathPart extends PathSources {
  /** [entries, 3] bin, and score of its probability. */
  entries: Uint32Array<ArrayBuffer>;
}

/** Words of an entry. */
const ENTRY_WORDS = 3;

/**
 * Builds the tables of `model` on `grid`. A probability is that of its discrete states times that of its
 * block, and its logarithm is rounded once.
 *
 * @param initialProbs [state bins]
 * @throws {RangeError} If a block cannot be built on this grid, or entries do not fit a binding.
 */
export function pathTransition(
  grid: Grid,
  model: StateModel,
  bins: StateBins,
  initialProbs: ArrayLike<number>,
  { bindingBytes, ...sources }: BlockSources & { bindingBytes: number },
): PathTransition {
  const states = model.names.length;
  const blocks = transitionBlocks(grid, model, sources);
  const countOf = (state: number) => bins.starts[state + 1]! - bins.starts[state]!;
  const isUniform = (from: number, to: number) => model.transitions[from]![to]!.kind === "uniform";
  const forEachEntry = (visit: (source: number, bin: number, log: number) => void): void => {
    for (let source = 0; source < bins.count; source++) {
      const from = bins.stateOf(source);
      model.discreteTransition[from]!.forEach((probability, to) => {
        if (probability === 0 || isUniform(from, to)) return;
        const row = blocks[from]![to]!(source - bins.starts[from]!);
        for (let i = 0; i < row.bins.length; i++) {
          if (row.values[i] === 0) continue;
          const log = Math.log(row.values[i]!) + Math.log(probability);
          visit(source, bins.starts[to]! + row.bins[i]!, log);
        }
      });
    }
    for (let bin = 0; bin < bins.count; bin++) {
      if (initialProbs[bin]! > 0) visit(bins.count, bin, Math.log(initialProbs[bin]!));
    }
  };
  const table = new Uint32Array(2 * (bins.count + 2));
  forEachEntry((source) => {
    table[2 * (source + 1) + 1]!++;
  });
  for (let source = 0; source <= bins.count; source++) {
    table[2 * source] = source < bins.count ? bins.stateOf(source) : states;
    table[2 * source + 3]! += table[2 * source + 1]!;
  }
  const parts = cutEntries(table, bins.count + 1, bindingBytes);
  let part = 0;
  let at = 0;
  forEachEntry((source, bin, log) => {
    while (source >= parts[part]!.end) [part, at] = [part + 1, 0];
    const { entries } = parts[part]!;
    entries[at] = bin;
    writeScore(log, entries, at + 1);
    at += ENTRY_WORDS;
  });
  const spread = new Uint32Array(2 * (states + 1) * states);
  for (let from = 0; from <= states; from++) {
    for (let to = 0; to < states; to++) {
      const probability = model.discreteTransition[from]?.[to] ?? 0;
      const log = probability > 0 && isUniform(from, to)
        ? Math.log(probability) - Math.log(countOf(to))
        : -Infinity;
      writeScore(log, spread, 2 * (from * states + to));
    }
  }
  return { sources: table, parts, spread };
}

/** As many sources to a part as a binding holds the entries of. */
function cutEntries(table: Uint32Array, sources: number, bindingBytes: number): PathPart[] {
  const most = Math.floor(bindingBytes / 4 / ENTRY_WORDS);
  const firstOf = (source: number) => table[2 * source + 1]!;
  const parts: PathPart[] = [];
  for (let first = 0; first < sources;) {
    let end = first + 1;
    while (end < sources && firstOf(end + 1) - firstOf(first) <= most) end++;
    const count = firstOf(end) - firstOf(first);
    if (count > most) {
      throw new RangeError(
        `Cannot plan a path: ${first === sources - 1 ? "the start" : `bin ${first}`} leads to ${
          formatCount(count)
        } others, which take ` +
          `${formatBytes(4 * ENTRY_WORDS * count)}, a binding holds ${
            formatBytes(bindingBytes)
          }; use ` +
          "larger bins, a smaller movementVar or uniform blocks",
      );
    }
    // a binding cannot be empty
    const entries = new Uint32Array(ENTRY_WORDS * Math.max(1, count));
    parts.push({ first, end, firstEntry: firstOf(first), entries });
    first = end;
  }
  return parts;
}
