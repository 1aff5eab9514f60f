/**
 * A fit of logistic probes: several labels and penalties over the same rows at once.
 *
 * @module
 */

import * as residual from "../kernels/logistic_residual.ts";
import * as project from "../kernels/project_rows.ts";
import * as weighted from "../kernels/weighted_sums.ts";
import { PANEL_ROWS } from "../math/panels.ts";
import { GpuError } from "../errors.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { KernelStep, Pass, SharedBuffer, Step, Tile } from "../stream/pass.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import {
  componentCount,
  componentHeld,
  Components,
  componentSweeps,
  isWhole,
} from "./components.ts";
import type { DescentProblem } from "./descent.ts";
import { Descent, descentHeld, STATUS } from "./descent.ts";
import type { LabelColumn } from "./labels.ts";
import { momentBuffers, momentPass } from "./moment_pass.ts";
import type { FitFacts, ProbeNumbers } from "./results.ts";
import { linearOutcome, linearOutput } from "./results.ts";
import type { StandardRows } from "./standard_rows.ts";

/** Rows that are summed up in f32 at a time, and those where sums need not be exact. */
const [BLOCK, COARSE_BLOCK] = [256, 1024] as const;
/** Checks, between which a descent goes on at most so many sweeps. */
const [CHECKS, SWEEPS] = [16, 20] as const;
/** Fewer, where a probe that is slow can have its own curvature. */
const SHORT_SWEEPS = 12;

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
  return {
    ...componentHeld(rows, features),
    ...descentHeld(probes, rows, features),
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
  #held!: Held<LogisticHeld>;
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
    const { points } = this.#source;
    const { rows, features } = points;
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
    if (this.#options.resident) {
      const bytes = this.#source.panelBytes(rows);
      shared.push({ name: "resident", bytes, kind: "storage", scratch: true });
      passes.push(this.#loadPass(tileRows));
    }
    const whole = isWhole(features);
    if (whole) shared.push(...momentBuffers(this.#source, tileRows, BLOCK));
    passes.push(whole ? this.#momentsPass(tileRows) : this.#turnsPass(tileRows));
    passes.push(this.#checkPass(tileRows, 0));
    for (let i = 1; i <= CHECKS; i++) {
      passes.push(this.#descentPass(tileRows, i), this.#checkPass(tileRows, i));
      if (whole) passes.push(this.#curvaturePass(tileRows, i));
    }
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
        // logits of a trial, one probe at a time, and vectors of a step
        { what: "a probe's next step", bytes: 8 * 2 * rows + 8 * 24 * (features + 1) },
      ],
    };
  }

  begin(held: Held<LogisticHeld>, { restored }: { restored: boolean }): void {
    const { rows, features } = this.#source.points;
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
          isConstant: (feature) => this.#source.isConstant(feature),
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
        weights: descent.weights.slice(0, -1),
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

  get #running(): readonly Descent[] {
    return this.#descents.filter((descent) => descent.isRunning);
  }

  get #waiting(): readonly Descent[] {
    return this.#descents.filter((descent) => descent.isWaiting);
  }

  /** Where rows lie that are computed, and how they come. */
  #rowsOf(tileRows: number) {
    const { resident } = this.#options;
    const source = this.#source;
    return {
      slotBuffers: resident ? [] : [
        { name: "points", bytes: source.panelBytes(tileRows), role: "upload" } as const,
      ],
      buffers: resident ? { points: "resident" } : {},
      base: (tile: Tile) => resident ? tile.start : 0,
      hostBytes: resident ? 0 : source.readBytes(tileRows),
      read: async ({ start, end }: Tile, signal: AbortSignal) =>
        resident ? {} : { points: await source.readPanels(start, end, signal) },
    };
  }

  #loadPass(tileRows: number): Pass {
    const source = this.#source;
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
      ...momentPass(this.#source, tileRows, BLOCK, {
        into: () => this.#held.products,
        weight: () => 1,
      }),
      name: "components",
      cost: this.#source.points.features,
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
      ...momentPass(this.#source, tileRows, BLOCK, {
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
    const { rows, features } = this.#source.points;
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
      constants: project.projectRowsConstants(this.#source.points.features, tileRows),
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

  /** Evaluations on the device, a sweep each, of all probes that are under way. */
  #descentPass(tileRows: number, number: number): Pass {
    const { features } = this.#source.points;
    const shape = { features, blockRows: BLOCK, tileRows };
    const from = this.#rowsOf(tileRows);
    const bytes = project.projectedBytes(tileRows, this.#probes);
    const stride = project.projectedRows(tileRows);
    const columns = () => this.#running.length;
    const steps: Step[] = [
      this.#projectStep(tileRows, columns),
      {
        kernel: residual.logisticResidual,
        constants: residual.logisticResidualConstants(tileRows),
        order: "ascending",
        params: (_tile, first, end) => residual.logisticResidualParams(first, end, columns()),
        workgroups: (some) => residual.logisticResidualWorkgroups(some, columns()),
      },
      this.#sumStep(shape, "residuals", columns),
    ];
    return {
      name: `descent ${number}`,
      direction: "forward",
      // most of them are never needed
      cost: number < 4 ? SWEEPS * this.#probes : 0,
      grain: BLOCK,
      needed: () => columns() > 0,
      sweeps: {
        most: isWhole(features) ? SHORT_SWEEPS : SWEEPS,
        again: () => {
          this.#held.passes[0]!++;
          for (const descent of this.#running) descent.evaluate();
          return columns() > 0 && this.#held.passes[0]! < this.#settings.maxPasses - 1;
        },
      },
      tables: () => {
        const running = this.#running;
        const vectors = new Float32Array(running.length * features);
        const offsets = new Float32Array(Math.ceil(this.#probes / 8) * 8);
        running.forEach(({ trial, sums }, i) => {
          vectors.set(trial.subarray(0, features), i * features);
          offsets[i] = trial[features]!;
          sums.fill(0);
        });
        return { vectors: project.packVectors(vectors, features), offsets };
      },
      slotBuffers: [
        ...from.slotBuffers,
        { name: "anchors", bytes, role: "upload" },
        { name: "projected", bytes, role: "download" },
        { name: "residuals", bytes, role: "scratch" },
        { name: "sums", bytes: weighted.weightedBytes(shape, this.#probes), role: "download" },
      ],
      steps,
      hostBytes: { read: from.hostBytes, write: 8 * this.#probes * features },
      read: async (tile, { signal }) => {
        const anchors = new Float32Array(bytes / 4);
        this.#running.forEach(({ logits }, i) =>
          anchors.set(logits.subarray(tile.start, tile.end), i * stride)
        );
        return { ...await from.read(tile, signal), anchors };
      },
      write: ({ start, end }, downloads) => {
        const running = this.#running;
        const projected = new Float32Array(downloads.projected!);
        const sums = new Float64Array(running.length * features);
        const own = new Float32Array(downloads.sums!);
        weighted.addWeightedSums(own, end - start, shape, running.length, sums);
        running.forEach((descent, i) => {
          descent.trialShifts.set(projected.subarray(i * stride, i * stride + end - start), start);
          for (let d = 0; d < features; d++) descent.sums[d]! += sums[i * features + d]!;
        });
      },
    };
  }

  /** Logits and gradients in f64, on the host, of all probes that wait for them. */
  #checkPass(tileRows: number, number: number): Pass {
    const source = this.#source;
    const { features } = source.points;
    return {
      name: `check ${number}`,
      direction: "forward",
      cost: number < 3 ? this.#probes : 0,
      needed: () => {
        // whoever went on for as long as a pass may
        for (const descent of this.#running) descent.wait(true);
        return this.#waiting.length > 0;
      },
      sweeps: {
        most: 1,
        again: () => {
          this.#held.passes[0]!++;
          const { maxPasses } = this.#settings;
          for (const descent of this.#waiting) {
            descent.check(this.#held.passes[0]! + 2 > maxPasses || number === CHECKS);
          }
          return false;
        },
      },
      tables: () => {
        for (const { sums } of this.#waiting) sums.fill(0);
        return {};
      },
      slotBuffers: [],
      steps: [],
      hostBytes: { read: source.readBytes(tileRows) },
      besideBytes: 8 * tileRows * features,
      read: async ({ start, end }, { signal }) => ({ rows: await source.read(start, end, signal) }),
      write: ({ start }, _, { beside }) => {
        for (const descent of this.#waiting) descent.add(start, beside.rows as Float64Array);
      },
    };
  }
}
