/**
 * Assigns the rows of a tile to their nearest codes: buffers and kernels, and on the host the rows
 * that are too close to call.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import * as assign from "../kernels/vq_assign.ts";
import { packCodebooks, vqAssign } from "../kernels/vq_assign.ts";
import { vqPick, vqPickWorkgroups } from "../kernels/vq_pick.ts";
import { PANEL_ROWS, panelElements } from "../math/panels.ts";
import type { KernelStep, SharedBuffer, SlotBuffer, Tile } from "../stream/pass.ts";
import { NearTies } from "./near_ties.ts";

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
    { ...common, kernel: vqPick, workgroups: (rows) => vqPickWorkgroups(rows, books()) },
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
  readonly #nearTies: NearTies;

  /** @param codes `[codes, features]` in the device's coordinates. */
  constructor(points: Points, codes: Float64Array) {
    this.#points = points;
    this.#nearTies = new NearTies(points, codes);
    this.ids = new Int32Array(points.rows);
    this.distances = new Float32Array(points.rows);
  }

  /** Takes what the kernels left of a tile. */
  async collect(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
    signal: AbortSignal,
  ): Promise<void> {
    const { start, end } = tile;
    const { ids, nearness } = tileOf(downloads, tile, 0, 0);
    this.ids.set(ids, start);
    const squared = Float64Array.from({ length: end - start }, (_, row) => nearness[2 * row]!);
    const decisions = await this.#nearTies.decide(tile, ids, nearness, signal);
    for (const decision of decisions) {
      this.ids[start + decision.row] = decision.code;
      squared[decision.row] = decision.squared;
    }
    this.nearTies += decisions.length;
    const { scale } = this.#points;
    for (let row = 0; row < end - start; row++) {
      this.inertia += squared[row]! / scale / scale;
      this.distances[start + row] = Math.sqrt(squared[row]!) / scale;
    }
  }
}
