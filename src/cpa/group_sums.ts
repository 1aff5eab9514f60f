/**
 * Sums over the cells of groups, from which profiles and variances come: cells are looked at once, in any order,
 * and none is kept.
 *
 * @module
 */

import type { RowEntries } from "../array/anndata/matrix.ts";

/** What shares of a library are scaled by before their logarithm. */
const SCALE = 1e4;

interface Sums {
  cells: number;
  library: number;
  /** [genes] each: of counts, of ln(1 + count) and its square, of ln(1 + 1e4 count / library) and its square. */
  counts: Float64Array;
  logs: Float64Array;
  logSquares: Float64Array;
  shares: Float64Array;
  shareSquares: Float64Array;
}

/** Mean and unbiased variance over cells, [genes] each. */
export interface Moments {
  cells: number;
  mean: Float64Array;
  variance: Float64Array;
}

export class GroupSums {
  readonly genes: number;
  readonly #groups = new Map<number, Sums>();

  readonly #onlyCounts: boolean;

  /** @param options `onlyCounts`: for profiles alone, which take a fifth of the memory. */
  constructor(genes: number, { onlyCounts = false }: { onlyCounts?: boolean } = {}) {
    this.genes = genes;
    this.#onlyCounts = onlyCounts;
  }

  /** @param groupOf The group of a cell, below 0 for none. */
  add(rows: RowEntries, groupOf: (cell: number) => number): void {
    const { start, end, starts, genes, values } = rows;
    for (let cell = start; cell < end; cell++) {
      const group = groupOf(cell);
      if (group < 0) continue;
      const [first, last] = [starts[cell - start]!, starts[cell - start + 1]!];
      this.addCell(group, genes.subarray(first, last), values.subarray(first, last));
    }
  }

  /** Adds cells whose counts, or means of counts, are there for every gene: [cells, genes]. */
  addDense(values: Float32Array | Float64Array, groups: ArrayLike<number>): void {
    const all = Uint32Array.from({ length: this.genes }, (_, gene) => gene);
    for (let cell = 0; cell < groups.length; cell++) {
      const own = values.subarray(cell * this.genes, (cell + 1) * this.genes);
      if (groups[cell]! >= 0) this.addCell(groups[cell]!, all, own);
    }
  }

  cells(group: number): number {
    return this.#groups.get(group)?.cells ?? 0;
  }

  /**
   * ln(1 + 1e4 sum of counts / sum of libraries), [genes]; `undefined` where there is no count.
   *
   * @param groups Whose cells count as one.
   */
  pseudobulk(...groups: readonly number[]): Float64Array | undefined {
    const found = groups.map((group) => this.#groups.get(group)).filter((own) => own !== undefined);
    const library = found.reduce((sum, own) => sum + own.library, 0);
    if (!(library > 0)) return undefined;
    const profile = new Float64Array(this.genes);
    for (const { counts } of found) {
      for (let gene = 0; gene < this.genes; gene++) profile[gene]! += counts[gene]!;
    }
    for (let gene = 0; gene < this.genes; gene++) {
      profile[gene] = Math.log1p(SCALE * profile[gene]! / library);
    }
    return profile;
  }

  /** Of ln(1 + count), as the original compares cells; `undefined` where there is no cell. */
  logMoments(...groups: readonly number[]): Moments | undefined {
    return this.#moments(groups, "logs", "logSquares");
  }

  /** Of ln(1 + 1e4 count / library); `undefined` where there is no cell. */
  shareMoments(...groups: readonly number[]): Moments | undefined {
    return this.#moments(groups, "shares", "shareSquares");
  }

  #moments(
    groups: readonly number[],
    sum: "logs" | "shares",
    squares: "logSquares" | "shareSquares",
  ): Moments | undefined {
    const found = groups.map((group) => this.#groups.get(group)).filter((own) => own !== undefined);
    const cells = found.reduce((count, own) => count + own.cells, 0);
    if (cells === 0 || this.#onlyCounts) return undefined;
    const total = (name: keyof Sums, gene: number) =>
      found.reduce((all, own) => all + (own[name] as Float64Array)[gene]!, 0);
    const mean = Float64Array.from({ length: this.genes }, (_, gene) => total(sum, gene) / cells);
    const variance = mean.map((own, gene) =>
      Math.max(0, total(squares, gene) - cells * own * own) / (cells - 1)
    );
    return { cells, mean, variance };
  }

  /** Adds a cell by its genes that are not zero. */
  addCell(group: number, genes: Uint32Array, values: Float32Array | Float64Array): void {
    const sums = this.#sumsOf(group);
    let library = 0;
    for (let i = 0; i < values.length; i++) library += values[i]!;
    sums.cells++;
    sums.library += library;
    for (let i = 0; i < values.length; i++) {
      const [gene, value] = [genes[i]!, values[i]!];
      if (value === 0) continue;
      sums.counts[gene]! += value;
      if (this.#onlyCounts) continue;
      const log = Math.log1p(value);
      const share = Math.log1p(SCALE * value / library);
      sums.logs[gene]! += log;
      sums.logSquares[gene]! += log * log;
      sums.shares[gene]! += share;
      sums.shareSquares[gene]! += share * share;
    }
  }

  #sumsOf(group: number): Sums {
    const found = this.#groups.get(group);
    if (found) return found;
    const empty = () => new Float64Array(this.#onlyCounts ? 0 : this.genes);
    const counts = new Float64Array(this.genes);
    const sums = {
      ...{ cells: 0, library: 0, counts, logs: empty(), logSquares: empty() },
      ...{ shares: empty(), shareSquares: empty() },
    };
    this.#groups.set(group, sums);
    return sums;
  }
}
