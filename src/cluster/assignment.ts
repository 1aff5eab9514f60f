/**
 * Assigns the rows of a tile to their nearest codes: buffers and kernels, and on the host the rows
 * that are too close to call.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import * as assign from "../kernels/vq_assign.ts";
import { packCodebooks, vqAssign, vqPick } from "../kernels/vq_assign.ts";
import { PANEL_ROWS, panelElements } from "../math/panels.ts";
import type { KernelStep, SharedBuffer, SlotBuffer, Tile } from "../stream/pass.ts";

/** Half the distance between neighbouring f32 numbers, relative. */
const ROUNDING = 2 ** -24;
/**
 * A sum of n products is off by less than this times sqrt(n) roundings, but for one in 10^13.
 * Source: Higham and Mary 2019, "A new approach to probabilistic rounding error analysis".
 */
const ROUNDING_DEVIATIONS = 8;

export interface AssignmentShape {
  points: Points;
  codes: number;
  /** Whether the points stay on the device, all of them, in the buffer `resident`. */
  resident: boolean;
}

/** Where a tile's rows begin in the buffer of points. */
export function baseRow({ resident }: AssignmentShape, tile: Tile): number {
  return resident ? tile.start : 0;
}

/** The buffer that points are read from. */
export function pointsBuffer({ resident }: AssignmentShape): Record<string, string> {
  return resident ? { points: "resident" } : {};
}

/** The slot buffer through which points come, where they do not stay. */
export function uploadedPoints(
  { points, resident }: AssignmentShape,
  tileRows: number,
): SlotBuffer[] {
  if (resident) return [];
  return [{
    name: "points",
    bytes: 4 * panelElements(tileRows, points.features),
    role: "upload",
  }];
}

/** Contents of {@link uploadedPoints}. */
export async function readTile(
  { points, resident }: AssignmentShape,
  { start, end }: Tile,
  signal: AbortSignal,
): Promise<Record<string, ArrayBufferView>> {
  return resident ? {} : { points: await points.readPanels(start, end, { signal }) };
}

/** Whether a tile may be taken from points that stay on the device. */
export function isPanelMultiple(tileRows: number, rows: number): boolean {
  return tileRows % PANEL_ROWS === 0 || tileRows >= rows;
}

/** Tables that hold so many codebooks. */
export function codebookBuffers({ points, codes }: AssignmentShape, books: number): SharedBuffer[] {
  const padded = assign.paddedCodes(codes);
  return [
    { name: "codebooks", bytes: 4 * books * points.features * padded, kind: "storage" },
    { name: "code_norms", bytes: 4 * books * padded, kind: "storage" },
  ];
}

/** Contents of {@link codebookBuffers}; codes in the device's coordinates. */
export function codebookTables(
  { points }: AssignmentShape,
  books: readonly ArrayLike<number>[],
): Record<string, ArrayBufferView> {
  const { codebooks, norms } = packCodebooks(books, points.features);
  return { codebooks, code_norms: norms };
}

/** Buffers of an assignment to so many codebooks, `ids` and `nearness` handed to the host. */
export function assignmentBuffers(
  { codes }: AssignmentShape,
  tileRows: number,
  books: number,
): SlotBuffer[] {
  return [
    { name: "candidates", bytes: assign.candidateBytes(tileRows, codes, books), role: "scratch" },
    { name: "ids", bytes: 4 * tileRows * books, role: "download" },
    { name: "nearness", bytes: 8 * tileRows * books, role: "download" },
  ];
}

/** @param books Codebooks there are when a dispatch is recorded. */
export function assignmentSteps(
  shape: AssignmentShape,
  tileRows: number,
  books: () => number,
): KernelStep[] {
  const { points, codes } = shape;
  const common = {
    constants: assign.vqAssignConstants(points.features, codes, tileRows),
    buffers: pointsBuffer(shape),
    order: "ascending" as const,
    params: (tile: Tile, from: number, to: number) =>
      assign.vqAssignParams(from, to, baseRow(shape, tile)),
  };
  return [
    {
      ...common,
      kernel: vqAssign,
      workgroups: (rows) => assign.vqAssignWorkgroups(rows, codes, books()),
    },
    { ...common, kernel: vqPick, workgroups: (rows) => assign.vqPickWorkgroups(rows, books()) },
  ];
}

