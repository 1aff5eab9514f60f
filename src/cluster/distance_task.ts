/**
 * Rows measured from every centroid: their distances, or the nearest few by weight.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import * as seed from "../kernels/vq_seed.ts";
import { seedRows, SEEDS } from "../kernels/vq_seed.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Pass, Tile } from "../stream/pass.ts";
import type { Feed, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import type { NumericArray } from "../types.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { createDistances, distanceBytes } from "./assignment.ts";
import { decisionBytes, readSome, rowsThat } from "./near_ties.ts";
import type { PredictOptions } from "./predict_task.ts";
import { predictIdentity } from "./predict_task.ts";
import type { StoredDistances } from "./results.ts";
import { openArrays } from "./results.ts";

/** Squared distances of a tile's rows to all centroids, in the device's coordinates. */
export interface TileDistances {
  tile: Tile;
  squared: Float32Array;
  /** Elements from those to one centroid to those to the next. */
  stride: number;
}

/** What becomes of distances. */
export interface Measure<Result> {
  /** Of the plan. */
  name: string;
  /** What a store of it is called, and what decides it. */
  kind: string;
  parameters: Record<string, unknown>;
  /** What is stored of every row. */
  arrays: readonly ZarrArraySpec[];
  /** Host bytes of what a row is given. */
  rowBytes: number;
  /** Makes the rows of each array for a tile. */
  take(distances: TileDistances, signal: AbortSignal): Promise<Record<string, NumericArray>>;
  /** What callers get. */
  result(stored: Stored, measured: Measured): Promise<Result>;
}

/** Squares of differences that are less, relative to 1, may have lost digits. */
const LEAST_SQUARE = 2 ** -100;

/** Measures some rows of a tile, counted from its first, from all centroids, in f64 and squared. */
export async function exactly(
  points: Points,
  centroids: Float64Array,
  { tile, rows, signal }: { tile: Tile; rows: Uint32Array; signal: AbortSignal },
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
): Measure<Float32Array | Float64Array | StoredDistances> {
  const codes = centroids.length / points.features;
  const bytes = distanceBytes(points);
  const dtype = bytes === 8 ? "float64" : "float32";
  return {
    name: "kmeans transform",
    kind: "kmeans.distances",
    parameters: {},
    arrays: [variable("distances", dtype, [points.rows, codes], ["row", "cluster"])],
    rowBytes: bytes * codes,
    take: async ({ tile, squared, stride }, signal) => {
      const rows = tile.end - tile.start;
      const distances = createDistances(points, rows * codes);
      // squares of so small differences may have vanished
      const least = points.features * LEAST_SQUARE;
      const tiny = rowsThat(rows, (row) => {
        let isTiny = false;
        for (let code = 0; code < codes; code++) {
          const own = squared[code * stride + row]!;
          isTiny ||= own < least;
          distances[row * codes + code] = Math.sqrt(own) / points.scale;
        }
        return isTiny;
      });
      await exactly(points, centroids, { tile, rows: tiny, signal }, (row, all) => {
        all.forEach((own, code) => distances[row * codes + code] = Math.sqrt(own) / points.scale);
      });
      return { distances };
    },
    result: async (stored, measured) =>
      stored.place === undefined
        ? await stored.read("distances") as Float32Array | Float64Array
        : { ...await openArrays(stored, { distances: ["float32", "float64"] }), ...measured },
  };
}

/** Measures every row from every centroid; of a tile's distances a {@link Measure} makes what it wants. */
export class DistanceTask<Result> implements Task<Record<never, never>, Result> {
  readonly name: string;
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held = {};
  readonly output: OutputSpec;
  readonly #points: Points;
  readonly #centroids: Float64Array;
  readonly #shape: AssignmentShape;
  readonly #measure: Measure<Result>;

  constructor(points: Points, options: PredictOptions, measure: Measure<Result>) {
    const { centroids, spherical, adapter, out, overwrite } = options;
    const k = centroids.length / points.features;
    this.name = measure.name;
    this.#points = points;
    this.#centroids = centroids;
    this.#shape = { points, codes: k, resident: false };
    this.#measure = measure;
    const { feeds, identity } = predictIdentity(points, options, measure.parameters);
    this.feeds = feeds;
    this.identity = identity;
    this.output = {
      kind: measure.kind,
      formatVersion: 1,
      place: out,
      overwrite,
      adapter,
      streamed: measure.arrays,
      whole: [],
      attributes: { parameters: { k, spherical, ...measure.parameters } },
    };
  }

  layout(tileRows: number): TaskLayout {
    const { features } = this.#points;
    const { codes } = this.#shape;
    return {
      rows: this.#points.rows,
      shared: [{ name: "seeds", bytes: seed.seedBytes(codes, features), kind: "storage" }],
      passes: [this.#pass(tileRows)],
      tables: [{
        what: "centroids as the device has them",
        bytes: 2 * 8 * this.#centroids.length + seed.seedBytes(codes, features),
      }],
      alignRows: 64,
    };
  }

  finish(): Outcome {
    return {};
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#measure.result(stored, measured);
  }

  #pass(tileRows: number): Pass {
    const points = this.#points;
    const { features, parts } = points;
    const { arrays, rowBytes, take } = this.#measure;
    const groups = Math.ceil(this.#shape.codes / SEEDS);
    const stride = seedRows(tileRows);
    return {
      name: "distances",
      direction: "forward",
      cost: 1,
      tables: () => ({ seeds: seed.packSeeds(points.toScaled(this.#centroids), features) }),
      slotBuffers: [
        ...assignment.uploadedPoints(this.#shape, tileRows),
        { name: "seed_distances", bytes: 4 * groups * SEEDS * stride, role: "download" },
      ],
      steps: [{
        kernel: seed.vqSeed,
        constants: seed.vqSeedConstants(features, tileRows, parts, 2),
        order: "ascending",
        params: (_tile, from, to) => seed.vqSeedParams(from, to, 0),
        workgroups: (rows) => seed.vqSeedWorkgroups(rows, groups),
      }],
      resumesAt: () => true,
      writes: arrays.map(({ name }) => name),
      hostBytes: {
        read: assignment.readBytes(this.#shape, tileRows),
        write: decisionBytes(points, tileRows) + tileRows * rowBytes,
      },
      read: (tile, { signal }) => assignment.readTile(this.#shape, tile, signal),
      write: async (tile, downloads, { signal, store }) => {
        const squared = new Float32Array(downloads.seed_distances!);
        const values = await take({ tile, squared, stride }, signal);
        for (const [name, rows] of Object.entries(values)) await store(name, tile.start, rows);
      },
    };
  }
}
