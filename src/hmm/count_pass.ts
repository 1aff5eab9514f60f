/**
 * The pass that counts transitions: each tile is filtered again and smoothed, what its rows expect is added up, and no
 * posterior is kept.
 *
 * @module
 */

import {
  expectedTransitions,
  expectedTransitionsConstants,
  expectedTransitionsParams,
  expectedTransitionsWorkgroups,
} from "../kernels/expected_transitions.ts";
import {
  smoothedRatio,
  smoothedRatioConstants,
  smoothedRatioParams,
  smoothedRatioWorkgroups,
} from "../kernels/smoothed_ratio.ts";
import { fromWide } from "../math/wide.ts";
import { MEETING_ROWS } from "../stream/lanes.ts";
import type { Pass, Step, Tile } from "../stream/pass.ts";
import { tileSize } from "../stream/pass.ts";
import type { Held } from "../stream/task.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import type { StateBins } from "./state_bins.ts";
import type { FilterHeld, FilterParts, TileFilter } from "./tile_filter.ts";

/** What goes from tile to tile on the host. */
export type CountHeld = FilterHeld & {
  /** [blocks of rows, states, states], a block being rows of a lane that are run again together. */
  transitions: { dtype: "float64"; length: number };
  /** [state bins] */
  first: { dtype: "float64"; length: number };
  /** [rows] of local states together, where that is asked for. */
  local: { dtype: "float64"; length: number };
};

/** Blocks of a lane: one that is run again meets what it left between two. */
function blocksOf({ count, rows }: LaneCuts): number {
  return count === 1 ? 1 : Math.ceil(rows / MEETING_ROWS);
}

/** @param localRows Rows of which local states are asked for. */
export function countHeld(lanes: LaneCuts, bins: StateBins, localRows: number): CountHeld {
  return {
    logLikelihoods: { dtype: "float64", length: lanes.count },
    impossibleRows: { dtype: "float64", length: 1 },
    transitions: {
      dtype: "float64",
      length: lanes.count * blocksOf(lanes) * bins.names.length ** 2,
    },
    first: { dtype: "float64", length: bins.count },
    local: { dtype: "float64", length: localRows },
  };
}

interface CountParts extends FilterParts {
  bins: StateBins;
  /** States whose probability is taken of every row, if that is asked for. */
  local: readonly number[];
  held(): Held<CountHeld>;
}

export class CountPass {
  readonly #parts: CountParts;
  readonly #filter: TileFilter;
  readonly #blocksOfLane: number;

  constructor(parts: CountParts, filter: TileFilter) {
    this.#parts = parts;
    this.#filter = filter;
    this.#blocksOfLane = blocksOf(parts.lanes);
  }

  /** Filters each tile again, smooths it, and counts transitions. */
  pass(tileRows: number): Pass {
    const { lanes: { count } } = this.#parts;
    const states = this.#parts.bins.names.length;
    const rowBytes = this.#parts.stateBytes;
    const rows = count * tileRows;
    const { slotBuffers, steps, smooth, ...smoothing } = this.#filter.smoothing(tileRows);
    const scratch = (name: string, bytes: number) => ({ name, bytes, role: "scratch" } as const);
    return {
      name: "count",
      cost: 4,
      ...smoothing,
      slotBuffers: [
        ...slotBuffers,
        {
          ...scratch("smooth_sums", 4 * states * rows),
          ...(this.#parts.local.length > 0 && { role: "download" as const }),
        },
        scratch("filtered_before", rowBytes * rows),
        scratch("ratio_rows", rowBytes * count * (tileRows + 1)),
        scratch("smoothed_next", rowBytes * count),
        scratch("shifts", 4 * rows),
        { name: "expected", bytes: 4 * states * states * rows, role: "download" },
        { name: "first_row", bytes: rowBytes, role: "download" },
      ],
      steps: [
        ...steps,
        // the smoother puts its rows in place of these
        whole("filtered", "filtered_before", (tile) => rowBytes * tileSize(tile)),
        whole("predicted", "ratio_rows", (tile) => rowBytes * (tileSize(tile) + tile.lanes)),
        whole("smoothed_carry", "smoothed_next", (tile) => rowBytes * tile.lanes),
        smooth,
        ...this.#countSteps(),
        whole("filtered", "first_row", () => rowBytes),
      ],
      ...this.#filter.reading(tileRows, 8 * (1 + states) * rows),
      write: (tile, downloads, { beside }) => {
        if (!tile.again) {
          this.#filter.count(tile, this.#filter.sums(tile, downloads, beside).normalisers);
        }
        this.#take(tile, new Float32Array(downloads.expected!));
        this.#takeLocal(tile, downloads.smooth_sums);
        if (tile.start === 0 && tile.firstLane === 0) {
          const row = new Uint32Array(downloads.first_row!);
          const { packTable } = this.#parts.recursion;
          this.#parts.held().first.forEach((_, bin, first) =>
            first[bin] = fromWide(row[packTable[bin]!]!)
          );
        }
      },
    };
  }

