/**
 * Principal components of arrays larger than memory.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import type { Points } from "../feed/points.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import * as kernel from "../kernels/second_moments.ts";
import { formatBytes } from "../math/format.ts";
import type { HostState } from "../store/journal.ts";
import type { KernelStep, Pass, SharedBuffer, Tile } from "../stream/pass.ts";
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
import type { Basis } from "./basis.ts";
import {
  checkDeviation,
  COARSE_VARIANCE,
  ProjectJob,
  projectPasses,
  rowBytes,
  unproject,
  vectorBuffer,
} from "./basis.ts";
import { fixSigns, Moments, momentsBytes, squaresBytes, weightOf } from "./moments.ts";
import type { PcaFitOptions, PcaOptions } from "./pca_options.ts";
import { pcaFitOptions, pcaOptions, projectOptions } from "./pca_options.ts";
import type { PcaResult, StoredPca } from "./pca_result.ts";
import { PcaOutput } from "./pca_result.ts";
import { RowFrames } from "../feed/row_frames.ts";
import { RunEnds } from "./run_ends.ts";

export type { PcaFitOptions, PcaOptions } from "./pca_options.ts";
export type { PcaResult } from "./pca_result.ts";
export { openPca } from "./pca_result.ts";

/**
 * Squares that a software adapter sums in a dispatch: it moves their sums in and out for every few rows,
 * which takes longer than a dispatch may, where there are hundreds.
 */
const SOFTWARE_SQUARES = 32;

/**
 * Principal components by the covariance, exactly: no sketch and no approximation by batches. Rows are
 * read once; four times where components are asked for whose variance is less than a ten-thousandth
 * of the first one's, which takes exact sums. Blocks are summed in f32 and merged in f64; eigenvectors
 * are found in f64.
 *
 * A variance below some 1e-12 of the first one's is rounding of f32: `IncrementalPCA` finds fainter components.
 *
 * It needs features^2 numbers; for more features than that allows there is `IncrementalPCA`. Results
 * are the same bits whatever tile, slots and budget.
 *
 * Flat {@link contexts} are taken by the frames they are made of: moments of frames up to width - 1
 * apart, corrected where segments end, instead of products of all features of a row. The rows are built
 * nowhere, and frames are read once for the moments and once for the scores.
 *
 * @example
 * ```ts
 * const pca = new PCA({ components: 8 });
 * const { explainedVarianceRatio } = await pca.fit(gpu, await openArray("latents.npy")).run();
 * const scores = await pca.transform(gpu, others).run();
 * ```
 */
export class PCA {
  readonly #components: number;
  readonly #whiten: boolean;
  #basis: Basis | undefined;

  /**
   * @throws {TypeError} If there is an option of another name or kind.
   * @throws {RangeError} If `components` is not a whole number from 1.
   */
  constructor(options: PcaOptions) {
    const { components, whiten } = pcaOptions.check(options);
    this.#components = components;
    this.#whiten = whiten;
  }

