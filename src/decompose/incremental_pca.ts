/**
 * Principal components batch by batch, for rows too wide for a covariance.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { Points } from "../feed/points.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import * as kernel from "../kernels/second_moments.ts";
import { largestEigen, symmetricEigen } from "../math/eigen.ts";
import type { HostState } from "../store/journal.ts";
import type { Pass, SharedBuffer, Tile } from "../stream/pass.ts";
import type {
  FoundOutput,
  MemoryItem,
  PlanActions,
  PlanChoices,
  PlanLayout,
  RunContext,
  RunReport,
} from "../stream/plan.ts";
import { measured, Plan } from "../stream/plan.ts";
import { tilesAlive } from "../stream/schedule.ts";
import type { Basis } from "./basis.ts";
import {
  checkDeviation,
  COARSE_VARIANCE,
  projectPasses,
  rowBytes,
  unproject,
  vectorBuffer,
} from "./basis.ts";
import { fixSigns, Moments, momentsBytes, weightOf } from "./moments.ts";
import { storedOf } from "../options.ts";
import { checkShape, fitted, projectPlan } from "./pca.ts";
import type { IncrementalFitOptions, IncrementalPcaOptions } from "./pca_options.ts";
import { incrementalFitOptions, incrementalOptions, stepOptions } from "./pca_options.ts";
import type { PcaResult } from "./pca_result.ts";
import { PcaOutput } from "./pca_result.ts";
import { refineBytes, refineDirections } from "./refine.ts";
import { RowFrames } from "../feed/row_frames.ts";

export type { IncrementalFitOptions, IncrementalPcaOptions } from "./pca_options.ts";

/** Up to here all eigenvectors of a batch are found at once. */
const WHOLE_SIZE = 512;

/**
 * Kept beside twice the components when nobody says how many. On 66,570 patches of a photograph, 8 components,
 * batches of 960 rows, their space is .95 rad from the exact one where 8 directions are kept, .023 with 24,
 * .0044 with 40 and .0018 with 64, and a batch takes longer by their number.
 */
const KEPT_BESIDE = 24;

/** All that goes from batch to batch, in f64 and the array's units. */
interface State {
  rows: number;
  /** About which means are taken: far from 0, f64 would have fewer digits of them than of the rows. */
  origin: Float64Array;
  /** Less the origin. */
  mean: Float64Array;
  /** Root of the sum of squares of all features about their mean. */
  norm: number;
  /** `[kept, features]`, and a singular value each, largest first: components, and what is kept beside. */
  directions: Float64Array;
  singularValues: Float64Array;
}

/**
 * Principal components of what was kept of earlier batches and of the batch at hand, again and again:
 * an approximation that holds no features x features matrix where batches are shorter than that. What a
 * batch has beyond the directions that are kept is lost, so more are kept than are asked for.
 *
 * The device finds the directions of a batch, by products of its rows; the host makes them as good as
 * f64 is, down to a billionth of the first one's deviation where as many are kept as there are features. Where
 * a component is asked for that has less than a ten-thousandth of the first one's variance, batches are taken
 * again, and their products summed exactly.
 *
 * Source: Ross, Lim, Lin and Yang 2008, "Incremental learning for robust visual tracking", as in
 * scikit-learn: a last batch of fewer rows than components is taken with the one before it.
 */
export class IncrementalPCA {
  readonly #components: number;
  readonly #whiten: boolean;
  readonly #keep: number;
  #state: State | undefined;

  /**
   * @throws {TypeError} If there is an option of another name or kind.
   * @throws {RangeError} If `components` is not a whole number from 1, or `keep` is less.
   */
  constructor(options: IncrementalPcaOptions) {
    const { components, whiten, keep = 2 * components + KEPT_BESIDE } = incrementalOptions.check(
      options,
    );
    if (keep !== "components" && keep < components) {
      throw new RangeError(
        `Cannot ${ACTION}: keep is ${keep}, wanted a whole number from ${components}, the components`,
      );
    }
    this.#components = components;
    this.#whiten = whiten;
    this.#keep = keep === "components" ? components : keep;
  }

