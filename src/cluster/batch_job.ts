/**
 * The plan of one step of mini-batch k-means.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import type { Account } from "../gpu/ledger.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext } from "../stream/plan.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { BlockSums } from "./block_sums.ts";
import type { FitSettings } from "./fit_job.ts";
import { rowBytes } from "./predict_job.ts";
import { seedBuffer, Seeding, seedingBytes, seedPass } from "./seeding.ts";

export interface BatchOptions {
  /** `[k, features]` before the step; drawn from the batch when not given. */
  centroids: Float64Array | undefined;
  /** Rows every centroid has seen before. */
  seen: Float64Array;
  /** Hears of what they are afterwards. */
  onStep(centroids: Float32Array, seen: Float64Array): void;
}

export class BatchJob implements PlanActions<Float32Array> {
  readonly name = "kmeans batch";
  readonly #points: Points;
  readonly #settings: FitSettings;
  readonly #options: BatchOptions;
  readonly #shape: AssignmentShape;
  readonly #seedBytes: number;
  #account!: Account;
  #signal!: AbortSignal;
  #seeding: Seeding | undefined;
  /** In the device's coordinates. */
  #centers: Float64Array = new Float64Array(0);
  #sums = new Float64Array(0);
  #counts = new Float64Array(0);

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
        this.#centers = this.#seeding?.centers[0] ??
          this.#points.toScaled(this.#options.centroids!);
        return assignment.codebookTables(this.#shape, [this.#centers]);
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
      write: (tile, downloads) => {
        for (const id of assignment.tileOf(downloads, tile, tileRows, 0).ids) this.#counts[id]!++;
        sums.forEach(
          tile,
          downloads,
          1,
          (_book, own) => own.forEach((sum, i) => this.#sums[i]! += sum),
        );
        return Promise.resolve();
      },
    });
    const bytes = this.#seedBytes + 8 * 3 * k * features;
    return {
      rows,
      shared,
      passes,
      memory: [
        { what: "rows on their way", kind: "host", bytes: rowBytes(this.#points, tileRows) },
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
    this.#sums = new Float64Array(k * this.#points.features);
    this.#counts = new Float64Array(k);
    if (this.#options.centroids) return;
    this.#seeding = new Seeding(this.#points, k, 1, seed);
    await this.#seeding.start(signal);
  }

  finish(): Promise<Float32Array> {
    this.#account.giveBack("host", this.#seedBytes);
    const { features } = this.#points;
    const seen = this.#options.seen.slice();
    const centers = this.#centers.slice();
    for (const [code, count] of this.#counts.entries()) {
      if (count === 0) continue;
      seen[code]! += count;
      const at = code * features;
      let squares = 0;
      for (let d = at; d < at + features; d++) {
        centers[d]! += (this.#sums[d]! - count * centers[d]!) / seen[code]!;
        squares += centers[d]! ** 2;
      }
      if (!this.#settings.spherical || squares === 0) continue;
      for (let d = at; d < at + features; d++) centers[d]! /= Math.sqrt(squares);
    }
    const centroids = Float32Array.from(this.#points.toOriginal(centers));
    this.#options.onStep(centroids, seen);
    return Promise.resolve(centroids);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}
