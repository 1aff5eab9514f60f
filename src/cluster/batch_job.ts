/**
 * The plan of one step of mini-batch k-means.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import type { Account } from "../gpu/ledger.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext } from "../stream/plan.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { BlockSums } from "./block_sums.ts";
import { codesOf, Tally } from "./codes.ts";
import type { FitSettings } from "./fit_job.ts";
import { seedBuffer, Seeding, seedingBytes, seedPass } from "./seeding.ts";

export interface BatchOptions {
  /** `[k, features]` before the step; drawn from the batch when not given. */
  centroids: Float64Array | undefined;
  /** Rows every centroid has seen before. */
  seen: Float64Array;
  /** Hears of what they are afterwards. */
  onStep(centroids: Float64Array, seen: Float64Array): void;
}

export class BatchJob implements PlanActions<Float64Array> {
  readonly name = "kmeans batch";
  readonly #points: Points;
  readonly #settings: FitSettings;
  readonly #options: BatchOptions;
  readonly #shape: AssignmentShape;
  readonly #seedBytes: number;
  #account!: Account;
  #signal!: AbortSignal;
  #seeding: Seeding | undefined;
  #tally!: Tally;

  constructor(points: Points, settings: FitSettings, options: BatchOptions) {
    this.#points = points;
    this.#settings = settings;
    this.#options = options;
    const { k } = settings;
    this.#shape = { points, codes: k, resident: false };
    this.#seedBytes = options.centroids ? 0 : seedingBytes(points, k, 1);
  }

  layout(tileRows: number): PlanLayout {
    const { rows, features } = this.#points;
    const { k } = this.#settings;
    const sums = new BlockSums(this.#shape, tileRows, 1);
    const shared: SharedBuffer[] = [
      ...assignment.codebookBuffers(this.#shape, 1),
      sums.shared(),
    ];
    const read: Pass["read"] = (tile, signal) => assignment.readTile(this.#shape, tile, signal);
    const passes: Pass[] = [];
    if (!this.#options.centroids) {
      shared.push(seedBuffer(features));
      passes.push(seedPass(this.#shape, tileRows, k, {
        seeding: () => this.#seeding!,
        again: () => this.#seeding!.next(this.#signal),
        read,
      }));
    }
    passes.push({
      name: "step",
      direction: "forward",
      cost: 1,
      tables: () => {
        const centers = this.#seeding?.centers[0] ??
          this.#points.toScaled(this.#options.centroids!);
        this.#tally = new Tally(this.#points, codesOf(centers));
        return assignment.codebookTables(this.#shape, [this.#tally.codes]);
      },
      slotBuffers: [
        ...assignment.uploadedPoints(this.#shape, tileRows),
        ...assignment.assignmentBuffers(this.#shape, tileRows, 1),
        sums.slotBuffer(),
      ],
      steps: [
        ...assignment.assignmentSteps(this.#shape, tileRows, () => 1),
        ...sums.steps(() => 1),
      ],
      read,
      write: async (tile, downloads, signal) => {
        const { ids, nearness } = assignment.tileOf(downloads, tile, tileRows, 0);
        await this.#tally.takeRows(tile, ids, nearness, signal);
        sums.forEach(tile, downloads, 1, (_book, own) => this.#tally.takeSums(own));
      },
    });
    const bytes = this.#seedBytes + (4 * 8 + 2 * 4) * k * features;
    return {
      rows,
      shared,
      passes,
      memory: [
        {
          what: "rows on their way",
          kind: "host",
          bytes: 2 * assignment.rowBytes(this.#points, tileRows),
        },
        { what: "centres and sums", kind: "host", bytes },
      ],
      alignRows: 64,
      restarts: true,
    };
  }

  async begin({ account, signal }: RunContext): Promise<void> {
    const { k, seed } = this.#settings;
    this.#account = account;
    this.#signal = signal;
    await this.#points.look({ signal, around: this.#options.centroids });
    account.take("host", this.#seedBytes, "distances to first centres");
    if (this.#options.centroids) return;
    this.#seeding = new Seeding(this.#points, k, 1, seed);
    await this.#seeding.start(signal);
  }

  finish(): Promise<Float64Array> {
    this.#account.giveBack("host", this.#seedBytes);
    const { counts, codes } = this.#tally;
    const seen = this.#options.seen.map((count, code) => count + counts[code]!);
    const { centers } = this.#tally.moved(seen, this.#settings.spherical);
    const centroids = this.#points.toOriginal(centers);
    const { centroids: before } = this.#options;
    // what did not move is handed back as it came, whatever the coordinates of this batch
    before?.forEach((value, i) => {
      if (centers[i] === codes.centers[i]) centroids[i] = value;
    });
    this.#options.onStep(centroids, seen);
    return Promise.resolve(centroids);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}
