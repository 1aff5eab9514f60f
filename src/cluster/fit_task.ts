/**
 * A k-means fit: first centres, Lloyd's iterations, and a last assignment. The data are read once a
 * sweep, or once in all where they fit on the device.
 *
 * @module
 */

import { lookOrKnow } from "../feed/known_look.ts";
import type { Look, Points } from "../feed/points.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type {
  Beginning,
  Feed,
  Held,
  Identity,
  Measured,
  Task,
  TaskLayout,
} from "../stream/task.ts";
import { assignedArrays, assignedHeld, Assignment, assignPass } from "./assign_pass.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { BlockSums } from "./block_sums.ts";
import { codesOf } from "./codes.ts";
import { bestOf, iteratePass, Lloyd, runsHeld } from "./lloyd.ts";
import { loadPass, residentBuffer } from "./resident.ts";
import type { FitAttributes } from "./results.ts";
import { KMEANS_FORMAT } from "./results.ts";
import { seedBuffer, Seeding, seedingHeld, seedPass } from "./seeding.ts";

/** What decides the result of a fit. */
export interface FitSettings {
  k: number;
  seed: number;
  inits: number;
  maxIterations: number;
  tolerance: number;
  spherical: boolean;
  /** `[k, features]` in the array's coordinates. */
  init: Float64Array | undefined;
}

export interface FitOptions<Result> {
  out: string | undefined;
  overwrite: boolean | undefined;
  adapter: string;
  /** Whether the points stay on the device. */
  resident: boolean;
  /**
   * What callers get.
   *
   * @param counts Rows of every cluster; `undefined` of a fit that is found.
   */
  result(stored: Stored, measured: Measured, counts: Float64Array | undefined): Promise<Result>;
}

// attributes are never longer than with these
const LONGEST: Omit<FitAttributes, "parameters"> = {
  inertia: -Number.MAX_VALUE,
  iterations: Number.MAX_SAFE_INTEGER,
  converged: false,
  near_ties: Number.MAX_SAFE_INTEGER,
  empty_clusters: Number.MAX_SAFE_INTEGER,
};

function fitHeld(points: Points, { k, inits, init }: FitSettings) {
  return {
    ...runsHeld(inits, k, points.features),
    ...seedingHeld(points, k, init !== undefined),
    ...assignedHeld(k),
  };
}

type FitHeld = ReturnType<typeof fitHeld>;

export class FitTask<Result> implements Task<FitHeld, Result> {
  readonly name = "kmeans";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: FitHeld;
  readonly output: OutputSpec;
  readonly #points: Points;
  readonly #settings: FitSettings;
  readonly #options: FitOptions<Result>;
  readonly #shape: AssignmentShape;
  #look!: Look;
  #held!: Held<FitHeld>;
  #seeding: Seeding | undefined;
  #runs: readonly Lloyd[] = [];
  #assignment: Assignment | undefined;
  #counts: Float64Array | undefined;

  constructor(points: Points, settings: FitSettings, options: FitOptions<Result>) {
    this.#points = points;
    this.#settings = settings;
    this.#options = options;
    const { rows, features, array } = points;
    const { k, init: around, ...others } = settings;
    this.#shape = { points, codes: k, resident: options.resident };
    this.held = fitHeld(points, settings);
    this.identity = {
      facts: [{ k, ...others }, rows, features, array.dtype],
      ...(around && { arrays: [around] }),
    };
    this.feeds = [{
      places: points.places,
      look: async ({ digest, signal, known }) =>
        this.#look = await lookOrKnow(points, { digest, around, signal, known }),
    }];
    this.output = {
      ...KMEANS_FORMAT,
      place: options.out,
      overwrite: options.overwrite,
      adapter: options.adapter,
      streamed: assignedArrays(points),
      whole: [variable("centroids", "float64", [k, features], ["cluster", "feature"])],
      attributes: { parameters: parametersOf(settings) },
      longest: { ...LONGEST },
    };
  }

  layout(tileRows: number): TaskLayout {
    const { k, inits, maxIterations, init } = this.#settings;
    const { rows, features } = this.#points;
    const shape = this.#shape;
    const shared: SharedBuffer[] = [
      ...assignment.codebookBuffers(shape, inits),
      new BlockSums(shape, tileRows, inits).shared(),
    ];
    const passes: Pass[] = [];
    if (shape.resident) {
      shared.push(residentBuffer(this.#points));
      passes.push(loadPass(this.#points, tileRows));
    }
    if (!init) {
      shared.push(seedBuffer(features));
      const seed = seedPass(shape, tileRows, {
        sweeps: inits * k,
        seeding: () => this.#seeding!,
        onSeeded: () => this.#startRuns(),
      });
      // a centre is drawn from the distances of all rows
      passes.push({ ...seed, alone: true });
    }
    if (maxIterations > 0 || inits > 1) {
      const runs = () => this.#runs;
      passes.push(iteratePass(shape, tileRows, { most: inits, maxIterations, runs }));
    }
    passes.push(assignPass(shape, tileRows, () => this.#lastAssignment()));
    return {
      rows,
      shared,
      passes,
      tables: [{
        what: "new centres, and what the device has of them",
        bytes: (8 + 4) * inits * k * features + assignment.codebookBytes(shape, inits),
      }],
      // tiles begin with a panel
      alignRows: 64,
      mostTileRows: 16384,
    };
  }

  async begin(held: Held<FitHeld>, { restored, signal }: Beginning): Promise<void> {
    const { k, seed, inits, init, maxIterations, spherical, tolerance } = this.#settings;
    const { variance } = this.#look;
    const mean = variance.reduce((sum, value) => sum + value, 0) / variance.length;
    const options = { tolerance: tolerance * mean, maxIterations, spherical };
    this.#held = held;
    this.#assignment = undefined;
    this.#runs = Array.from(
      { length: inits },
      (_, run) => new Lloyd(this.#points, held, run, options),
    );
    this.#seeding = init ? undefined : new Seeding(this.#points, held, k, seed);
    if (restored) return;
    if (this.#seeding) {
      await this.#seeding.start(signal);
    } else {
      held.centers.set(this.#points.toScaled(init!));
      this.#startRuns();
    }
  }

  finish(held: Held<FitHeld>): Outcome {
    const { iterations, converged } = bestOf(this.#runs);
    this.#counts = held.assignedRows.slice();
    const facts: typeof LONGEST = {
      inertia: held.assignedInertia[0]!,
      iterations,
      converged,
      near_ties: held.nearTies[0]!,
      empty_clusters: held.assignedRows.filter((rows) => rows === 0).length,
    };
    return { values: { centroids: this.#centroids() }, facts: { ...facts } };
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#options.result(stored, measured, this.#counts);
  }

  #startRuns(): void {
    for (const run of this.#runs) run.start();
  }

  /** `[k, features]`, of the best run. */
  #centroids(): Float64Array {
    return this.#points.toOriginal(bestOf(this.#runs).codes.centers);
  }

  /** To the centroids as they are handed out. */
  #lastAssignment(): Assignment {
    return this.#assignment ??= new Assignment(
      this.#points,
      codesOf(this.#points.toScaled(this.#centroids())),
      this.#held,
    );
  }
}

function parametersOf(
  { init, inits, maxIterations, ...settings }: FitSettings,
): FitAttributes["parameters"] {
  return {
    ...settings,
    init: init ? "given" : "k-means++",
    n_init: inits,
    max_iter: maxIterations,
  };
}
