/**
 * The nearest centroid of every row, and how far that is.
 *
 * @module
 */

import { lookOrKnow } from "../feed/known_look.ts";
import type { Points } from "../feed/points.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { assignedArrays, assignedHeld, Assignment, assignPass } from "./assign_pass.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { codesOf } from "./codes.ts";
import type { Prediction, StoredPrediction } from "./results.ts";
import { openArrays } from "./results.ts";

/** What rows are looked at for, and where that goes. */
export interface PredictOptions {
  /** `[k, features]` in the array's coordinates. */
  centroids: Float64Array;
  /** Whether rows are compared by their directions. */
  spherical: boolean;
  adapter: string;
  out: string | undefined;
  overwrite: boolean | undefined;
}

type PredictHeld = ReturnType<typeof assignedHeld>;

/** What rows are to centroids, whatever is asked of them: what all such tasks read and are named by. */
export function predictIdentity(
  points: Points,
  { centroids, spherical }: PredictOptions,
  asked: unknown,
): { feeds: readonly Feed[]; identity: Identity } {
  const { rows, features, array } = points;
  return {
    feeds: [{
      places: array.places,
      look: ({ digest, signal, known }) =>
        lookOrKnow(points, { digest, around: centroids, signal, known }),
    }],
    identity: { facts: [asked, spherical, rows, features, array.dtype], arrays: [centroids] },
  };
}

export class PredictTask implements Task<PredictHeld, Prediction | StoredPrediction> {
  readonly name = "kmeans predict";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: PredictHeld;
  readonly output: OutputSpec;
  readonly #points: Points;
  readonly #centroids: Float64Array;
  readonly #shape: AssignmentShape;
  #held!: Held<PredictHeld>;
  #assignment: Assignment | undefined;

  constructor(points: Points, options: PredictOptions) {
    this.#points = points;
    const { centroids, spherical, adapter, out, overwrite } = options;
    this.#centroids = centroids;
    const k = centroids.length / points.features;
    this.#shape = { points, codes: k, resident: false };
    this.held = assignedHeld(k);
    const { feeds, identity } = predictIdentity(points, options, "nearest");
    this.feeds = feeds;
    this.identity = identity;
    this.output = {
      kind: "kmeans.prediction",
      formatVersion: 1,
      place: out,
      overwrite,
      adapter,
      streamed: assignedArrays(points),
      whole: [],
      attributes: { parameters: { k, spherical } },
      longest: { inertia: -Number.MAX_VALUE, near_ties: Number.MAX_SAFE_INTEGER },
    };
  }

  layout(tileRows: number): TaskLayout {
    const shape = this.#shape;
    return {
      rows: this.#points.rows,
      shared: assignment.codebookBuffers(shape, 1),
      passes: [assignPass(shape, tileRows, () => this.#currentAssignment())],
      tables: [{
        what: "centroids as the device has them",
        bytes: (8 + 4) * this.#centroids.length + assignment.codebookBytes(shape, 1),
      }],
      alignRows: 64,
      mostTileRows: 16384,
    };
  }

  begin(held: Held<PredictHeld>): void {
    this.#held = held;
    this.#assignment = undefined;
  }

  finish(held: Held<PredictHeld>): Outcome {
    return { facts: { inertia: held.assignedInertia[0], near_ties: held.nearTies[0] } };
  }

  async result(stored: Stored, measured: Measured): Promise<Prediction | StoredPrediction> {
    const { inertia, near_ties: nearTies } = stored.attributes as {
      inertia: number | null;
      near_ties: number;
    };
    const facts = { inertia: inertia ?? Infinity, nearTies, ...measured };
    if (stored.place !== undefined) {
      return {
        ...await openArrays(stored, { ids: ["int32"], distances: ["float32", "float64"] }),
        ...facts,
      };
    }
    return {
      ids: await stored.read("ids") as Int32Array,
      distances: await stored.read("distances") as Float32Array | Float64Array,
      ...facts,
    };
  }

  #currentAssignment(): Assignment {
    return this.#assignment ??= new Assignment(
      this.#points,
      codesOf(this.#points.toScaled(this.#centroids)),
      this.#held,
    );
  }
}
