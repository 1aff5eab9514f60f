/**
 * A fitted basis, and what it does to rows.
 *
 * @module
 */

import { Points } from "../feed/points.ts";
import type { Account } from "../gpu/ledger.ts";
import * as project from "../kernels/project_rows.ts";
import { panelElements } from "../math/panels.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type { PlanActions, PlanLayout, RunContext } from "../stream/plan.ts";
import type { RowFrames } from "../feed/row_frames.ts";

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

/**
 * What has less than this times the variance of the first component is turned by the rounding of f32 by some
 * 1e-4 rad, and its scores are off by some 1e-5 of their deviation: it takes sums that are exact.
 */
export const COARSE_VARIANCE = 1e-4;

/** Largest f32 number. */
const MOST_SCORE = (2 - 2 ** -23) * 2 ** 127;
/** Deviations whose squares f64 holds, summed over any rows; and those whose scores f32 holds. */
const SQUARED = [2 ** -500, 2 ** 500] as const;
const SCORED = [2 ** -100, 2 ** 120] as const;

/**
 * Looks whether results are numbers that their types hold. Rows that do not deviate at all have all 0.
 *
 * @param deviation Root of the variance along a component, or of that of all features together.
 * @param hasScores Whether there are scores in the rows' units.
 * @throws {RangeError} If rows deviate by so little or so much that variances or scores vanish or overflow.
 */
export function checkDeviation(action: string, deviation: number, hasScores: boolean): void {
  const [least, most] = hasScores ? SCORED : SQUARED;
  if (deviation === 0 || deviation >= least && deviation <= most) return;
  const why = hasScores
    ? "as scores are f32; scale the rows, or whiten"
    : "as variances are f64; scale the rows";
  throw new RangeError(
    `Cannot ${action}: rows deviate by ${deviation.toExponential(1)} from their mean, wanted ` +
      `${least.toExponential(0)} to ${most.toExponential(0)}, ${why}`,
  );
}

/** @throws {RangeError} If f32 cannot hold a score. */
function checkScore(action: string, score: number, row: number, component: number): number {
  if (Math.abs(score) <= MOST_SCORE) return score;
  throw new RangeError(
    `Cannot ${action}: row ${row} has a score of ${score.toExponential(1)} along component ` +
      `${component}, wanted up to ${
        MOST_SCORE.toExponential(1)
      }, as scores are f32; scale the rows`,
  );
}

interface Projection {
  basis(): Basis;
  scores(): Float32Array;
}

/** The passes that project every row, of which one is needed: on the device, or in f64. */
export function projectPasses(
  source: RowFrames,
  tileRows: number,
  vectors: number,
  projection: Projection,
): Pass[] {
  const isFaint = () => {
    const { explainedVariance } = projection.basis();
    const [largest, smallest] = [explainedVariance[0]!, explainedVariance.at(-1)!];
    return largest > 0 && smallest <= COARSE_VARIANCE * largest;
  };
  return [
    {
      ...projectPass(source, tileRows, vectors, projection),
      needed: () => !isFaint(),
    },
    {
      ...exactProjectPass(source, vectors, projection),
      needed: isFaint,
    },
  ];
}

/**
 * Rows as they are projected: less the mean, in units of the first component's deviation. So scores are the
 * same bits whatever rows are beside a row, and nobody has to look at rows beforehand.
 */
function aimedPoints({ frames, width }: RowFrames) {
  const item = width > 1 ? "frame" : "row";
  const points = new Points(frames.array, { action: frames.action, item });
  return {
    points,
    aim({ mean, explainedVariance }: Basis): void {
      points.shift = mean.slice(0, frames.features);
      const exponent = -Math.round(Math.log2(explainedVariance[0]!) / 2);
      points.scale = Number.isFinite(exponent) ? 2 ** exponent : 1;
    },
  };
}

/** What the device, or f64, makes of the mean of rows, which the shift of their first frame is not all of. */
function originOf(
  { mean, components }: Basis,
  shift: Float64Array,
  vectors: number,
): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: vectors }, (_, i) => {
    let sum = 0;
    for (let d = 0; d < mean.length; d++) {
      sum += (mean[d]! - shift[d % shift.length]!) * components[i * mean.length + d]!;
    }
    return sum;
  });
}

