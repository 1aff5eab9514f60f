/**
 * Principal components of arrays larger than memory.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { Points } from "../array/points.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import * as kernel from "../kernels/second_moments.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type {
  FoundOutput,
  MemoryItem,
  PlanActions,
  PlanChoices,
  PlanLayout,
  RunContext,
  RunReport,
} from "../stream/plan.ts";
import { Plan } from "../stream/plan.ts";
import type { Basis } from "./basis.ts";
import { ProjectJob, projectPass, rowBytes, unproject, vectorBuffer } from "./basis.ts";
import { fixSigns, Moments, momentsBytes } from "./moments.ts";
import type { PcaResult, StoredPca } from "./pca_result.ts";
import { PcaOutput, secondsOf } from "./pca_result.ts";

export type { PcaResult } from "./pca_result.ts";
export { openPca } from "./pca_result.ts";

/** What {@link PCA} is told. */
export interface PcaOptions {
  /** Components to keep. */
  components: number;
  /** Divides scores by the standard deviation along their component. Default false. */
  whiten?: boolean;
}

/** Options of {@link PCA.fit}. */
export interface PcaFitOptions extends PlanChoices {
  /** Projects the rows too, in a second sweep. Default false. */
  scores?: boolean;
  /** Where the result goes, a zarr group; it is only returned when not given. */
  out?: string;
  /** Replaces a result that is already at `out`. Default false. */
  overwrite?: boolean;
}

/**
 * A component whose variance is less than this times the first one's is turned by the rounding of f32
 * sums, some 1e-4 rad here: rows are then read again and their moments summed exactly.
 */
const COARSE_VARIANCE = 1e-4;

