/**
 * Counts, sums and sums of squares by cluster, and what follows of them in one pass:
 *
 *   SSE within = sum over clusters of (sum |x|^2 - |sum x|^2 / n),  SSE total the same of all rows
 *
 * Rows have mean 0 and variance 1 or nearly, so that f64 differences of such sums keep their digits.
 *
 * @module
 */

/** How far clusters explain rows. */
export interface ClusterStatistics {
  /** Rows that were taken, and clusters that have any. */
  rows: number;
  clusters: number;
  /** SSE within clusters over SSE in all; NaN of no rows. Where nothing varies, 0 or infinity. */
  ratio: number;
  /** What it is on average where ids say nothing, 1 - (clusters - 1) / (rows - 1); NaN below 2 rows. */
  expectedRatio: number;
  /** Of a diagonal Gaussian, nats less the constant: half the sum of ln max(variance, 1e-10). */
  entropy: number;
  /** Its mean over clusters of 2 rows and more, by their rows. */
  conditionalEntropy: number;
  /** `entropy` - `conditionalEntropy`, nats. */
  reductionNats: number;
  /** That over `entropy`: rows of variance 1 have an entropy near 0, where it means nothing. */
  reduction: number;
}

const LEAST_VARIANCE = 1e-10;
/** Sums of squares that differ by less than this, relative, differ by rounding. */
const ROUNDING = 1e-12;

type Tables = Pick<ClusterMoments, "counts" | "sums" | "squares">;

/** Sums of rows by cluster. */
export class ClusterMoments {
  readonly clusters: number;
  readonly dims: number;
  /** `[clusters]`. */
  readonly counts: Float64Array;
  /** `[clusters, dims]` f64. */
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  /** Clusters that have rows, in the order they got the first. */
  readonly #taken: number[] = [];
  /** Where a cluster lies in tables that have no room for all, -1 of those without rows. */
  readonly #places: Int32Array | undefined;

  /**
   * @param mostTaken Clusters that have rows at any time, at most: tables are made for so many.
   * @param tables Of all clusters, to be used as they are.
   */
  constructor(clusters: number, dims: number, mostTaken = clusters, tables?: Tables) {
    this.clusters = clusters;
    this.dims = dims;
    const room = Math.min(clusters, mostTaken);
    this.counts = tables?.counts ?? new Float64Array(room);
    this.sums = tables?.sums ?? new Float64Array(room * dims);
    this.squares = tables?.squares ?? new Float64Array(room * dims);
    if (room < clusters) this.#places = new Int32Array(clusters).fill(-1);
    tables?.counts.forEach((count, cluster) => count > 0 && this.#taken.push(cluster));
  }

  /** Bytes of a table. */
  static bytes(clusters: number, dims: number, mostTaken = clusters): number {
    const room = Math.min(clusters, mostTaken);
    return 8 * room * (1 + 2 * dims) + (room < clusters ? 4 * clusters : 0);
  }

  add(cluster: number, row: Float64Array): void {
    const { dims, sums, squares } = this;
    const place = this.#take(cluster);
    this.counts[place]!++;
    for (let d = 0, at = place * dims; d < dims; d++, at++) {
      const value = row[d]!;
      sums[at]! += value;
      squares[at]! += value * value;
    }
  }

  /** Forgets all rows, at a cost that goes with the clusters that have any. */
  clear(): void {
    const { dims } = this;
    for (const cluster of this.#taken.splice(0)) {
      const place = this.#placeOf(cluster);
      this.counts[place] = 0;
      this.sums.fill(0, place * dims, (place + 1) * dims);
      this.squares.fill(0, place * dims, (place + 1) * dims);
      if (this.#places) this.#places[cluster] = -1;
    }
  }

  statistics(): ClusterStatistics {
    return this.statisticsOf(this.clusters, () => true);
  }

  /**
   * Statistics of a table that has several cells for each of `clusters` clusters, cell set * clusters +
   * cluster, over the sets that `isPart` takes.
   */
  statisticsOf(clusters: number, isPart: (set: number) => boolean): ClusterStatistics {
    const { dims } = this;
    const found = new Found(dims);
    const [sums, squares] = [new Float64Array(dims), new Float64Array(dims)];
    // in an order that does not depend on that of the rows
    const cells = this.#taken.filter((cell) => isPart(Math.floor(cell / clusters)))
      .sort((a, b) => a % clusters - b % clusters || a - b);
    for (let i = 0; i < cells.length;) {
      const cluster = cells[i]! % clusters;
      let count = 0;
      sums.fill(0);
      squares.fill(0);
      for (; i < cells.length && cells[i]! % clusters === cluster; i++) {
        const place = this.#placeOf(cells[i]!);
        count += this.counts[place]!;
        for (let d = 0, at = place * dims; d < dims; d++, at++) {
          sums[d]! += this.sums[at]!;
          squares[d]! += this.squares[at]!;
        }
      }
      found.add(count, sums, squares);
    }
    return found.statistics();
  }

  /** Adds the cells of all sets up, in the place of the first set's: a table of all rows. */
  fold(clusters: number): ClusterMoments {
    const { dims } = this;
    const part = (table: Float64Array, width: number) => {
      const first = table.subarray(0, clusters * width);
      for (let at = first.length; at < table.length; at++) first[at % first.length]! += table[at]!;
      return first;
    };
    return new ClusterMoments(clusters, dims, clusters, {
      counts: part(this.counts, 1),
      sums: part(this.sums, dims),
      squares: part(this.squares, dims),
    });
  }

  #placeOf(cluster: number): number {
    return this.#places ? this.#places[cluster]! : cluster;
  }

  /** The place of a cluster that gets a row. */
  #take(cluster: number): number {
    const place = this.#placeOf(cluster);
    if (place >= 0 && this.counts[place]! > 0) return place;
    this.#taken.push(cluster);
    return this.#places ? this.#places[cluster] = this.#taken.length - 1 : cluster;
  }
}

