/**
 * The spikes of a tile: lane after lane, as offsets into the tile's own list.
 *
 * @module
 */

import { SILENT_ROW } from "../../kernels/spike_rows.ts";
import type { Tile } from "../../stream/pass.ts";
import type { LaneCuts } from "../lane_cuts.ts";
import type { SpikeBins, TimeGrid } from "../time_grid.ts";

export class SpikeTiles {
  readonly #spikes: SpikeBins;
  readonly #rows: number;
  readonly #lanes: LaneCuts;
  readonly #most = new Map<number, number>();
  readonly #mostIn = new Map<number, number>();

  constructor(spikes: SpikeBins, { rows }: TimeGrid, lanes: LaneCuts) {
    this.#spikes = spikes;
    this.#rows = rows;
    this.#lanes = lanes;
  }

  /** Spikes before a row of the recording, whatever row that is. */
  #before(row: number): number {
    return this.#spikes.rowStarts[Math.min(Math.max(row, 0), this.#rows)]!;
  }

  #firstRow(lane: number, start: number): number {
    return lane * this.#lanes.rows + start;
  }

  /** Most spikes that tiles of so many rows have, wherever they lie; 1 at least. */
  most(tileRows: number): number {
    const { rows, count, burnInRows } = this.#lanes;
    return remembered(this.#most, tileRows, () => {
      let most = 1;
      for (let start = -burnInRows; start < rows + burnInRows; start++) {
        let own = 0;
        for (let lane = 0; lane < count; lane++) {
          const first = this.#firstRow(lane, start);
          own += this.#before(first + tileRows) - this.#before(first);
        }
        most = Math.max(most, own);
      }
      return most;
    });
  }

  /** Most spikes of so many rows of a tile that follow one another, from lane to lane too. */
  mostIn(rows: number): number {
    return remembered(this.#mostIn, rows, () => {
      // of rows in two or more lanes, each has no more than what as many in one place have
      const parts = Math.min(this.#lanes.count, rows);
      let most = 1;
      for (let first = 0; first < this.#rows; first++) {
        most = Math.max(most, this.#before(first + rows) - this.#before(first));
      }
      return parts * most;
    });
  }

  /** Spikes of a tile before one of its rows, counted through all lanes. */
  spikesBefore({ start, end, firstLane, lanes }: Tile, row: number): number {
    const rows = end - start;
    let count = 0;
    for (let own = 0; own < lanes && own * rows < row; own++) {
      const first = this.#firstRow(firstLane + own, start);
      count += this.#before(first + Math.min(rows, row - own * rows)) - this.#before(first);
    }
    return count;
  }

  /** [rows + 1] where the spikes of each row begin in the list, its top bit set where rows say nothing. */
  read({ start, end, firstLane, lanes }: Tile): { starts: Uint32Array; list: Uint32Array } {
    const { units, missing } = this.#spikes;
    const rows = end - start;
    const starts = new Uint32Array(lanes * rows + 1);
    const lists: Uint32Array[] = [];
    let count = 0;
    for (let lane = 0; lane < lanes; lane++) {
      const first = this.#firstRow(firstLane + lane, start);
      const before = this.#before(first);
      for (let row = 0; row <= rows; row++) {
        starts[lane * rows + row] = count + this.#before(first + row) - before;
      }
      for (let row = 0; missing && row < rows; row++) {
        if (missing[first + row]) starts[lane * rows + row]! |= SILENT_ROW;
      }
      lists.push(units.subarray(before, this.#before(first + rows)));
      count = starts[(lane + 1) * rows]!;
    }
    const list = new Uint32Array(count);
    let at = 0;
    for (const part of lists) {
      list.set(part, at);
      at += part.length;
    }
    return { starts, list };
  }
}

function remembered(known: Map<number, number>, input: number, work: () => number): number {
  const answer = known.get(input) ?? work();
  known.set(input, answer);
  return answer;
}
