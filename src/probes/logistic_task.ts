/**
 * A fit of logistic probes: several labels and penalties over the same rows at once.
 *
 * @module
 */

import * as residual from "../kernels/logistic_residual.ts";
import * as project from "../kernels/project_rows.ts";
import * as weighted from "../kernels/weighted_sums.ts";
import { PANEL_ROWS, toPanels } from "../math/panels.ts";
import { GpuError } from "../errors.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { KernelStep, Pass, SharedBuffer, Tile } from "../stream/pass.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import {
  componentCount,
  componentHeld,
  Components,
  componentSweeps,
  isWhole,
} from "./components.ts";
import { Turns } from "../turns.ts";
import type { DescentProblem } from "./descent.ts";
import { Descent, descentHeld, STATUS } from "./descent.ts";
import type { LabelColumn } from "./labels.ts";
import { momentBuffers, momentPass } from "./moment_pass.ts";
import type { FitFacts, ProbeNumbers } from "./results.ts";
import { linearOutcome, linearOutput } from "./results.ts";
import type { ProbeRows } from "./span.ts";
import { isSpanned, spanHeld, SpanRows } from "./span.ts";
import type { StandardRows } from "./standard_rows.ts";

/** Rows that are summed up in f32 at a time, and those where sums need not be exact. */
const [BLOCK, COARSE_BLOCK] = [256, 1024] as const;
/** Rows that are checked for one probe after the other. */
const CHECKED_ROWS = 64;
/** Descents, between which slow probes get second derivatives; and sweeps that most fits take. */
const [ROUNDS, USUAL_SWEEPS] = [8, 24] as const;

export interface LogisticSettings {
  c: readonly number[];
  tolerance: number;
  maxPasses: number;
}

export interface LogisticTaskOptions<Result> {
  out: string | undefined;
  overwrite: boolean | undefined;
  adapter: string;
  /** Whether rows stay on the device. */
  resident: boolean;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

function logisticHeld(rows: number, features: number, probes: number) {
  const dims = isSpanned(rows, features) ? rows : features;
  return {
    ...componentHeld(rows, dims),
    ...spanHeld(rows, features, probes),
    ...descentHeld(probes, rows, dims),
    /** Times that rows were gone through. */
    passes: { dtype: "float64", length: 1 },
  } as const;
}

type LogisticHeld = ReturnType<typeof logisticHeld>;

export class LogisticTask<Result> implements Task<LogisticHeld, Result> {
  readonly name = "logistic probe";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: LogisticHeld;
  readonly output: OutputSpec;
  readonly #source: StandardRows;
  readonly #columns: readonly LabelColumn[];
  readonly #settings: LogisticSettings;
  readonly #options: LogisticTaskOptions<Result>;
  /** Numbers of a row as it is fitted: its features, or its coordinates in the space of all rows. */
  readonly #dims: number;
  readonly #isSpanned: boolean;
  #held!: Held<LogisticHeld>;
  readonly #span: SpanRows;
  /** Rows as they are fitted. */
  readonly #fitted: ProbeRows;
  #components!: Components;
  /** Of every label column, of every penalty. */
  #descents: readonly Descent[] = [];

  constructor(
    source: StandardRows,
    columns: readonly LabelColumn[],
    settings: LogisticSettings,
    options: LogisticTaskOptions<Result>,
  ) {
    this.#source = source;
    this.#columns = columns;
    this.#settings = settings;
    this.#options = options;
    const { rows, features, array } = source.points;
    const labels = columns.map(({ name }) => name);
    const { c, tolerance, maxPasses } = settings;
    const parameters = { c, tolerance, max_passes: maxPasses };
    this.#isSpanned = isSpanned(rows, features);
    this.#span = new SpanRows(() => this.#held, rows);
    this.#fitted = this.#isSpanned ? this.#span : source;
    this.#dims = this.#fitted.features;
    this.held = logisticHeld(rows, features, columns.length * c.length);
    this.identity = {
      facts: [parameters, labels, rows, features, array.dtype],
      arrays: columns.map(({ values }) => values),
    };
    this.feeds = [{ look: (options) => source.look(options) }];
    this.output = linearOutput({
      ...options,
      kind: "logistic",
      parameters,
      labels,
      c,
      features,
    });
  }

  get #probes(): number {
    return this.#columns.length * this.#settings.c.length;
  }