  /**
   * Plans a fit from nothing, over batches of an array. Nothing is read or allocated yet.
   *
   * @param points `[rows, features]` of any number type.
   * @throws {TypeError} If there is an option of another name or kind.
   * @throws {RangeError} If a batch has fewer rows than components, or rows fewer features.
   * @throws {BudgetError} If a batch does not fit the budget.
   */
  fit(
    gpu: Gpu,
    points: ChunkedArray,
    options: IncrementalFitOptions = {},
  ): Plan<PcaResult> {
    const told = incrementalFitOptions.check(options);
    const rows = new Points(points, { action: ACTION });
    const { batchRows = 5 * rows.features } = told;
    return this.#plan(gpu, rows, undefined, Math.min(batchRows, rows.rows), told);
  }

  /**
   * Plans a step: takes an array as one more batch.
   *
   * @throws {TypeError} If there is an option of another name.
   * @throws {RangeError} If it has other features than those before, or is the first and has fewer rows
   * than components.
   */
  partialFit(
    gpu: Gpu,
    batch: ChunkedArray,
    options: Pick<IncrementalFitOptions, "slots"> = {},
  ): Plan<PcaResult> {
    const choices = stepOptions.check(options);
    const rows = new Points(batch, { action: ACTION });
    const known = this.#state?.mean.length ?? rows.features;
    if (known !== rows.features) {
      throw new RangeError(
        `Cannot ${ACTION}: the batch has ${rows.features} features, those before have ${known}`,
      );
    }
    return this.#plan(gpu, rows, this.#state, rows.rows, choices);
  }