/** Codes and nearness of a tile's rows in one of several codebooks. */
export function tileOf(
  downloads: Record<string, ArrayBuffer>,
  { start, end }: Tile,
  tileRows: number,
  book: number,
): { ids: Uint32Array; nearness: Float32Array } {
  const rows = end - start;
  return {
    ids: new Uint32Array(downloads.ids!, 4 * book * tileRows, rows),
    nearness: new Float32Array(downloads.nearness!, 8 * book * tileRows, 2 * rows),
  };
}

/** Host bytes an {@link Assignment} takes. */
export function assignmentBytes(rows: number): number {
  return 8 * rows;
}

/** The nearest code of every row, as tiles bring them. */
export class Assignment {
  /** `[rows]` i32. */
  readonly ids: Int32Array;
  /** `[rows]` f32, Euclidean, in the array's units. */
  readonly distances: Float32Array;
  /** Sum of squared distances, f64. */
  inertia = 0;
  /** Rows whose two best codes were closer than rounding, and that were decided in f64. */
  nearTies = 0;
  readonly #points: Points;
  readonly #codes: Float64Array;
  readonly #norms: Float64Array;
  readonly #mostNorm: number;

  /** @param codes `[codes, features]` in the device's coordinates. */
  constructor(points: Points, codes: Float64Array) {
    const { features, rows } = points;
    this.#points = points;
    this.#codes = codes;
    this.#norms = new Float64Array(codes.length / features);
    codes.forEach((value, i) => this.#norms[Math.floor(i / features)]! += value * value);
    this.#mostNorm = Math.sqrt(Math.max(...this.#norms));
    this.ids = new Int32Array(rows);
    this.distances = new Float32Array(rows);
  }

  /** Takes what the kernels left of a tile. */
  async collect(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
    signal: AbortSignal,
  ): Promise<void> {
    const { start, end } = tile;
    const rows = end - start;
    const { ids, nearness } = tileOf(downloads, tile, 0, 0);
    const squared = new Float64Array(rows);
    const close: number[] = [];
    for (let row = 0; row < rows; row++) {
      this.ids[start + row] = ids[row]!;
      squared[row] = nearness[2 * row]!;
      if (nearness[2 * row + 1]! <= this.#closeness(squared[row]!, ids[row]!)) close.push(row);
    }
    if (close.length > 0) await this.#decide(start, close, squared, signal);
    const scale = this.#points.scale;
    for (let row = 0; row < rows; row++) {
      this.inertia += squared[row]! / scale / scale;
      this.distances[start + row] = Math.sqrt(squared[row]!) / scale;
    }
  }

  /** Difference of two scores that rounding in f32 can turn around. */
  #closeness(squared: number, code: number): number {
    const length = Math.sqrt(squared) + Math.sqrt(this.#norms[code]!);
    const most = this.#mostNorm;
    const product = ROUNDING_DEVIATIONS * Math.sqrt(this.#points.features) * length * most;
    return 2 * ROUNDING * (2 * product + 3 * most * most + 4 * length * most);
  }

  async #decide(
    start: number,
    close: readonly number[],
    squared: Float64Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { features } = this.#points;
    const first = close[0]!;
    const end = start + close.at(-1)! + 1;
    const values = await this.#points.readScaled(start + first, end, { signal });
    for (const row of close) {
      signal.throwIfAborted();
      const at = (row - first) * features;
      let best = Infinity;
      for (let code = 0; code < this.#norms.length; code++) {
        let sum = 0;
        for (let d = 0; d < features && sum < best; d++) {
          sum += (values[at + d]! - this.#codes[code * features + d]!) ** 2;
        }
        if (sum >= best) continue;
        best = sum;
        this.ids[start + row] = code;
      }
      squared[row] = best;
    }
    this.nearTies += close.length;
  }
}
