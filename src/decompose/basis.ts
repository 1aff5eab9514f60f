/**
 * A fitted basis, and what it does to rows.
 *
 * @module
 */

import type { Account } from "../gpu/ledger.ts";
import * as project from "../kernels/project_rows.ts";
import { panelElements } from "../math/panels.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext } from "../stream/plan.ts";
import type { RowFrames } from "./row_frames.ts";

/** Directions, in f64 and in the array's units. */
export interface Basis {
  /** `[components, features]`. */
  components: Float64Array;
  /** `[features]`. */
  mean: Float64Array;
  /** `[components]`: variance of the rows along each. */
  explainedVariance: Float64Array;
  /** Whether scores are divided by the standard deviation along their component. */
  whiten: boolean;
}

/** The table that {@link projectPass} fills. */
export function vectorBuffer(vectors: number, { frames, width }: RowFrames): SharedBuffer {
  const bytes = project.vectorBytes(vectors * width, frames.features);
  return { name: "vectors", bytes, kind: "storage" };
}

/**
 * Projects every row; `scores` is `[rows, components]`. Frames are multiplied with each part of a
 * component that is a frame long; a row's score is the sum over its frames, on the host.
 */
export function projectPass(
  source: RowFrames,
  tileRows: number,
  vectors: number,
  { basis, scores }: { basis(): Basis; scores(): Float32Array },
): Pass {
  const { frames: points, width } = source;
  const { features } = points;
  const mostFrames = source.mostFrames(tileRows);
  const parts = vectors * width;
  /** What the scores of a row at the origin of the device's coordinates are, and a score's unit. */
  let origin = new Float64Array(0);
  let units = new Float64Array(0);
  return {
    name: "project",
    direction: "forward",
    cost: vectors,
    tables: () => {
      const { components, mean, explainedVariance, whiten } = basis();
      units = new Float64Array(vectors).fill(1);
      if (whiten) explainedVariance.forEach((variance, i) => units[i] = unitOf(variance));
      origin = Float64Array.from({ length: vectors }, (_, i) => {
        let sum = 0;
        for (let d = 0; d < mean.length; d++) {
          sum += (mean[d]! - points.shift[d % features]!) * components[i * mean.length + d]!;
        }
        return sum;
      });
      // a component is the parts of its frames, one after the other
      return { vectors: project.packVectors(components, features) };
    },
    slotBuffers: [
      { name: "points", bytes: 4 * panelElements(mostFrames, features), role: "upload" },
      { name: "projected", bytes: project.projectedBytes(mostFrames, parts), role: "download" },
    ],
    steps: [{
      kernel: project.projectRows,
      constants: project.projectRowsConstants(features, mostFrames),
      order: "ascending",
      params: ({ start, end }, from, to) => {
        const { frames } = source.tile(start, end);
        const share = (row: number) => Math.floor(row * frames / (end - start));
        return project.projectRowsParams(share(from), share(to), 0);
      },
      workgroups: (some, { start, end }) => {
        const { frames } = source.tile(start, end);
        return project.projectRowsWorkgroups(Math.ceil(some * frames / (end - start)) + 1, parts);
      },
    }],
    read: async ({ start, end }, signal) => {
      const tile = source.tile(start, end);
      const into = new Float32Array(panelElements(tile.frames, features));
      await source.read(
        tile.pieces,
        signal,
        ({ frame, frames, at }, values) =>
          points.readPanels(frame, frame + frames, { values, into, at }),
      );
      return { points: into };
    },
    write: ({ start, end }, downloads) => {
      const projected = new Float32Array(downloads.projected!);
      const all = scores();
      const stride = project.projectedRows(mostFrames);
      source.starts(source.tile(start, end), end - start).forEach((frame, row) => {
        for (let i = 0; i < vectors; i++) {
          let sum = 0;
          for (let w = 0; w < width; w++) sum += projected[(i * width + w) * stride + frame + w]!;
          all[(start + row) * vectors + i] = (sum / points.scale - origin[i]!) / units[i]!;
        }
      });
      return Promise.resolve();
    },
  };
}

/** Standard deviation; 1 where there is none, so that nothing is divided by 0. */
function unitOf(variance: number): number {
  return variance > 0 ? Math.sqrt(variance) : 1;
}

/** Host bytes of a tile's frames, as they are read and as the device gets them, and where rows start. */
export function rowBytes(source: RowFrames, tileRows: number): number {
  const { features } = source.frames;
  const most = source.mostFrames(tileRows);
  return 4 * panelElements(most, features) + source.readBytes(most) + 4 * tileRows;
}

/** The plan of a projection. */
export class ProjectJob implements PlanActions<Float32Array> {
  readonly name = "pca transform";
  readonly #source: RowFrames;
  readonly #basis: Basis;
  #account!: Account;
  #scores = new Float32Array(0);

  constructor(source: RowFrames, basis: Basis) {
    this.#source = source;
    this.#basis = basis;
  }

  get #vectors(): number {
    return this.#basis.explainedVariance.length;
  }

  layout(tileRows: number): PlanLayout {
    const { rows } = this.#source.rows;
    const pass = projectPass(this.#source, tileRows, this.#vectors, {
      basis: () => this.#basis,
      scores: () => this.#scores,
    });
    return {
      rows,
      shared: [vectorBuffer(this.#vectors, this.#source)],
      passes: [pass],
      memory: [
        { what: "rows on their way", kind: "host", bytes: rowBytes(this.#source, tileRows) },
        { what: "scores", kind: "host", bytes: 4 * rows * this.#vectors },
      ],
      alignRows: 64,
      restarts: true,
    };
  }

  async begin({ account, signal }: RunContext): Promise<void> {
    this.#account = account;
    await this.#source.look({ signal });
    const elements = this.#source.rows.rows * this.#vectors;
    account.take("host", 4 * elements, "scores");
    this.#scores = new Float32Array(elements);
  }

  finish(): Promise<Float32Array> {
    this.#account.giveBack("host", this.#scores.byteLength);
    return Promise.resolve(this.#scores);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Rows back from their scores, on the host.
 *
 * @param scores `[rows, components]`.
 * @returns `[rows, features]` f32.
 */
export function unproject(
  { components, mean, explainedVariance, whiten }: Basis,
  scores: ArrayLike<number>,
): Float32Array {
  const vectors = explainedVariance.length;
  const features = mean.length;
  if (scores.length % vectors !== 0) {
    throw new RangeError(
      `Cannot invert the projection: got ${scores.length} scores, wanted rows of ${vectors}`,
    );
  }
  const rows = scores.length / vectors;
  const values = new Float32Array(rows * features);
  const own = new Float64Array(features);
  for (let row = 0; row < rows; row++) {
    own.set(mean);
    for (let i = 0; i < vectors; i++) {
      const unit = whiten ? unitOf(explainedVariance[i]!) : 1;
      const score = scores[row * vectors + i]! * unit;
      for (let d = 0; d < features; d++) own[d]! += score * components[i * features + d]!;
    }
    values.set(own, row * features);
  }
  return values;
}
