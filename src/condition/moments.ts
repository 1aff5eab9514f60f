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

  constructor(clusters: number, dims: number) {
    this.clusters = clusters;
    this.dims = dims;
    this.counts = new Float64Array(clusters);
    this.sums = new Float64Array(clusters * dims);
    this.squares = new Float64Array(clusters * dims);
  }

  /** Bytes of a table. */
  static bytes(clusters: number, dims: number): number {
    return 8 * clusters * (1 + 2 * dims);
  }

  add(cluster: number, row: Float64Array): void {
    const { dims, sums, squares } = this;
    if (this.counts[cluster]!++ === 0) this.#taken.push(cluster);
    for (let d = 0, at = cluster * dims; d < dims; d++, at++) {
      const value = row[d]!;
      sums[at]! += value;
      squares[at]! += value * value;
    }
  }

  /** Adds what another table has of its cluster `from` to a cluster of this one. */
  addCluster(cluster: number, other: ClusterMoments, from: number): void {
    const count = other.counts[from]!;
    if (count === 0) return;
    const { dims } = this;
    if (this.counts[cluster] === 0) this.#taken.push(cluster);
    this.counts[cluster]! += count;
    for (let d = 0; d < dims; d++) {
      this.sums[cluster * dims + d]! += other.sums[from * dims + d]!;
      this.squares[cluster * dims + d]! += other.squares[from * dims + d]!;
    }
  }

  /** Forgets all rows, at a cost that goes with the clusters that have any. */
  clear(): void {
    const { dims } = this;
    for (const cluster of this.#taken.splice(0)) {
      this.counts[cluster] = 0;
      this.sums.fill(0, cluster * dims, (cluster + 1) * dims);
      this.squares.fill(0, cluster * dims, (cluster + 1) * dims);
    }
  }

  statistics(): ClusterStatistics {
    const { dims } = this;
    const sums = new Float64Array(dims);
    const squares = new Float64Array(dims);
    let [rows, within, entropies, entropyRows] = [0, 0, 0, 0];
    // in an order that does not depend on that of the rows
    const taken = this.#taken.slice().sort((a, b) => a - b);
    for (const cluster of taken) {
      const count = this.counts[cluster]!;
      let [inside, of, logarithms] = [0, 0, 0];
      for (let d = 0, at = cluster * dims; d < dims; d++, at++) {
        const [sum, square] = [this.sums[at]!, this.squares[at]!];
        sums[d]! += sum;
        squares[d]! += square;
        const rest = square - sum * sum / count;
        inside += rest;
        of += square;
        logarithms += Math.log(Math.max(rest / count, LEAST_VARIANCE));
      }
      rows += count;
      if (inside > ROUNDING * of) within += inside;
      if (count < 2) continue;
      entropies += count * logarithms / 2;
      entropyRows += count;
    }
    let [total, of, entropy] = [0, 0, 0];
    for (let d = 0; d < dims; d++) {
      const rest = squares[d]! - sums[d]! * sums[d]! / rows;
      total += rest;
      of += squares[d]!;
      entropy += Math.log(Math.max(rest / rows, LEAST_VARIANCE)) / 2;
    }
    if (rows === 0) entropy = NaN;
    if (!(total > ROUNDING * of)) total = 0;
    const conditionalEntropy = entropies / entropyRows;
    const reductionNats = entropy - conditionalEntropy;
    return {
      rows,
      clusters: taken.length,
      ratio: rows === 0 ? NaN : total > 0 ? within / total : within === 0 ? 0 : Infinity,
      expectedRatio: rows < 2 ? NaN : 1 - (taken.length - 1) / (rows - 1),
      entropy,
      conditionalEntropy,
      reductionNats,
      reduction: reductionNats / entropy,
    };
  }
}
