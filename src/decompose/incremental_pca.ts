/**
 * Principal components batch by batch, for rows too wide for a covariance.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { Points } from "../array/points.ts";
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
import { projectPass, rowBytes, unproject, vectorBuffer } from "./basis.ts";
import { fixSigns, Moments, momentsBytes } from "./moments.ts";
import { checkComponents, checkShape, fitted, projectPlan } from "./pca.ts";
import type { PcaResult } from "./pca_result.ts";
import { PcaOutput } from "./pca_result.ts";
import { RowFrames } from "./row_frames.ts";

/** What {@link IncrementalPCA} is told. */
export interface IncrementalPcaOptions {
  /** Components to keep. */
  components: number;
  /** Divides scores by the standard deviation along their component. Default false. */
  whiten?: boolean;
}

/** Options of {@link IncrementalPCA.fit}. */
export interface IncrementalFitOptions {
  /** Rows of a batch, which decide the result; 5 times the features when not given. */
  batchRows?: number;
  /** Slots in the ping-pong. */
  slots?: number;
  /** Projects the rows too, in a second sweep. Default false. */
  scores?: boolean;
  /**
   * Where the result goes, a zarr group; it is only returned when not given. An interrupted fit goes on
   * there when it is run again.
   */
  out?: string;
  /** Replaces a result that is already at `out`. Default false. */
  overwrite?: boolean;
}

/** Up to here all eigenvectors of a batch are found at once. */
const WHOLE_SIZE = 512;

/** All that goes from batch to batch, in f64 and the array's units. */
interface State {
  rows: number;
  mean: Float64Array;
  /** Sum of squares of all features about their mean. */
  squares: number;
  /** `[kept, features]`, and a singular value each. */
  components: Float64Array;
  singularValues: Float64Array;
}

/**
 * Principal components of what was kept of earlier batches and of the batch at hand, again and again:
 * an approximation that holds no features x features matrix where batches are shorter than that.
 *
 * Source: Ross, Lim, Lin and Yang 2008, "Incremental learning for robust visual tracking", as in
 * scikit-learn; a last batch may be of any length.
 */
export class IncrementalPCA {
  readonly #components: number;
  readonly #whiten: boolean;
  #state: State | undefined;

  /**
   * @throws {RangeError} If `components` is not a whole number from 1.
   */
  constructor({ components, whiten = false }: IncrementalPcaOptions) {
    checkComponents(components);
    this.#components = components;
    this.#whiten = whiten;
  }

  /**
   * Plans a fit from nothing, over batches of an array. Nothing is read or allocated yet.
   *
   * @param points `[rows, features]` of any number type.
   * @throws {RangeError} If a batch has fewer rows than components, or rows fewer features.
   * @throws {BudgetError} If a batch does not fit the budget.
   */
  fit(
    gpu: Gpu,
    points: ChunkedArray,
    options: IncrementalFitOptions = {},
  ): Plan<PcaResult> {
    const rows = new Points(points, { action: "find components" });
    const batchRows = options.batchRows ?? 5 * rows.features;
    return this.#plan(gpu, rows, undefined, Math.min(batchRows, rows.rows), options);
  }

  /**
   * Plans a step: takes an array as one more batch.
   *
   * @throws {RangeError} If it has other features than those before, or is the first and has fewer rows
   * than components.
   */
  partialFit(
    gpu: Gpu,
    batch: ChunkedArray,
    options: Pick<IncrementalFitOptions, "slots"> = {},
  ): Plan<PcaResult> {
    const rows = new Points(batch, { action: "find components" });
    const known = this.#state?.mean.length ?? rows.features;
    if (known !== rows.features) {
      throw new RangeError(
        `Cannot find components: the batch has ${rows.features} features, those before have ${known}`,
      );
    }
    return this.#plan(gpu, rows, this.#state, rows.rows, options);
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
    { slots, scores = false, out, overwrite = false }: IncrementalFitOptions,
  ): Plan<PcaResult> {
    if (!(Number.isInteger(batchRows) && batchRows >= 1)) {
      throw new RangeError(
        `Cannot find components: batchRows is ${batchRows}, wanted a whole number from 1`,
      );
    }
    const components = this.#components;
    if (!state) checkShape(points, components);
    if (!state && batchRows < components) {
      throw new RangeError(
        `Cannot find ${components} components: batches have ${batchRows} rows, wanted at least as ` +
          `many as components`,
      );
    }
    const whiten = this.#whiten;
    const output = out === undefined ? undefined : new PcaOutput(points, {
      place: out,
      overwrite,
      parameters: { components, whiten, batch_rows: batchRows },
      adapter: gpu.adapter.name,
      components,
      scores,
    });
    const job = new BatchesJob(points, {
      components,
      whiten,
      batchRows,
      initial: state,
      scores,
      output,
      slots: slots ?? 2,
      onFit: (next) => this.#state = next,
    });
    return new Plan(gpu, job, { tileRows: batchRows, ...(slots !== undefined && { slots }) });
  }

