/**
 * A projection as a task: scores of rows, returned or streamed to a store.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";
import { RowFrames } from "../feed/row_frames.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { Plan } from "../stream/plan.ts";
import type { Feed, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import type { Basis } from "./basis.ts";
import { checkDeviation } from "./basis.ts";
import type { TransformOptions } from "./pca_options.ts";
import { projectOptions } from "./pca_options.ts";
import { projectPasses, scoresArray, vectorBuffer } from "./projection.ts";

/** Scores that were stored. */
export interface StoredScores extends Measured {
  /** `[rows, components]` f32. */
  scores: ChunkedArray<Float32Array>;
  place: string;
  /** Closes `scores`. */
  close(): Promise<void>;
}

const ACTION = "project";

/** What scores are stored as. */
export const SCORES = { kind: "pca.scores", formatVersion: 1 };

/**
 * Rows that a basis can project.
 *
 * @throws {RangeError} If they have other features, or f32 does not hold scores.
 */
export function rowsFor(basis: Basis, array: ChunkedArray): RowFrames {
  const source = RowFrames.of(array, ACTION);
  const features = basis.mean.length;
  if (source.rows.features !== features) {
    throw new RangeError(
      `Cannot project: points have ${source.rows.features} features, the components have ${features}`,
    );
  }
  if (!basis.whiten) checkDeviation(ACTION, Math.sqrt(basis.explainedVariance[0]!), true);
  return source;
}

/** Plans a projection onto a basis. */
export function projectPlan(
  gpu: Gpu,
  array: ChunkedArray,
  basis: Basis,
  options: TransformOptions,
): Plan<Float32Array | StoredScores> {
  const { out, overwrite, ...choices } = projectOptions.check(options);
  const adapter = gpu.adapter.name;
  const task = new ProjectTask(rowsFor(basis, array), basis, { out, overwrite, adapter });
  return new Plan(gpu, task, choices);
}

/** What callers get of scores that were just stored, or are found. */
export async function restoreScores(stored: Stored, measured: Measured): Promise<StoredScores> {
  const scores = ofType(await stored.open("scores"), "float32");
  return { scores, place: stored.place!, close: () => scores.close(), ...measured };
}

class ProjectTask implements Task<Record<string, never>, Float32Array | StoredScores> {
  readonly name = "pca transform";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held = {};
  readonly output: OutputSpec;
  readonly #source: RowFrames;
  readonly #basis: Basis;

  constructor(
    source: RowFrames,
    basis: Basis,
    { out, overwrite, adapter }: { out: string | undefined; overwrite: boolean; adapter: string },
  ) {
    this.#source = source;
    this.#basis = basis;
    const { rows, features, array: { dtype } } = source.rows;
    const { components, mean, explainedVariance, whiten } = basis;
    const parameters = { components: explainedVariance.length, whiten };
    this.identity = {
      facts: { parameters, rows, features, dtype },
      arrays: [components, mean, explainedVariance],
    };
    // rows that are only projected are looked at as they are read
    const look: Feed["look"] = async ({ digest, signal, known }) => {
      const told = known as { digest: string } | undefined;
      if (told || !digest) return told ? { ...told, told } : {};
      const { digest: all } = await source.look({ digest, signal });
      return { digest: all, told: { digest: all } };
    };
    this.feeds = [{ places: source.rows.places, look }];
    this.output = {
      ...SCORES,
      place: out,
      overwrite,
      adapter,
      streamed: [scoresArray(rows, explainedVariance.length)],
      whole: [],
      attributes: { parameters },
    };
  }

  layout(tileRows: number): TaskLayout {
    const vectors = this.#basis.explainedVariance.length;
    return {
      rows: this.#source.rows.rows,
      shared: [vectorBuffer(vectors, this.#source)],
      passes: projectPasses(this.#source, tileRows, vectors, () => this.#basis),
      alignRows: 64,
    };
  }

  finish(): Outcome {
    return {};
  }

  async result(stored: Stored, measured: Measured): Promise<Float32Array | StoredScores> {
    if (stored.place !== undefined) return await restoreScores(stored, measured);
    return await stored.read("scores") as Float32Array;
  }
}
