/**
 * The pass that hands out the nearest code of every row, and how far that is.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Pass, Tile } from "../stream/pass.ts";
import { variable } from "../stream/output.ts";
import type { Held } from "../stream/task.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { createDistances, distanceBytes } from "./assignment.ts";
import type { Codes } from "./codes.ts";
import { decisionBytes, NearTies } from "./near_ties.ts";

/** What goes from tile to tile of an assignment. */
export function assignedHeld(codes: number) {
  return {
    /** `[codes]`: rows of each. */
    assignedRows: { dtype: "float64", length: codes },
    /** Sum of squared distances, in the array's units. */
    assignedInertia: { dtype: "float64", length: 1 },
    /** Rows whose two best codes were closer than rounding, and that were decided in f64. */
    nearTies: { dtype: "float64", length: 1 },
  } as const;
}

export type AssignedHeld = Held<ReturnType<typeof assignedHeld>>;

/** What an assignment stores of every row. */
export function assignedArrays(points: Points): ZarrArraySpec[] {
  const distance = distanceBytes(points) === 8 ? "float64" : "float32";
  return [
    variable("ids", "int32", [points.rows], ["row"]),
    variable("distances", distance, [points.rows], ["row"]),
  ];
}

/** Assigns rows, as tiles bring them. */
export class Assignment {
  readonly codes: Codes;
  readonly #points: Points;
  readonly #nearTies: NearTies;
  readonly #held: AssignedHeld;

  constructor(points: Points, codes: Codes, held: AssignedHeld) {
    this.codes = codes;
    this.#points = points;
    this.#nearTies = new NearTies(points, codes);
    this.#held = held;
  }

  /** Codes and distances of a tile's rows, of what the kernels left. */
  async take(
    tile: Tile,
    { ids, nearness }: { ids: Uint32Array; nearness: Float32Array },
    signal: AbortSignal,
  ): Promise<{ ids: Int32Array; distances: Float32Array | Float64Array }> {
    const codes = Int32Array.from(ids);
    const squared = Float64Array.from(codes, (_, row) => nearness[2 * row]!);
    const decided = await this.#nearTies.decide(tile, ids, nearness, signal);
    for (const [i, row] of decided.rows.entries()) {
      codes[row] = decided.codes[i]!;
      squared[row] = decided.squared[i]!;
    }
    const { assignedRows, assignedInertia, nearTies } = this.#held;
    nearTies[0]! += decided.rows.length;
    const { scale } = this.#points;
    const distances = createDistances(this.#points, codes.length);
    for (const [row, code] of codes.entries()) {
      assignedRows[code]!++;
      assignedInertia[0]! += squared[row]! / scale / scale;
      distances[row] = Math.sqrt(squared[row]!) / scale;
    }
    return { ids: codes, distances };
  }
}

/** @param current The assignment that is under way; asked before the first tile, too. */
export function assignPass(
  shape: AssignmentShape,
  tileRows: number,
  current: () => Assignment,
): Pass {
  const { points, codes } = shape;
  return {
    name: "assign",
    direction: "forward",
    cost: codes,
    tables: () => assignment.codebookTables(shape, [current().codes]),
    slotBuffers: [
      ...assignment.uploadedPoints(shape, tileRows),
      ...assignment.assignmentBuffers(shape, tileRows, 1),
    ],
    steps: assignment.assignmentSteps(shape, tileRows, () => 1),
    resumesAt: () => true,
    sums: { held: Object.keys(assignedHeld(codes)) },
    writes: ["ids", "distances"],
    hostBytes: {
      read: assignment.readBytes(shape, tileRows),
      // ids, squares and distances
      write: decisionBytes(points, tileRows) + tileRows * (4 + 8 + distanceBytes(points)),
    },
    read: (tile, { signal }) => assignment.readTile(shape, tile, signal),
    write: async (tile, downloads, { signal, store }) => {
      const arrived = assignment.tileOf(downloads, tile, tileRows, 0);
      const { ids, distances } = await current().take(tile, arrived, signal);
      await store("ids", tile.start, ids);
      await store("distances", tile.start, distances);
    },
  };
}
