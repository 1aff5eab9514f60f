/**
 * Plans that look at every row once: its nearest centroid, or its distance to each.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Account } from "../gpu/ledger.ts";
import { seedRows, SEEDS } from "../kernels/vq_seed.ts";
import * as seed from "../kernels/vq_seed.ts";
import type { Pass, Tile } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext, RunReport } from "../stream/plan.ts";
import { measured } from "../stream/plan.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { Assignment, createDistances, distanceBytes, rowBytes } from "./assignment.ts";
import { codesOf } from "./codes.ts";
import type { KMeansResult } from "./fit_job.ts";
import { readSome, ROUNDING, ROUNDING_DEVIATIONS, SMALLEST } from "./near_ties.ts";

/** Rows assigned to centroids; fields as in {@link KMeansResult}. */
export type Prediction = Pick<
  KMeansResult,
  "ids" | "distances" | "inertia" | "nearTies" | "projectedBytes" | "peakBytes" | "seconds"
>;

export class PredictJob implements PlanActions<Prediction> {
  readonly name = "kmeans predict";
  readonly #points: Points;
  readonly #centroids: Float64Array;
  readonly #shape: AssignmentShape;
  #account!: Account;
  #assignment: Assignment | undefined;

  constructor(points: Points, centroids: Float64Array) {
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
        const codes = codesOf(this.#points.toScaled(this.#centroids));
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
        { what: "rows on their way", kind: "host", bytes: 2 * rowBytes(this.#points, tileRows) },
        {
          what: "ids and distances",
          kind: "host",
          bytes: assignment.assignmentBytes(this.#points),
        },
      ],
      alignRows: 64,
      mostTileRows: 16384,
      restarts: true,
    };
  }

  async begin({ account, signal }: RunContext): Promise<void> {
    this.#account = account;
    await this.#points.look({ signal, around: this.#centroids });
    account.take("host", assignment.assignmentBytes(this.#points), "ids and distances");
  }

  finish(report: RunReport): Promise<Prediction> {
    this.#account.giveBack("host", assignment.assignmentBytes(this.#points));
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
  /** @param squared `[codes, stride]`: of every row of the tile, in the device's coordinates. */
  take(tile: Tile, squared: Float64Array, stride: number, signal: AbortSignal): Promise<void>;
  result(): Result;
}

/** Squares of differences that are less, relative to 1, may have lost digits. */
const LEAST_SQUARE = 2 ** -100;

/** Measures some rows of a tile, counted from its first, from all centroids, in f64 and squared. */
async function exactly(
  points: Points,
  centroids: Float64Array,
  { tile, rows, signal }: { tile: Tile; rows: readonly number[]; signal: AbortSignal },
  take: (row: number, squared: Float64Array) => void,
): Promise<void> {
  if (rows.length === 0) return;
  const { features } = points;
  const scaled = points.toScaled(centroids);
  const squared = new Float64Array(centroids.length / features);
  await readSome(points, tile, rows, signal, (row, point) => {
    squared.fill(0);
    scaled.forEach((value, at) =>
      squared[Math.floor(at / features)]! += (point[at % features]! - value) ** 2
    );
    take(row, squared);
  });
}

/** Distances of every row to every centroid, `[rows, codes]`, f64 of f64 rows, or f32. */
export function allDistances(
  points: Points,
  centroids: Float64Array,
): Taker<Float32Array | Float64Array> {
  const codes = centroids.length / points.features;
  let distances = createDistances(points, 0);
  return {
    bytes: distanceBytes(points) * points.rows * codes + 8 * centroids.length,
    what: "distances",
    begin: () => distances = createDistances(points, points.rows * codes),
    take: async (tile, squared, stride, signal) => {
      const { start, end } = tile;
      // squares of so small differences may have vanished
      const least = points.features * LEAST_SQUARE;
      const tiny: number[] = [];
      for (let row = 0; row < end - start; row++) {
        let isTiny = false;
        for (let code = 0; code < codes; code++) {
          const own = squared[code * stride + row]!;
          isTiny ||= own < least;
          distances[(start + row) * codes + code] = Math.sqrt(own) / points.scale;
        }
        if (isTiny) tiny.push(row);
      }
      await exactly(points, centroids, { tile, rows: tiny, signal }, (row, all) => {
        all.forEach((own, code) =>
          distances[(start + row) * codes + code] = Math.sqrt(own) / points.scale
        );
      });
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

/** @param centroids `[codes, features]`, for rows whose order f32 does not tell. */
export function softNearest(
  points: Points,
  centroids: Float64Array,
  { topK, temperature }: { topK: number; temperature: number },
): Taker<SoftPrediction> {
  const { rows, features } = points;
  const codes = centroids.length / features;
  let ids = new Int32Array(0);
  let weights = new Float32Array(0);
  // one more than is asked for: it may be as near as the last
  const most = Math.min(codes, topK + 1);
  const nearest = new Float64Array(most);
  const own = new Int32Array(most);
  const sort = (squaredTo: (code: number) => number) => {
    nearest.fill(Infinity);
    for (let code = 0; code < codes; code++) {
      const distance = squaredTo(code);
      let place = most;
      while (place > 0 && distance < nearest[place - 1]!) place--;
      if (place === most) continue;
      nearest.copyWithin(place + 1, place, most - 1);
      own.copyWithin(place + 1, place, most - 1);
      nearest[place] = distance;
      own[place] = code;
    }
  };
  // sums of squares of differences, each of which is off by a few roundings
  const rounding = 2 * ROUNDING * (ROUNDING_DEVIATIONS * Math.sqrt(features) + 8);
  const isClear = () => {
    for (let i = 1; i < most; i++) {
      const least = rounding * nearest[i]! + 4 * features * SMALLEST;
      if (nearest[i]! - nearest[i - 1]! <= least) return false;
    }
    return true;
  };
  const keep = (row: number) => {
    const parts = nearest.subarray(0, topK).map((squared) => {
      const farther = (squared - nearest[0]!) / points.scale / points.scale;
      return Math.exp(-farther / temperature);
    });
    const sum = parts.reduce((total, part) => total + part, 0);
    ids.set(own.subarray(0, topK), row * topK);
    weights.set(parts.map((part) => part / sum), row * topK);
  };
  return {
    bytes: 8 * rows * topK + 8 * centroids.length,
    what: "ids and weights",
    begin: () => {
      ids = new Int32Array(rows * topK);
      weights = new Float32Array(rows * topK);
    },
    take: async (tile, squared, stride, signal) => {
      const unclear: number[] = [];
      for (let row = 0; row < tile.end - tile.start; row++) {
        sort((code) => squared[code * stride + row]!);
        if (isClear()) keep(tile.start + row);
        else unclear.push(row);
      }
      await exactly(points, centroids, { tile, rows: unclear, signal }, (row, all) => {
        sort((code) => all[code]!);
        keep(tile.start + row);
      });
    },
    result: () => ({ ids, weights }),
  };
}

/** Measures every row from every centroid; of a tile's distances a {@link Taker} keeps what it wants. */
export class DistanceJob<Result> implements PlanActions<Result> {
  readonly name: string;
  readonly #points: Points;
  readonly #centroids: Float64Array;
  readonly #shape: AssignmentShape;
  readonly #taker: Taker<Result>;
  #account!: Account;

  constructor(name: string, points: Points, centroids: Float64Array, taker: Taker<Result>) {
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
        constants: seed.vqSeedConstants(features, tileRows, this.#points.parts, 2),
        order: "ascending",
        params: (_tile, from, to) => seed.vqSeedParams(from, to, 0),
        workgroups: (some) => seed.vqSeedWorkgroups(some, groups),
      }],
      read: (tile, signal) => assignment.readTile(this.#shape, tile, signal),
      write: (tile, downloads, signal) => {
        const squared = Float64Array.from(new Float32Array(downloads.seed_distances!));
        return this.#taker.take(tile, squared, seedRows(tileRows), signal);
      },
    };
    return {
      rows,
      shared: [{ name: "seeds", bytes: seed.seedBytes(codes, features), kind: "storage" }],
      passes: [pass],
      memory: [
        {
          what: "rows and distances on their way",
          kind: "host",
          bytes: 2 * rowBytes(this.#points, tileRows) + 8 * elements,
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
