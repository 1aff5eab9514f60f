/**
 * Lloyd's algorithm: what the centres of every run become, sweep by sweep.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Pass } from "../stream/pass.ts";
import type { Held } from "../stream/task.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { BlockSums } from "./block_sums.ts";
import type { Codes } from "./codes.ts";
import { decisionBytes } from "./near_ties.ts";
import { Tally, tallyHeld, tallySums } from "./tally.ts";

export interface LloydOptions {
  maxIterations: number;
  /** Squared movement of all centres together, in the device's coordinates, at which a run ends. */
  tolerance: number;
  /** Whether centres have length 1. */
  spherical: boolean;
}

/** Numbers of a run, in their order: two of them are 1 for yes, the last is NaN until it is known. */
const [ITERATIONS, MOVING, CONVERGED, INERTIA, FACTS] = [0, 1, 2, 3, 4] as const;

/** What so many runs hold. Between two sweeps, what is kept is all there is. */
export function runsHeld(runs: number, codes: number, features: number) {
  const length = runs * codes * features;
  return {
    /** `[runs, codes, features]`, as {@link Codes} has them. */
    centers: { dtype: "float64", length },
    coarse: { dtype: "float32", length },
    /** `[runs, 4]` */
    facts: { dtype: "float64", length: FACTS * runs },
    ...tallyHeld(runs, codes, features),
  } as const;
}

export type RunsHeld = Held<ReturnType<typeof runsHeld>>;

/** The part of held arrays that is one run's. */
function partOf(held: RunsHeld, run: number): RunsHeld {
  const runs = held.facts.length / FACTS;
  const part = <Values extends Float32Array | Float64Array>(values: Values) => {
    const length = values.length / runs;
    return values.subarray(run * length, (run + 1) * length) as Values;
  };
  return {
    centers: part(held.centers),
    coarse: part(held.coarse),
    facts: part(held.facts),
    sums: part(held.sums),
    corrections: part(held.corrections),
    counts: part(held.counts),
    squared: part(held.squared),
    farRows: part(held.farRows),
  };
}

/** One run from its first centres to its last. */
export class Lloyd {
  readonly #points: Points;
  readonly #held: RunsHeld;
  readonly #options: LloydOptions;
  #tally: Tally | undefined;

  /** @param held Of all runs. */
  constructor(points: Points, held: RunsHeld, run: number, options: LloydOptions) {
    this.#points = points;
    this.#held = partOf(held, run);
    this.#options = options;
  }

  /** Begins with the centres that are there. */
  start(): void {
    const { centers, coarse, facts } = this.#held;
    coarse.set(centers);
    facts[MOVING] = Number(this.#options.maxIterations > 0);
    facts[INERTIA] = NaN;
  }

  get codes(): Codes {
    return this.#held;
  }

  get iterations(): number {
    return this.#held.facts[ITERATIONS]!;
  }

  /** Whether there is another iteration to come. */
  get moving(): boolean {
    return this.#held.facts[MOVING] === 1;
  }

  /** Whether centres stood still at the end. */
  get converged(): boolean {
    return this.#held.facts[CONVERGED] === 1;
  }

  /** Sum of squared distances to the centres, in the device's coordinates; NaN until it is known. */
  get inertia(): number {
    return this.#held.facts[INERTIA]!;
  }

  /** Whether a sweep has anything to tell this run. */
  get active(): boolean {
    return this.moving || Number.isNaN(this.inertia);
  }

  /** Begins to take the rows of a sweep. */
  beginSweep(): void {
    this.#tally = new Tally(this.#points, this.codes, this.#held);
  }

  /** Takes the rows and sums of the sweep that is under way. */
  get tally(): Tally {
    return this.#tally!;
  }

  /** Moves the centres to the means of their rows, after a sweep. */
  async update(signal: AbortSignal): Promise<void> {
    const { maxIterations, tolerance, spherical } = this.#options;
    const { centers, coarse, facts } = this.#held;
    const { tally } = this;
    const { inertia } = tally;
    if (!this.moving) {
      facts[INERTIA] = inertia;
      return;
    }
    await tally.fillEmpty(signal);
    const after = tally.moved(tally.counts, spherical);
    const moved = after.centers.reduce((sum, value, i) => sum + (value - centers[i]!) ** 2, 0);
    centers.set(after.centers);
    coarse.set(after.coarse);
    const converged = moved <= tolerance;
    facts[ITERATIONS]!++;
    facts[CONVERGED] = Number(converged);
    facts[MOVING] = Number(!converged && this.iterations < maxIterations);
    // centres that did not move have the inertia that was just measured
    facts[INERTIA] = moved === 0 ? inertia : NaN;
  }
}

/** The run of the least inertia, the first of equals. */
export function bestOf(runs: readonly Lloyd[]): Lloyd {
  return runs.reduce((best, run) => run.inertia < best.inertia ? run : best);
}

/** Iterates all runs side by side, so that the data are read once an iteration. */
export function iteratePass(
  shape: AssignmentShape,
  tileRows: number,
  { most, maxIterations, runs }: {
    /** Runs at most. */
    most: number;
    maxIterations: number;
    runs(): readonly Lloyd[];
  },
): Pass {
  const sums = new BlockSums(shape, tileRows, most);
  const active = () => runs().filter((run) => run.active);
  const books = () => active().length;
  return {
    name: "iterate",
    direction: "forward",
    cost: most * shape.codes * maxIterations,
    sweeps: {
      most: maxIterations + 1,
      again: async ({ signal }) => {
        await Promise.all(active().map((run) => run.update(signal)));
        // the last assignment measures the inertia of a run that has no rivals
        return most > 1 ? books() > 0 : runs()[0]!.moving;
      },
    },
    sums: { ...tallySums(most), blockRows: sums.blockRows },
    tables: () => {
      for (const run of active()) run.beginSweep();
      return assignment.codebookTables(shape, active().map(({ codes }) => codes));
    },
    slotBuffers: [
      ...assignment.uploadedPoints(shape, tileRows),
      ...assignment.assignmentBuffers(shape, tileRows, most),
      sums.slotBuffer(),
    ],
    steps: [...assignment.assignmentSteps(shape, tileRows, books), ...sums.steps(books)],
    hostBytes: {
      read: assignment.readBytes(shape, tileRows),
      write: decisionBytes(shape.points, tileRows),
    },
    read: (tile, { signal }) => assignment.readTile(shape, tile, signal),
    write: async (tile, downloads, { signal }) => {
      const own = active();
      for (const [book, { tally }] of own.entries()) {
        const { ids, nearness } = assignment.tileOf(downloads, tile, tileRows, book);
        await tally.takeRows(tile, ids, nearness, signal);
      }
      sums.forEach(tile, downloads, own.length, (book, some) => own[book]!.tally.takeSums(some));
    },
  };
}
