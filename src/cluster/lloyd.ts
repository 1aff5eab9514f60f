/**
 * Lloyd's algorithm on the host's side: what the centres of one run become, sweep by sweep.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Codes } from "./codes.ts";
import { Tally } from "./codes.ts";

export interface LloydOptions {
  maxIterations: number;
  /** Squared movement of all centres together, in the device's coordinates, at which a run ends. */
  tolerance: number;
  /** Whether centres have length 1. */
  spherical: boolean;
}

/** What of a run is kept beside its centres, in a form JSON can hold. */
export type LloydFacts = Pick<Lloyd, "iterations" | "moving" | "converged"> & { inertia?: number };

/** One run from its first centres to its last. */
export class Lloyd {
  codes: Codes;
  iterations = 0;
  /** Sum of squared distances to the centres, in the device's coordinates, once it is known. */
  inertia: number | undefined;
  /** Whether there is another iteration to come. */
  moving: boolean;
  /** Whether centres stood still at the end. */
  converged = false;
  readonly #points: Points;
  readonly #options: LloydOptions;
  #tally: Tally | undefined;

  /** @param known Of a run that goes on, between two sweeps. */
  constructor(points: Points, codes: Codes, options: LloydOptions, known?: LloydFacts) {
    this.#points = points;
    this.#options = options;
    this.codes = codes;
    this.moving = options.maxIterations > 0;
    Object.assign(this, known);
  }

  /** Between two sweeps, this and the centres are all there is. */
  get facts(): LloydFacts {
    const { iterations, moving, converged, inertia } = this;
    return { iterations, moving, converged, ...(inertia !== undefined && { inertia }) };
  }

  /** Whether a sweep has anything to tell this run. */
  get active(): boolean {
    return this.moving || this.inertia === undefined;
  }

  /** Takes the rows and sums of the sweep that is under way. */
  get tally(): Tally {
    return this.#tally ??= new Tally(this.#points, this.codes);
  }

  /** Moves the centres to the means of their rows, after a sweep. */
  async update(signal: AbortSignal): Promise<void> {
    const { maxIterations, tolerance, spherical } = this.#options;
    const { tally } = this;
    const inertia = tally.squared.reduce((sum, squared) => sum + squared, 0);
    this.#tally = undefined;
    if (!this.moving) {
      this.inertia = inertia;
      return;
    }
    await tally.fillEmpty(signal);
    const { centers: before } = this.codes;
    this.codes = tally.moved(tally.counts, spherical);
    const moved = this.codes.centers.reduce((sum, value, i) => sum + (value - before[i]!) ** 2, 0);
    this.iterations++;
    // centres that did not move have the inertia that was just measured
    this.inertia = moved === 0 ? inertia : undefined;
    this.converged = moved <= tolerance;
    this.moving = !this.converged && this.iterations < maxIterations;
  }
}
