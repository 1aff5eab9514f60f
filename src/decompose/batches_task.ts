/**
 * One fit by batches as a task.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import { RowFrames } from "../feed/row_frames.ts";
import * as kernel from "../kernels/second_moments.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { Pass, SharedBuffer, Tile } from "../stream/pass.ts";
import type {
  Beginning,
  Feed,
  Held,
  Identity,
  Measured,
  Task,
  TaskLayout,
} from "../stream/task.ts";
import { checkDeviation, endsFaint } from "./basis.ts";
import type { Batch } from "./batch_merge.ts";
import { BatchMerge } from "./batch_merge.ts";
import type { BatchHeld, BatchState } from "./batch_state.ts";
import { basisOfState, batchHeld, HeldBatches, reachOf, stateOf } from "./batch_state.ts";
import type { Batches } from "./batches.ts";
import { pcaOutcome, pcaOutput, readKept, readNumbers } from "./pca_result.ts";
import { projectPasses, vectorBuffer } from "./projection.ts";

interface BatchesTaskOptions<Result> {
  components: number;
  whiten: boolean;
  keep: number;
  batchRows: number;
  batches: Batches;
  /** What earlier batches left. */
  initial: BatchState | undefined;
  adapter: string;
  scores: boolean;
  out: string | undefined;
  overwrite: boolean;
  /** Hears of what later batches go on with, too. */
  result(stored: Stored, measured: Measured, state: BatchState): Promise<Result>;
}

export class BatchesTask<Result> implements Task<BatchHeld, Result> {
  readonly name = "incremental pca";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: BatchHeld;
  readonly output: OutputSpec;
  readonly #points: Points;
  readonly #options: BatchesTaskOptions<Result>;
  readonly #merge: BatchMerge;
  #held!: HeldBatches;
  /** What this run left: a store has it with other roundings. */
  #left: BatchState | undefined;

