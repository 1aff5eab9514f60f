/**
 * Logits and probabilities of rows, by linear probes.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";
import { digestRows } from "../feed/points.ts";
import * as project from "../kernels/project_rows.ts";
import { sigmoid } from "../math/classification.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Feed, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import type { ProbeFit } from "./results.ts";
import { StandardRows } from "./standard_rows.ts";

/** What probes say of rows; `[rows]` of one probe, `[rows, probes]` of several. */
export interface ProbePrediction extends Measured {
  /** f32, to rank by; NaN of a probe that could not be fitted. */
  logits: Float32Array;
  /** f32: 1 / (1 + exp(-logit)), which rounds to 0 and 1 where logits still differ. */
  probabilities: Float32Array;
}

/** A {@link ProbePrediction} that is stored. */
export interface StoredProbePrediction extends Measured {
  logits: ChunkedArray<Float32Array>;
  probabilities: ChunkedArray<Float32Array>;
  place: string;
  close(): Promise<void>;
}

/** Probes over the same features, and how rows are measured. */
export type LinearModel = Pick<ProbeFit, "probes" | "mean" | "deviation">;

const ACTION = "predict";

export class ProbePredictTask
  implements Task<Record<string, never>, ProbePrediction | StoredProbePrediction> {
  readonly name = "probe predict";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held = {};
  readonly output: OutputSpec;
  readonly #source: StandardRows;
  readonly #model: LinearModel;
  readonly #keepsLost: boolean;

  /** @throws {RangeError} If rows have other features than the probes. */
  constructor(
    array: ChunkedArray,
    model: LinearModel,
    { out, overwrite, adapter, keepsLost = false }: {
      out: string | undefined;
      overwrite: boolean | undefined;
      adapter: string;
      /** Whether a logit that f32 cannot hold is kept as it comes, Infinity or NaN, and no error. */
      keepsLost?: boolean;
    },
  ) {
    this.#keepsLost = keepsLost;
    const source = new StandardRows(array, ACTION);
    const { rows, features } = source.points;
    if (features !== model.mean.length) {
      throw new RangeError(
        `Cannot ${ACTION}: rows have ${features} features, the probes have ${model.mean.length}`,
      );
    }
    source.measureBy(model);
    this.#source = source;
    this.#model = model;
    const { probes, mean, deviation } = model;
    const weights = Float64Array.from(probes.flatMap((probe) => probe ? [...probe.weights] : []));
    const biases = Float64Array.from(probes, (probe) => probe ? probe.bias : NaN);
    this.identity = {
      facts: [rows, features, array.dtype],
      arrays: [weights, biases, mean, deviation],
    };
    // rows that are only predicted are looked at as they are read
    const look: Feed["look"] = async ({ digest, signal }) =>
      digest ? { digest: await digestRows(array, { signal }) } : {};
    this.feeds = [{ places: array.places, look }];
    const one = probes.length === 1;
    const shape = one ? [rows] : [rows, probes.length];
    const dims = one ? ["row"] : ["row", "probe"];
    this.output = {
      kind: "probe.prediction",
      formatVersion: 1,
      place: out,
      overwrite,
      adapter,
      streamed: ["logits", "probabilities"].map((name) => variable(name, "float32", shape, dims)),
      whole: [],
      attributes: { parameters: { probes: probes.length } },
    };
  }

  layout(tileRows: number): TaskLayout {
    const source = this.#source;
    const { probes } = this.#model;
    const { rows, features } = source.points;
    const count = probes.length;
    const stride = project.projectedRows(tileRows);
    const bytes = project.vectorBytes(count, features);
    const weights = new Float64Array(count * features);
    return {
      rows,
      shared: [{
        name: "vectors",
        bytes,
        kind: "storage",
        data: () => {
          probes.forEach((probe, i) => probe && weights.set(probe.weights, i * features));
          return project.packVectors(weights, features);
        },
      }],
      passes: [{
        name: "predict",
        direction: "forward",
        cost: count,
        resumesAt: () => true,
        writes: ["logits", "probabilities"],
        slotBuffers: [
          { name: "points", bytes: source.panelBytes(tileRows), role: "upload" },
          { name: "projected", bytes: project.projectedBytes(tileRows, count), role: "download" },
        ],
        steps: [{
          kernel: project.projectRows,
          constants: project.projectRowsConstants(features, tileRows),
          order: "ascending",
          params: (_tile, from, to) => project.projectRowsParams(from, to, 0),
          workgroups: (some) => project.projectRowsWorkgroups(some, count),
        }],
        hostBytes: { read: source.readBytes(tileRows), write: 8 * tileRows * count },
        read: async ({ start, end }, { signal }) => ({
          points: await source.readPanels(start, end, signal),
        }),
        write: async ({ start, end }, downloads, { store }) => {
          const projected = new Float32Array(downloads.projected!);
          const logits = new Float32Array((end - start) * count);
          for (let row = 0; row < end - start; row++) {
            for (const [i, probe] of probes.entries()) {
              const logit = Math.fround(projected[i * stride + row]! + (probe?.bias ?? NaN));
              if (probe && !this.#keepsLost) checkLogit(logit, start + row);
              logits[row * count + i] = logit;
            }
          }
          await store("logits", start, logits);
          await store("probabilities", start, logits.map(sigmoid));
        },
      }],
      tables: [{ what: "weights as the device has them", bytes: bytes + 8 * count * features }],
      alignRows: 64,
    };
  }

  finish(): Outcome {
    return {};
  }

  async result(
    stored: Stored,
    measured: Measured,
  ): Promise<ProbePrediction | StoredProbePrediction> {
    const { place } = stored;
    if (place === undefined) {
      return {
        logits: await stored.read("logits") as Float32Array,
        probabilities: await stored.read("probabilities") as Float32Array,
        ...measured,
      };
    }
    const logits = ofType(await stored.open("logits"), "float32");
    const probabilities = ofType(await stored.open("probabilities"), "float32");
    const close = async () => {
      await logits.close();
      await probabilities.close();
    };
    return { logits, probabilities, place, close, ...measured };
  }
}

/** @throws {RangeError} If f32 cannot hold it. */
function checkLogit(logit: number, row: number): void {
  if (Number.isFinite(logit)) return;
  throw new RangeError(
    `Cannot ${ACTION}: row ${row} has a logit that f32 cannot hold, wanted rows nearer to those of the fit`,
  );
}
