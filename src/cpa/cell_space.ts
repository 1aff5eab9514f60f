/**
 * A space in which cells are compared with cells: principal axes of ln(1 + 1e4 share) of some training cells, and which cells of a group
 * are looked at.
 *
 * @module
 */

import type { CellMatrix, RowEntries } from "../array/anndata/matrix.ts";
import { philox } from "../math/random.ts";
import type { Axes, Points } from "./cell_distributions.ts";
import { energyDistance, kernelWidth, principalAxes, squaredMmd } from "./cell_distributions.ts";

/** Axes at most, and cells that they are of. */
const [AXES, AXES_CELLS] = [50, 300];
/** What shares of a library are scaled by before their logarithm. */
const SCALE = 1e4;

export class CellSpace {
  /** Cells of a group that are looked at, at most. */
  readonly cells: number;
  readonly seed: number;
  readonly #axes: Axes;
  readonly #genes: number;
  /** [axes]: where the origin lies. */
  readonly #offsets: Float64Array;

  private constructor(axes: Axes, { cells, seed }: { cells: number; seed: number }) {
    this.cells = cells;
    this.seed = seed;
    this.#axes = axes;
    this.#genes = axes.mean.length;
    this.#offsets = Float64Array.from({ length: axes.count }, (_, axis) => {
      let sum = 0;
      for (let gene = 0; gene < this.#genes; gene++) {
        sum += axes.mean[gene]! * axes.directions[axis * this.#genes + gene]!;
      }
      return sum;
    });
  }

  /**
   * Reads some training cells.
   *
   * @param training All of them, ascending.
   * @param step Cells that are read at once.
   * @returns `undefined` where they do not differ, or are fewer than two.
   */
  static async read(
    matrix: CellMatrix,
    training: Uint32Array,
    step: number,
    options: { cells: number; seed: number },
  ): Promise<CellSpace | undefined> {
    const dim = matrix.shape[1];
    const chosen = chosenOf(training, AXES_CELLS, options.seed);
    if (chosen.length < 2) return undefined;
    const values = new Float64Array(chosen.length * dim);
    for (let at = 0; at < chosen.length;) {
      const start = chosen[at]! - chosen[at]! % step;
      const rows = await matrix.rows(start, Math.min(matrix.shape[0], start + step));
      for (; at < chosen.length && chosen[at]! < rows.end; at++) {
        const { genes, shares } = sharesOf(rows, chosen[at]!);
        genes.forEach((gene, i) => values[at * dim + gene] = shares[i]!);
      }
    }
    const axes = principalAxes({ values, dim }, AXES);
    return axes.count === 0 ? undefined : new CellSpace(axes, options);
  }

  /** Coordinates of a cell: of its counts. */
  place(genes: ArrayLike<number>, counts: ArrayLike<number>): Float64Array {
    const { directions, count } = this.#axes;
    const shares = logShares(counts);
    return Float64Array.from({ length: count }, (_, axis) => {
      let sum = -this.#offsets[axis]!;
      for (let i = 0; i < shares.length; i++) {
        sum += shares[i]! * directions[axis * this.#genes + genes[i]!]!;
      }
      return sum;
    });
  }
}

/** Cells in a space, group by group. */
export class PlacedCells {
  readonly space: CellSpace;
  readonly #groups = new Map<number, Float64Array[]>();

  constructor(space: CellSpace) {
    this.space = space;
  }

  add(group: number, genes: ArrayLike<number>, counts: ArrayLike<number>): void {
    const own = this.#groups.get(group);
    const place = this.space.place(genes, counts);
    if (own) own.push(place);
    else this.#groups.set(group, [place]);
  }

  forget(group: number): void {
    this.#groups.delete(group);
  }

  /** Of all of the groups; `undefined` where there is no cell. */
  points(...groups: readonly number[]): Points | undefined {
    const found = groups.flatMap((group) => this.#groups.get(group) ?? []);
    if (found.length === 0) return undefined;
    const dim = found[0]!.length;
    const values = new Float64Array(found.length * dim);
    found.forEach((own, i) => values.set(own, i * dim));
    return { values, dim };
  }
}

export interface Spreads {
  energyDistance: number;
  squaredMmd: number;
}

/** How far cells are from the truth; NaN where there are fewer than two of either, or of control, or these do not differ. */
export function spreadsOf(
  cells: Points | undefined,
  truth: Points | undefined,
  control: Points | undefined,
): Spreads {
  const isEnough = (points: Points | undefined): points is Points =>
    points !== undefined && points.values.length >= 2 * points.dim;
  const none = { energyDistance: NaN, squaredMmd: NaN };
  if (!isEnough(cells) || !isEnough(truth) || !isEnough(control)) return none;
  const gamma = kernelWidth(truth, control);
  return {
    energyDistance: energyDistance(cells, truth),
    squaredMmd: Number.isFinite(gamma) ? squaredMmd(cells, truth, gamma) : NaN,
  };
}

/** So many of some cells, ascending: those that the seed puts first, whatever cells there are besides. */
export function chosenOf(cells: ArrayLike<number>, most: number, seed: number): Uint32Array {
  const all = Uint32Array.from(cells);
  if (all.length <= most) return all;
  const keys = new Map(Array.from(all, (cell) => [cell, philox([cell, 0, 0, 0], [seed, 31])[0]]));
  return all.sort((a, b) => keys.get(a)! - keys.get(b)! || a - b).slice(0, most).sort();
}

function sharesOf({ start, starts, genes, values }: RowEntries, cell: number) {
  const [first, last] = [starts[cell - start]!, starts[cell - start + 1]!];
  return { genes: genes.subarray(first, last), shares: logShares(values.subarray(first, last)) };
}

/** ln(1 + 1e4 share) of counts of one cell. */
function logShares(counts: ArrayLike<number>): Float64Array {
  let library = 0;
  for (let i = 0; i < counts.length; i++) library += counts[i]!;
  return Float64Array.from(
    counts,
    (count) => count === 0 ? 0 : Math.log1p(SCALE * count / library),
  );
}
