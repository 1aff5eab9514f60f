/**
 * The centroids nearest to a row, several of them, and what share of the row each has.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import { variable } from "../stream/output.ts";
import type { Measure } from "./distance_task.ts";
import { exactly } from "./distance_task.ts";
import { ROUNDING, ROUNDING_DEVIATIONS, rowsThat, SMALLEST } from "./near_ties.ts";
import type { SoftPrediction, StoredSoftPrediction } from "./results.ts";
import { openArrays } from "./results.ts";

/** @param centroids `[codes, features]`, for rows whose order f32 does not tell. */
export function softNearest(
  points: Points,
  centroids: Float64Array,
  { topK, temperature }: { topK: number; temperature: number },
): Measure<SoftPrediction | StoredSoftPrediction> {
  const { rows, features } = points;
  const codes = centroids.length / features;
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
  const weigh = () => {
    const parts = nearest.subarray(0, topK).map((squared) => {
      const farther = (squared - nearest[0]!) / points.scale / points.scale;
      return Math.exp(-farther / temperature);
    });
    const sum = parts.reduce((total, part) => total + part, 0);
    return parts.map((part) => part / sum);
  };
  return {
    name: "kmeans soft predict",
    kind: "kmeans.prediction",
    parameters: { top_k: topK, temperature },
    arrays: [
      variable("ids", "int32", [rows, topK], ["row", "rank"]),
      variable("weights", "float32", [rows, topK], ["row", "rank"]),
    ],
    rowBytes: (4 + 4) * topK,
    take: async ({ tile, squared, stride }, signal) => {
      const length = (tile.end - tile.start) * topK;
      const ids = new Int32Array(length);
      const weights = new Float32Array(length);
      const keep = (row: number) => {
        ids.set(own.subarray(0, topK), row * topK);
        weights.set(weigh(), row * topK);
      };
      const unclear = rowsThat(tile.end - tile.start, (row) => {
        sort((code) => squared[code * stride + row]!);
        if (!isClear()) return true;
        keep(row);
        return false;
      });
      await exactly(points, centroids, { tile, rows: unclear, signal }, (row, all) => {
        sort((code) => all[code]!);
        keep(row);
      });
      return { ids, weights };
    },
    result: async (stored, measured) =>
      stored.place === undefined
        ? {
          ids: await stored.read("ids") as Int32Array,
          weights: await stored.read("weights") as Float32Array,
        }
        : { ...await openArrays(stored, { ids: ["int32"], weights: ["float32"] }), ...measured },
  };
}
