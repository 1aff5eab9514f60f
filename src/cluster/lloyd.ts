/**
 * Lloyd's algorithm on the host's side: sums and counts of one run, and what its centres become.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import type { Tile } from "../stream/pass.ts";
import type { Decision } from "./near_ties.ts";
import { NearTies } from "./near_ties.ts";

/** A row, and its squared distance to its centre. */
interface FarRow {
  row: number;
  distance: number;
  code: number;
}

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
  /** `[codes, features]` f64 in the device's coordinates. */
  centers: Float64Array;
  iterations = 0;
  /** Sum of squared distances to `centers`, once it is known. */
  inertia: number | undefined;
  /** Whether there is another iteration to come. */
  moving: boolean;
  /** Whether centres stood still at the end. */
  converged = false;
  readonly #points: Points;
  readonly #options: LloydOptions;
  readonly #sums: Float64Array;
  /** What is to be added for rows that the device gave to another code. */
  readonly #corrections: Float64Array;
  readonly #counts: Float64Array;
  #nearTies: NearTies | undefined;
  #far: FarRow[] = [];
  #squared = 0;

  /** @param known Of a run that goes on, between two sweeps. */
  constructor(points: Points, centers: Float64Array, options: LloydOptions, known?: LloydFacts) {
    this.#points = points;
    this.#options = options;
    this.centers = centers.slice();
    this.#sums = new Float64Array(centers.length);
    this.#corrections = new Float64Array(centers.length);
    this.#counts = new Float64Array(centers.length / points.features);
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

  /** Takes the codes and nearness of a tile's rows, tiles in ascending order. */
  async takeRows(
    tile: Tile,
    ids: Uint32Array,
    nearness: Float32Array,
    signal: AbortSignal,
  ): Promise<void> {
    this.#nearTies ??= new NearTies(this.#points, this.centers);
    const decisions = await this.#nearTies.decide(tile, ids, nearness, signal);
    let next = 0;
    for (let row = 0; row < tile.end - tile.start; row++) {
      let code = ids[row]!;
      let distance = nearness[2 * row]!;
      const decision = decisions[next];
      if (decision?.row === row) {
        next++;
        this.#correct(decision, code);
        ({ code, squared: distance } = decision);
      }
      this.#counts[code]!++;
      this.#squared += distance;
      this.#considerFar({ row: tile.start + row, distance, code });
    }
  }

  #correct({ code, point }: Decision, taken: number): void {
    if (code === taken) return;
    const { features } = this.#points;
    for (let d = 0; d < features; d++) {
      this.#corrections[code * features + d]! += point[d]!;
      this.#corrections[taken * features + d]! -= point[d]!;
    }
  }

  #considerFar(candidate: FarRow): void {
    const far = this.#far;
    const most = this.#counts.length;
    if (far.length === most && candidate.distance <= far.at(-1)!.distance) return;
    let place = far.length;
    while (place > 0 && far[place - 1]!.distance < candidate.distance) place--;
    far.splice(place, 0, candidate);
    if (far.length > most) far.pop();
  }

  /** Takes the sums of a block of rows, `[codes, features]`, blocks in ascending order. */
  takeSums(sums: Float32Array): void {
    const own = this.#sums;
    for (let i = 0; i < own.length; i++) own[i]! += sums[i]!;
  }

  /** Moves the centres to the means of their rows, after a sweep. */
  async update(signal: AbortSignal): Promise<void> {
    const { maxIterations, tolerance } = this.#options;
    const inertia = this.#squared;
    if (this.moving) {
      // apart until now: sums must not depend on where tiles end among blocks
      this.#corrections.forEach((value, i) => this.#sums[i]! += value);
      await this.#fillEmpty(signal);
      const moved = this.#move();
      this.iterations++;
      // centres that did not move have the inertia that was just measured
      this.inertia = moved === 0 ? inertia : undefined;
      this.converged = moved <= tolerance;
      this.moving = !this.converged && this.iterations < maxIterations;
    } else {
      this.inertia = inertia;
    }
    this.#sums.fill(0);
    this.#corrections.fill(0);
    this.#counts.fill(0);
    this.#nearTies = undefined;
    this.#far = [];
    this.#squared = 0;
  }

  /** Gives every code without rows the row that is farthest from its centre, one each. */
  async #fillEmpty(signal: AbortSignal): Promise<void> {
    const { features } = this.#points;
    const empty = [...this.#counts.keys()].filter((code) => this.#counts[code] === 0);
    for (const [i, taken] of this.#far.slice(0, empty.length).entries()) {
      const code = empty[i]!;
      const point = await this.#points.readScaled(taken.row, taken.row + 1, { signal });
      for (let d = 0; d < features; d++) {
        this.#sums[code * features + d] = point[d]!;
        this.#sums[taken.code * features + d]! -= point[d]!;
      }
      this.#counts[code] = 1;
      this.#counts[taken.code]!--;
    }
  }

  /** Returns the squared movement. */
  #move(): number {
    const { features } = this.#points;
    const before = this.centers;
    const centers = before.slice();
    for (let code = 0; code < this.#counts.length; code++) {
      const count = this.#counts[code]!;
      // a centre whose rows all went elsewhere stays
      if (count === 0) continue;
      const at = code * features;
      let squares = 0;
      for (let d = 0; d < features; d++) {
        centers[at + d] = this.#sums[at + d]! / count;
        squares += centers[at + d]! ** 2;
      }
      if (!this.#options.spherical || squares === 0) continue;
      for (let d = 0; d < features; d++) centers[at + d]! /= Math.sqrt(squares);
    }
    this.centers = centers;
    return centers.reduce((sum, value, i) => sum + (value - before[i]!) ** 2, 0);
  }
}