  /**
   * Plans a projection: `[rows, components]` f32.
   *
   * @throws {RangeError} If nothing is fitted, or rows have another number of features.
   */
  transform(gpu: Gpu, points: ChunkedArray, options: PlanChoices = {}): Plan<Float32Array> {
    return projectPlan(gpu, points, this.#basis(), options);
  }

  /** Rows `[rows, features]` f32 from scores `[rows, components]`, on the host. */
  inverseTransform(scores: ArrayLike<number>): Float32Array {
    return unproject(this.#basis(), scores);
  }

  #plan(
    gpu: Gpu,
    points: Points,
    state: State | undefined,
    batchRows: number,
    { slots, out, overwrite = false, scores = out !== undefined }: IncrementalFitOptions,
  ): Plan<PcaResult> {
    const [components, whiten, keep] = [this.#components, this.#whiten, this.#keep];
    if (!state) checkShape(points, components);
    if (!state && batchRows < components) {
      throw new RangeError(
        `Cannot find ${components} components: batches have ${batchRows} rows, wanted at least as ` +
          `many as components`,
      );
    }
    const batches = new Batches(points.rows, batchRows, components);
    const kept = batches.kept(state?.singularValues.length ?? 0, Math.min(keep, points.features));
    const output = out === undefined ? undefined : new PcaOutput(points, {
      place: out,
      overwrite,
      parameters: storedOf(
        { ...incrementalOptions.options, ...incrementalFitOptions.options },
        { components, whiten, keep, batchRows },
      ),
      adapter: gpu.adapter.name,
      components,
      kept,
      scores,
    });
    const job = new BatchesJob(points, {
      components,
      whiten,
      keep,
      batches,
      initial: state,
      scores,
      output,
      slots: slots ?? 2,
      onFit: (next) => this.#state = next,
    });
    return new Plan(gpu, job, {
      tileRows: batches.mostRows,
      ...(slots !== undefined && { slots }),
    });
  }

  #basis(): Basis {
    return fitted(this.#state && basisOf(this.#state, this.#components, this.#whiten));
  }
}

const ACTION = "find components";

/** Which rows are a batch: the last one has as many as components, and a few more than the others if need be. */
class Batches {
  readonly count: number;
  /** Of the largest. */
  readonly mostRows: number;
  readonly #rows: number;
  readonly #batchRows: number;

  constructor(rows: number, batchRows: number, components: number) {
    this.#rows = rows;
    this.#batchRows = batchRows;
    this.count = 1 + Math.max(0, Math.floor((rows - components) / batchRows));
    this.mostRows = Math.max(this.count > 1 ? batchRows : 0, this.#lastRows);
  }

  at(index: number): [start: number, end: number] {
    const start = index * this.#batchRows;
    return [start, index === this.count - 1 ? this.#rows : start + this.#batchRows];
  }

  /** Directions there are after the last one, where `before` were kept and `most` may be. */
  kept(before: number, most: number): number {
    // those kept, rows, and what the mean moves; a first batch moves nothing
    const rows = this.#rows + (before > 0 ? before : -1) + this.count;
    return Math.min(most, rows);
  }

  get #lastRows(): number {
    return this.#rows - (this.count - 1) * this.#batchRows;
  }
}

function basisOf(state: State, components: number, whiten: boolean): Basis {
  const { directions, origin, mean } = state;
  return {
    components: directions.slice(0, components * mean.length),
    mean: origin.map((value, d) => value + mean[d]!),
    explainedVariance: explainedVariance(state).slice(0, components),
    whiten,
  };
}

interface JobOptions {
  components: number;
  whiten: boolean;
  keep: number;
  batches: Batches;
  /** What earlier batches left. */
  initial: State | undefined;
  scores: boolean;
  output: PcaOutput | undefined;
  /** Of the plan, at most. */
  slots: number;
  onFit(state: State): void;
}

/** Largest of what earlier batches deviate by, and a new batch's mean from theirs. */
function reachOf({ rows, norm, origin, mean }: State, own: Float64Array): number {
  const moved = own.map((value, d) => Math.abs(value - origin[d]! - mean[d]!));
  return moved.reduce((most, value) => Math.max(most, value), norm / Math.sqrt(rows));
}

function explainedVariance({ singularValues, rows }: State): Float64Array {
  return singularValues.map((value) => value * value / (rows - 1));
}

/** What a snapshot says beside arrays. */
type BatchFacts = Pick<State, "rows" | "norm"> & { residual: number; exact: boolean };

/** A batch on the host. */
interface Batch {
  /** `[rows, features]`, less their mean, in the device's units. */
  centered: Float64Array;
  /** What the device has of its features, or of its rows where it multiplies rows, is multiplied by these. */
  weights: Float64Array;
  /** In the device's coordinates. */
  mean: Float64Array;
  /** Root of the sum of squares about the mean, in the device's units. */
  norm: number;
}

class BatchesJob implements PlanActions<PcaResult> {
  readonly name = "incremental pca";
  readonly place?: string;
  readonly #points: Points;
  readonly #options: JobOptions;
  /** Whether the device multiplies features, x^T x, or rows, x x^T: whichever is smaller. */
  readonly #tall: boolean;
  readonly #shape: kernel.MomentsShape;
  #account!: Account;
  #state: State | undefined;
  #scores = new Float32Array(0);
  /** Of the eigenvectors of any batch. */
  #residual = 0;
  /** Whether batches are taken again. */
  #exact = false;
  /** Whether all batches are taken, and scores on their way, which no snapshot has. */
  #projects = false;
  /** By the tile they are. */
  readonly #batches = new Map<number, Batch>();

  constructor(points: Points, options: JobOptions) {
    this.#points = points;
    this.#options = options;
    if (options.output) this.place = options.output.place;
    const { mostRows } = options.batches;
    const { features } = points;
    this.#tall = mostRows >= features;
    const [across, along] = this.#tall ? [features, mostRows] : [mostRows, features];
    const blockRows = kernel.momentBlockRows(across);
    this.#shape = { features: across, blockRows, tileRows: along };
  }

  layout(tileRows: number): PlanLayout {
    const { rows, features } = this.#points;
    const { scores, components, keep, batches, output } = this.#options;
    const { whole, coarse, rest } = kernel.PART;
    const passes = [
      this.#batchesPass("batches", [whole], tileRows),
      {
        ...this.#batchesPass("exact batches", [coarse, rest], tileRows),
        needed: () => this.#isFaint(),
      },
    ];
    const shared: SharedBuffer[] = [];
    const memory: MemoryItem[] = [
      { what: "batches and eigenvectors", kind: "host", bytes: this.#hostBytes },
    ];
    if (output) memory.push(output.memory());
    if (scores) {
      const source = new RowFrames(this.#points);
      shared.push(vectorBuffer(components, source));
      passes.push(...projectPasses(source, batches.mostRows, components, {
        basis: () => {
          this.#projects = true;
          return this.#basis;
        },
        scores: () => this.#scores,
      }));
      memory.push({ what: "scores", kind: "host", bytes: 4 * rows * components });
    }
    const kept = Math.min(keep, features);
    return {
      rows,
      shared,
      passes,
      memory,
      restarts: true,
      ...(output && { stateBytes: 8 * (2 * features + kept * (features + 1)) + 256 }),
    };
  }

  /** Takes batch after batch, whose moments the device sums in these parts. */
  #batchesPass(name: string, parts: readonly kernel.Part[], tileRows: number): Pass {
    const bytes = kernel.momentBytes(this.#shape);
    const stride = kernel.rowStride(this.#shape.features);
    const sums = parts.map((part) => `moments_${part}`);
    /** A tile is a batch, of however many rows. */
    const share = (tile: Tile, row: number) =>
      Math.floor(row * this.#along(tile) / (tile.end - tile.start));
    return {
      name,
      direction: "forward",
      // of exact ones nobody knows beforehand
      cost: parts[0] === kernel.PART.whole ? 1 : 0,
      rows: this.#options.batches.count * tileRows,
      resumesAt: () => true,
      slotBuffers: [
        { name: "rows", bytes: 4 * stride * this.#shape.tileRows, role: "upload" },
        { name: "grains", bytes: 4 * stride, role: "upload" },
        ...sums.map((name) => ({ name, bytes, role: "download" as const })),
      ],
      steps: parts.map((part, i) => ({
        kernel: kernel.secondMoments,
        constants: kernel.secondMomentsConstants(this.#shape),
        buffers: { starts: "grains", moments: sums[i]! },
        order: "ascending",
        params: (tile, from, to) =>
          kernel.secondMomentsParams(share(tile, from), share(tile, to), 0, part),
        // a last, short batch may have all its features in one dispatch
        workgroups: () => kernel.secondMomentsWorkgroups(this.#shape.tileRows, this.#shape),
      })),
      read: (tile, signal) => this.#read(tile, stride, signal),
      write: (tile, downloads) => {
        this.#merge(tile, sums.map((name) => new Float32Array(downloads[name]!)));
        return Promise.resolve();
      },
    };
  }

  /** Whether a component is so faint that sums in f32 may have hidden it: batches are then taken again. */
  #isFaint(): boolean {
    if (this.#exact) return true;
    const { components, initial } = this.#options;
    const { singularValues } = this.#state!;
    const [largest, smallest] = [singularValues[0]!, singularValues[components - 1] ?? 0];
    if (!(largest > 0 && (smallest / largest) ** 2 <= COARSE_VARIANCE)) return false;
    this.#exact = true;
    this.#state = initial;
    this.#residual = 0;
    return true;
  }

  async hash(signal: AbortSignal): Promise<string> {
    const { output, initial, scores, whiten } = this.#options;
    const rows = new RowFrames(this.#points);
    const looked = { digest: output !== undefined, signal };
    const { digest, mean, deviation } = await rows.look(looked);
    checkDeviation(ACTION, deviation, scores && !whiten);
    if (initial) {
      // what earlier batches left is among the rows of the stack, and may be far larger than this batch
      const reach = Math.max(deviation, reachOf(initial, mean));
      checkDeviation(ACTION, reach, false);
      this.#points.scaleTo(reach);
    }
    return await output?.hash(digest) ?? "";
  }

  async check(begun: boolean): Promise<FoundOutput<PcaResult>> {
    const found = await this.#options.output?.check(begun) ?? { kind: "nothing" };
    if (found.kind !== "finished") return found;
    const { directions, singularValues, norm } = await this.#options.output!.readKept();
    const { mean } = found.result;
    this.#options.onFit({
      rows: this.#points.rows,
      origin: mean,
      mean: new Float64Array(mean.length),
      norm,
      directions,
      singularValues,
    });
    return found;
  }

  /** Batches as they are read and as they wait for the device, and what eigenvectors of one take. */
  get #hostBytes(): number {
    const { features } = this.#points;
    const { keep, components, batches: { mostRows }, slots } = this.#options;
    const kept = Math.min(keep, features);
    const stack = mostRows + kept + 1;
    const eigen = this.#tall ? momentsBytes(features, kept) : 8 * 4 * stack * stack;
    const batch = 8 * mostRows * features;
    const read = rowBytes(new RowFrames(this.#points), mostRows);
    return 2 * read + eigen + (1 + tilesAlive(slots)) * batch +
      refineBytes(stack, features, kept) + 8 * (3 * kept + 2 * components) * features;
  }

  begin({ account, state }: RunContext): Promise<void> {
    this.#account = account;
    this.#state = this.#options.initial;
    this.#batches.clear();
    this.#residual = 0;
    this.#exact = false;
    this.#projects = false;
    if (state) this.#resume(state as HostState);
    account.take("host", this.#hostBytes, "batches and eigenvectors");
    if (this.#options.scores) {
      const elements = this.#points.rows * this.#options.components;
      account.take("host", 4 * elements, "scores");
      this.#scores = new Float32Array(elements);
    }
    return Promise.resolve();
  }

  async finish(report: RunReport): Promise<PcaResult> {
    const account = this.#account;
    const { scores, output, components } = this.#options;
    account.giveBack("host", this.#hostBytes);
    if (scores) account.giveBack("host", this.#scores.byteLength);
    const state = this.#state!;
    const { norm, directions } = state;
    const basis = this.#basis;
    const singularValues = state.singularValues.slice(0, components);
    const fit = {
      components: basis.components,
      mean: basis.mean,
      explainedVariance: basis.explainedVariance,
      explainedVarianceRatio: singularValues.map((value) => norm > 0 ? (value / norm) ** 2 : 0),
      singularValues,
      scores: scores ? this.#scores : undefined,
      residual: this.#residual,
    };
    if (output) {
      const kept = { directions, singularValues: state.singularValues, norm };
      account.take("disk", await output.write(fit, kept), "result");
    }
    this.#options.onFit(state);
    return {
      ...fit,
      ...measured({ ...report, peakBytes: { ...account.peak } }),
    };
  }

  snapshot(): HostState | undefined {
    if (this.#projects) return undefined;
    const { rows, norm, origin, mean, directions, singularValues } = this.#state!;
    const facts: BatchFacts = { rows, norm, residual: this.#residual, exact: this.#exact };
    return { facts, arrays: [origin, mean, directions, singularValues] };
  }

  #resume({ facts, arrays }: HostState): void {
    const { residual, exact, ...numbers } = facts as BatchFacts;
    const [origin, mean, directions, singularValues] = arrays as Float64Array[];
    this.#state = {
      ...numbers,
      origin: origin!,
      mean: mean!,
      directions: directions!,
      singularValues: singularValues!,
    };
    this.#residual = residual;
    this.#exact = exact;
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  get #basis(): Basis {
    const { components, whiten } = this.#options;
    return basisOf(this.#state!, components, whiten);
  }

  #rowsOf({ start, end }: Tile): [start: number, end: number] {
    return this.#options.batches.at(start / (end - start));
  }

  /** Rows of the kernel that a tile has: the batch's own, or its features. */
  #along(tile: Tile): number {
    const [start, end] = this.#rowsOf(tile);
    return this.#tall ? end - start : this.#points.features;
  }

  async #read(
    tile: Tile,
    stride: number,
    signal: AbortSignal,
  ): Promise<Record<string, ArrayBufferView>> {
    const { features } = this.#points;
    const [start, end] = this.#rowsOf(tile);
    const centered = await this.#points.readScaled(start, end, { signal });
    const count = end - start;
    const mean = new Float64Array(features);
    for (let at = 0; at < centered.length; at++) mean[at % features]! += centered[at]! / count;
    const tall = this.#tall;
    const squares = new Float64Array(this.#shape.features);
    const largest = new Float64Array(this.#shape.features);
    for (let row = 0, at = 0; row < count; row++) {
      for (let d = 0; d < features; d++, at++) {
        const value = centered[at]! - mean[d]!;
        centered[at] = value;
        const across = tall ? d : row;
        squares[across]! += value * value;
        largest[across] = Math.max(largest[across]!, Math.abs(value));
      }
    }
    const along = tall ? count : features;
    const weights = squares.map((sum) => weightOf(sum / along));
    const rows = new Float32Array(stride * along);
    for (let row = 0, at = 0; row < count; row++) {
      for (let d = 0; d < features; d++, at++) {
        if (tall) rows[row * stride + d] = centered[at]! * weights[d]!;
        else rows[d * stride + row] = centered[at]! * weights[row]!;
      }
    }
    this.#batches.set(tile.start, {
      centered,
      weights,
      mean,
      norm: Math.sqrt(squares.reduce((sum, own) => sum + own, 0)),
    });
    const weighted = largest.map((value, i) => value * weights[i]!);
    return { rows, grains: kernel.momentGrains(weighted, this.#shape) };
  }

  #merge(tile: Tile, sums: readonly Float32Array[]): void {
    const batch = this.#batches.get(tile.start)!;
    this.#batches.delete(tile.start);
    const moments = new Moments(this.#shape.features);
    const length = kernel.momentElements(this.#shape.features);
    for (let block = 0; block * this.#shape.blockRows < this.#along(tile); block++) {
      for (const part of sums) moments.add(part.subarray(block * length, (block + 1) * length));
    }
    moments.scaleFeatures(batch.weights.map((weight) => 1 / weight));
    const { features, scale, shift } = this.#points;
    const before = this.#state;
    const count = batch.centered.length / features;
    const rows = (before?.rows ?? 0) + count;
    const origin = before?.origin ?? shift;
    const own = batch.mean.map((value, d) => value / scale + (shift[d]! - origin[d]!));
    const stack = [this.#above(own, count), batch.centered];
    const kept = Math.min(this.#options.keep, features, stack[0]!.length / features + count);
    const { vectors, residual } = this.#tall
      ? this.#eigenOfFeatures(moments, stack[0]!, kept)
      : this.#eigenOfRows(moments, stack, kept);
    this.#residual = Math.max(this.#residual, residual);
    const refined = refineDirections(stack, vectors, features);
    fixSigns(refined.vectors, features);
    const mean = before?.mean ?? own;
    const moved = stack[0]!.subarray(-features).reduce((sum, value) => sum + value * value, 0);
    this.#state = {
      rows,
      origin,
      mean: mean.map((value, d) => value + (own[d]! - value) * count / rows),
      norm: Math.hypot(before?.norm ?? 0, batch.norm / scale, Math.sqrt(moved) / scale),
      directions: refined.vectors,
      singularValues: refined.values.map((value) => value / scale),
    };
  }

  /**
   * What earlier batches left and a row of what a batch's mean moves, `[any, features]`, in the device's
   * units.
   */
  #above(mean: Float64Array, count: number): Float64Array {
    const { features, scale } = this.#points;
    const before = this.#state;
    if (!before) return new Float64Array(0);
    const kept = before.singularValues.length;
    const above = new Float64Array((kept + 1) * features);
    before.singularValues.forEach((value, i) => {
      for (let d = i * features; d < (i + 1) * features; d++) {
        above[d] = value * scale * before.directions[d]!;
      }
    });
    const weight = scale * Math.sqrt(before.rows / (before.rows + count) * count);
    before.mean.forEach((value, d) => above[kept * features + d] = weight * (value - mean[d]!));
    return above;
  }

  /** By x^T x, `[features, features]`, of all rows. */
  #eigenOfFeatures(moments: Moments, above: Float64Array, kept: number) {
    const { features } = this.#points;
    for (let at = 0; at < above.length; at += features) {
      moments.addOuter(above.subarray(at, at + features), 1);
    }
    return moments.largest(kept, Math.min(kept, this.#options.components));
  }

  /** By x x^T, `[rows, rows]`, and back to features. */
  #eigenOfRows(moments: Moments, [above, centered]: Float64Array[], kept: number) {
    const { features } = this.#points;
    const count = centered!.length / features;
    const size = count + above!.length / features;
    const products = new Float64Array(size * size);
    const own = moments.toMatrix();
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        products[i * size + j] = own[i * this.#shape.features + j]!;
      }
    }
    const rowAt = (i: number) =>
      i < count
        ? centered!.subarray(i * features, (i + 1) * features)
        : above!.subarray((i - count) * features, (i - count + 1) * features);
    for (let i = count; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        const [a, b] = [rowAt(i), rowAt(j)];
        let sum = 0;
        for (let d = 0; d < features; d++) sum += a[d]! * b[d]!;
        products[i * size + j] = products[j * size + i] = sum;
      }
    }
    const wanted = Math.min(kept, this.#options.components);
    const { vectors: weights, residual } = size <= WHOLE_SIZE
      ? { ...symmetricEigen(products, size), residual: 0 }
      : largestEigen((v, n, out) => multiply(products, size, v, n, out), size, kept, wanted);
    const vectors = new Float64Array(kept * features);
    for (let i = 0; i < kept; i++) {
      const target = vectors.subarray(i * features, (i + 1) * features);
      for (let j = 0; j < size; j++) {
        const weight = weights[i * size + j]!;
        const row = rowAt(j);
        for (let d = 0; d < features; d++) target[d]! += weight * row[d]!;
      }
    }
    return { vectors, residual };
  }
}

function multiply(
  matrix: Float64Array,
  size: number,
  vectors: Float64Array,
  count: number,
  products: Float64Array,
): void {
  for (let v = 0; v < count; v++) {
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < size; j++) sum += matrix[i * size + j]! * vectors[v * size + j]!;
      products[v * size + i]! += sum;
    }
  }
}