  #basis(): Basis {
    return fitted(this.#state && basisOf(this.#state, this.#whiten));
  }
}

function basisOf(state: State, whiten: boolean): Basis {
  const { components, mean } = state;
  return { components, mean, explainedVariance: explainedVariance(state), whiten };
}

interface JobOptions {
  components: number;
  whiten: boolean;
  batchRows: number;
  /** What earlier batches left. */
  initial: State | undefined;
  scores: boolean;
  output: PcaOutput | undefined;
  /** Of the plan, at most. */
  slots: number;
  onFit(state: State): void;
}

function explainedVariance({ singularValues, rows }: State): Float64Array {
  return singularValues.map((value) => value * value / (rows - 1));
}

/** What a snapshot says beside arrays. */
type BatchFacts = Pick<State, "rows" | "squares"> & { residual: number };

/** A batch on the host: its rows less their mean, as the device has them. */
interface Batch {
  /** `[rows, features]` f32, in the device's coordinates. */
  centered: Float32Array;
  /** In the array's units. */
  mean: Float64Array;
  /** Sum of squares about the mean, in the array's units. */
  squares: number;
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
  /** By first row. */
  readonly #batches = new Map<number, Batch>();

  constructor(points: Points, options: JobOptions) {
    this.#points = points;
    this.#options = options;
    if (options.output) this.place = options.output.place;
    const { batchRows } = options;
    const { features } = points;
    this.#tall = batchRows >= features;
    const [across, along] = this.#tall ? [features, batchRows] : [batchRows, features];
    const blockRows = kernel.momentBlockRows(across);
    this.#shape = { features: across, blockRows, tileRows: along };
  }

