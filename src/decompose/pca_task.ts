/**
 * One fit by the covariance as a task.
 *
 * @module
 */

import type { RowFrames } from "../feed/row_frames.ts";
import { formatBytes } from "../math/format.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { checkDeviation } from "./basis.ts";
import { momentPasses } from "./moment_passes.ts";
import { momentsBytes, weightOf } from "./moments.ts";
import { pcaOutcome, pcaOutput } from "./pca_result.ts";
import type { PcaHeld } from "./pca_sums.ts";
import { pcaHeld, PcaSums } from "./pca_sums.ts";
import { projectPasses, vectorBuffer } from "./projection.ts";

interface PcaTaskOptions<Result> {
  components: number;
  whiten: boolean;
  adapter: string;
  /** Squares of a dispatch, at most. */
  mostSquares: number;
  scores: boolean;
  out: string | undefined;
  overwrite: boolean;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

export class PcaTask<Result> implements Task<PcaHeld, Result> {
  readonly name = "pca";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: PcaHeld;
  readonly output: OutputSpec;
  readonly #source: RowFrames;
  readonly #options: PcaTaskOptions<Result>;
  readonly #sums: PcaSums;

  constructor(source: RowFrames, options: PcaTaskOptions<Result>) {
    this.#source = source;
    this.#options = options;
    const { components, whiten, scores, out, overwrite, adapter } = options;
    const { rows, features, array: { dtype } } = source.rows;
    const parameters = { components, whiten };
    this.#sums = new PcaSums(source, components);
    this.identity = { facts: { parameters, scores, rows, features, dtype } };
    this.feeds = [{ places: source.rows.places, look: (options) => this.#look(options) }];
    this.held = pcaHeld(source);
    this.output = pcaOutput({
      place: out,
      overwrite,
      parameters,
      adapter,
      rows,
      features,
      components,
      scores,
    });
  }

  layout(tileRows: number): TaskLayout {
    const { components, scores, whiten, mostSquares } = this.#options;
    const { width, frames: { features }, rows: { rows }, runs } = this.#source;
    const { blockRows } = this.#sums;
    const { passes, shared } = momentPasses(this.#sums, tileRows, mostSquares);
    if (scores) {
      shared.push(vectorBuffer(components, this.#source));
      const basis = () => ({ ...this.#sums.solve(), whiten });
      passes.push(...projectPasses(this.#source, tileRows, components, basis));
    }
    const notes = [
      `${rows} rows are contexts of ${width} frames: moments of frames up to ${width - 1} apart, ` +
      `with ${runs.length} segments; ${formatBytes(4 * rows * width * features)} of rows ` +
      "are built nowhere",
    ];
    return {
      rows,
      shared,
      passes,
      tables: [{ what: "eigenvectors", bytes: momentsBytes(features, components, width) }],
      ...(width > 1 && { notes }),
      // the sums of a tile that ends with a block are all on the host
      alignRows: tileRows < blockRows ? 64 : blockRows,
    };
  }

  begin(held: Held<PcaHeld>): void {
    this.#sums.begin(held);
  }

  finish(): Outcome {
    return pcaOutcome(this.#sums.solve());
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#options.result(stored, measured);
  }

  async #look(options: Parameters<Feed["look"]>[0]): ReturnType<Feed["look"]> {
    const looked = await this.#source.look(options);
    const { scores, whiten } = this.#options;
    checkDeviation(this.#source.rows.action, looked.deviation, scores && !whiten);
    this.#sums.weights = looked.variance.map(weightOf);
    return looked;
  }
}