/** Clusters that were added up, one after the other, and what follows of them. */
class Found {
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  #rows = 0;
  #clusters = 0;
  #within = 0;
  #entropies = 0;
  #entropyRows = 0;

  constructor(dims: number) {
    this.#sums = new Float64Array(dims);
    this.#squares = new Float64Array(dims);
  }

  /** Adds a cluster that has rows. */
  add(count: number, sums: Float64Array, squares: Float64Array): void {
    let [inside, of, logarithms] = [0, 0, 0];
    for (let d = 0; d < sums.length; d++) {
      const [sum, square] = [sums[d]!, squares[d]!];
      this.#sums[d]! += sum;
      this.#squares[d]! += square;
      const rest = square - sum * sum / count;
      inside += rest;
      of += square;
      logarithms += Math.log(Math.max(rest / count, LEAST_VARIANCE));
    }
    this.#rows += count;
    this.#clusters++;
    if (inside > ROUNDING * of) this.#within += inside;
    if (count < 2) return;
    this.#entropies += count * logarithms / 2;
    this.#entropyRows += count;
  }

  statistics(): ClusterStatistics {
    const [rows, clusters, within] = [this.#rows, this.#clusters, this.#within];
    let [total, of, entropy] = [0, 0, 0];
    this.#squares.forEach((square, d) => {
      const rest = square - this.#sums[d]! * this.#sums[d]! / rows;
      total += rest;
      of += square;
      entropy += Math.log(Math.max(rest / rows, LEAST_VARIANCE)) / 2;
    });
    if (rows === 0) entropy = NaN;
    if (!(total > ROUNDING * of)) total = 0;
    const conditionalEntropy = this.#entropies / this.#entropyRows;
    const reductionNats = entropy - conditionalEntropy;
    return {
      rows,
      clusters,
      ratio: rows === 0 ? NaN : total > 0 ? within / total : within === 0 ? 0 : Infinity,
      expectedRatio: rows < 2 ? NaN : 1 - (clusters - 1) / (rows - 1),
      entropy,
      conditionalEntropy,
      reductionNats,
      reduction: reductionNats / entropy,
    };
  }
}
