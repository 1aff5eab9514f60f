/**
 * What k-means gives back: in memory, or as arrays that are read from where they were stored.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";
import { OutputConflictError } from "../errors.ts";
import type { Stored } from "../stream/output.ts";
import { openStored } from "../stream/places.ts";
import type { Measured } from "../stream/task.ts";
import { unmeasured } from "../stream/task.ts";
import type { ArrayOfType } from "../types.ts";

/** What a stored fit is. */
export const KMEANS_FORMAT = { kind: "kmeans", formatVersion: 1 } as const;

/** What a fit tells beside ids and distances. */
interface FitFacts {
  /** `[k, features]` f64, in the array's units. */
  centroids: Float64Array;
  /** Sum of squared distances, in f64. */
  inertia: number;
  /** Iterations of the best run. */
  iterations: number;
  /** Whether the best run ended because its centroids stood still. */
  converged: boolean;
  /** Rows whose two nearest centroids were closer than rounding, and that were decided in f64. */
  nearTies: number;
  /** Clusters without rows: fewer rows than `k` differ. */
  emptyClusters: number;
}

/** A fit. */
export interface KMeansResult extends FitFacts, Measured {
  /** `[rows]` i32: the nearest centroid of every row, the lowest of equals. */
  ids: Int32Array;
  /** `[rows]`: Euclidean distance to it; f64 of f64 rows, or f32. */
  distances: Float32Array | Float64Array;
}

/** Where a result is stored; its arrays are read from there until it is closed. */
export interface AtPlace {
  place: string;
  close(): Promise<void>;
}

/** A fit that is stored: fields as in {@link KMeansResult}, ids and distances to be read. */
export interface StoredFit extends FitFacts, AtPlace, Measured {
  ids: ChunkedArray<Int32Array>;
  distances: ChunkedArray<Float32Array | Float64Array>;
}

/** Rows assigned to centroids; fields as in {@link KMeansResult}. */
export type Prediction =
  & Pick<KMeansResult, "ids" | "distances" | "inertia" | "nearTies">
  & Measured;

/** A {@link Prediction} that is stored. */
export type StoredPrediction =
  & Pick<StoredFit, "ids" | "distances" | "inertia" | "nearTies">
  & AtPlace
  & Measured;

/** Rows to several centroids each, by how near those are. */
export interface SoftPrediction {
  /** `[rows, topK]` i32, the nearest first, the lower id of equals. */
  ids: Int32Array;
  /** `[rows, topK]` f32: softmax of -distance^2 / temperature over these; they sum to 1. */
  weights: Float32Array;
}

/** A {@link SoftPrediction} that is stored. */
export interface StoredSoftPrediction extends AtPlace, Measured {
  ids: ChunkedArray<Int32Array>;
  weights: ChunkedArray<Float32Array>;
}

/** Distances of rows to all centroids that are stored. */
export interface StoredDistances extends AtPlace, Measured {
  /** `[rows, k]`, Euclidean; f64 of f64 rows, or f32. */
  distances: ChunkedArray<Float32Array | Float64Array>;
}

/** Attributes of a stored fit. */
export interface FitAttributes {
  parameters: {
    k: number;
    seed: number;
    tolerance: number | null;
    spherical: boolean;
    init: "given" | "k-means++";
    n_init: number;
    max_iter: number;
  };
  /** `null` for infinity, as is `tolerance`. */
  inertia: number | null;
  iterations: number;
  converged: boolean;
  near_ties: number;
  empty_clusters: number;
}

async function readFacts(stored: Stored): Promise<FitFacts> {
  const attributes = stored.attributes as Record<string, unknown> & FitAttributes;
  return {
    // f32 in stores of version 0.1
    centroids: Float64Array.from(await stored.read("centroids") as Float64Array),
    inertia: attributes.inertia ?? Infinity,
    iterations: attributes.iterations,
    converged: attributes.converged,
    nearTies: attributes.near_ties,
    emptyClusters: attributes.empty_clusters,
  };
}

/** A fit in memory. */
export async function readFit(stored: Stored): Promise<Omit<KMeansResult, keyof Measured>> {
  return {
    ...await readFacts(stored),
    ids: await stored.read("ids") as Int32Array,
    distances: await stored.read("distances") as Float32Array | Float64Array,
  };
}

/** A fit whose ids and distances stay where they are. */
export async function openFit(stored: Stored): Promise<StoredFit> {
  return {
    ...await readFacts(stored),
    ...await openArrays(stored, { ids: ["int32"], distances: ["float32", "float64"] }),
    ...unmeasured(),
  };
}

/** Opens arrays of a stored result, of these types, which close together. */
export async function openArrays<Types extends Record<string, keyof ArrayOfType>>(
  stored: Stored,
  typesByName: { [Name in keyof Types]: readonly Types[Name][] },
): Promise<{ [Name in keyof Types]: ChunkedArray<ArrayOfType[Types[Name]]> } & AtPlace> {
  const arrays: Record<string, ChunkedArray> = {};
  const close = async () => {
    for (const array of Object.values(arrays)) await array.close();
  };
  try {
    for (const [name, types] of Object.entries(typesByName)) {
      arrays[name] = await stored.open(name);
      ofType(arrays[name], ...types);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const typed = arrays as { [Name in keyof Types]: ChunkedArray<ArrayOfType[Types[Name]]> };
  return { ...typed, place: stored.place!, close };
}

/**
 * Rows of every cluster, of a stored fit.
 *
 * @throws {OutputConflictError} If another fit is there by now.
 */
export async function countRows(
  { place, attributes }: Stored,
  k: number,
  signal: AbortSignal,
): Promise<Float64Array> {
  const now = await openStored(place!, KMEANS_FORMAT);
  if (now.attributes.plan_hash !== attributes.plan_hash) {
    throw new OutputConflictError(
      `Cannot go on from the fit at ${place}: another one is there by now, wanted the rows of its ` +
        "clusters; open that one",
      place!,
    );
  }
  const counts = new Float64Array(k);
  const ids = ofType(await now.open("ids"), "int32");
  try {
    const rows = ids.shape[0]!;
    for (let start = 0; start < rows; start += ids.chunkRows) {
      const end = Math.min(rows, start + ids.chunkRows);
      for (const id of await ids.read(start, end, { signal })) counts[id]!++;
    }
  } finally {
    await ids.close();
  }
  return counts;
}
