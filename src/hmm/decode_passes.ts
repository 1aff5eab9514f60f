/**
 * The passes of a decode: the filter, which finds out the states that lanes have at the start of every tile, and
 * the smoother, which does everything else.
 *
 * @module
 */

import type { Pass, Step, Tile, WriteTurn } from "../stream/pass.ts";
import { tileSize } from "../stream/pass.ts";
import type { NumericArray } from "../types.ts";
import type { RowKind, RowOutputs } from "./row_outputs.ts";
import type { FilterParts } from "./tile_filter.ts";
import { TileFilter } from "./tile_filter.ts";

/** What passes work with. */
interface PassParts extends FilterParts {
  rowOutputs: RowOutputs;
  /** Whether filtered rows are stored, too. */
  causal: boolean;
  /** Whether what the filter expects of rows is stored, too. */
  predictive: boolean;
  /** Names of what the smoother stores. */
  smoothed: readonly string[];
  /** Host bytes of what a row of the output takes besides the posterior. */
  smallBytes: number;
}

/** Makes the passes of a decode. */
export class DecodePasses {
  readonly #parts: PassParts;
  readonly #filter: TileFilter;

  constructor(parts: PassParts) {
    this.#parts = parts;
    this.#filter = new TileFilter(parts);
  }

  /** Finds out the states that lanes have at the start of every tile. Everything else comes after. */
  filterPass(tileRows: number): Pass {
    return this.#filter.pass(tileRows);
  }

  /** Filters each tile again, from the state at its start, and smooths it. */
  smoothPass(tileRows: number): Pass {
    const { lanes: { count }, recursion: { rowLength } } = this.#parts;
    const { states, causal, predictive, rowOutputs, smoothed } = this.#parts;
    const rows = count * tileRows;
    const { slotBuffers, steps, smooth, ...smoothing } = this.#filter.smoothing(tileRows);
    const outputs: RowKind[] = [
      ...(causal ? ["causal"] as const : []),
      "acausal",
      ...(predictive ? ["predictive"] as const : []),
    ];
    const rowSteps = (kind: RowKind): Step[] =>
      outputs.includes(kind) ? rowOutputs.steps(rowLength, kind) : [];
    return {
      name: "smooth",
      cost: 3,
      ...smoothing,
      slotBuffers: [
        ...slotBuffers,
        { name: "smooth_sums", bytes: 4 * states * rows, role: "download" },
        ...outputs.flatMap((kind) => rowOutputs.slotBuffers(rows, kind)),
      ],
      steps: [
        ...steps,
        ...rowSteps("causal"),
        // what was expected is used up by the smoother
        ...rowSteps("predictive"),
        smooth,
        ...rowSteps("acausal"),
      ],
      writes: smoothed,
      ...this.#filter.reading(tileRows, this.#writeBytes(rows)),
      write: async (tile, downloads, { beside, store }) => {
        const rows = tileSize(tile);
        const { normalisers, probabilities } = this.#filter.sums(tile, downloads, beside);
        // a lane that is smoothed again was filtered rightly
        if (!tile.again) {
          this.#filter.count(tile, normalisers);
          await this.#store("causal", tile, {
            ...(causal && rowOutputs.values(downloads, rows, probabilities, "causal")),
            ...(rowOutputs.filterVariables.length > 0 && { log_normaliser: normalisers }),
          }, store);
          if (predictive) {
            const expected = new Float32Array(
              downloads.predictive_state_shares!,
              0,
              rows * states,
            );
            const values = rowOutputs.values(downloads, rows, expected, "predictive");
            await this.#store("predictive", tile, values, store);
          }
        }
        const shares = new Float32Array(downloads.smooth_sums!, 0, rows * states);
        const values = rowOutputs.values(downloads, rows, shares, "acausal");
        await this.#store("acausal", tile, values, store);
      },
    };
  }

  /** Host bytes of normalisers, probabilities of states and summaries of so many rows. */
  #writeBytes(rows: number): number {
    const { states, smallBytes } = this.#parts;
    return rows * (8 + 4 * states + smallBytes);
  }

  /** Stores what a tile has of every variable, lane by lane. */
  async #store(
    kind: RowKind,
    tile: Tile,
    values: Record<string, NumericArray>,
    store: WriteTurn["store"],
  ): Promise<void> {
    const { start, end, firstLane, lanes } = tile;
    for (let own = 0; own < lanes; own++) {
      const first = (firstLane + own) * this.#parts.lanes.rows + start;
      const present = Math.min(end - start, this.#parts.time.rows - first);
      if (present <= 0) continue;
      for (const [name, all] of Object.entries(values)) {
        const width = all.length / tileSize(tile);
        const from = own * (end - start) * width;
        await store(`${kind}_${name}`, first, all.subarray(from, from + present * width));
      }
    }
  }
}
