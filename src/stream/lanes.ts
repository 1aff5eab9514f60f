/**
 * Lanes: stretches of a recording that are advanced side by side. Each starts from a guess, a burn-in
 * early; whether the guess was right is seen when the lane before it arrives, and a lane that started
 * wrong is run again until it meets what it left before.
 *
 * @module
 */

import type { Pass, Tile } from "./pass.ts";

/** How a recording is cut, and when the start of a lane counts as right. */
export interface Lanes {
  count: number;
  /** Rows of a lane; the last may have fewer. */
  rows: number;
  /** Rows of a burn-in, at most those of a lane. */
  burnInRows: number;
  /** Apart at most this far, two states of a lane count as one. */
  tolerance: number;
  /** How far two states of a lane are apart. It must not grow from row to row. */
  distance(a: Uint8Array, b: Uint8Array): number;
  /** Held arrays to which rows of every lane add, from zero: so that some lanes can be another run's. */
  sums?: readonly string[];
  /** Those that a run advances by itself; all of them when not given. */
  own?: LaneRange;
}

/** Lanes [first, end). */
export interface LaneRange {
  first: number;
  end: number;
}

/** What came of the guesses. */
export interface LaneReport {
  /** Largest distance that was accepted where two lanes meet. */
  largestDistance: number;
  /** Rows of lanes that were run again. */
  redoneRows: number;
}

/**
 * Rows at whose multiples a lane that is run again may meet what it left before. Fixed, so that results
 * do not depend on tiles.
 */
export const MEETING_ROWS = 1024;

/** A sweep over rows [low, high) of every lane, or the repair of lanes that one started wrong. */
export interface Stage {
  /** In the journal, in progress and in reports. */
  name: string;
  kind: "burn-in" | "sweep" | "repair";
  pass: Pass;
  low: number;
  high: number;
}

/** Rows of the longest lane. */
export function laneRows({ rows, lanes }: { rows: number; lanes?: Lanes }): number {
  return lanes?.rows ?? rows;
}

/** What a run does, one after the other. */
export function stagesOf(
  layout: { rows: number; passes: readonly Pass[]; lanes?: Lanes },
): Stage[] {
  const { passes, lanes } = layout;
  const length = laneRows(layout);
  return passes.flatMap((pass): Stage[] => {
    const end = pass.rows ?? length;
    const from = pass.from ?? 0;
    const sweep: Stage = { name: pass.name, kind: "sweep", pass, low: from, high: end };
    if (!lanes || lanes.count === 1 || !pass.carry) return [sweep];
    const [low, high] = pass.direction === "forward"
      ? [-lanes.burnInRows, 0]
      : [length, length + lanes.burnInRows];
    return [
      { name: `${pass.name} burn-in`, kind: "burn-in", pass, low, high },
      sweep,
      { ...sweep, name: `${pass.name} repair`, kind: "repair" },
    ];
  });
}

/** The row a stage starts from, and the one it ends at. */
export function startOf({ pass, low, high }: Stage): number {
  return pass.direction === "forward" ? low : high;
}

export function endOf({ pass, low, high }: Stage): number {
  return pass.direction === "forward" ? high : low;
}

/** The row at which a stage is done with a tile. */
export function boundaryOf({ direction }: Pass, { start, end }: Tile): number {
  return direction === "forward" ? end : start;
}

/** The burn-in that a pass's lanes start from, where there are several. */
export function burnInOf(
  layout: Parameters<typeof stagesOf>[0],
  pass: Pass,
): Stage | undefined {
  return stagesOf(layout).find((stage) =>
    stage.kind === "burn-in" && stage.pass.name === pass.name
  );
}

/** The lanes that a run advances. */
export function ownLanes({ lanes }: { lanes?: Lanes }): LaneRange {
  return lanes?.own ?? { first: 0, end: lanes?.count ?? 1 };
}

/** Those, and the one behind them, through which burn-ins backward come. */
export function lanesSeen(layout: { lanes?: Lanes }): LaneRange {
  const { first, end } = ownLanes(layout);
  return { first, end: Math.min(end + 1, layout.lanes?.count ?? 1) };
}

/** As tiles say it. */
export function lanesOfTile({ first, end }: LaneRange): { firstLane: number; lanes: number } {
  return { firstLane: first, lanes: end - first };
}

/** What a run that advances some lanes needs of all lanes' carries. */
export function carriesOf(
  carries: Uint8Array,
  { lanes }: { lanes?: Lanes },
  { carry }: Pass,
  { first, end }: LaneRange,
): Uint8Array {
  return lanes?.own ? carries.subarray(first * carry!.bytes, end * carry!.bytes) : carries;
}

/** The part of all lanes' carries that is a lane's. */
export function laneOf(carries: Uint8Array, { carry }: Pass, lane: number): Uint8Array {
  return carries.subarray(lane * carry!.bytes, (lane + 1) * carry!.bytes);
}
