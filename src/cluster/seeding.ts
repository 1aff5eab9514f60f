/**
 * Greedy k-means++, one pass over the rows a centre.
 *
 * Source: Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding"; several
 * candidates a step, of which the best is kept, as in scikit-learn.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import * as seed from "../kernels/vq_seed.ts";
import { seedRows, SEEDS } from "../kernels/vq_seed.ts";
import { Random } from "../math/random.ts";
import type { HostState } from "../store/journal.ts";
import type { Pass, SharedBuffer, Tile } from "../stream/pass.ts";
import type { AssignmentShape } from "./assignment.ts";
import { baseRow, pointsBuffer, uploadedPoints } from "./assignment.ts";

/** Candidates a step: 2 + ln k, at most as many as the kernel takes. */
export function seedTrials(codes: number): number {
  return Math.min(SEEDS, 2 + Math.floor(Math.log(codes)));
}

/** Host bytes a {@link Seeding} takes: the least distance of every row, and those to candidates. */
export function seedingBytes({ rows, features }: Points, codes: number, inits: number): number {
  return 4 * rows * (1 + seedTrials(codes)) + 8 * codes * features * inits;
}

/** Bytes of {@link Seeding.state} at most. */
export function seedingStateBytes({ rows, features }: Points, codes: number, inits: number) {
  // of each run's centres an entry that says so, too
  return 4 * rows + 8 * features * (codes * inits + codes + seedTrials(codes)) + 16 * inits;
}

/** Chooses the first centres of several runs, one run after the other. */
export class Seeding {
  /** `[codes, features]` in the device's coordinates, of every run that is complete. */
  readonly centers: Float64Array[] = [];
  readonly #points: Points;
  readonly #codes: number;
  readonly #inits: number;
  readonly #seed: number;
  /** Least squared distance of every row to a centre. */
  #least: Float32Array;
  /** `[candidates, rows]`: what it would be with each candidate. */
  readonly #distances: Float32Array;
  readonly #potentials: Float64Array;
  #random!: Random;
  #own!: Float64Array;
  #found = 0;
  #candidates: Float64Array[] = [];

  constructor(points: Points, codes: number, inits: number, seed: number) {
    this.#points = points;
    this.#codes = codes;
    this.#inits = inits;
    this.#seed = seed;
    const trials = seedTrials(codes);
    this.#least = new Float32Array(points.rows);
    this.#distances = new Float32Array(trials * points.rows);
    this.#potentials = new Float64Array(trials);
  }

