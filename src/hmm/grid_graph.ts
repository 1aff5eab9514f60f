/**
 * Interior bins as a graph: which are neighbours, how long the ways between them are, and in which one a place lies.
 *
 * Source of the rules: non_local_detector (`Environment`), after Denovellis et al. 2021.
 *
 * @module
 */

import type { Graph, Grid } from "./grid.ts";
import { binCenter } from "./state_bins.ts";

/** Number of each bin of the box among the interior ones, -1 outside. */
export function interiorBins(grid: Grid): Int32Array {
  const bins = new Int32Array(grid.interior.length).fill(-1);
  grid.interiorIndex.forEach((place, bin) => bins[place] = bin);
  return bins;
}

/** Neighbours of every interior bin, and how far their centres are. */
export function interiorGraph(grid: Grid): Graph {
  if (grid.track) return grid.track.ways;
  const flat = grid.dimensions === 1;
  const rows = flat ? 1 : grid.shape[0]!;
  const columns = grid.shape[flat ? 0 : 1]!;
  const [alongX, alongY] = flat ? [undefined, grid.centers[0]!] : grid.centers;
  const binAt = interiorBins(grid);
  return Array.from(grid.interiorIndex, (place) => {
    const [row, column] = [Math.floor(place / columns), place % columns];
    const neighbours: number[] = [];
    const lengths: number[] = [];
    for (let x = Math.max(0, row - 1); x <= Math.min(rows - 1, row + 1); x++) {
      for (let y = Math.max(0, column - 1); y <= Math.min(columns - 1, column + 1); y++) {
        const other = binAt[x * columns + y]!;
        if (other < 0 || (x === row && y === column)) continue;
        neighbours.push(other);
        const stepX = alongX ? alongX[x]! - alongX[row]! : 0;
        lengths.push(Math.hypot(stepX, alongY![y]! - alongY![column]!));
      }
    }
    return { neighbours, lengths };
  });
}

/** Length of the shortest way to every bin, Infinity where it is longer than `limit`. */
export function shortestPaths(graph: Graph, from: number, limit: number): Float64Array {
  const distances = new Float64Array(graph.length).fill(Infinity);
  distances[from] = 0;
  const heap = new DistanceHeap();
  heap.push(0, from);
  for (let next = heap.pop(); next; next = heap.pop()) {
    const [distance, bin] = next;
    if (distance > distances[bin]!) continue;
    const { neighbours, lengths } = graph[bin]!;
    neighbours.forEach((other, i) => {
      const further = distance + lengths[i]!;
      if (further < distances[other]! && further <= limit) {
        distances[other] = further;
        heap.push(further, other);
      }
    });
  }
  return distances;
}

/**
 * Interior bin of a place: the one it lies in, or else the one whose centre is nearest, of equals the first.
 *
 * @param place One coordinate for each dimension; NaN gives -1.
 */
export function interiorBinAt(grid: Grid, place: ArrayLike<number>): number {
  let bin = 0;
  for (let d = 0; d < grid.dimensions; d++) {
    const value = place[d]!;
    if (Number.isNaN(value)) return -1;
    bin = bin * grid.shape[d]! + binAlong(grid.edges[d]!, value);
  }
  if (grid.interior[bin]) return lowerBound(grid.interiorIndex, bin);
  let nearest = 0;
  let least = Infinity;
  grid.interiorIndex.forEach((other, i) => {
    let squared = 0;
    for (let d = 0; d < grid.dimensions; d++) {
      squared += (place[d]! - binCenter(grid, other, d)) ** 2;
    }
    if (squared < least) [nearest, least] = [i, squared];
  });
  return nearest;
}

/** Left-closed, clamped; the largest position lies in the bin before the padding, as in the original. */
function binAlong(edges: Float64Array, value: number): number {
  const last = edges.length - 2;
  if (last > 0 && value === edges[last]) return last - 1;
  let bin = 0;
  while (bin < last && edges[bin + 1]! <= value) bin++;
  return bin;
}

function lowerBound(ascending: Uint32Array, value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A binary heap of bins by distance. */
class DistanceHeap {
  readonly #entries: [number, number][] = [];

  push(distance: number, bin: number): void {
    const entries = this.#entries;
    let at = entries.push([distance, bin]) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (entries[parent]![0] <= entries[at]![0]) return;
      [entries[parent], entries[at]] = [entries[at]!, entries[parent]!];
      at = parent;
    }
  }

  pop(): [number, number] | undefined {
    const entries = this.#entries;
    const top = entries[0];
    const last = entries.pop();
    if (entries.length === 0 || !last) return top;
    entries[0] = last;
    for (let at = 0;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < entries.length && entries[child]![0] < entries[least]![0]) least = child;
      }
      if (least === at) return top;
      [entries[least], entries[at]] = [entries[at]!, entries[least]!];
      at = least;
    }
  }
}
