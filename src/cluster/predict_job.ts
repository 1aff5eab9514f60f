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
import type { Pass, Tile } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext, RunReport } from "../stream/plan.ts";
import { measured } from "../stream/plan.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { Assignment } from "./assignment.ts";
import type { KMeansResult } from "./fit_job.ts";

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
    await this.#points.look({ signal, around: this.#centroids });
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

/** What becomes of distances, tile by tile. */
interface Taker<Result> {
  /** Host bytes of what it makes, and what that is. */
  readonly bytes: number;
  readonly what: string;
  /** Takes the memory. */
  begin(): void;
  /** @param squared `[codes, stride]`: of every row of the tile, in the array's units. */
  take(tile: Tile, squared: Float64Array, stride: number): void;
  result(): Result;
}

/** Distances of every row to every centroid, `[rows, codes]` f32. */
export function allDistances(rows: number, codes: number): Taker<Float32Array> {
  let distances = new Float32Array(0);
  return {
    bytes: 4 * rows * codes,
    what: "distances",
    begin: () => distances = new Float32Array(rows * codes),
    take: ({ start, end }, squared, stride) => {
      for (let code = 0; code < codes; code++) {
        for (let row = start; row < end; row++) {
          distances[row * codes + code] = Math.sqrt(squared[code * stride + row - start]!);
        }
      }
    },
    result: () => distances,
  };
}

/** Rows to several centroids each, by how near those are. */
export interface SoftPrediction {
  /** `[rows, topK]` i32, the nearest first, the lower id of equals. */
  ids: Int32Array;
  /** `[rows, topK]` f32: softmax of -distance^2 / temperature over these; they sum to 1. */
  weights: Float32Array;
}

export function softNearest(
  rows: number,
  codes: number,
  { topK, temperature }: { topK: number; temperature: number },
): Taker<SoftPrediction> {
  let ids = new Int32Array(0);
  let weights = new Float32Array(0);
  const nearest = new Float64Array(topK);
  const own = new Int32Array(topK);
  return {
    bytes: 8 * rows * topK,
    what: "ids and weights",
    begin: () => {
      ids = new Int32Array(rows * topK);
      weights = new Float32Array(rows * topK);
    },
    take: ({ start, end }, squared, stride) => {
      for (let row = start; row < end; row++) {
        nearest.fill(Infinity);
        for (let code = 0; code < codes; code++) {
          const distance = squared[code * stride + row - start]!;
          let place = topK;
          while (place > 0 && distance < nearest[place - 1]!) place--;
          if (place === topK) continue;
          nearest.copyWithin(place + 1, place, topK - 1);
          own.copyWithin(place + 1, place, topK - 1);
          nearest[place] = distance;
          own[place] = code;
        }
        const parts = nearest.map((distance) => Math.exp((nearest[0]! - distance) / temperature));
        const sum = parts.reduce((total, part) => total + part, 0);
        ids.set(own, row * topK);
        weights.set(parts.map((part) => part / sum), row * topK);
      }
    },
    result: () => ({ ids, weights }),
  };
}

/** Measures every row from every centroid; of a tile's distances a {@link Taker} keeps what it wants. */
export class DistanceJob<Result> implements PlanActions<Result> {
  readonly name: string;
  readonly #points: Points;
  readonly #centroids: Float32Array;
  readonly #shape: AssignmentShape;
  readonly #taker: Taker<Result>;
  #account!: Account;

  constructor(name: string, points: Points, centroids: Float32Array, taker: Taker<Result>) {
    this.name = name;
    this.#points = points;
    this.#centroids = centroids;
    this.#taker = taker;
    this.#shape = { points, codes: centroids.length / points.features, resident: false };
  }

  layout(tileRows: number): PlanLayout {
    const { rows, features } = this.#points;
    const { codes } = this.#shape;
    const groups = Math.ceil(codes / SEEDS);
    const elements = groups * SEEDS * seedRows(tileRows);
    const pass: Pass = {
      name: "distances",
      direction: "forward",
      cost: 1,
      tables: () => ({
        seeds: seed.packSeeds(this.#points.toScaled(this.#centroids), features),
      }),
      slotBuffers: [
        ...assignment.uploadedPoints(this.#shape, tileRows),
        { name: "seed_distances", bytes: 4 * elements, role: "download" },
      ],
      steps: [{
        kernel: seed.vqSeed,
        constants: seed.vqSeedConstants(features, tileRows),
        order: "ascending",
        params: (_tile, from, to) => seed.vqSeedParams(from, to, 0),
        workgroups: (some) => seed.vqSeedWorkgroups(some, groups),
      }],
      read: (tile, signal) => assignment.readTile(this.#shape, tile, signal),
      write: (tile, downloads) => {
        const { scale } = this.#points;
        const squared = Float64Array.from(
          new Float32Array(downloads.seed_distances!),
          (value) => value / scale / scale,
        );
        this.#taker.take(tile, squared, seedRows(tileRows));
        return Promise.resolve();
      },
    };
    return {
      rows,
      shared: [{ name: "seeds", bytes: 4 * groups * SEEDS * features, kind: "storage" }],
      passes: [pass],
      memory: [
        {
          what: "rows and distances on their way",
          kind: "host",
          bytes: rowBytes(this.#points, tileRows) + 8 * elements,
        },
        { what: this.#taker.what, kind: "host", bytes: this.#taker.bytes },
      ],
      alignRows: 64,
      restarts: true,
    };
  }

  async begin({ account, signal }: RunContext): Promise<void> {
    this.#account = account;
    await this.#points.look({ signal, around: this.#centroids });
    account.take("host", this.#taker.bytes, this.#taker.what);
    this.#taker.begin();
  }

  finish(): Promise<Result> {
    this.#account.giveBack("host", this.#taker.bytes);
    return Promise.resolve(this.#taker.result());
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

/** Host bytes of a tile's rows: as they are read, and in panels. */
export function rowBytes({ features }: Points, tileRows: number): number {
  return 4 * panelElements(tileRows, features) + 8 * tileRows * features;
}