  /**
   * Plans a fit. Nothing is read or allocated yet.
   *
   * @param points `[rows, features]` of any number type.
   * @throws {TypeError} If there is an option of another name or kind.
   * @throws {RangeError} If there are fewer rows or features than components, or one row alone.
   * @throws {BudgetError} If no tile fits the budget.
   */
  fit(gpu: Gpu, points: ChunkedArray, options: PcaFitOptions = {}): Plan<PcaResult> {
    const { out, overwrite, scores = out !== undefined, ...choices } = pcaFitOptions.check(options);
    const source = RowFrames.of(points, ACTION);
    checkShape(source.rows, this.#components);
    const job = new PcaJob(source, {
      components: this.#components,
      whiten: this.#whiten,
      adapter: gpu.adapter.name,
      mostSquares: gpu.adapter.software ? SOFTWARE_SQUARES : Infinity,
      scores,
      out,
      overwrite,
      onFit: (basis) => this.#basis = basis,
    });
    return new Plan(gpu, job, choices);
  }

  /**
   * Plans a projection: `[rows, components]` f32. The rows are not copied or centred anywhere.
   *
   * @throws {TypeError} If there is an option of another name.
   * @throws {RangeError} If nothing is fitted, or rows have another number of features.
   */
  transform(gpu: Gpu, points: ChunkedArray, options: PlanChoices = {}): Plan<Float32Array> {
    return projectPlan(gpu, points, fitted(this.#basis), options);
  }

  /** Rows `[rows, features]` f32 from scores `[rows, components]`, on the host. */
  inverseTransform(scores: ArrayLike<number>): Float32Array {
    return unproject(fitted(this.#basis), scores);
  }
}

const ACTION = "find components";

/** Plans a projection onto a basis. */
export function projectPlan(
  gpu: Gpu,
  array: ChunkedArray,
  basis: Basis,
  choices: PlanChoices,
): Plan<Float32Array> {
  projectOptions.check(choices);
  const source = RowFrames.of(array, "project");
  const features = basis.mean.length;
  if (source.rows.features !== features) {
    throw new RangeError(
      `Cannot project: points have ${source.rows.features} features, the components have ${features}`,
    );
  }
  if (!basis.whiten) checkDeviation("project", Math.sqrt(basis.explainedVariance[0]!), true);
  return new Plan(gpu, new ProjectJob(source, basis), choices);
}

export function fitted(basis: Basis | undefined): Basis {
  if (!basis) throw new RangeError("Cannot project: no components are fitted, run fit() first");
  return basis;
}

/** @throws {RangeError} If rows of this shape have no such components. */
export function checkShape({ rows, features }: Points, components: number): void {
  const most = Math.min(rows, features);
  if (components > most) {
    throw new RangeError(
      `Cannot find ${components} components: points have ${rows} rows and ${features} features, ` +
        `wanted at most ${most} components`,
    );
  }
  if (rows < 2) {
    throw new RangeError("Cannot find components: points have 1 row, wanted at least 2");
  }
}

interface JobOptions {
  components: number;
  whiten: boolean;
  adapter: string;
  /** Squares of a dispatch, at most. */
  mostSquares: number;
  scores: boolean;
  out: string | undefined;
  overwrite: boolean;
  onFit(basis: Basis): void;
}

/** What a snapshot says beside sums. */
type PcaFacts = { part: kernel.Part; exact?: boolean };

class PcaJob implements PlanActions<PcaResult> {
  readonly name = "pca";
  readonly place?: string;
  readonly #source: RowFrames;
  readonly #options: JobOptions;
  readonly #blockRows: number;
  readonly #output: PcaOutput | undefined;
  #account!: Account;
  #moments: Moments | undefined;
  /** What the features of a frame are multiplied by, see {@link weightOf}. */
  #weights = new Float64Array(0);
  /** By frame of a row, weighted: of the first; and what is added to those of the one before. */
  #sums: Float64Array[] = [];
  /** Largest magnitude of every feature of a frame, in the device's coordinates, weighted. */
  #largest = new Float64Array(0);
  /** Both as they were when a tile had been read, by its end: reading runs ahead. */
  readonly #seen = new Map<number, { sums: Float64Array; largest: Float64Array }>();
  /** What the sweep under way sums. */
  #part: kernel.Part = kernel.PART.whole;
  /** Whether sums in f32 were too coarse, once they are there. */
  #exact: boolean | undefined;
  #solved: Omit<StoredPca, "scores"> | undefined;
  #basis: Basis | undefined;
  #scores = new Float32Array(0);

  constructor(source: RowFrames, options: JobOptions) {
    this.#source = source;
    this.#options = options;
    this.#blockRows = kernel.momentBlockRows(source.frames.features, source.width);
    const { components, whiten, scores, out, overwrite, adapter } = options;
    if (out === undefined) return;
    this.place = out;
    const parameters = { components, whiten };
    const output = { place: out, overwrite, parameters, adapter, components, scores };
    this.#output = new PcaOutput(source.rows, output);
  }

  layout(tileRows: number): PlanLayout {
    const source = this.#source;
    const { components, scores } = this.#options;
    const { width, frames: { features }, rows: { rows } } = source;
    const shape = { features, lags: width, blockRows: this.#blockRows, tileRows };
    const ends = width > 1 ? new RunEnds(source, tileRows) : undefined;
    const { whole, coarse, middle, last } = kernel.PART;
    const passes: Pass[] = [
      this.#momentsPass("moments", [whole], shape),
      ...(ends ? [this.#endsPass(ends)] : []),
      this.#momentsPass("exact moments", [coarse, middle, last], shape),
    ];
    const shared: SharedBuffer[] = [
      {
        name: "moments",
        bytes: Math.max(kernel.momentBytes(shape), ends?.bytes ?? 0),
        kind: "storage",
        scratch: true,
      },
      {
        name: "grains",
        bytes: 4 * Math.max(kernel.rowStride(features), ends?.features ?? 0),
        kind: "storage",
      },
    ];
    const memory: MemoryItem[] = [
      {
        what: "rows on their way",
        kind: "host",
        bytes: Math.max(rowBytes(source, tileRows), ends?.hostBytes ?? 0),
      },
      {
        what: "moments and eigenvectors",
        kind: "host",
        bytes: momentsBytes(features, components, width),
      },
    ];
    if (this.#output) memory.push(this.#output.memory());
    if (scores) {
      shared.push(vectorBuffer(components, source));
      passes.push(...projectPasses(source, tileRows, components, {
        basis: () => this.#solve(),
        scores: () => this.#scores,
      }));
      memory.push({ what: "scores", kind: "host", bytes: 4 * rows * components });
    }
    const notes = [
      `${rows} rows are contexts of ${width} frames: moments of frames up to ${width - 1} apart, ` +
      `with ${source.runs.length} segments; ${formatBytes(4 * rows * width * features)} of rows ` +
      "are built nowhere",
    ];
    return {
      rows,
      shared,
      passes,
      memory,
      ...(ends && { notes }),
      // the sums of a tile that ends with a block are all on the host
      alignRows: tileRows < this.#blockRows ? 64 : this.#blockRows,
      restarts: true,
      ...(this.#output && {
        stateBytes: squaresBytes(features, width) + (width + 1) * (8 * features + 64),
      }),
    };
  }

  async hash(signal: AbortSignal): Promise<string> {
    const looked = { digest: this.#output !== undefined, signal };
    const { digest, variance, deviation } = await this.#source.look(looked);
    const { scores, whiten } = this.#options;
    checkDeviation(ACTION, deviation, scores && !whiten);
    this.#weights = variance.map(weightOf);
    return await this.#output?.hash(digest) ?? "";
  }

  async check(begun: boolean): Promise<FoundOutput<PcaResult>> {
    const found = await this.#output?.check(begun) ?? { kind: "nothing" };
    if (found.kind === "finished") this.#options.onFit(basisOf(found.result, this.#options.whiten));
    return found;
  }

  begin({ account, state }: RunContext): Promise<void> {
    const { width, frames: { features }, rows: { rows } } = this.#source;
    const { components, scores } = this.#options;
    this.#account = account;
    account.take("host", momentsBytes(features, components, width), "moments and eigenvectors");
    const { facts, arrays } = (state ?? {}) as Partial<HostState>;
    const { part = kernel.PART.whole, exact } = (facts ?? {}) as Partial<PcaFacts>;
    const [largest, ...kept] = (arrays ?? []) as Float64Array<ArrayBuffer>[];
    this.#largest = largest ?? new Float64Array(features);
    this.#sums = Array.from({ length: width }, (_, w) => kept[w] ?? new Float64Array(features));
    this.#moments = new Moments(features, width, state ? kept.slice(width) : undefined);
    this.#part = part;
    this.#exact = exact;
    this.#solved = undefined;
    this.#seen.clear();
    if (scores) {
      account.take("host", 4 * rows * components, "scores");
      this.#scores = new Float32Array(rows * components);
    }
    return Promise.resolve();
  }

  async finish(report: RunReport): Promise<PcaResult> {
    const account = this.#account;
    const { width, frames: { features } } = this.#source;
    const { components, scores } = this.#options;
    const basis = this.#solve();
    account.giveBack("host", momentsBytes(features, components, width));
    if (scores) account.giveBack("host", this.#scores.byteLength);
    const fit = { ...this.#solved!, scores: scores ? this.#scores : undefined };
    if (this.#output) account.take("disk", await this.#output.write(fit), "result");
    this.#options.onFit(basis);
    return {
      ...fit,
      ...measured({ ...report, peakBytes: { ...account.peak } }),
    };
  }

  snapshot(row: number | undefined): HostState | undefined {
    // once they are solved, moments are no sums any more
    if (this.#solved) return undefined;
    const facts: PcaFacts = {
      part: this.#part,
      ...(this.#exact !== undefined && { exact: this.#exact }),
    };
    const [first, ...others] = this.#sums;
    const { sums, largest } = this.#seen.get(row!) ?? { sums: first!, largest: this.#largest };
    return { facts, arrays: [largest, sums, ...others, ...this.#moments!.squares] };
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  /** Sums the parts, one a sweep, over all rows. */
  #momentsPass(name: string, parts: readonly kernel.Part[], shape: kernel.MomentsShape): Pass {
    const { features, tileRows, lags } = shape;
    const source = this.#source;
    const stride = kernel.rowStride(features);
    const bytes = kernel.momentBytes(shape);
    const ring = kernel.momentRing(shape);
    const length = kernel.momentElements(features, lags);
    const flat = source.width > 1;
    /** Of frames, of which so many are the first of a row. */
    const looking = (starts: number) => (frame: Float64Array) => {
      this.#weigh(frame);
      if (this.#part !== kernel.PART.whole) return;
      const [largest, sum] = [this.#largest, this.#sums[0]!];
      const isStart = starts-- > 0;
      for (let d = 0; d < frame.length; d++) {
        if (isStart) sum[d]! += frame[d]!;
        const magnitude = Math.abs(frame[d]!);
        if (magnitude > largest[d]!) largest[d] = magnitude;
      }
    };
    const [first] = parts;
    return {
      name,
      direction: "forward",
      resumesAt: (row) => row % this.#blockRows === 0,
      // of exact ones nobody knows beforehand
      cost: first === kernel.PART.whole ? features * source.width : 0,
      ...(first !== kernel.PART.whole && { needed: () => this.#isExact(first!) }),
      ...(parts.length > 1 && {
        sweeps: { most: parts.length, again: () => this.#nextPart(parts) },
      }),
      tables: () => ({ grains: kernel.momentGrains(this.#largest, shape) }),
      slotBuffers: [
        { name: "rows", bytes: 4 * source.mostFrames(tileRows) * stride, role: "upload" },
        ...(flat ? [{ name: "starts", bytes: 4 * tileRows, role: "upload" } as const] : []),
        { name: "block_moments", bytes, role: "download" },
      ],
      steps: [
        ...this.#momentSteps(shape, {
          constants: kernel.secondMomentsConstants(shape),
          listed: flat,
          rowsOf: ({ start }, from, to) => [from, to, start],
        }),
        {
          copy: { from: "moments", to: "block_moments" },
          ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
        },
      ],
      read: async ({ start, end }, signal) => {
        const tile = source.tile(start, end);
        const rows = new Float32Array(tile.frames * stride);
        await source.read(
          tile.pieces,
          signal,
          ({ frame, frames, at }, values) =>
            source.frames.readStrided(frame, frame + frames, stride, {
              values,
              into: rows,
              at,
              look: looking(frames - source.width + 1),
            }),
        );
        if (this.#part === kernel.PART.whole) {
          this.#seen.set(end, { sums: this.#sums[0]!.slice(), largest: this.#largest.slice() });
        }
        return { rows, ...(flat && { starts: source.starts(tile, end - start) }) };
      },
      write: (tile, downloads) => {
        const all = new Float32Array(downloads.block_moments!);
        const first = Math.floor(tile.start / this.#blockRows);
        for (let block = first; block * this.#blockRows < tile.end; block++) {
          // what goes on in the next tile comes with it
          if (Math.min((block + 1) * this.#blockRows, source.rows.rows) > tile.end) break;
          const at = block % ring * length;
          this.#moments!.add(all.subarray(at, at + length));
        }
        this.#seen.delete(tile.start);
        return Promise.resolve();
      },
    };
  }

  /** Sums the frames at which segments begin and end. */
  #endsPass(ends: RunEnds): Pass {
    const { whole, coarse, middle, last } = kernel.PART;
    const look = (frame: number, weight: number, values: Float64Array) => {
      this.#weigh(values);
      if (this.#part !== whole) return;
      const sums = this.#sums[frame + 1]!;
      values.forEach((value, d) => sums[d]! += weight * value);
    };
    return {
      name: "ends of segments",
      direction: "forward",
      cost: ends.features / 2,
      rows: ends.rows,
      sweeps: {
        most: 4,
        again: () =>
          this.#part === whole ? this.#isExact(coarse) : this.#nextPart([coarse, middle, last]),
      },
      tables: () => ({ grains: ends.grains(this.#largest) }),
      slotBuffers: [
        { name: "rows", bytes: ends.tileBytes, role: "upload" },
        { name: "block_moments", bytes: ends.bytes, role: "download" },
      ],
      steps: [
        ...this.#momentSteps(ends.shape, {
          constants: ends.constants(),
          listed: false,
          rowsOf: (tile, from, to) => ends.rowsOf(tile, from, to),
        }),
        {
          copy: { from: "moments", to: "block_moments" },
          ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: ends.bytes }],
        },
      ],
      read: async (tile, signal) => ({
        rows: await ends.read(tile, signal, look),
      }),
      write: (tile, downloads) => {
        const { isLast, weight } = ends.tile(tile);
        const block = new Float32Array(downloads.block_moments!, 0, ends.bytes / 4);
        if (isLast) this.#moments!.addEnds(block, weight);
        return Promise.resolve();
      },
    };
  }

  /** The kernel, over as many squares at a time as a dispatch may have. */
  #momentSteps(
    shape: kernel.MomentsShape,
    { constants, listed, rowsOf }: {
      constants: Record<string, number>;
      /** Whether there is a list of where rows start. */
      listed: boolean;
      /** Of rows [from, to) of a tile: those of the kernel, and where it begins. */
      rowsOf(tile: Tile, from: number, to: number): [from: number, to: number, arrayRow: number];
    },
  ): KernelStep[] {
    const pairs = kernel.squarePairs(shape.features, shape.lags);
    const own = Math.min(pairs, this.#options.mostSquares);
    return Array.from({ length: Math.ceil(pairs / own) }, (_, i) => ({
      kernel: kernel.secondMoments,
      constants,
      ...(!listed && { buffers: { starts: "grains" } }),
      order: "ascending",
      params: (tile, from, to) =>
        kernel.secondMomentsParams(...rowsOf(tile, from, to), this.#part, i * own),
      workgroups: (rows) =>
        kernel.secondMomentsWorkgroups(rows, shape, Math.min(own, pairs - i * own)),
    }));
  }

  #weigh(frame: Float64Array): void {
    for (let d = 0; d < frame.length; d++) frame[d]! *= this.#weights[d]!;
  }

  /** Whether there is another part to be summed after the one that was. */
  #nextPart(parts: readonly kernel.Part[]): boolean {
    const next = parts[parts.indexOf(this.#part) + 1];
    if (next === undefined) return false;
    this.#part = next;
    return true;
  }

  /** Whether the sums there are, are too coarse for the faintest component; exact ones begin with `part`. */
  #isExact(part: kernel.Part): boolean {
    if (this.#exact === undefined) {
      const { explainedVariance } = this.#solve();
      const [largest, smallest] = [explainedVariance[0]!, explainedVariance.at(-1)!];
      this.#exact = largest > 0 && smallest <= COARSE_VARIANCE * largest;
      if (this.#exact) {
        this.#solved = undefined;
        this.#moments = new Moments(this.#source.frames.features, this.#source.width);
      }
    }
    if (this.#exact) this.#part = part;
    return this.#exact;
  }

  /** Eigenvectors of the covariance, once all moments are there. */
  #solve(): Basis {
    if (this.#basis && this.#solved) return this.#basis;
    const { frames: { features, scale, shift }, rows: { rows } } = this.#source;
    const { components, whiten } = this.#options;
    const moments = this.#moments!;
    const offset = new Float64Array(moments.size);
    const sum = new Float64Array(features);
    this.#sums.forEach((own, frame) =>
      own.forEach((value, d) => offset[frame * features + d] = (sum[d]! += value) / rows)
    );
    moments.addUp();
    moments.addOuter(offset, -rows);
    const factors = this.#weights.map((weight) => 1 / weight);
    moments.scaleFeatures(factors);
    offset.forEach((_, i) => offset[i]! *= factors[i % features]!);
    const { values, vectors, residual } = moments.largest(components);
    fixSigns(vectors, moments.size);
    // in squared device units, over all rows; what is left of none is the rounding of sums
    const squares = values.map((value) => Math.max(0, value));
    const total = moments.trace;
    const explainedVariance = squares.map((value) => value / scale / scale / (rows - 1));
    this.#basis = {
      components: vectors,
      mean: offset.map((value, i) => value / scale + shift[i % features]!),
      explainedVariance,
      whiten,
    };
    this.#solved = {
      components: vectors,
      mean: this.#basis.mean,
      explainedVariance,
      explainedVarianceRatio: squares.map((value) => total > 0 ? value / total : 0),
      singularValues: squares.map((value) => Math.sqrt(value) / scale),
      residual,
    };
    return this.#basis;
  }
}

function basisOf({ components, mean, explainedVariance }: PcaResult, whiten: boolean): Basis {
  return { components, mean, explainedVariance, whiten };
}
