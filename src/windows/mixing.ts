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

/**
 * Measures an order of at least 32 windows. Parts of the table and of the epoch are equal, at most 32
 * of each; distances are cut where a random permutation has equally many.
 */
export function measureMixing(order: Order): Mixing {
  const { length } = order;
  const parts = Math.min(MOST_PARTS, Math.floor(Math.sqrt(length / LEAST_IN_CELL)));
  if (parts < 2) {
    throw new RangeError(`Cannot measure mixing: got ${length} windows, wanted at least 32`);
  }
  const partOf = (item: number) => Math.floor(item * parts / length);
  const sizes = new Float64Array(parts);
  for (let item = 0; item < length; item++) sizes[partOf(item)]!++;
  const cells = new Float64Array(parts * parts);
  const bins = parts;
  const distances = new Float64Array(bins);
  // of n (n - 1) ordered pairs, 2 (n - d) are d apart
  const share = (distance: number) =>
    distance * (2 * length - distance - 1) / (length * (length - 1));
  let before = -1;
  for (let position = 0; position < length; position++) {
    const item = order.at(position);
    cells[partOf(position) * parts + partOf(item)]!++;
    if (position > 0) {
      const bin = Math.floor(share(Math.abs(item - before) - 1) * bins);
      distances[Math.min(bins - 1, bin)]!++;
    }
    before = item;
  }
  let positions = 0;
  for (let i = 0; i < cells.length; i++) {
    const wanted = sizes[Math.floor(i / parts)]! * sizes[i % parts]! / length;
    positions += (cells[i]! - wanted) ** 2 / wanted;
  }
  const wantedDistances = new Float64Array(bins);
  for (let distance = 1; distance < length; distance++) {
    const bin = Math.min(bins - 1, Math.floor(share(distance - 1) * bins));
    wantedDistances[bin]! += (share(distance) - share(distance - 1)) * (length - 1);
  }
  let neighbours = 0;
  distances.forEach((got, bin) => {
    neighbours += (got - wantedDistances[bin]!) ** 2 / wantedDistances[bin]!;
  });
  return {
    positions: { chiSquare: positions, degrees: (parts - 1) ** 2 },
    neighbours: { chiSquare: neighbours, degrees: bins - 1 },
  };
}
