/**
 * How well an order mixes, beside what a uniformly random permutation would do.
 *
 * @module
 */

import type { Order } from "../feed/order.ts";

/** Two chi-square statistics, each about its degrees of freedom for a random permutation. */
export interface Mixing {
  /** Where windows of each part of the table come in the epoch: a contingency table. */
  positions: { chiSquare: number; degrees: number };
  /** How far apart in the table two windows are that follow each other. */
  neighbours: { chiSquare: number; degrees: number };
}

// fewer than 5 in a cell, and chi-square's distribution is not that of the tables
const LEAST_IN_CELL = 8;
const MOST_PARTS = 32;
/** Longer orders are measured in so many stretches of as many windows, spread evenly over them. */
const STRETCHES = 256;
const STRETCH = 2 ** 12;

/**
 * Measures an order of at least 32 windows. Parts of the table and of the epoch are equal, at most 32
 * of each; distances are cut where a random permutation has equally many. Of more than a million windows
 * a million are looked at.
 */
export function measureMixing(order: Order): Mixing {
  const { length } = order;
  const parts = Math.min(MOST_PARTS, Math.floor(Math.sqrt(length / LEAST_IN_CELL)));
  if (parts < 2) {
    throw new RangeError(`Cannot measure mixing: got ${length} windows, wanted at least 32`);
  }
  const partOf = (item: number) => Math.floor(item * parts / length);
  const sizes = Float64Array.from(
    { length: parts },
    (_, part) => Math.ceil((part + 1) * length / parts) - Math.ceil(part * length / parts),
  );
  const seen = new Float64Array(parts);
  const cells = new Float64Array(parts * parts);
  const bins = parts;
  const distances = new Float64Array(bins);
  // of n (n - 1) ordered pairs, 2 (n - d) are d apart
  const share = (distance: number) =>
    distance * (2 * length - distance - 1) / (length * (length - 1));
  const binOf = (distance: number) => Math.min(bins - 1, Math.floor(share(distance - 1) * bins));
  const whole = length <= STRETCHES * STRETCH;
  let pairs = 0;
  for (let stretch = 0; stretch < (whole ? 1 : STRETCHES); stretch++) {
    const from = whole ? 0 : Math.floor(stretch * (length - STRETCH) / (STRETCHES - 1));
    const to = whole ? length : from + STRETCH;
    let before = -1;
    for (let position = from; position < to; position++) {
      const item = order.at(position);
      const part = partOf(position);
      seen[part]!++;
      cells[part * parts + partOf(item)]!++;
      if (before >= 0) {
        distances[binOf(Math.abs(item - before))]!++;
        pairs++;
      }
      before = item;
    }
  }
  let positions = 0;
  for (let i = 0; i < cells.length; i++) {
    const wanted = seen[Math.floor(i / parts)]! * sizes[i % parts]! / length;
    positions += (cells[i]! - wanted) ** 2 / wanted;
  }
  // bins end where their share does: the distance is looked for by halves
  const upTo = Array.from({ length: bins + 1 }, (_, bin) => {
    let [low, high] = [0, length - 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (binOf(middle + 1) >= bin) high = middle;
      else low = middle + 1;
    }
    return bin === bins ? 1 : share(low);
  });
  const wantedDistances = distances.map((_, bin) => (upTo[bin + 1]! - upTo[bin]!) * pairs);
  let neighbours = 0;
  distances.forEach((got, bin) => {
    neighbours += (got - wantedDistances[bin]!) ** 2 / wantedDistances[bin]!;
  });
  return {
    positions: { chiSquare: positions, degrees: (parts - 1) ** 2 },
    neighbours: { chiSquare: neighbours, degrees: bins - 1 },
  };
}
