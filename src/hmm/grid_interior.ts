/**
 * Which bins of a box are interior: those in which the animal has been, and what lies between them.
 *
 * Source of the rules: non_local_detector (`Environment`), after Denovellis et al. 2021.
 *
 * @module
 */

/** [dimensions] least and largest position. */
export type PositionRange = readonly (readonly [least: number, largest: number])[];

/** What becomes interior beside bins in which the animal has been, in two dimensions. */
export interface InteriorChoices {
  /** What is enclosed by it. */
  fillHoles?: boolean | undefined;
  /** What lies beside it. */
  dilate?: boolean | undefined;
}

/**
 * Bins that hold a sample, left-closed: one at the range's maximum lies in the padding, if there is any; one outside of
 * a range that was given, nowhere.
 */
export function occupiedBins(
  values: ArrayLike<number>,
  edges: readonly Float64Array[],
  shape: readonly number[],
  range?: PositionRange,
): Uint8Array {
  const occupied = new Uint8Array(shape.reduce((product, length) => product * length, 1));
  const dimensions = edges.length;
  for (let i = 0; i < values.length; i += dimensions) {
    let bin = 0;
    let inside = true;
    for (let d = 0; d < dimensions; d++) {
      const along = binOf(edges[d]!, values[i + d]!);
      inside &&= along >= 0;
      if (range) inside &&= values[i + d]! >= range[d]![0] && values[i + d]! <= range[d]![1];
      bin = bin * shape[d]! + along;
    }
    if (inside) occupied[bin] = 1;
  }
  return occupied;
}

/**
 * Closes the interior of a box of two dimensions by a cross, then fills what is enclosed and lets it grow where that is
 * wanted. The trailing bins along each dimension are no part of it; leading ones are only where it grew, as in the
 * original.
 */
export function closedInterior(
  occupied: Uint8Array,
  shape: readonly number[],
  { fillHoles = false, dilate = false }: InteriorChoices,
): Uint8Array {
  let interior = closeByCross(occupied, shape);
  if (fillHoles) interior = filled(interior, shape);
  if (dilate) interior = grown(interior, shape);
  const [rows, columns] = shape as [number, number];
  return interior.map((inside, bin) =>
    Math.floor(bin / columns) === rows - 1 || bin % columns === columns - 1 ? 0 : inside
  );
}

/** With all bins from which no way leads to the edge of the box but through it. */
function filled(mask: Uint8Array, shape: readonly number[]): Uint8Array {
  const [rows, columns] = shape as [number, number];
  const outside = new Uint8Array(mask.length);
  const waiting: number[] = [];
  const visit = (row: number, column: number) => {
    const bin = row * columns + column;
    const inBox = row >= 0 && row < rows && column >= 0 && column < columns;
    if (!inBox || mask[bin] || outside[bin]) return;
    outside[bin] = 1;
    waiting.push(bin);
  };
  for (let row = 0; row < rows; row++) [0, columns - 1].forEach((column) => visit(row, column));
  for (let column = 0; column < columns; column++) {
    [0, rows - 1].forEach((row) => visit(row, column));
  }
  for (let bin = waiting.pop(); bin !== undefined; bin = waiting.pop()) {
    const [row, column] = [Math.floor(bin / columns), bin % columns];
    visit(row - 1, column);
    visit(row + 1, column);
    visit(row, column - 1);
    visit(row, column + 1);
  }
  return outside.map((one) => 1 - one);
}

function grown(mask: Uint8Array, shape: readonly number[]): Uint8Array {
  return mapCross(mask, shape, (bins) => bins.some((bin) => bin === 1));
}

/** Binary closing by a cross: dilation, then erosion with zeros outside, which clears all bins at an edge. */
function closeByCross(mask: Uint8Array, shape: readonly number[]): Uint8Array {
  return mapCross(grown(mask, shape), shape, (bins) => bins.every((bin) => bin === 1));
}

/** Replaces each bin by a function of itself and its four neighbours; 0 outside the box. */
function mapCross(
  mask: Uint8Array,
  [rows, columns]: readonly number[],
  of: (bins: number[]) => boolean,
): Uint8Array {
  const at = (row: number, column: number) =>
    row < 0 || row >= rows! || column < 0 || column >= columns!
      ? 0
      : mask[row * columns! + column]!;
  return mask.map((_, bin) => {
    const row = Math.floor(bin / columns!);
    const column = bin % columns!;
    const around = [
      at(row, column),
      at(row - 1, column),
      at(row + 1, column),
      at(row, column - 1),
      at(row, column + 1),
    ];
    return of(around) ? 1 : 0;
  });
}

/** Bin of a coordinate, the last bin closed on both sides; -1 outside. */
export function binOf(edges: Float64Array, value: number): number {
  const bins = edges.length - 1;
  if (!(value >= edges[0]! && value <= edges[bins]!)) return -1;
  let low = 0;
  let high = bins - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (value >= edges[middle]!) low = middle;
    else high = middle - 1;
  }
  return low;
}
