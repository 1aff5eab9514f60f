/**
 * What a basis does to rows: scores, tile by tile on the device or in f64 on the host.
 *
 * @module
 */

import { Points } from "../feed/points.ts";
import type { RowFrames } from "../feed/row_frames.ts";
import * as project from "../kernels/project_rows.ts";
import { panelElements } from "../math/panels.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { variable } from "../stream/output.ts";
import type { Basis } from "./basis.ts";
import { checkScore, endsFaint, unitsOf } from "./basis.ts";

/** The array that {@link projectPasses} write. */
export function scoresArray(rows: number, components: number): ZarrArraySpec {
  return variable("scores", "float32", [rows, components], ["row", "component"]);
}

/** The passes that project every row, of which one is needed: on the device, or in f64. */
export function projectPasses(
  source: RowFrames,
  tileRows: number,
  vectors: number,
  basis: () => Basis,
): Pass[] {
  const isFaint = () => endsFaint(basis().explainedVariance);
  return [
    { ...projectPass(source, tileRows, vectors, basis), needed: () => !isFaint() },
    { ...exactProjectPass(source, tileRows, vectors, basis), needed: isFaint },
  ];
}

/** How rows are projected: where scores begin, and in what they are counted. */
class Projector {
  /**
   * Rows as they are projected: less the mean, in units of the first component's deviation. So scores are the
   * same bits whatever rows are beside a row, and nobody has to look at rows beforehand.
   */
  readonly points: Points;
  readonly #units: Float64Array;
  /** What is made of the mean of rows, which the shift of their first frame is not all of. */
  readonly #origin: Float64Array;

  constructor({ frames: { array, action, features }, width }: RowFrames, basis: Basis) {
    const { mean, components, explainedVariance } = basis;
    const points = new Points(array, { action, item: width > 1 ? "frame" : "row" });
    const shift = mean.slice(0, features);
    points.shift = shift;
    const exponent = -Math.round(Math.log2(explainedVariance[0]!) / 2);
    points.scale = Number.isFinite(exponent) ? 2 ** exponent : 1;
    this.points = points;
    this.#units = unitsOf(basis);
    this.#origin = this.#units.map((_, i) => {
      let sum = 0;
      for (let d = 0; d < mean.length; d++) {
        sum += (mean[d]! - shift[d % features]!) * components[i * mean.length + d]!;
      }
      return sum;
    });
  }

  /** @param sum Of the products of a row, as it is projected, with a component. */
  score(sum: number, row: number, component: number): number {
    const { points: { scale, action } } = this;
    const score = (sum / scale - this.#origin[component]!) / this.#units[component]!;
    return checkScore(action, score, row, component);
  }
}

/** Scores of rows [start, end), in f64 on the host, rounded to f32. */
export type HostProjection = (
  start: number,
  end: number,
  signal?: AbortSignal,
) => Promise<Float32Array>;

/** Projects rows on the host, each by itself. */
export function hostProjection(source: RowFrames, basis: Basis): HostProjection {
  const { frames: { features }, width } = source;
  const { components, explainedVariance: { length: vectors } } = basis;
  const projector = new Projector(source, basis);
  const size = features * width;
  return async (start, end, signal = new AbortController().signal) => {
    const scores = new Float32Array((end - start) * vectors);
    let row = start;
    await source.read(source.tile(start, end).pieces, signal, async (piece, values) => {
      const { frame, frames } = piece;
      const own = await projector.points.readScaled(frame, frame + frames, { values });
      for (let first = 0; first + width <= frames; first++, row++) {
        const from = first * features;
        for (let i = 0; i < vectors; i++) {
          let sum = 0;
          for (let d = 0; d < size; d++) sum += own[from + d]! * components[i * size + d]!;
          scores[(row - start) * vectors + i] = projector.score(sum, row, i);
        }
      }
    });
    return scores;
  };
}

/** Projects every row on the host, where f32 would take the digits of a faint component's scores. */
function exactProjectPass(
  source: RowFrames,
  tileRows: number,
  vectors: number,
  basis: () => Basis,
): Pass {
  let project: HostProjection;
  const most = source.mostFrames(tileRows);
  return {
    name: "exact project",
    direction: "forward",
    // nobody knows beforehand whether there are faint ones
    cost: 0,
    resumesAt: () => true,
    tables: () => {
      project = hostProjection(source, basis());
      return {};
    },
    slotBuffers: [],
    steps: [],
    writes: ["scores"],
    hostBytes: { read: source.readBytes(most) + 8 * source.frames.features * most },
    besideBytes: 4 * tileRows * vectors,
    read: async ({ start, end }, { signal }) => ({ scores: await project(start, end, signal) }),
    write: ({ start }, _, { beside, store }) =>
      store("scores", start, beside.scores as Float32Array),
  };
}

/** The table that the projection on the device fills. */
export function vectorBuffer(vectors: number, { frames, width }: RowFrames): SharedBuffer {
  const bytes = project.vectorBytes(vectors * width, frames.features);
  return { name: "vectors", bytes, kind: "storage" };
}

/**
 * Projects every row on the device. Frames are multiplied with each part of a component that is a frame
 * long; a row's score is the sum over its frames, on the host.
 */
function projectPass(
  source: RowFrames,
  tileRows: number,
  vectors: number,
  basis: () => Basis,
): Pass {
  const { frames: { features }, width } = source;
  const mostFrames = source.mostFrames(tileRows);
  const parts = vectors * width;
  let projector: Projector;
  return {
    name: "project",
    direction: "forward",
    cost: vectors,
    resumesAt: () => true,
    tables: () => {
      projector = new Projector(source, basis());
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
    writes: ["scores"],
    // scores, and where rows start
    hostBytes: { read: source.readBytes(mostFrames), write: 4 * tileRows * (vectors + 1) },
    read: async ({ start, end }, { signal }) => {
      const tile = source.tile(start, end);
      const into = new Float32Array(panelElements(tile.frames, features));
      await source.read(
        tile.pieces,
        signal,
        ({ frame, frames, at }, values) =>
          projector.points.readPanels(frame, frame + frames, { values, into, at }),
      );
      return { points: into };
    },
    write: ({ start, end }, downloads, { store }) => {
      const projected = new Float32Array(downloads.projected!);
      const scores = new Float32Array((end - start) * vectors);
      const stride = project.projectedRows(mostFrames);
      source.starts(source.tile(start, end), end - start).forEach((frame, row) => {
        for (let i = 0; i < vectors; i++) {
          let sum = 0;
          for (let w = 0; w < width; w++) sum += projected[(i * width + w) * stride + frame + w]!;
          scores[row * vectors + i] = projector.score(sum, start + row, i);
        }
      });
      return store("scores", start, scores);
    },
  };
}
