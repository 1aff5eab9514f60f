/**
 * A fit of logistic probes: several labels and penalties over the same rows at once.
 *
 * @module
 */

import * as project from "../kernels/project_rows.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { SharedBuffer } from "../stream/pass.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { componentPass } from "./component_pass.ts";
import { componentCount, isWhole } from "./components.ts";
import { descentPasses } from "./descent_passes.ts";
import { BLOCK, DeviceRows } from "./device_rows.ts";
import type { LabelColumn } from "./labels.ts";
import type { LogisticHeld, LogisticSettings } from "./logistic_fit.ts";
import { LogisticFit, logisticHeld } from "./logistic_fit.ts";
import { momentBuffers } from "./moment_pass.ts";
import { linearOutcome, linearOutput } from "./results.ts";
import type { ProbeRows } from "./span.ts";
import { isSpanned, SpanRows } from "./span.ts";
import { confirmPass, gatherPass, weightsPass } from "./span_passes.ts";
import type { StandardRows } from "./standard_rows.ts";

export interface LogisticTaskOptions<Result> {
  out: string | undefined;
  overwrite: boolean | undefined;
  adapter: string;
  /** Whether rows stay on the device. */
  resident: boolean;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

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
  /** Rows in coordinates of the space of all of them, where they are fewer than features. */
  readonly #span: SpanRows | undefined;
  /** Rows as they are fitted. */
  readonly #fitted: ProbeRows;
  #fit!: LogisticFit;

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
    this.#span = isSpanned(rows, features) ? new SpanRows(() => this.#fit.held, rows) : undefined;
    this.#fitted = this.#span ?? source;
    this.held = logisticHeld(rows, features, columns.length * c.length);
    this.identity = {
      facts: [parameters, labels, rows, features, array.dtype],
      arrays: columns.map(({ values }) => values),
    };
    this.feeds = [{ places: source.points.places, look: (options) => source.look(options) }];
    this.output = linearOutput({
      ...options,
      kind: "logistic",
      parameters,
      labels,
      c,
      features,
    });
  }

  layout(tileRows: number): TaskLayout {
    const { rows, features: all } = this.#source.points;
    const { features } = this.#fitted;
    const { c, maxPasses } = this.#settings;
    const span = this.#span;
    const probes = this.#columns.length * c.length;
    const count = componentCount(rows, features);
    const device = new DeviceRows(this.#fitted, tileRows, this.#options.resident);
    const fit = () => this.#fit;
    const vectorBytes = project.vectorBytes(Math.max(count, probes), features);
    const shared: SharedBuffer[] = [
      { name: "vectors", bytes: vectorBytes, kind: "storage" },
      { name: "offsets", bytes: 4 * Math.ceil(probes / 8) * 8, kind: "storage" },
      ...device.shared,
      ...(isWhole(features) ? momentBuffers(this.#fitted, tileRows, BLOCK) : []),
    ];
    const spanned = span && { source: this.#source, span, tileRows, fit };
    return {
      rows,
      shared,
      passes: [
        ...(spanned ? [gatherPass(spanned)] : []),
        ...(device.isResident ? [device.loadPass()] : []),
        componentPass(device, fit),
        ...descentPasses({ rows: device, probes, maxPasses, fit }),
        ...(spanned ? [weightsPass(spanned), confirmPass(spanned)] : []),
      ],
      tables: [
        { what: "labels", bytes: this.#columns.length * rows },
        {
          what: "directions being turned, and vectors as the device has them",
          bytes: 8 * 3 * count * (features + count) + vectorBytes,
        },
        ...(spanned ? [{ what: "products of rows", bytes: 8 * rows * (rows + 1) + 8 * all }] : []),
        // logits of a trial, one probe at a time, and vectors of a step
        { what: "a probe's next step", bytes: 8 * 2 * rows + 8 * 24 * (features + 1) },
      ],
    };
  }

  begin(held: Held<LogisticHeld>, { restored }: { restored: boolean }): void {
    const { features } = this.#source.points;
    this.#fit = new LogisticFit(held, this.#fitted, features, this.#columns, this.#settings);
    if (!restored) this.#fit.start();
  }

  finish(): Outcome {
    const probes = this.#fit.numbers();
    if (probes.length === 1 && probes[0]!.reason) {
      throw new RangeError(
        `Cannot ${this.#source.points.action}: ${probes[0]!.reason}; give a c above 0`,
      );
    }
    return linearOutcome(probes, this.#source.standard, { passes: this.#fit.passes });
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#options.result(stored, measured);
  }
}