/** Projects every row on the host, where f32 would take the digits of a faint component's scores. */
function exactProjectPass(
  source: RowFrames,
  vectors: number,
  { basis, scores }: Projection,
): Pass {
  const { frames: { features }, width } = source;
  const { points, aim } = aimedPoints(source);
  const size = features * width;
  let origin = new Float64Array(0);
  let units = new Float64Array(0);
  return {
    name: "exact project",
    direction: "forward",
    // nobody knows beforehand whether there are faint ones
    cost: 0,
    tables: () => {
      aim(basis());
      units = unitsOf(basis());
      origin = originOf(basis(), points.shift, vectors);
      return {};
    },
    slotBuffers: [],
    steps: [],
    read: async ({ start, end }, signal) => {
      const { components } = basis();
      const all = scores();
      let row = start;
      await source.read(source.tile(start, end).pieces, signal, async (piece, values) => {
        const { frame, frames } = piece;
        const own = await points.readScaled(frame, frame + frames, { values });
        for (let first = 0; first + width <= frames; first++, row++) {
          const from = first * features;
          for (let i = 0; i < vectors; i++) {
            let sum = 0;
            for (let d = 0; d < size; d++) sum += own[from + d]! * components[i * size + d]!;
            const score = (sum / points.scale - origin[i]!) / units[i]!;
            all[row * vectors + i] = checkScore(points.action, score, row, i);
          }
        }
      });
      return {};
    },
    write: () => Promise.resolve(),
  };
}

/** The table that the projection on the device fills. */
export function vectorBuffer(vectors: number, { frames, width }: RowFrames): SharedBuffer {
  const bytes = project.vectorBytes(vectors * width, frames.features);
  return { name: "vectors", bytes, kind: "storage" };
}

/**
 * Projects every row; `scores` is `[rows, components]`. Frames are multiplied with each part of a
 * component that is a frame long; a row's score is the sum over its frames, on the host.
 */
function projectPass(
  source: RowFrames,
  tileRows: number,
  vectors: number,
  { basis, scores }: Projection,
): Pass {
  const { frames: { features }, width } = source;
  const { points, aim } = aimedPoints(source);
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
      aim(basis());
      units = unitsOf(basis());
      origin = originOf(basis(), points.shift, vectors);
      // a component is the parts of its frames, one after the other
      return { vectors: project.packVectors(basis().components, features) };
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
          const score = (sum / points.scale - origin[i]!) / units[i]!;
          all[(start + row) * vectors + i] = checkScore(points.action, score, start + row, i);
        }
      });
      return Promise.resolve();
    },
  };
}

/** What scores are divided by: standard deviations; 1 where there is none, so that nothing is divided by 0. */
function unitsOf({ explainedVariance, whiten }: Basis): Float64Array<ArrayBuffer> {
  return Float64Array.from(
    explainedVariance,
    (variance) => whiten && variance > 0 ? Math.sqrt(variance) : 1,
  );
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
    const passes = projectPasses(this.#source, tileRows, this.#vectors, {
      basis: () => this.#basis,
      scores: () => this.#scores,
    });
    return {
      rows,
      shared: [vectorBuffer(this.#vectors, this.#source)],
      passes,
      memory: [
        { what: "rows on their way", kind: "host", bytes: rowBytes(this.#source, tileRows) },
        { what: "scores", kind: "host", bytes: 4 * rows * this.#vectors },
      ],
      alignRows: 64,
      restarts: true,
    };
  }

  begin({ account }: RunContext): Promise<void> {
    this.#account = account;
    const elements = this.#source.rows.rows * this.#vectors;
    account.take("host", 4 * elements, "scores");
    this.#scores = new Float32Array(elements);
    return Promise.resolve();
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
 * @throws {RangeError} If scores are no whole rows, or f32 cannot hold a value.
 */
export function unproject(
  basis: Basis,
  scores: ArrayLike<number>,
): Float32Array {
  const { components, mean } = basis;
  const units = unitsOf(basis);
  const vectors = units.length;
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
      const score = scores[row * vectors + i]! * units[i]!;
      for (let d = 0; d < features; d++) own[d]! += score * components[i * features + d]!;
    }
    const bad = own.findIndex((value) => !(Math.abs(value) <= MOST_SCORE));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot invert the projection: row ${row}, feature ${bad} would be ${own[bad]}, wanted ` +
          `finite numbers up to ${MOST_SCORE.toExponential(1)}, as rows are f32`,
      );
    }
    values.set(own, row * features);
  }
  return values;
}