  layout(tileRows: number): TaskLayout {
    const { rows, features: all } = this.#source.points;
    const features = this.#dims;
    const fitted = this.#fitted;
    const count = componentCount(rows, features);
    const shared: SharedBuffer[] = [
      {
        name: "vectors",
        bytes: project.vectorBytes(Math.max(count, this.#probes), features),
        kind: "storage",
      },
      { name: "offsets", bytes: 4 * Math.ceil(this.#probes / 8) * 8, kind: "storage" },
    ];
    const passes: Pass[] = [];
    if (this.#isSpanned) passes.push(this.#gatherPass(tileRows));
    if (this.#options.resident) {
      const bytes = fitted.panelBytes(rows);
      shared.push({ name: "resident", bytes, kind: "storage", scratch: true });
      passes.push(this.#loadPass(tileRows));
    }
    const whole = isWhole(features);
    if (whole) shared.push(...momentBuffers(fitted, tileRows, BLOCK));
    passes.push(whole ? this.#momentsPass(tileRows) : this.#turnsPass(tileRows));
    const rounds = whole ? ROUNDS : 1;
    for (let i = 1; i < rounds; i++) {
      passes.push(this.#descentPass(tileRows, i, false), this.#curvaturePass(tileRows, i));
    }
    passes.push(this.#descentPass(tileRows, rounds, true));
    if (this.#isSpanned) passes.push(this.#weightsPass(tileRows), this.#confirmPass(tileRows));
    return {
      rows,
      shared,
      passes,
      tables: [
        { what: "labels", bytes: this.#columns.length * rows },
        {
          what: "directions being turned, and vectors as the device has them",
          bytes: 8 * 3 * count * (features + count) +
            project.vectorBytes(Math.max(count, this.#probes), features),
        },
        ...(this.#isSpanned
          ? [{ what: "products of rows", bytes: 8 * rows * (rows + 1) + 8 * all }]
          : []),
        // logits of a trial, one probe at a time, and vectors of a step
        { what: "a probe's next step", bytes: 8 * 2 * rows + 8 * 24 * (features + 1) },
      ],
    };
  }

  begin(held: Held<LogisticHeld>, { restored }: { restored: boolean }): void {
    const { rows, features: all } = this.#source.points;
    const features = this.#dims;
    const { c, tolerance } = this.#settings;
    this.#held = held;
    this.#components = new Components(held, rows, features);
    this.#descents = this.#columns.flatMap(({ values: labels, positives }, column) =>
      c.map((own, i) => {
        const problem: DescentProblem = {
          labels,
          positives,
          penalty: own > 0 ? 1 / (own * rows) : 0,
          tolerance,
          components: this.#components,
          isConstant: (feature) => this.#fitted.isConstant(feature),
          // every feature deviates by 1
          reach: Math.sqrt(all),
        };
        return new Descent(problem, held, column * c.length + i, features);
      })
    );
    if (restored) return;
    // the look was one
    held.passes[0] = 1;
    this.#components.start();
    this.#descents.forEach((descent, i) => {
      if (this.#columnOf(i).reason === undefined) descent.start();
    });
  }

  finish(held: Held<LogisticHeld>): Outcome {
    const { c } = this.#settings;
    const probes = this.#descents.map((descent, i): ProbeNumbers => {
      const status = descent.fact("status");
      const reason = this.#columnOf(i).reason ??
        (status === STATUS.separable
          ? "a plane separates the classes, so that without a penalty there is no optimum"
          : undefined);
      return {
        label: this.#columnOf(i).name,
        c: c[i % c.length]!,
        ...(reason !== undefined && { reason }),
        weights: this.#isSpanned
          ? this.#spanned(held.spanWeights, i)
          : descent.weights.slice(0, -1),
        bias: descent.weights.at(-1)!,
        loss: descent.fact("loss"),
        gradientNorm: descent.fact("norm"),
        distance: descent.fact("distance"),
        iterations: descent.fact("iterations"),
        converged: descent.fact("converged") === 1,
      };
    });
    if (probes.length === 1 && probes[0]!.reason) {
      throw new RangeError(
        `Cannot ${this.#source.points.action}: ${probes[0]!.reason}; give a c above 0`,
      );
    }
    const facts: FitFacts = { passes: held.passes[0]! };
    return linearOutcome(probes, this.#source.standard, facts);
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#options.result(stored, measured);
  }

  #columnOf(probe: number): LabelColumn {
    return this.#columns[Math.floor(probe / this.#settings.c.length)]!;
  }

  /** A probe's part of what is `[probes, features]`. */
  #spanned(values: Float64Array, probe: number): Float64Array {
    const { features } = this.#source.points;
    return values.subarray(probe * features, (probe + 1) * features);
  }

  /** A pass of the host's over rows with all their features. */
  #hostPass(
    tileRows: number,
    { name, take, end, begin }: {
      name: string;
      begin?: () => void;
      take(start: number, rows: Float64Array): void;
      end?: (signal: AbortSignal) => Promise<void> | void;
    },
  ): Pass {
    const source = this.#source;
    return {
      name,
      direction: "forward",
      cost: 1,
      tables: () => {
        begin?.();
        return {};
      },
      sweeps: {
        most: 1,
        again: async ({ signal }) => {
          this.#held.passes[0]!++;
          await end?.(signal);
          return false;
        },
      },
      slotBuffers: [],
      steps: [],
      hostBytes: { read: source.readBytes(tileRows) },
      besideBytes: 8 * tileRows * source.features,
      read: async ({ start, end }, { signal }) => ({ rows: await source.read(start, end, signal) }),
      write: ({ start }, _, { beside }) => take(start, beside.rows as Float64Array),
    };
  }

  /** Finds coordinates of the rows in the space that they span. */
  #gatherPass(tileRows: number): Pass {
    const { features } = this.#source.points;
    return this.#hostPass(tileRows, {
      name: "span",
      take: (start, rows) => this.#held.gathered.set(rows, start * features),
      end: (signal) => this.#span.find(signal),
    });
  }

  /** Makes weights of features of those that are coordinates. */
  #weightsPass(tileRows: number): Pass {
    const { features } = this.#source.points;
    let shares: Float64Array[] = [];
    return this.#hostPass(tileRows, {
      name: "weights",
      begin: () => {
        this.#held.spanWeights.fill(0);
        shares = this.#descents.map(({ weights }) => this.#span.sharesOf(weights));
      },
      take: (start, rows) =>
        shares.forEach((own, i) => {
          const weights = this.#spanned(this.#held.spanWeights, i);
          for (let at = 0, row = start; at < rows.length; at += features, row++) {
            const share = own[row]!;
            for (let d = 0; share !== 0 && d < features; d++) weights[d]! += share * rows[at + d]!;
          }
        }),
    });
  }

  /** Takes gradients by all features, in f64: what probes say of themselves is said of those weights. */
  #confirmPass(tileRows: number): Pass {
    const { spanWeights, spanGradients } = {
      spanWeights: (i: number) => this.#spanned(this.#held.spanWeights, i),
      spanGradients: (i: number) => this.#spanned(this.#held.spanGradients, i),
    };
    return this.#hostPass(tileRows, {
      name: "confirm",
      begin: () => this.#held.spanGradients.fill(0),
      take: (start, rows) =>
        this.#descents.forEach((descent, i) =>
          descent.addTo(start, rows, spanWeights(i), spanGradients(i))
        ),
      end: () =>
        this.#descents.forEach((descent, i) => {
          if (descent.fact("status") === STATUS.done) {
            descent.confirm(spanWeights(i), spanGradients(i));
          }
        }),
    });
  }

  /** Where rows lie that are computed, and how they come. */
  #rowsOf(tileRows: number) {
    const { resident } = this.#options;
    const source = this.#fitted;
    return {
      slotBuffers: resident ? [] : [
        { name: "points", bytes: source.panelBytes(tileRows), role: "upload" } as const,
      ],
      buffers: resident ? { points: "resident" } : {},
      base: (tile: Tile) => resident ? tile.start : 0,
      hostBytes: resident ? 0 : source.readBytes(tileRows),
      read: async ({ start, end }: Pick<Tile, "start" | "end">, signal: AbortSignal) =>
        resident ? {} : { points: await source.readPanels(start, end, signal) },
    };
  }

  #loadPass(tileRows: number): Pass {
    const source = this.#fitted;
    return {
      name: "load",
      direction: "forward",
      cost: 1,
      fillsDevice: true,
      slotBuffers: [{ name: "points", bytes: source.panelBytes(tileRows), role: "upload" }],
      steps: [{
        copy: { from: "points", to: "resident" },
        ranges: ({ start, end }) => [{
          fromOffset: 0,
          toOffset: source.panelBytes(start),
          bytes: source.panelBytes(end - start),
        }],
      }],
      hostBytes: { read: source.readBytes(tileRows) },
      read: async ({ start, end }, { signal }) => {
        if (start % PANEL_ROWS !== 0) {
          // only when the driver refused a tile and it was halved too often
          throw new GpuError(
            `Cannot keep the rows on the device: a tile begins at row ${start}, wanted a multiple ` +
              `of ${PANEL_ROWS}; allow a smaller budget`,
          );
        }
        return { points: await source.readPanels(start, end, signal) };
      },
      write: () => {},
    };
  }

  /** Moments of rows, which all directions are found of. */
  #momentsPass(tileRows: number): Pass {
    return {
      ...momentPass(this.#fitted, tileRows, BLOCK, {
        into: () => this.#held.products,
        weight: () => 1,
      }),
      name: "components",
      cost: this.#dims,
      tables: () => {
        this.#held.products.fill(0);
        return {};
      },
      sweeps: {
        most: 1,
        again: () => {
          this.#held.passes[0]!++;
          this.#components.find();
          return false;
        },
      },
    };
  }

  /** Moments of rows by the curvature of a probe that is slow, a sweep each: its own second derivatives. */
  #curvaturePass(tileRows: number, number: number): Pass {
    const slow = () => this.#descents.find((descent) => descent.wantsCurvature);
    return {
      ...momentPass(this.#fitted, tileRows, BLOCK, {
        into: () => this.#held.products,
        weight: (row) => slow()!.curvatureOf(row),
      }),
      name: `curvature ${number}`,
      // nobody knows beforehand whether it is needed
      cost: 0,
      needed: () => slow() !== undefined,
      tables: () => {
        this.#held.products.fill(0);
        return {};
      },
      sweeps: {
        most: this.#probes,
        again: () => {
          this.#held.passes[0]!++;
          slow()!.takeCurvature(this.#held.products);
          return slow() !== undefined;
        },
      },
    };
  }

  /** Products X^T X v of directions v. */
  #turnsPass(tileRows: number): Pass {
    const { rows } = this.#source.points;
    const features = this.#dims;
    const count = componentCount(rows, features);
    const shape = { features, blockRows: COARSE_BLOCK, tileRows };
    const from = this.#rowsOf(tileRows);
    return {
      name: "components",
      direction: "forward",
      cost: count,
      grain: COARSE_BLOCK,
      sweeps: {
        most: componentSweeps(features),
        again: ({ sweep }) => {
          this.#held.passes[0]!++;
          this.#components.turn(sweep);
          return true;
        },
      },
      tables: () => {
        this.#held.products.fill(0);
        return { vectors: project.packVectors(this.#held.directions, features) };
      },
      slotBuffers: [
        ...from.slotBuffers,
        { name: "projected", bytes: project.projectedBytes(tileRows, count), role: "scratch" },
        { name: "sums", bytes: weighted.weightedBytes(shape, count), role: "download" },
      ],
      steps: [
        this.#projectStep(tileRows, () => count),
        this.#sumStep(shape, "projected", () => count),
      ],
      hostBytes: { read: from.hostBytes },
      read: (tile, { signal }) => from.read(tile, signal),
      write: ({ start, end }, { sums }) => {
        const own = new Float32Array(sums!);
        weighted.addWeightedSums(own, end - start, shape, count, this.#held.products);
      },
    };
  }

  #projectStep(tileRows: number, columns: () => number): KernelStep {
    const from = this.#rowsOf(tileRows);
    return {
      kernel: project.projectRows,
      constants: project.projectRowsConstants(this.#dims, tileRows),
      buffers: from.buffers,
      order: "ascending",
      params: (tile, first, end) => project.projectRowsParams(first, end, from.base(tile)),
      workgroups: (some) => project.projectRowsWorkgroups(some, columns()),
    };
  }

  #sumStep(shape: weighted.WeightedShape, weights: string, columns: () => number): KernelStep {
    const from = this.#rowsOf(shape.tileRows);
    return {
      kernel: weighted.weightedSums,
      constants: weighted.weightedSumsConstants(shape),
      buffers: { ...from.buffers, weights },
      order: "ascending",
      params: (tile, first, end) => weighted.weightedSumsParams(first, end, from.base(tile)),
      workgroups: (some) => weighted.weightedSumsWorkgroups(some, shape, columns()),
    };
  }

  /**
   * Goes down, a sweep at a time: the device evaluates the next steps of probes that run, and the host checks in
   * f64 those that wait for that.
   *
   * @param isLast Whether no second derivatives come after it, which slow ones would wait for.
   */
  #descentPass(tileRows: number, number: number, isLast: boolean): Pass {
    const source = this.#fitted;
    const { resident } = this.#options;
    const features = this.#dims;
    const { maxPasses } = this.#settings;
    const shape = { features, blockRows: BLOCK, tileRows };
    const from = this.#rowsOf(tileRows);
    const bytes = project.projectedBytes(tileRows, this.#probes);
    const stride = project.projectedRows(tileRows);
    const running = () =>
      this.#descents.filter((descent) => descent.isRunning && (isLast || !descent.wantsCurvature));
    const waiting = () => this.#descents.filter((descent) => descent.isWaiting);
    // one that is not there costs less than knowing what to do without
    const columns = () => Math.max(1, running().length);
    return {
      name: `descent ${number}`,
      direction: "forward",
      // nobody knows how many there will be
      cost: number === 1 ? USUAL_SWEEPS * this.#probes : 0,
      grain: BLOCK,
      needed: () => running().length + waiting().length > 0,
      sweeps: {
        most: maxPasses,
        again: async ({ signal }) => {
          const turns = new Turns(signal);
          const passes = ++this.#held.passes[0]!;
          const checked = waiting();
          for (const descent of running()) {
            descent.evaluate();
            await turns.next();
          }
          for (const descent of checked) {
            descent.check(passes >= maxPasses);
            await turns.next();
          }
          if (passes >= maxPasses - 1) {
            for (const descent of this.#descents) if (descent.isRunning) descent.wait();
          }
          return running().length + waiting().length > 0;
        },
      },
      tables: () => {
        const vectors = new Float32Array(columns() * features);
        const offsets = new Float32Array(Math.ceil(this.#probes / 8) * 8);
        running().forEach(({ trial, sums }, i) => {
          vectors.set(trial.subarray(0, features), i * features);
          offsets[i] = trial[features]!;
          sums.fill(0);
        });
        for (const { sums } of waiting()) sums.fill(0);
        return { vectors: project.packVectors(vectors, features), offsets };
      },
      slotBuffers: [
        ...from.slotBuffers,
        { name: "anchors", bytes, role: "upload" },
        { name: "projected", bytes, role: "download" },
        { name: "residuals", bytes, role: "scratch" },
        { name: "sums", bytes: weighted.weightedBytes(shape, this.#probes), role: "download" },
      ],
      steps: [
        this.#projectStep(tileRows, columns),
        {
          kernel: residual.logisticResidual,
          constants: residual.logisticResidualConstants(tileRows),
          order: "ascending",
          params: (_tile, first, end) => residual.logisticResidualParams(first, end, columns()),
          workgroups: (some) => residual.logisticResidualWorkgroups(some, columns()),
        },
        this.#sumStep(shape, "residuals", columns),
      ],
      hostBytes: { read: source.readBytes(tileRows), write: 8 * this.#probes * features },
      besideBytes: 8 * tileRows * features,
      read: async ({ start, end }, { signal }) => {
        const anchors = new Float32Array(bytes / 4);
        running().forEach(({ logits }, i) => anchors.set(logits.subarray(start, end), i * stride));
        if (waiting().length === 0) return { ...await from.read({ start, end }, signal), anchors };
        const rows = await source.read(start, end, signal);
        return { rows, anchors, ...(!resident && { points: toPanels(rows, features) }) };
      },
      write: async ({ start, end }, downloads, { beside, signal }) => {
        const own = running();
        const projected = new Float32Array(downloads.projected!);
        const sums = new Float64Array(own.length * features);
        const blocks = new Float32Array(downloads.sums!);
        weighted.addWeightedSums(blocks, end - start, shape, own.length, sums);
        own.forEach((descent, i) => {
          descent.trialShifts.set(projected.subarray(i * stride, i * stride + end - start), start);
          for (let d = 0; d < features; d++) descent.sums[d]! += sums[i * features + d]!;
        });
        const checked = waiting();
        const turns = new Turns(signal);
        for (let row = start; row < end && checked.length > 0; row += CHECKED_ROWS) {
          const rows = beside.rows as Float64Array;
          const first = (row - start) * features;
          const some = rows.subarray(first, first + CHECKED_ROWS * features);
          for (const descent of checked) descent.add(row, some);
          await turns.next();
        }
      },
    };
  }
}
