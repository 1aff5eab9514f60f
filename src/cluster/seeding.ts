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
import type { Pass, SharedBuffer, Tile } from "../stream/pass.ts";
import type { Held } from "../stream/task.ts";
import type { AssignmentShape } from "./assignment.ts";
import { baseRow, pointsBuffer, readBytes, readTile, uploadedPoints } from "./assignment.ts";

/** Candidates a step: 2 + ln k, at most as many as the kernel takes. */
export function seedTrials(codes: number): number {
  return Math.min(SEEDS, 2 + Math.floor(Math.log(codes)));
}

/** Where seeding is, in the order of its numbers. */
const [RUN, FOUND, CANDIDATES, PLACES] = [0, 1, 2, 3] as const;

/** What seeding holds beside the centres that it finds; nothing where centres are given. */
export function seedingHeld({ rows, features }: Points, codes: number, isGiven: boolean) {
  const trials = isGiven ? 0 : seedTrials(codes);
  return {
    /** `[rows]`: least squared distance of every row to a centre of the run. */
    least: { dtype: "float32", length: isGiven ? 0 : rows, until: "seed" },
    /** `[trials, features]`: those that the next sweep measures come first. */
    candidates: { dtype: "float64", length: trials * features },
    /** The run, centres found of it, and how many candidates there are. */
    seeded: { dtype: "float64", length: isGiven ? 0 : PLACES },
    /** `[trials, rows]`: what `least` would be with each candidate, and the sums. */
    leastWith: { dtype: "float32", length: trials * rows, role: "scratch" },
    potentials: { dtype: "float64", length: trials, role: "scratch" },
  } as const;
}

export type SeedingHeld = Held<ReturnType<typeof seedingHeld>> & {
  /** `[runs, codes, features]` in the device's coordinates: written one after the other. */
  centers: Float64Array<ArrayBuffer>;
};

/** Chooses the first centres of several runs, one run after the other. */
export class Seeding {
  readonly #points: Points;
  readonly #held: SeedingHeld;
  readonly #codes: number;
  readonly #seed: number;
  #random: Random;

  constructor(points: Points, held: SeedingHeld, codes: number, seed: number) {
    this.#points = points;
    this.#held = held;
    this.#codes = codes;
    this.#seed = seed;
    const { seeded, potentials } = held;
    this.#random = new Random(seed, seeded[RUN]);
    // a word for the first centre, and one for each candidate since
    for (let i = 0; i < 1 + seeded[FOUND]! * potentials.length; i++) this.#random.word();
  }

  /** Candidates that the next sweep measures, `[candidates, features]`. */
  get candidates(): Float64Array {
    const { candidates, seeded } = this.#held;
    return candidates.subarray(0, seeded[CANDIDATES]! * this.#points.features);
  }

  /** Draws the first centre of a run. */
  async start(signal: AbortSignal): Promise<void> {
    const { seeded, least } = this.#held;
    this.#random = new Random(this.#seed, seeded[RUN]);
    seeded[FOUND] = 0;
    least.fill(Infinity);
    await this.#propose([this.#random.integer(this.#points.rows)], signal);
  }

  /** Takes the distances of a tile to the candidates. */
  take({ start, end }: Tile, distances: Float32Array, tileRows: number): void {
    const { rows } = this.#points;
    const { least, leastWith, potentials, seeded } = this.#held;
    for (let i = 0; i < seeded[CANDIDATES]!; i++) {
      const from = i * seedRows(tileRows);
      let potential = potentials[i]!;
      for (let row = start; row < end; row++) {
        const own = Math.min(least[row]!, distances[from + row - start]!);
        leastWith[i * rows + row] = own;
        potential += own;
      }
      potentials[i] = potential;
    }
  }

  /** Keeps the best candidate and draws the next ones; whether there are any. */
  async next(signal: AbortSignal): Promise<boolean> {
    const { rows } = this.#points;
    const { least, leastWith, seeded } = this.#held;
    const potentials = this.#held.potentials.subarray(0, seeded[CANDIDATES]);
    const best = potentials.indexOf(Math.min(...potentials));
    this.#keep(best);
    // no row is anywhere else: others would be equal to one of these
    while (potentials[best] === 0 && seeded[FOUND]! < this.#codes) this.#keep(best);
    if (seeded[FOUND] === this.#codes) {
      seeded[RUN]!++;
      if (seeded[RUN] === this.#runs) return false;
      await this.start(signal);
      return true;
    }
    least.set(leastWith.subarray(best * rows, (best + 1) * rows));
    const marks = Array.from(
      this.#held.potentials,
      () => this.#random.uniform() * potentials[best]!,
    );
    await this.#propose(this.#rowsAt(marks), signal);
    return true;
  }

  get #runs(): number {
    return this.#held.centers.length / (this.#codes * this.#points.features);
  }

  /** Makes a candidate the next centre of the run. */
  #keep(candidate: number): void {
    const { features } = this.#points;
    const { centers, candidates, seeded } = this.#held;
    const at = seeded[RUN]! * this.#codes + seeded[FOUND]!++;
    centers.set(
      candidates.subarray(candidate * features, (candidate + 1) * features),
      at * features,
    );
  }

  /** The rows at which the running sum of least distances passes these marks. */
  #rowsAt(marks: readonly number[]): number[] {
    const order = [...marks.keys()].sort((a, b) => marks[a]! - marks[b]!);
    const found = marks.map(() => this.#points.rows - 1);
    let sum = 0;
    let next = 0;
    for (let row = 0; row < this.#points.rows && next < order.length; row++) {
      sum += this.#held.least[row]!;
      while (next < order.length && sum >= marks[order[next]!]!) found[order[next++]!] = row;
    }
    return found;
  }

  async #propose(rows: readonly number[], signal: AbortSignal): Promise<void> {
    const { candidates, potentials, seeded } = this.#held;
    potentials.fill(0);
    seeded[CANDIDATES] = rows.length;
    for (const [i, row] of rows.entries()) {
      const point = await this.#points.readScaled(row, row + 1, { signal });
      candidates.set(point, i * this.#points.features);
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
  { sweeps, seeding, onSeeded }: {
    /** Centres that are to be found. */
    sweeps: number;
    seeding(): Seeding;
    /** Hears that all are there. */
    onSeeded(): void;
  },
): Pass {
  const { features } = shape.points;
  return {
    name: "seed",
    direction: "forward",
    cost: sweeps,
    sweeps: {
      most: sweeps,
      again: async ({ signal }) => {
        const goesOn = await seeding().next(signal);
        if (!goesOn) onSeeded();
        return goesOn;
      },
    },
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
    hostBytes: { read: readBytes(shape, tileRows) },
    read: (tile, { signal }) => readTile(shape, tile, signal),
    write: (tile, downloads) => {
      seeding().take(tile, new Float32Array(downloads.seed_distances!), tileRows);
    },
  };
}
