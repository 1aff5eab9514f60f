/**
 * The grid of position bins and its interior: where the animal has been.
 *
 * Source of the rules: non_local_detector (`Environment`), after Denovellis et al. 2021.
 *
 * @module
 */

/** Position bins over one or two dimensions. Flat arrays are in C order, y fastest. */
export interface Grid {
  dimensions: 1 | 2;
  /** Bin edge asked for, position units; the bins are a little smaller, to divide the range evenly. */
  binSize: number;
  /** `[bins]` or `[x bins, y bins]`. */
  shape: readonly number[];
  /** Bin edges along each dimension, f64, position units. */
  edges: readonly Float64Array[];
  /** Bin centres along each dimension. */
  centers: readonly Float64Array[];
  /** 0 or 1 for every bin of the box. */
  interior: Uint8Array;
  /** Flat index of each interior bin, ascending. */
  interiorIndex: Uint32Array;
}

/** A larger box is a mistake in the units rather than a wish. */
const MAX_BINS = 2 ** 24;

/**
 * Lays a grid over positions: `ceil(extent / binSize)` bins along each dimension, evenly spaced over
 * the range; in two dimensions one more bin at each side, and the interior closed by a cross.
 *
 * In two dimensions a sample at the very maximum of the range counts in the trailing bin beside it, which
 * is closed over and then cleared, as the original has it: the last bin before it may stay empty.
 *
 * @param values `[samples, dimensions]` in C order, position units; samples with a NaN are left out.
 * @throws {RangeError} If the bin size is not positive, gives no bins, or gives more than 2^24.
 */
export function gridFromPosition(
  values: ArrayLike<number>,
  dimensions: 1 | 2,
  { binSize }: { binSize: number },
): Grid {
  if (!(binSize > 0 && Number.isFinite(binSize))) {
    throw new RangeError(`Cannot lay a grid: the bin size is ${binSize}, wanted a positive number`);
  }
  const edges: Float64Array[] = [];
  for (let dimension = 0; dimension < dimensions; dimension++) {
    edges.push(evenEdges(values, dimensions, dimension, binSize));
  }
  const shape = edges.map((edge) => edge.length - 1);
  const bins = shape.reduce((product, length) => product * length, 1);
  if (bins > MAX_BINS) {
    throw new RangeError(
      `Cannot lay a grid: a bin size of ${binSize} gives ${shape.join(" x ")} bins, at most ` +
        `${MAX_BINS} are supported; use larger bins`,
    );
  }
  let interior = occupiedBins(values, edges, shape);
  if (dimensions === 2) interior = closeByCross(interior, shape);
  const interiorIndex = indexOf(interior);
  if (interiorIndex.length === 0) {
    throw new RangeError(
      `Cannot lay a grid: a bin size of ${binSize} leaves no interior bin among ` +
        `${shape.join(" x ")}; use smaller bins`,
    );
  }
  return {
    dimensions,
    binSize,
    shape,
    edges,
    centers: edges.map(centersOf),
    interior,
    interiorIndex,
  };
}

/** Share of a bin by which others may be wider or narrower: what rounding leaves of even edges. */
const EVEN_SHARE = 1e-6;

/** Edges of bins along one or two dimensions, and which of them can be reached. */
export interface GridEdges {
  /** Along each dimension, ascending at even distances, position units. */
  edges: readonly ArrayLike<number>[];
  /** A value for every bin of the box in C order, y fastest; all by default. */
  interior?: ArrayLike<number | boolean>;
}

/**
 * A grid of the caller's own.
 *
 * @throws {RangeError} If edges do not ascend evenly, there are not one or two dimensions, or the interior is
 * empty or of another size.
 */
