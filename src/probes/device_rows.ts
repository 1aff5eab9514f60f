/**
 * The rows of a fit as its kernels see them: all on the device from the beginning, or a tile at a time.
 *
 * @module
 */

import { GpuError } from "../errors.ts";
import * as project from "../kernels/project_rows.ts";
import * as weighted from "../kernels/weighted_sums.ts";
import { PANEL_ROWS } from "../math/panels.ts";
import type { KernelStep, Pass, SharedBuffer, SlotBuffer, Tile } from "../stream/pass.ts";
import type { ProbeRows } from "./span.ts";

/** Rows that are summed up in f32 at a time. */
export const BLOCK = 256;

/** How many vectors or weights a step has, asked when it is its turn. */
type Columns = () => number;

export class DeviceRows {
  readonly source: ProbeRows;
  readonly tileRows: number;
  readonly isResident: boolean;

  constructor(source: ProbeRows, tileRows: number, isResident: boolean) {
    this.source = source;
    this.tileRows = tileRows;
    this.isResident = isResident;
  }

  get features(): number {
    return this.source.features;
  }

  get shared(): SharedBuffer[] {
    if (!this.isResident) return [];
    const bytes = this.source.panelBytes(this.source.rows);
    return [{ name: "resident", bytes, kind: "storage", scratch: true }];
  }

  /** What a pass over them needs for them. */
  get slotBuffers(): SlotBuffer[] {
    return this.isResident ? [] : [this.#points];
  }

  get hostBytes(): number {
    return this.isResident ? 0 : this.source.readBytes(this.tileRows);
  }

  async read({ start, end }: Pick<Tile, "start" | "end">, signal: AbortSignal) {
    return this.isResident ? {} : { points: await this.source.readPanels(start, end, signal) };
  }

  /** Brings all rows to the device, once. */
  loadPass(): Pass {
    const { source, tileRows } = this;
    return {
      name: "load",
      direction: "forward",
      cost: 1,
      fillsDevice: true,
      slotBuffers: [this.#points],
      steps: [{
        copy: { from: "points", to: "resident" },
        ranges: ({ start, end }) => [{
          fromOffset: 0,
          toOffset: source.panelBytes(start),
          bytes: source.panelBytes(end - start),
        }],
      }],
      hostBytes: { read: source.readBytes(tileRows) },
      read: async ({ start, end }, { signal }) => {
        if (start % PANEL_ROWS !== 0) {
          // only when the driver refused a tile and it was halved too often
          throw new GpuError(
            `Cannot keep the rows on the device: a tile begins at row ${start}, wanted a multiple ` +
              `of ${PANEL_ROWS}; allow a smaller budget`,
          );
        }
        return { points: await source.readPanels(start, end, signal) };
      },
      write: () => {},
    };
  }

  /** Products of rows and the vectors in the buffer `vectors`, into `projected`. */
  projectStep(columns: Columns): KernelStep {
    return {
      kernel: project.projectRows,
      constants: project.projectRowsConstants(this.features, this.tileRows),
      buffers: this.#buffers,
      order: "ascending",
      params: (tile, first, end) => project.projectRowsParams(first, end, this.#base(tile)),
      workgroups: (some) => project.projectRowsWorkgroups(some, columns()),
    };
  }

  /** Sums of rows by weights, which are in a buffer of that name. */
  sumStep(shape: weighted.WeightedShape, weights: string, columns: Columns): KernelStep {
    return {
      kernel: weighted.weightedSums,
      constants: weighted.weightedSumsConstants(shape),
      buffers: { ...this.#buffers, weights },
      order: "ascending",
      params: (tile, first, end) => weighted.weightedSumsParams(first, end, this.#base(tile)),
      workgroups: (some) => weighted.weightedSumsWorkgroups(some, shape, columns()),
    };
  }

  get #points(): SlotBuffer {
    return { name: "points", bytes: this.source.panelBytes(this.tileRows), role: "upload" };
  }

  get #buffers(): Record<string, string> {
    return this.isResident ? { points: "resident" } : {};
  }

  /** Row of the buffer at which those of a tile begin. */
  #base(tile: Tile): number {
    return this.isResident ? tile.start : 0;
  }
}