  layout(): PlanLayout {
    const bytes = kernel.momentBytes(this.#shape);
    const stride = kernel.rowStride(this.#shape.features);
    const pass: Pass = {
      name: "batches",
      direction: "forward",
      cost: 1,
      resumesAt: () => true,
      slotBuffers: [
        { name: "rows", bytes: 4 * stride * this.#shape.tileRows, role: "upload" },
        { name: "moments", bytes, role: "download" },
      ],
      steps: [{
        kernel: kernel.secondMoments,
        constants: kernel.secondMomentsConstants(this.#shape),
        buffers: { starts: "grains" },
        order: "ascending",
        params: (tile, from, to) => {
          const [first, end] = this.#kernelRows(tile, from, to);
          return kernel.secondMomentsParams(first, end, 0, kernel.PART.whole);
        },
        // a last, short batch may have all its features in one dispatch
        workgroups: () => kernel.secondMomentsWorkgroups(this.#shape.tileRows, this.#shape),
      }],
      read: (tile, signal) => this.#read(tile, stride, signal),
      write: (tile, downloads) => {
        this.#merge(tile, new Float32Array(downloads.moments!));
        return Promise.resolve();
      },
    };
    const { rows, features } = this.#points;
    const { scores, components, batchRows, output } = this.#options;
    const shared: SharedBuffer[] = [
      { name: "grains", bytes: 4 * stride, kind: "storage", scratch: true },
    ];
    const passes = [pass];
    const memory: MemoryItem[] = [
      { what: "batches and eigenvectors", kind: "host", bytes: this.#hostBytes },
    ];
    if (output) memory.push(output.memory());
    if (scores) {
      const source = new RowFrames(this.#points);
      shared.push(vectorBuffer(components, source));
      passes.push(projectPass(source, batchRows, components, {
        basis: () => basisOf(this.#state!, this.#options.whiten),
        scores: () => this.#scores,
      }));
      memory.push({ what: "scores", kind: "host", bytes: 4 * rows * components });
    }
    return {
      rows,
      shared,
      passes,
      memory,
      restarts: true,
      ...(output && { stateBytes: 8 * (features + components * (features + 1)) + 256 }),
    };
  }

  async hash(signal: AbortSignal): Promise<string> {
    const { output } = this.#options;
    const digest = await new RowFrames(this.#points).look({ digest: output !== undefined, signal });
    return await output?.hash(digest) ?? "";
  }

  async check(begun: boolean): Promise<FoundOutput<PcaResult>> {
    const found = await this.#options.output?.check(begun) ?? { kind: "nothing" };
    if (found.kind !== "finished") return found;
    const { result } = found;
    const { explainedVariance, explainedVarianceRatio } = result;
    this.#options.onFit({
      rows: this.#points.rows,
      mean: result.mean,
      squares: explainedVariance[0]! * (this.#points.rows - 1) / (explainedVarianceRatio[0]! || 1),
      components: Float64Array.from(result.components),
      singularValues: result.singularValues,
    });
    return found;
  }

  /** A batch as it is read, those that are centred, and what the eigenvectors of one take. */
  get #hostBytes(): number {
    const { features } = this.#points;
    const kept = this.#options.components;
    const stack = this.#options.batchRows + kept + 1;
    const eigen = this.#tall ? momentsBytes(features, kept) : 8 * 4 * stack * stack;
    const batch = 4 * this.#options.batchRows * features;
    return 2 * rowBytes(new RowFrames(this.#points), this.#options.batchRows) + eigen +
      (1 + tilesAlive(this.#options.slots)) * batch + 8 * 6 * kept * features;
  }

  begin({ account, state }: RunContext): Promise<void> {
    this.#account = account;
    this.#state = this.#options.initial;
    this.#batches.clear();
    this.#residual = 0;
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
    const { scores, output } = this.#options;
    account.giveBack("host", this.#hostBytes);
    if (scores) account.giveBack("host", this.#scores.byteLength);
    const state = this.#state!;
    const { squares } = state;
    const fit = {
      components: Float32Array.from(state.components),
      mean: state.mean,
      explainedVariance: explainedVariance(state),
      explainedVarianceRatio: state.singularValues.map((value) =>
        squares > 0 ? value * value / squares : 0
      ),
      singularValues: state.singularValues,
      scores: scores ? this.#scores : undefined,
      residual: this.#residual,
    };
    if (output) account.take("disk", await output.write(fit), "result");
    this.#options.onFit(state);
    return {
      ...fit,
      ...measured({ ...report, peakBytes: { ...account.peak } }),
    };
  }

  snapshot(): HostState {
    const { rows, squares, mean, components, singularValues } = this.#state!;
    const facts: BatchFacts = { rows, squares, residual: this.#residual };
    return { facts, arrays: [mean, components, singularValues] };
  }

  #resume({ facts, arrays }: HostState): void {
    const { residual, ...counts } = facts as BatchFacts;
    const [mean, components, singularValues] = arrays as [Float64Array, Float64Array, Float64Array];
    this.#state = { ...counts, mean, components, singularValues };
    this.#residual = residual;
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  /** Rows of the kernel that belong to rows of a tile: the tile's own, or a share of the features. */
  #kernelRows({ start, end }: Tile, from: number, to: number): [number, number] {
    if (this.#tall) return [from, to];
    const rows = end - start;
    const { features } = this.#points;
    return [Math.floor(from * features / rows), Math.floor(to * features / rows)];
  }

  async #read(
    { start, end }: Tile,
    stride: number,
    signal: AbortSignal,
  ): Promise<Record<string, ArrayBufferView>> {
    const { features, scale, shift } = this.#points;
    const values = await this.#points.readScaled(start, end, { signal });
    const count = end - start;
    const mean = new Float64Array(features);
    for (let at = 0; at < values.length; at++) mean[at % features]! += values[at]! / count;
    const centered = new Float32Array(values.length);
    const rows = new Float32Array(stride * (this.#tall ? count : features));
    let squares = 0;
    for (let row = 0; row < count; row++) {
      for (let d = 0; d < features; d++) {
        const value = values[row * features + d]! - mean[d]!;
        squares += value * value;
        centered[row * features + d] = value;
        rows[this.#tall ? row * stride + d : d * stride + row] = value;
      }
    }
    this.#batches.set(start, {
      centered,
      mean: mean.map((value, d) => value / scale + shift[d]!),
      squares: squares / scale / scale,
    });
    return { rows };
  }

  #merge(tile: Tile, blocks: Float32Array): void {
    const batch = this.#batches.get(tile.start)!;
    this.#batches.delete(tile.start);
    const moments = new Moments(this.#shape.features);
    const along = this.#tall ? tile.end - tile.start : this.#points.features;
    const length = kernel.momentElements(this.#shape.features);
    for (let block = 0; block * this.#shape.blockRows < along; block++) {
      moments.add(blocks.subarray(block * length, (block + 1) * length));
    }
    const count = tile.end - tile.start;
    const before = this.#state;
    const rows = (before?.rows ?? 0) + count;
    const { features } = this.#points;
    // what the mean moves adds a row of its own
    const weight = before ? Math.sqrt(before.rows * count / rows) : 0;
    const moved = before
      ? before.mean.map((value, d) => weight * (value - batch.mean[d]!))
      : new Float64Array(features);
    const { values, vectors, residual } = this.#tall
      ? this.#eigenOfFeatures(moments, moved)
      : this.#eigenOfRows(moments, batch, moved);
    this.#residual = Math.max(this.#residual, residual);
    const kept = Math.min(this.#options.components, values.length);
    const components = vectors.slice(0, kept * features);
    fixSigns(components, features);
    const mean = before?.mean ?? batch.mean;
    this.#state = {
      rows,
      mean: mean.map((value, d) => value + (batch.mean[d]! - value) * count / rows),
      squares: (before?.squares ?? 0) + batch.squares +
        moved.reduce((sum, value) => sum + value * value, 0),
      components,
      singularValues: values.slice(0, kept).map((value) => Math.sqrt(Math.max(0, value))),
    };
  }

  /** Of kept components, batch and moved mean: x^T x, `[features, features]`. */
  #eigenOfFeatures(moments: Moments, moved: Float64Array) {
    const { features, scale } = this.#points;
    const squared = scale * scale;
    const { components, singularValues } = this.#state ?? NOTHING;
    singularValues.forEach((value, i) =>
      moments.addOuter(
        components.subarray(i * features, (i + 1) * features),
        value * value * squared,
      )
    );
    moments.addOuter(moved, squared);
    const { values, vectors, residual } = moments.largest(this.#options.components);
    return { values: values.map((value) => value / squared), vectors, residual };
  }

  /** Of the same rows: x x^T, `[rows, rows]`, and back to features. */
  #eigenOfRows(moments: Moments, { centered }: Batch, moved: Float64Array) {
    const { features, scale } = this.#points;
    const { components, singularValues } = this.#state ?? NOTHING;
    const count = centered.length / features;
    const kept = singularValues.length;
    // in the device's units
    const above = new Float64Array((kept + 1) * features);
    singularValues.forEach((value, i) => {
      for (let d = 0; d < features; d++) {
        above[i * features + d] = value * scale * components[i * features + d]!;
      }
    });
    moved.forEach((value, d) => above[kept * features + d] = value * scale);
    const size = count + kept + 1;
    const products = new Float64Array(size * size);
    const own = moments.toMatrix();
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        products[i * size + j] = own[i * this.#shape.features + j]!;
      }
    }
    const rowAt = (i: number) =>
      i < count
        ? centered.subarray(i * features, (i + 1) * features)
        : above.subarray((i - count) * features, (i - count + 1) * features);
    for (let i = count; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        const [a, b] = [rowAt(i), rowAt(j)];
        let sum = 0;
        for (let d = 0; d < features; d++) sum += a[d]! * b[d]!;
        products[i * size + j] = products[j * size + i] = sum;
      }
    }
    const wanted = Math.min(this.#options.components, size);
    const { values, vectors, residual } = size <= WHOLE_SIZE
      ? { ...symmetricEigen(products, size), residual: 0 }
      : largestEigen((v, n, out) => multiply(products, size, v, n, out), size, wanted);
    const back = new Float64Array(wanted * features);
    for (let i = 0; i < wanted; i++) {
      const target = back.subarray(i * features, (i + 1) * features);
      for (let j = 0; j < size; j++) {
        const weight = vectors[i * size + j]!;
        const row = rowAt(j);
        for (let d = 0; d < features; d++) target[d]! += weight * row[d]!;
      }
      straighten(back, i, features);
    }
    const squares = values.slice(0, wanted).map((value) => value / scale / scale);
    return { values: squares, vectors: back, residual };
  }
}

const NOTHING = { components: new Float64Array(0), singularValues: new Float64Array(0) };

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

/** Makes a row orthogonal to those before it and of length 1; 0 if nothing is left of it. */
function straighten(rows: Float64Array, i: number, length: number): void {
  const own = rows.subarray(i * length, (i + 1) * length);
  const norm = () => Math.sqrt(own.reduce((sum, x) => sum + x * x, 0));
  const before = norm();
  for (let j = 0; j < i; j++) {
    const other = rows.subarray(j * length, (j + 1) * length);
    const along = own.reduce((sum, x, d) => sum + x * other[d]!, 0);
    for (let d = 0; d < length; d++) own[d]! -= along * other[d]!;
  }
  const left = norm();
  const keeps = left > 1e-8 * before && left > 0;
  for (let d = 0; d < length; d++) own[d] = keeps ? own[d]! / left : 0;
}