  /** Candidates that the next sweep measures, `[candidates, features]`. */
  get candidates(): Float64Array {
    const { features } = this.#points;
    const values = new Float64Array(this.#candidates.length * features);
    this.#candidates.forEach((point, i) => values.set(point, i * features));
    return values;
  }

  /** Between two sweeps, all that is needed to go on: centres found of the run, and arrays. */
  get state(): { found: number; arrays: HostState["arrays"] } {
    const { candidates } = this;
    return { found: this.#found, arrays: [this.#least, this.#own, candidates, ...this.centers] };
  }

  /** Goes on from a {@link state}, in place of {@link start}. */
  resume({ found, arrays }: Seeding["state"]): void {
    const [least, own, candidates, ...centers] = arrays as [Float32Array, ...Float64Array[]];
    const { features } = this.#points;
    this.centers.push(...centers);
    this.#least = least;
    this.#own = own!;
    this.#found = found;
    this.#random = new Random(this.#seed, this.centers.length);
    // a word for the first centre, and one for each candidate since
    for (let i = 0; i < 1 + found * this.#potentials.length; i++) this.#random.word();
    for (let at = 0; at < candidates!.length; at += features) {
      this.#candidates.push(candidates!.slice(at, at + features));
    }
  }

  /** Draws the first centre of a run. */
  async start(signal: AbortSignal): Promise<void> {
    this.#random = new Random(this.#seed, this.centers.length);
    this.#own = new Float64Array(this.#codes * this.#points.features);
    this.#found = 0;
    this.#least.fill(Infinity);
    await this.#propose([this.#random.integer(this.#points.rows)], signal);
  }

  /** Takes the distances of a tile to the candidates. */
  take({ start, end }: Tile, distances: Float32Array, tileRows: number): void {
    const { rows } = this.#points;
    for (let i = 0; i < this.#candidates.length; i++) {
      const from = i * seedRows(tileRows);
      let potential = this.#potentials[i]!;
      for (let row = start; row < end; row++) {
        const least = Math.min(this.#least[row]!, distances[from + row - start]!);
        this.#distances[i * rows + row] = least;
        potential += least;
      }
      this.#potentials[i] = potential;
    }
  }

  /** Keeps the best candidate and draws the next ones; whether there are any. */
  async next(signal: AbortSignal): Promise<boolean> {
    const { rows, features } = this.#points;
    const potentials = this.#potentials.subarray(0, this.#candidates.length);
    const best = potentials.indexOf(Math.min(...potentials));
    this.#own.set(this.#candidates[best]!, this.#found * features);
    this.#found++;
    if (potentials[best] === 0) {
      // no row is anywhere else: others would be equal to one of these
      while (this.#found < this.#codes) {
        this.#own.set(this.#candidates[best]!, this.#found++ * features);
      }
    }
    if (this.#found === this.#codes) {
      this.centers.push(this.#own);
      if (this.centers.length === this.#inits) return false;
      await this.start(signal);
      return true;
    }
    this.#least.set(this.#distances.subarray(best * rows, (best + 1) * rows));
    const trials = this.#potentials.length;
    const marks = Array.from(
      { length: trials },
      () => this.#random.uniform() * potentials[best]!,
    );
    await this.#propose(this.#rowsAt(marks), signal);
    return true;
  }

  /** The rows at which the running sum of least distances passes these marks. */
  #rowsAt(marks: readonly number[]): number[] {
    const order = [...marks.keys()].sort((a, b) => marks[a]! - marks[b]!);
    const found = marks.map(() => this.#points.rows - 1);
    let sum = 0;
    let next = 0;
    for (let row = 0; row < this.#points.rows && next < order.length; row++) {
      sum += this.#least[row]!;
      while (next < order.length && sum >= marks[order[next]!]!) found[order[next++]!] = row;
    }
    return found;
  }

  async #propose(rows: readonly number[], signal: AbortSignal): Promise<void> {
    this.#potentials.fill(0);
    this.#candidates = [];
    for (const row of rows) {
      this.#candidates.push(await this.#points.readScaled(row, row + 1, { signal }));
    }
  }
}

/** The table that {@link seedPass} fills. */
export function seedBuffer(features: number): SharedBuffer {
  return { name: "seeds", bytes: seed.seedBytes(SEEDS, features), kind: "storage" };
}

/** Measures every row from the candidates, sweep by sweep. */
export function seedPass(
  shape: AssignmentShape,
  tileRows: number,
  sweeps: number,
  { seeding, again, read }: {
    seeding(): Seeding;
    again(): Promise<boolean>;
    read: Pass["read"];
  },
): Pass {
  const { features } = shape.points;
  return {
    name: "seed",
    direction: "forward",
    cost: sweeps,
    sweeps: { most: sweeps, again },
    tables: () => ({ seeds: seed.packSeeds(seeding().candidates, features) }),
    slotBuffers: [
      ...uploadedPoints(shape, tileRows),
      { name: "seed_distances", bytes: 4 * SEEDS * seedRows(tileRows), role: "download" },
    ],
    steps: [{
      kernel: seed.vqSeed,
      constants: seed.vqSeedConstants(features, tileRows, shape.points.parts),
      buffers: pointsBuffer(shape),
      order: "ascending",
      params: (tile, from, to) => seed.vqSeedParams(from, to, baseRow(shape, tile)),
      workgroups: (rows) => seed.vqSeedWorkgroups(rows, 1),
    }],
    read,
    write: (tile, downloads) => {
      seeding().take(tile, new Float32Array(downloads.seed_distances!), tileRows);
      return Promise.resolve();
    },
  };
}