export function gridFromEdges({ edges: given, interior: mask }: GridEdges): Grid {
  const refuse = (is: string, wanted: string): never => {
    throw new RangeError(`Cannot lay a grid: ${is}, wanted ${wanted}`);
  };
  const { length: dimensions } = given;
  if (dimensions !== 1 && dimensions !== 2) {
    return refuse(`edges are along ${dimensions} dimensions`, "1 or 2");
  }
  const edges = given.map((along) => Float64Array.from(along));
  edges.forEach((along, d) => {
    const bins = along.length - 1;
    const width = (along[bins]! - along[0]!) / bins;
    if (!(bins >= 1 && width > 0 && width < Infinity)) {
      refuse(`edges along dimension ${d} are [${along}]`, "at least two numbers that ascend");
    }
    along.forEach((edge, i) => {
      if (Math.abs(edge - (along[0]! + i * width)) <= EVEN_SHARE * width) return;
      refuse(
        `edge ${i} along dimension ${d} is ${edge}`,
        `bins of one width, here ${along[0]! + i * width}`,
      );
    });
  });
  const shape = edges.map((along) => along.length - 1);
  const bins = shape.reduce((product, length) => product * length, 1);
  if (bins > MAX_BINS) refuse(`edges make ${bins} bins`, `at most ${MAX_BINS}`);
  if (mask && mask.length !== bins) {
    refuse(`interior has ${mask.length} values`, `one for each of ${bins} bins`);
  }
  const interior = Uint8Array.from({ length: bins }, (_, bin) => !mask || mask[bin] ? 1 : 0);
  const interiorIndex = indexOf(interior);
  if (interiorIndex.length === 0) refuse("no bin is interior", "at least one");
  const binSize = (edges[0]!.at(-1)! - edges[0]![0]!) / shape[0]!;
  const centers = edges.map(centersOf);
  return { dimensions, binSize, shape, edges, centers, interior, interiorIndex };
}

function indexOf(interior: Uint8Array): Uint32Array {
  return Uint32Array.from(Array.from(interior.keys()).filter((bin) => interior[bin] === 1));
}

function centersOf(edges: Float64Array): Float64Array {
  return Float64Array.from(
    { length: edges.length - 1 },
    (_, i) => (edges[i]! + edges[i + 1]!) / 2,
  );
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

function evenEdges(
  values: ArrayLike<number>,
  dimensions: number,
  dimension: number,
  binSize: number,
): Float64Array {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i += dimensions) {
    let known = true;
    for (let d = 0; d < dimensions; d++) known &&= !Number.isNaN(values[i + d]!);
    if (!known) continue;
    low = Math.min(low, values[i + dimension]!);
    high = Math.max(high, values[i + dimension]!);
  }
  if (low > high) {
    throw new RangeError(
      `Cannot lay a grid: none of ${
        values.length / dimensions
      } positions is known, wanted at least two`,
    );
  }
  const bins = Math.ceil((high - low) / binSize);
  if (!(bins >= 1)) {
    throw new RangeError(
      `Cannot lay a grid: positions span ${high - low} along dimension ${dimension}, wanted an ` +
        "extent above 0",
    );
  }
  if (bins > MAX_BINS) {
    throw new RangeError(
      `Cannot lay a grid: a bin size of ${binSize} gives ${bins} bins along dimension ` +
        `${dimension}, at most ${MAX_BINS} are supported; use larger bins`,
    );
  }
  const spacing = (high - low) / bins;
  const inner = Float64Array.from(
    { length: bins + 1 },
    (_, i) => i === bins ? high : low + i * spacing,
  );
  if (dimensions === 1) return inner;
  const width = inner[1]! - low;
  return Float64Array.of(low - width, ...inner, high + width);
}

/** Bins that hold a sample, left-closed: one at the range's maximum lies in the padding, if there is any. */
function occupiedBins(
  values: ArrayLike<number>,
  edges: readonly Float64Array[],
  shape: readonly number[],
): Uint8Array {
  const occupied = new Uint8Array(shape.reduce((product, length) => product * length, 1));
  const dimensions = edges.length;
  for (let i = 0; i < values.length; i += dimensions) {
    let bin = 0;
    let inside = true;
    for (let d = 0; d < dimensions; d++) {
      const along = binOf(edges[d]!, values[i + d]!);
      inside &&= along >= 0;
      bin = bin * shape[d]! + along;
    }
    if (inside) occupied[bin] = 1;
  }
  return occupied;
}

/** Binary closing by a cross: dilation, then erosion with zeros outside, which clears all bins at an edge. */
function closeByCross(mask: Uint8Array, shape: readonly number[]): Uint8Array {
  const grown = mapCross(mask, shape, (bins) => bins.some((bin) => bin === 1));
  return mapCross(grown, shape, (bins) => bins.every((bin) => bin === 1));
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
