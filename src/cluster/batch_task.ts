/**
 * One step of mini-batch k-means.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type { Beginning, Feed, Held, Task, TaskLayout } from "../stream/task.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { BlockSums } from "./block_sums.ts";
import { codesOf } from "./codes.ts";
import type { FitSettings } from "./fit_task.ts";
import { decisionBytes } from "./near_ties.ts";
import { seedBuffer, Seeding, seedingHeld, seedPass } from "./seeding.ts";
import { Tally, tallyHeld } from "./tally.ts";

export interface BatchOptions {
  /** `[k, features]` before the step; drawn from the batch when not given. */
  centroids: Float64Array | undefined;
  /** Rows every centroid has seen before. */
  seen(signal: AbortSignal): Promise<Float64Array>;
  adapter: string;
  /** Hears of what they are afterwards. */
  onStep(centroids: Float64Array, seen: Float64Array): void;
}

function batchHeld(points: Points, k: number, isGiven: boolean) {
  return {
    /** `[k, features]` before the step, in the device's coordinates. */
    centers: { dtype: "float64", length: k * points.features },
    seen: { dtype: "float64", length: k },
    ...tallyHeld(1, k, points.features),
    ...seedingHeld(points, k, isGiven),
  } as const;
}

type BatchHeld = ReturnType<typeof batchHeld>;

export class BatchTask implements Task<BatchHeld, Float64Array> {
  readonly name = "kmeans batch";
  readonly identity = { facts: "only returned" };
  readonly feeds: readonly Feed[];
  readonly held: BatchHeld;
  readonly output: OutputSpec;
  readonly #points: Points;
  readonly #settings: FitSettings;
  readonly #options: BatchOptions;
  readonly #shape: AssignmentShape;
  #held!: Held<BatchHeld>;
  #seeding: Seeding | undefined;
  #tally: Tally | undefined;

  constructor(points: Points, settings: FitSettings, options: BatchOptions) {
    this.#points = points;
    this.#settings = settings;
    this.#options = options;
    const { k } = settings;
    const { centroids: around, adapter } = options;
    this.#shape = { points, codes: k, resident: false };
    this.held = batchHeld(points, k, around !== undefined);
    this.feeds = [{
      places: points.places,
      look: ({ digest, signal }) => points.look({ digest, around, signal }),
    }];
    this.output = {
      kind: "kmeans.batch",
      formatVersion: 1,
      adapter,
      streamed: [],
      whole: [
        variable("centroids", "float64", [k, points.features], ["cluster", "feature"]),
        variable("seen", "float64", [k], ["cluster"]),
      ],
      attributes: {},
    };
  }

  layout(tileRows: number): TaskLayout {
    const { rows, features } = this.#points;
    const { k } = this.#settings;
    const shape = this.#shape;
    const sums = new BlockSums(shape, tileRows, 1);
    const shared: SharedBuffer[] = [...assignment.codebookBuffers(shape, 1), sums.shared()];
    const passes: Pass[] = [];
    if (!this.#options.centroids) {
      shared.push(seedBuffer(features));
      passes.push(seedPass(shape, tileRows, {
        sweeps: k,
        seeding: () => this.#seeding!,
        onSeeded: () => {},
      }));
    }
    passes.push(this.#stepPass(tileRows, sums));
    return {
      rows,
      shared,
      passes,
      tables: [{
        what: "new centres, and what the device has of them",
        bytes: (8 + 2 * 4) * k * features + assignment.codebookBytes(shape, 1),
      }],
      alignRows: 64,
    };
  }

  async begin(held: Held<BatchHeld>, { signal }: Beginning): Promise<void> {
    const { k, seed } = this.#settings;
    const { centroids, seen } = this.#options;
    this.#held = held;
    this.#tally = undefined;
    this.#seeding = undefined;
    held.seen.set(await seen(signal));
    if (centroids) {
      held.centers.set(this.#points.toScaled(centroids));
    } else {
      this.#seeding = new Seeding(this.#points, held, k, seed);
      await this.#seeding.start(signal);
    }
  }

  finish(held: Held<BatchHeld>): Outcome {
    const { counts } = this.#currentTally();
    const seen = held.seen.map((count, code) => count + counts[code]!);
    const { centers } = this.#currentTally().moved(seen, this.#settings.spherical);
    const centroids = this.#points.toOriginal(centers);
    const { centroids: before } = this.#options;
    // what did not move is handed back as it came, whatever the coordinates of this batch
    before?.forEach((value, i) => {
      if (centers[i] === held.centers[i]) centroids[i] = value;
    });
    return { values: { centroids, seen } };
  }

  async result(stored: Stored): Promise<Float64Array> {
    const [centroids, seen] = await Promise.all(
      ["centroids", "seen"].map((name) => stored.read(name)),
    ) as [Float64Array, Float64Array];
    this.#options.onStep(centroids, seen);
    return centroids;
  }

  #currentTally(): Tally {
    return this.#tally ??= new Tally(this.#points, codesOf(this.#held.centers), this.#held);
  }

  #stepPass(tileRows: number, sums: BlockSums): Pass {
    const shape = this.#shape;
    return {
      name: "step",
      direction: "forward",
      cost: 1,
      tables: () => assignment.codebookTables(shape, [this.#currentTally().codes]),
      slotBuffers: [
        ...assignment.uploadedPoints(shape, tileRows),
        ...assignment.assignmentBuffers(shape, tileRows, 1),
        sums.slotBuffer(),
      ],
      steps: [
        ...assignment.assignmentSteps(shape, tileRows, () => 1),
        ...sums.steps(() => 1),
      ],
      hostBytes: {
        read: assignment.readBytes(shape, tileRows),
        write: decisionBytes(this.#points, tileRows),
      },
      read: (tile, { signal }) => assignment.readTile(shape, tile, signal),
      write: async (tile, downloads, { signal }) => {
        const tally = this.#currentTally();
        const { ids, nearness } = assignment.tileOf(downloads, tile, tileRows, 0);
        await tally.takeRows(tile, ids, nearness, signal);
        sums.forEach(tile, downloads, 1, (_book, own) => tally.takeSums(own));
      },
    };
  }
}