/**
 * Principal components by the covariance, exactly: no sketch and no approximation by batches. Rows are
 * read once; three times where components are asked for whose variance is less than a ten-thousandth
 * of the first one's, which takes exact sums. Blocks are summed in f32 and merged in f64; eigenvectors
 * are found in f64.
 *
 * It needs features^2 numbers; for more features than that allows there is `IncrementalPCA`. Results
 * are the same bits whatever tile, slots and budget.
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
   * @throws {RangeError} If `components` is not a whole number from 1.
   */
  constructor({ components, whiten = false }: PcaOptions) {
    checkComponents(components);
    this.#components = components;
    this.#whiten = whiten;
  }

  /**
   * Plans a fit. Nothing is read or allocated yet.
   *
   * @param points `[rows, features]` of any number type.
   * @throws {RangeError} If there are fewer rows or features than components, or one row alone.
   * @throws {BudgetError} If no tile fits the budget.
   */
  fit(gpu: Gpu, points: ChunkedArray, options: PcaFitOptions = {}): Plan<PcaResult> {
    const rows = new Points(points, { action: "find components" });
    checkShape(rows, this.#components);
    const job = new PcaJob(rows, {
      components: this.#components,
      whiten: this.#whiten,
      adapter: gpu.adapter.name,
      scores: options.scores ?? false,
      out: options.out,
      overwrite: options.overwrite ?? false,
      onFit: (basis) => this.#basis = basis,
    });
    return new Plan(gpu, job, options);
  }

  /**
   * Plans a projection: `[rows, components]` f32. The rows are not copied or centred anywhere.
   *
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

/** Plans a projection onto a basis. */
export function projectPlan(
  gpu: Gpu,
  array: ChunkedArray,
  basis: Basis,
  choices: PlanChoices,
): Plan<Float32Array> {
  const points = new Points(array, { action: "project" });
  const features = basis.mean.length;
  if (points.features !== features) {
    throw new RangeError(
      `Cannot project: points have ${points.features} features, the components have ${features}`,
    );
  }
  return new Plan(gpu, new ProjectJob(points, basis), choices);
}

export function fitted(basis: Basis | undefined): Basis {
  if (!basis) throw new RangeError("Cannot project: no components are fitted, run fit() first");
  return basis;
}

export function checkComponents(components: number): void {
  if (!(Number.isInteger(components) && components >= 1)) {
    throw new RangeError(
      `Cannot find components: components is ${components}, wanted a whole number from 1`,
    );
  }
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
  scores: boolean;
  out: string | undefined;
  overwrite: boolean;
  onFit(basis: Basis): void;
}

class PcaJob implements PlanActions<PcaResult> {
  readonly name = "pca";
  readonly place?: string;
  readonly #points: Points;
  readonly #options: JobOptions;
  readonly #blockRows: number;
  readonly #output: PcaOutput | undefined;
  #account!: Account;
  #moments: Moments | undefined;
  #sums = new Float64Array(0);
  /** Largest magnitude of every feature, in the device's coordinates. */
  #largest = new Float64Array(0);
  /** What the sweep under way sums. */
  #part: kernel.Part = kernel.PART.whole;
  #solved: Omit<StoredPca, "scores"> | undefined;
  #basis: Basis | undefined;
  #scores = new Float32Array(0);

  constructor(points: Points, options: JobOptions) {
    this.#points = points;
    this.#options = options;
    this.#blockRows = kernel.momentBlockRows(points.features);
    const { components, whiten, scores, out, overwrite, adapter } = options;
    if (out === undefined) return;
    this.place = out;
    const parameters = { components, whiten };
    const output = { place: out, overwrite, parameters, adapter, components, scores };
    this.#output = new PcaOutput(points, output);
  }

  layout(tileRows: number): PlanLayout {
    const { rows, features } = this.#points;
    const { components, scores } = this.#options;
    const shape = { features, blockRows: this.#blockRows, tileRows };
    const passes: Pass[] = [this.#momentsPass(shape)];
    const shared: SharedBuffer[] = [
      {
        name: "moments",
        bytes: kernel.momentBytes(shape),
        kind: "storage",
        scratch: true,
      },
      { name: "grains", bytes: 4 * kernel.rowStride(features), kind: "storage" },
    ];
    const memory: MemoryItem[] = [
      { what: "rows on their way", kind: "host", bytes: rowBytes(features, tileRows) },
      {
        what: "moments and eigenvectors",
        kind: "host",
        bytes: momentsBytes(features, components),
      },
    ];
    if (this.#output) memory.push(this.#output.memory());
    if (!scores) return { rows, shared, passes, memory, alignRows: 64, restarts: true };
    passes.push(projectPass(this.#points, tileRows, components, {
      basis: () => this.#solve(),
      scores: () => this.#scores,
    }));
    memory.push({ what: "scores", kind: "host", bytes: 4 * rows * components });
    return {
      rows,
      shared: [...shared, vectorBuffer(components, features)],
      passes,
      memory,
      alignRows: 64,
      restarts: true,
    };
  }

  async hash(): Promise<string> {
    if (this.#output) return await this.#output.hash();
    await this.#points.sample();
    return "";
  }

  async check(begun: boolean): Promise<FoundOutput<PcaResult>> {
    const result = await this.#output?.check(begun);
    if (!result) return { kind: "nothing" };
    this.#options.onFit(basisOf(result, this.#options.whiten));
    return { kind: "finished", result };
  }

  begin({ account }: RunContext): Promise<void> {
    const { rows, features } = this.#points;
    const { components, scores } = this.#options;
    this.#account = account;
    account.take("host", momentsBytes(features, components), "moments and eigenvectors");
    this.#moments = new Moments(features);
    this.#sums = new Float64Array(features);
    this.#largest = new Float64Array(features);
    this.#part = kernel.PART.whole;
    this.#solved = undefined;
    if (scores) {
      account.take("host", 4 * rows * components, "scores");
      this.#scores = new Float32Array(rows * components);
    }
    return Promise.resolve();
  }

  async finish(report: RunReport): Promise<PcaResult> {
    const account = this.#account;
    const { features } = this.#points;
    const { components, scores } = this.#options;
    const basis = this.#solve();
    account.giveBack("host", momentsBytes(features, components));
    if (scores) account.giveBack("host", this.#scores.byteLength);
    const fit = { ...this.#solved!, scores: scores ? this.#scores : undefined };
    if (this.#output) account.take("disk", await this.#output.write(fit), "result");
    this.#options.onFit(basis);
    return {
      ...fit,
      projectedBytes: report.projectedBytes,
      peakBytes: { ...account.peak },
      seconds: secondsOf(report),
    };
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  #momentsPass(shape: kernel.MomentsShape): Pass {
    const { features, tileRows } = shape;
    const stride = kernel.rowStride(features);
    const bytes = kernel.momentBytes(shape);
    const ring = kernel.momentRing(shape);
    const length = kernel.momentElements(features);
    const look = (row: Float64Array) => {
      for (let d = 0; d < row.length; d++) {
        this.#sums[d]! += row[d]!;
        const magnitude = Math.abs(row[d]!);
        if (magnitude > this.#largest[d]!) this.#largest[d] = magnitude;
      }
    };
    return {
      name: "moments",
      direction: "forward",
      cost: features,
      sweeps: { most: 3, again: () => this.#isRefined() },
      tables: () => ({ grains: kernel.momentGrains(this.#largest, shape) }),
      slotBuffers: [
        { name: "rows", bytes: 4 * tileRows * stride, role: "upload" },
        { name: "block_moments", bytes, role: "download" },
      ],
      steps: [
        {
          kernel: kernel.secondMoments,
          constants: kernel.secondMomentsConstants(shape),
          order: "ascending",
          params: (tile, from, to) => kernel.secondMomentsParams(from, to, tile.start, this.#part),
          workgroups: (rows) => kernel.secondMomentsWorkgroups(rows, shape),
        },
        {
          copy: { from: "moments", to: "block_moments" },
          ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
        },
      ],
      read: async ({ start, end }, signal) => ({
        rows: await this.#points.readStrided(start, end, stride, {
          signal,
          ...(this.#part === kernel.PART.whole && { look }),
        }),
      }),
      write: (tile, downloads) => {
        const all = new Float32Array(downloads.block_moments!);
        const first = Math.floor(tile.start / this.#blockRows);
        for (let block = first; block * this.#blockRows < tile.end; block++) {
          // what goes on in the next tile comes with it
          if (Math.min((block + 1) * this.#blockRows, this.#points.rows) > tile.end) break;
          const at = block % ring * length;
          this.#moments!.add(all.subarray(at, at + length));
        }
        return Promise.resolve();
      },
    };
  }

  /** Whether there is another part to be summed: the sweep that ended was too coarse, or the first of two. */
  #isRefined(): boolean {
    const { whole, coarse, rest } = kernel.PART;
    if (this.#part === whole) {
      const { explainedVariance } = this.#solve();
      const smallest = explainedVariance.at(-1)!;
      if (smallest > COARSE_VARIANCE * explainedVariance[0]! || explainedVariance[0] === 0) {
        return false;
      }
      this.#solved = undefined;
      this.#moments = new Moments(this.#points.features);
      this.#part = coarse;
      return true;
    }
    if (this.#part === rest) return false;
    this.#part = rest;
    return true;
  }

  /** Eigenvectors of the covariance, once all moments are there. */
  #solve(): Basis {
    if (this.#basis && this.#solved) return this.#basis;
    const { rows, scale, shift } = this.#points;
    const { components, whiten } = this.#options;
    const moments = this.#moments!;
    const offset = this.#sums.map((sum) => sum / rows);
    moments.addOuter(offset, -rows);
    const { values, vectors, residual } = moments.largest(components);
    fixSigns(vectors, this.#points.features);
    // of squared device units, over all rows
    const squares = values.map((value) => Math.max(0, value) / scale / scale);
    const total = moments.trace / scale / scale;
    const explainedVariance = squares.map((value) => value / (rows - 1));
    this.#basis = {
      components: vectors,
      mean: offset.map((value, d) => value / scale + shift[d]!),
      explainedVariance,
      whiten,
    };
    this.#solved = {
      components: Float32Array.from(vectors),
      mean: this.#basis.mean,
      explainedVariance,
      explainedVarianceRatio: squares.map((value) => total > 0 ? value / total : 0),
      singularValues: squares.map(Math.sqrt),
      residual,
    };
    return this.#basis;
  }
}

function basisOf({ components, mean, explainedVariance }: PcaResult, whiten: boolean): Basis {
  return { components: Float64Array.from(components), mean, explainedVariance, whiten };
}
