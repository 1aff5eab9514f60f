/**
 * A fitted basis, and what it does to rows.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import type { Account } from "../gpu/ledger.ts";
import * as project from "../kernels/project_rows.ts";
import { panelElements } from "../math/panels.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext } from "../stream/plan.ts";

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
export function vectorBuffer(vectors: number, features: number): SharedBuffer {
  return { name: "vectors", bytes: project.vectorBytes(vectors, features), kind: "storage" };
}

/** Projects every row; `scores` is `[rows, components]`. */
export function projectPass(
  points: Points,
  tileRows: number,
  vectors: number,
  { basis, scores }: { basis(): Basis; scores(): Float32Array },
): Pass {
  const { features, rows } = points;
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
        for (let d = 0; d < features; d++) {
          sum += (mean[d]! - points.shift[d]!) * components[i * features + d]!;
        }
        return sum;
      });
      return { vectors: project.packVectors(components, features) };
    },
    slotBuffers: [
      { name: "points", bytes: 4 * panelElements(tileRows, features), role: "upload" },
      { name: "projected", bytes: project.projectedBytes(tileRows, vectors), role: "download" },
    ],
    steps: [{
      kernel: project.projectRows,
      constants: project.projectRowsConstants(features, tileRows),
      order: "ascending",
      params: (_tile, from, to) => project.projectRowsParams(from, to, 0),
      workgroups: (some) => project.projectRowsWorkgroups(some, vectors),
    }],
    read: async ({ start, end }, signal) => ({
      points: await points.readPanels(start, end, { signal }),
    }),
    write: ({ start, end }, downloads) => {
      const projected = new Float32Array(downloads.projected!);
      const all = scores();
      for (let i = 0; i < vectors; i++) {
        const from = i * project.projectedRows(tileRows) - start;
        for (let row = start; row < Math.min(end, rows); row++) {
          const value = projected[from + row]! / points.scale - origin[i]!;
          all[row * vectors + i] = value / units[i]!;
        }
      }
      return Promise.resolve();
    },
  };
}

/** Standard deviation; 1 where there is none, so that nothing is divided by 0. */
function unitOf(variance: number): number {
  return variance > 0 ? Math.sqrt(variance) : 1;
}

/** Host bytes of a tile's rows: as they are read, and as the device gets them. */
export function rowBytes(features: number, tileRows: number): number {
  return 4 * panelElements(tileRows, features) + 8 * tileRows * features;
}

/** The plan of a projection. */
export class ProjectJob implements PlanActions<Float32Array> {
  readonly name = "pca transform";
  readonly #points: Points;
  readonly #basis: Basis;
  #account!: Account;
  #scores = new Float32Array(0);

  constructor(points: Points, basis: Basis) {
    this.#points = points;
    this.#basis = basis;
  }

  get #vectors(): number {
    return this.#basis.explainedVariance.length;
  }

  layout(tileRows: number): PlanLayout {
    const { rows, features } = this.#points;
    const pass = projectPass(this.#points, tileRows, this.#vectors, {
      basis: () => this.#basis,
      scores: () => this.#scores,
    });
    return {
      rows,
      shared: [vectorBuffer(this.#vectors, features)],
      passes: [pass],
      memory: [
        { what: "rows on their way", kind: "host", bytes: rowBytes(features, tileRows) },
        { what: "scores", kind: "host", bytes: 4 * rows * this.#vectors },
      ],
      alignRows: 64,
      restarts: true,
    };
  }

  async begin({ account, signal }: RunContext): Promise<void> {
    this.#account = account;
    await this.#points.sample({ signal });
    const elements = this.#points.rows * this.#vectors;
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
