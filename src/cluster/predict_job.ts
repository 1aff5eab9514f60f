/**
 * Plans that look at every row once: its nearest centroid, or its distance to each.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import type { Account } from "../gpu/ledger.ts";
import { seedRows, SEEDS } from "../kernels/vq_seed.ts";
import * as seed from "../kernels/vq_seed.ts";
import { panelElements } from "../math/panels.ts";
import type { Pass } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext, RunReport } from "../stream/plan.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { Assignment } from "./assignment.ts";
import type { KMeansResult } from "./fit_job.ts";
import { measured } from "./fit_job.ts";

/** Rows assigned to centroids; fields as in {@link KMeansResult}. */
export type Prediction = Pick<
  KMeansResult,
  "ids" | "distances" | "inertia" | "nearTies" | "projectedBytes" | "peakBytes" | "seconds"
>;

export class PredictJob implements PlanActions<Prediction> {
  readonly name = "kmeans predict";
  readonly #points: Points;
  readonly #centroids: Float32Array;
  readonly #shape: AssignmentShape;
  #account!: Account;
  #assignment: Assignment | undefined;

  constructor(points: Points, centroids: Float32Array) {
    this.#points = points;
    this.#centroids = centroids;
    this.#shape = { points, codes: centroids.length / points.features, resident: false };
  }

  layout(tileRows: number): PlanLayout {
    const { rows } = this.#points;
    const pass: Pass = {
      name: "assign",
      direction: "forward",
      cost: 1,
      tables: () => {
        const codes = this.#points.toScaled(this.#centroids);
        this.#assignment = new Assignment(this.#points, codes);
        return assignment.codebookTables(this.#shape, [codes]);
      },
      slotBuffers: [
        ...assignment.uploadedPoints(this.#shape, tileRows),
        ...assignment.assignmentBuffers(this.#shape, tileRows, 1),
      ],
      steps: assignment.assignmentSteps(this.#shape, tileRows, () => 1),
      read: (tile, signal) => assignment.readTile(this.#shape, tile, signal),
      write: (tile, downloads, signal) => this.#assignment!.collect(tile, downloads, signal),
    };
    return {
      rows,
      shared: assignment.codebookBuffers(this.#shape, 1),
      passes: [pass],
      memory: [
        { what: "rows on their way", kind: "host", bytes: rowBytes(this.#points, tileRows) },
        { what: "ids and distances", kind: "host", bytes: assignment.assignmentBytes(rows) },
      ],
      alignRows: 64,
      mostTileRows: 16384,
      restarts: true,
    };
  }

  async begin({ account, signal }: RunContext): Promise<void> {
    this.#account = account;
    await this.#points.sample({ signal });
    account.take("host", assignment.assignmentBytes(this.#points.rows), "ids and distances");
  }

  finish(report: RunReport): Promise<Prediction> {
    this.#account.giveBack("host", assignment.assignmentBytes(this.#points.rows));
    const { ids, distances, inertia, nearTies } = this.#assignment!;
    return Promise.resolve({ ids, distances, inertia, nearTies, ...measured(report) });
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

/** Distances of every row to every centroid. */
export class DistanceJob implements PlanActions<Float32Array> {
  readonly name = "kmeans transform";
  readonly #points: Points;
  readonly #centroids: Float32Array;
  readonly #shape: AssignmentShape;
  #account!: Account;
  #distances = new Float32Array(0);

  constructor(points: Points, centroids: Float32Array) {
    this.#points = points;
    this.#centroids = centroids;
    this.#shape = { points, codes: centroids.length / points.features, resident: false };
  }

  layout(tileRows: number): PlanLayout {
    const { rows, features } = this.#points;
    const { codes } = this.#shape;
    const groups = Math.ceil(codes / SEEDS);
    const pass: Pass = {
      name: "distances",
      direction: "forward",
      cost: 1,
      tables: () => ({
        seeds: seed.packSeeds(this.#points.toScaled(this.#centroids), features),
      }),
      slotBuffers: [
        ...assignment.uploadedPoints(this.#shape, tileRows),
        {
          name: "seed_distances",
          bytes: 4 * groups * SEEDS * seedRows(tileRows),
          role: "download",
        },
      ],
      steps: [{
        kernel: seed.vqSeed,
        constants: seed.vqSeedConstants(features, tileRows),
        order: "ascending",
        params: (_tile, from, to) => seed.vqSeedParams(from, to, 0),
        workgroups: (some) => seed.vqSeedWorkgroups(some, groups),
      }],
      read: (tile, signal) => assignment.readTile(this.#shape, tile, signal),
      write: ({ start, end }, downloads) => {
        const squared = new Float32Array(downloads.seed_distances!);
        for (let code = 0; code < codes; code++) {
          const from = code * seedRows(tileRows) - start;
          for (let row = start; row < end; row++) {
            this.#distances[row * codes + code] = Math.sqrt(squared[from + row]!) /
              this.#points.scale;
          }
        }
        return Promise.resolve();
      },
    };
    return {
      rows,
      shared: [{ name: "seeds", bytes: 4 * groups * SEEDS * features, kind: "storage" }],
      passes: [pass],
      memory: [
        { what: "rows on their way", kind: "host", bytes: rowBytes(this.#points, tileRows) },
        { what: "distances", kind: "host", bytes: 4 * rows * codes },
      ],
      alignRows: 64,
      restarts: true,
    };
  }

  async begin({ account, signal }: RunContext): Promise<void> {
    this.#account = account;
    await this.#points.sample({ signal });
    const elements = this.#points.rows * this.#shape.codes;
    account.take("host", 4 * elements, "distances");
    this.#distances = new Float32Array(elements);
  }

  finish(): Promise<Float32Array> {
    this.#account.giveBack("host", this.#distances.byteLength);
    return Promise.resolve(this.#distances);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

/** Host bytes of a tile's rows: as they are read, and in panels. */
export function rowBytes({ features }: Points, tileRows: number): number {
  return 4 * panelElements(tileRows, features) + 8 * tileRows * features;
}
