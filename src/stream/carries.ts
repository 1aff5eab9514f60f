/**
 * What passes carry from tile to tile, as checkpoints have it, and the tiles that follow from where those are.
 *
 * @module
 */

import type { Checkpoints } from "./checkpoints.ts";
import type { Stage } from "./lanes.ts";
import { burnInOf, endOf, laneOf, laneRows, MEETING_ROWS, startOf } from "./lanes.ts";
import type { Pass, Tile } from "./pass.ts";
import { cutRows } from "./pass.ts";
import type { TaskLayout } from "./task.ts";
import { bytesOf } from "./task.ts";

/** The carries of a run's passes. */
export class Carries {
  readonly #layout: TaskLayout;
  readonly #stages: readonly Stage[];
  readonly #checkpoints: Checkpoints;
  readonly #tileRows: number;

  constructor(
    layout: TaskLayout,
    stages: readonly Stage[],
    checkpoints: Checkpoints,
    tileRows: number,
  ) {
    this.#layout = layout;
    this.#stages = stages;
    this.#checkpoints = checkpoints;
    this.#tileRows = tileRows;
  }

  /**
   * Rows between which the tiles of the rest of a stage lie, ascending, and stretches of them at which
   * the pass it starts from left no carries: an earlier run had larger tiles, or a carry is damaged.
   */
  async boundsOf(stage: Stage, row: number): Promise<{ rows: number[]; missing: number[][] }> {
    const { pass, low, high } = stage;
    const [from, to] = pass.direction === "forward" ? [row, high] : [low, row];
    const meeting = this.#layout.lanes ? MEETING_ROWS : pass.sections?.rows ?? Infinity;
    const tileRows = this.#tileRows;
    // a lane is put right at the rows at which its sweep left states
    const known = pass.startsFrom
      ? await this.#sweepRows(pass.startsFrom.pass)
      : stage.kind === "repair"
      ? await this.#sweepRows(pass.name)
      : undefined;
    if (!known) return { rows: cutRows(from, to, tileRows, meeting), missing: [] };
    const shift = this.#shiftOf(low);
    const stops = [...known].map((known) => known + shift)
      .filter((known) => known > from && known < to)
      .sort((a, b) => a - b);
    if (from !== to) stops.push(to);
    const rows = [from];
    const missing: number[][] = [];
    for (const [i, stop] of stops.entries()) {
      const start = rows.at(-1)!;
      // small tiles of an earlier run are put together, but lanes meet at fixed rows
      const meets = stage.kind === "repair" && !pass.startsFrom || (stop - shift) % meeting === 0;
      if (i + 1 < stops.length && stops[i + 1]! - start <= tileRows && !meets) continue;
      const cuts = cutRows(start - shift, stop - shift, tileRows, meeting);
      if (cuts.length > 2 && pass.startsFrom) missing.push(cuts);
      rows.push(...cuts.slice(1).map((cut) => cut + shift));
    }
    return { rows, missing };
  }

  /** Rows at which a pass's sweep left states. */
  async #sweepRows(name: string): Promise<Set<number>> {
    return await this.#checkpoints.rows(this.#stages.find((stage) => stage.name === name)!);
  }

  /** Rows past a lane's end are the first of the next lane, and so are their carries. */
  #shiftOf(row: number): number {
    const length = laneRows(this.#layout);
    return row >= length ? length : 0;
  }

  /** The carries that a pass had where it came upon a tile, of the tile's lanes. */
  async ofTile(name: string, { start, end, firstLane, lanes }: Tile): Promise<Uint8Array> {
    const pass = this.#layout.passes.find((pass) => pass.name === name)!;
    const isForward = pass.direction === "forward";
    const shift = isForward ? this.#shiftOf(start) : 0;
    const all = await this.at(pass, isForward ? start - shift : end);
    const { bytes } = pass.carry!;
    const first = (firstLane + (shift > 0 ? 1 : 0)) * bytes;
    // nothing comes after the last lane
    const own = new Uint8Array(lanes * bytes);
    own.set(all.subarray(first, first + lanes * bytes));
    return own;
  }

  /** The carries of all lanes that a sweep has at a row. */
  async at(pass: Pass, row: number): Promise<Uint8Array> {
    const sweep = this.#stages.find(({ name }) => name === pass.name)!;
    if (row === startOf(sweep)) return (await this.starts(pass))!;
    return (await this.#checkpoints.load(sweep, 0, row))!.carry;
  }

  /** What a sweep starts from, of all lanes: what burn-ins ended with, where there are any. */
  async starts(pass: Pass): Promise<Uint8Array | undefined> {
    const initial = this.initial(pass);
    const burnIn = burnInOf(this.#layout, pass);
    if (!burnIn) return initial;
    const starts = (await this.#checkpoints.load(burnIn, 0, endOf(burnIn)))!.carry;
    // the lane where the pass begins needs no guess
    const lane = pass.direction === "forward" ? 0 : this.#layout.lanes!.count - 1;
    const own = laneOf(starts, pass, lane);
    if (initial) own.set(laneOf(initial, pass, lane));
    else own.fill(0);
    return starts;
  }

  initial({ carry }: Pass): Uint8Array | undefined {
    const given = this.#layout.shared.find(({ name }) => name === carry?.buffer)?.data;
    const data = typeof given === "function" ? given() : given;
    return data && bytesOf(data);
  }
}
