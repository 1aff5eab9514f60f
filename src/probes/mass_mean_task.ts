/**
 * A fit of mass-mean probes: the way from the mean of one class to that of the other.
 *
 * Source: Marks and Tegmark 2023, "The geometry of truth".
 *
 * @module
 */

import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import type { LabelColumn } from "./labels.ts";
import type { ProbeNumbers } from "./results.ts";
import { linearOutcome, linearOutput } from "./results.ts";
import type { StandardRows } from "./standard_rows.ts";

export interface MassMeanSettings {
  normalize: boolean;
  center: boolean;
}

type MassMeanHeld = { sums: { dtype: "float64"; length: number } };

export class MassMeanTask<Result> implements Task<MassMeanHeld, Result> {
  readonly name = "mass-mean probe";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: MassMeanHeld;
  readonly output: OutputSpec;
  readonly #source: StandardRows;
  readonly #columns: readonly LabelColumn[];
  readonly #settings: MassMeanSettings;
  readonly #result: (stored: Stored, measured: Measured) => Promise<Result>;

  constructor(
    source: StandardRows,
    columns: readonly LabelColumn[],
    settings: MassMeanSettings,
    { result, ...options }: {
      out: string | undefined;
      overwrite: boolean | undefined;
      adapter: string;
      result(stored: Stored, measured: Measured): Promise<Result>;
    },
  ) {
    this.#source = source;
    this.#columns = columns;
    this.#settings = settings;
    this.#result = result;
    const { rows, features, array } = source.points;
    const labels = columns.map(({ name }) => name);
    this.held = { sums: { dtype: "float64", length: columns.length * features } };
    this.identity = {
      facts: [settings, labels, rows, features, array.dtype],
      arrays: columns.map(({ values }) => values),
    };
    const look: Feed["look"] = async (options) => {
      const looked = await source.look(options);
      // as they are predicted: what is too far from the mean there is here
      source.points.scaleTo(1);
      return looked;
    };
    this.feeds = [{ places: source.points.places, look }];
    const parameters = { ...settings };
    const c = [NaN];
    this.output = linearOutput({ ...options, kind: "mass_mean", parameters, labels, c, features });
  }

  layout(tileRows: number): TaskLayout {
    const source = this.#source;
    const { rows, features } = source.points;
    return {
      rows,
      shared: [],
      passes: [{
        name: "sum",
        direction: "forward",
        cost: 1,
        resumesAt: () => true,
        slotBuffers: [],
        steps: [],
        hostBytes: { read: source.readBytes(tileRows) },
        besideBytes: 8 * tileRows * features,
        // less the mean of all rows: sums of what is far from 0 would lose digits
        read: async ({ start, end }, { signal }) => ({
          rows: await source.points.readScaled(start, end, { signal }),
        }),
        write: ({ start, end }, _, { beside, held }) => {
          const own = beside.rows as Float64Array;
          const sums = held.sums as Float64Array;
          this.#columns.forEach(({ values }, column) => {
            const into = sums.subarray(column * features, (column + 1) * features);
            for (let row = start; row < end; row++) {
              if (values[row] === 0) continue;
              const at = (row - start) * features;
              for (let d = 0; d < features; d++) into[d]! += own[at + d]!;
            }
          });
        },
      }],
      alignRows: 64,
    };
  }

  finish({ sums }: Held<MassMeanHeld>): Outcome {
    const { points, standard: { mean } } = this.#source;
    const probes = this.#columns.map((column, i) =>
      this.#probe(column, sums.subarray(i * points.features, (i + 1) * points.features))
    );
    const deviation = new Float64Array(points.features).fill(1);
    if (probes.length === 1 && probes[0]!.reason) {
      throw new RangeError(`Cannot ${points.action}: ${probes[0]!.reason}`);
    }
    return linearOutcome(probes, { mean, deviation }, { passes: 2 });
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#result(stored, measured);
  }

  /** @param sum Of its positives, in the points' coordinates; that of all rows is 0. */
  #probe({ name, positives, reason }: LabelColumn, sum: Float64Array): ProbeNumbers {
    const { rows, scale } = this.#source.points;
    const { normalize } = this.#settings;
    const negatives = rows - positives;
    const [high, low] = [1 / (positives * scale), -1 / (negatives * scale)];
    const weights = sum.map((own) => own * (high - low));
    const length = Math.sqrt(weights.reduce((squares, own) => squares + own * own, 0));
    if (normalize) weights.forEach((own, d) => weights[d] = own / length);
    // rows come less the mean of all of them, so that centering changes nothing
    const bias = weights.reduce((total, own, d) => total - own * sum[d]! * (high + low) / 2, 0);
    const why = reason ?? (normalize && length === 0 ? "both classes have one mean" : undefined);
    return {
      label: name,
      c: NaN,
      weights,
      bias,
      ...(why !== undefined && { reason: why }),
      // nothing is minimised
      ...{ loss: NaN, gradientNorm: NaN, distance: 0, iterations: 0, converged: true },
    };
  }
}