  constructor(points: Points, options: BatchesTaskOptions<Result>) {
    this.#points = points;
    this.#options = options;
    const { components, whiten, keep, batchRows, batches, initial, scores } = options;
    const { out, overwrite, adapter } = options;
    const { rows, features, array: { dtype } } = points;
    this.#merge = new BatchMerge({ points, mostRows: batches.mostRows, components, keep });
    const parameters = { components, whiten, keep, batch_rows: batchRows };
    this.identity = { facts: { parameters, scores, rows, features, dtype } };
    this.feeds = [{ places: points.places, look: (options) => this.#look(options) }];
    const kept = batches.kept(initial?.singularValues.length ?? 0, Math.min(keep, features));
    this.held = batchHeld(features, Math.min(keep, features));
    this.output = pcaOutput({
      place: out,
      overwrite,
      parameters,
      adapter,
      rows,
      features,
      components,
      kept: out === undefined ? undefined : kept,
      scores,
    });
  }

  layout(tileRows: number): TaskLayout {
    const { scores, components, whiten } = this.#options;
    const { whole, coarse, rest } = kernel.PART;
    const passes: Pass[] = [
      { ...this.#batchesPass([whole]), name: "batches", cost: 1 },
      {
        ...this.#batchesPass([coarse, rest]),
        name: "exact batches",
        // nobody knows beforehand whether they are needed
        cost: 0,
        needed: () => endsFaint(this.#variances()),
        tables: () => {
          if (!this.#held.isExact) this.#held.begin(this.#options.initial, true);
          return {};
        },
      },
    ];
    const shared: SharedBuffer[] = [];
    if (scores) {
      const source = new RowFrames(this.#points);
      shared.push(vectorBuffer(components, source));
      const basis = () => basisOfState(this.#held.state!, components, whiten);
      passes.push(...projectPasses(source, tileRows, components, basis));
    }
    return { rows: this.#points.rows, shared, passes };
  }

  /** Takes batch after batch, whose moments the device sums in these parts. */
  #batchesPass(parts: readonly kernel.Part[]): Omit<Pass, "name" | "cost"> {
    const merge = this.#merge;
    const { shape } = merge;
    const { batches } = this.#options;
    const bytes = kernel.momentBytes(shape);
    const stride = kernel.rowStride(shape.features);
    const sums = parts.map((part) => `moments_${part}`);
    const rowsOf = ({ start }: Tile) => batches.at(start / batches.mostRows);
    /** A tile is a batch, of however many rows. */
    const share = (tile: Tile, row: number) => {
      const [start, end] = rowsOf(tile);
      return Math.floor(row * merge.along(end - start) / batches.mostRows);
    };
    return {
      direction: "forward",
      rows: batches.count * batches.mostRows,
      grain: batches.mostRows,
      resumesAt: () => true,
      slotBuffers: [
        { name: "rows", bytes: 4 * stride * shape.tileRows, role: "upload" },
        { name: "grains", bytes: 4 * stride, role: "upload" },
        ...sums.map((name) => ({ name, bytes, role: "download" as const })),
      ],
      steps: parts.map((part, i) => ({
        kernel: kernel.secondMoments,
        constants: kernel.secondMomentsConstants(shape),
        buffers: { starts: "grains", moments: sums[i]! },
        order: "ascending",
        params: (tile, from, to) =>
          kernel.secondMomentsParams(shape, share(tile, from), share(tile, to), 0, part),
        // a last, short batch may have all its features in one dispatch
        workgroups: () => kernel.secondMomentsWorkgroups(shape.tileRows, shape),
      })),
      hostBytes: {
        read: new RowFrames(this.#points).readBytes(batches.mostRows),
        write: merge.mergeBytes,
      },
      besideBytes: merge.batchBytes,
      read: (tile, { signal }) => merge.read(...rowsOf(tile), signal),
      write: (_, downloads, { beside }) => {
        const parts = sums.map((name) => new Float32Array(downloads[name]!));
        const { state, residual } = merge.merge(this.#held.state, beside as Batch, parts);
        this.#held.set(state, residual);
      },
    };
  }

  /** Variances along components, of which there may be fewer, over that along the first. */
  #variances(): Float64Array {
    const { components } = this.#options;
    const { singularValues } = this.#held.state!;
    const largest = singularValues[0]!;
    return Float64Array.from(
      { length: components },
      (_, i) => ((singularValues[i] ?? 0) / largest) ** 2,
    );
  }

  begin(held: Held<BatchHeld>, { restored }: Beginning): void {
    this.#held = new HeldBatches(held);
    if (!restored) this.#held.begin(this.#options.initial, false);
  }

  finish(): Outcome {
    const { components, whiten } = this.#options;
    const { residual, state } = this.#held;
    const { norm, directions, singularValues, origin, mean, rows } = state!;
    this.#left = {
      rows,
      norm,
      origin: origin.slice(),
      mean: mean.slice(),
      directions: directions.slice(),
      singularValues: singularValues.slice(),
    };
    const own = singularValues.slice(0, components);
    const fit = {
      ...basisOfState(state!, components, whiten),
      explainedVarianceRatio: own.map((value) => norm > 0 ? (value / norm) ** 2 : 0),
      singularValues: own,
      residual,
    };
    return pcaOutcome(fit, this.output.place === undefined ? undefined : this.#left);
  }

  async result(stored: Stored, measured: Measured): Promise<Result> {
    const left = this.#left;
    this.#left = undefined;
    const state = left ?? stateOf(
      this.#points.rows,
      (await readNumbers(stored)).mean,
      await readKept(stored),
    );
    return await this.#options.result(stored, measured, state);
  }

  async #look(
    { digest, signal }: Parameters<Feed["look"]>[0],
  ): Promise<{ digest: string | undefined }> {
    const { initial, scores, whiten } = this.#options;
    const { action } = this.#points;
    const looked = await new RowFrames(this.#points).look({ digest, signal });
    checkDeviation(action, looked.deviation, scores && !whiten);
    if (initial) {
      // what earlier batches left is among the rows of the stack, and may be far larger than this batch
      const reach = Math.max(looked.deviation, reachOf(initial, looked.mean));
      checkDeviation(action, reach, false);
      this.#points.scaleTo(reach);
    }
    return looked;
  }
}