  #countSteps(): Step[] {
    const { names, count: bins } = this.#parts.bins;
    const states = names.length;
    const stride = this.#parts.stateBytes / 4;
    const laneRows = ({ start, end }: Tile) => end - start;
    return [
      {
        kernel: smoothedRatio,
        constants: smoothedRatioConstants,
        buffers: { places: "pack_table", smoothed: "filtered", ratio: "ratio_rows" },
        order: "any",
        params: (tile, from, to) => smoothedRatioParams(from, to, laneRows(tile), stride, bins),
        workgroups: smoothedRatioWorkgroups,
      },
      {
        kernel: expectedTransitions,
        constants: expectedTransitionsConstants(states),
        buffers: {
          tables: "counting",
          entries: "counting_entries",
          filtered: "filtered_before",
          ratio: "ratio_rows",
        },
        order: "any",
        params: (tile, from, to) => expectedTransitionsParams(from, to, laneRows(tile), stride),
        workgroups: (rows) => expectedTransitionsWorkgroups(rows, states),
      },
    ];
  }

  /** Adds rows from the last to the first; a block whose rows come again is begun anew. */
  #take(tile: Tile, expected: Float32Array): void {
    const { time, lanes } = this.#parts;
    const { transitions } = this.#parts.held();
    const pairs = this.#parts.bins.names.length ** 2;
    this.#filter.forEachRow(tile, (row, i, lane) => {
      const own = row - lane * lanes.rows;
      const block = this.#blocksOfLane === 1 ? 0 : Math.floor(own / MEETING_ROWS);
      const at = (lane * this.#blocksOfLane + block) * pairs;
      const isLast = own === lanes.rows - 1 || row === time.rows - 1 ||
        (this.#blocksOfLane > 1 && own % MEETING_ROWS === MEETING_ROWS - 1);
      if (isLast) transitions.fill(0, at, at + pairs);
      // nothing follows the last row of all
      if (row === time.rows - 1) return;
      for (let pair = 0; pair < pairs; pair++) {
        transitions[at + pair]! += expected[i * pairs + pair]!;
      }
    });
  }

  #takeLocal(tile: Tile, sums: ArrayBuffer | undefined): void {
    const { local, states } = this.#parts;
    if (local.length === 0) return;
    const shares = new Float32Array(sums!);
    this.#filter.forEachRow(tile, (row, i) => {
      this.#parts.held().local[row] = local.reduce(
        (sum, state) => sum + shares[i * states + state]!,
        0,
      );
    });
  }
}

/** Copies so many bytes from the beginning of a buffer to that of another. */
function whole(from: string, to: string, bytesOf: (tile: Tile) => number): Step {
  return {
    copy: { from, to },
    ranges: (tile) => [{ fromOffset: 0, toOffset: 0, bytes: bytesOf(tile) }],
  };
}
