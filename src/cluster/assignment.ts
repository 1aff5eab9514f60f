/**
 * Rows of a tile on their way to their nearest codes: how they are read, and buffers and kernels of the
 * device.
 *
 * @module
 */

import type { Points } from "../feed/points.ts";
import * as assign from "../kernels/vq_assign.ts";
import { packCodebooks, vqAssign } from "../kernels/vq_assign.ts";
import { vqPick, vqPickConstants, vqPickWorkgroups } from "../kernels/vq_pick.ts";
import { PANEL_ROWS, panelElements } from "../math/panels.ts";
import type { KernelStep, SharedBuffer, SlotBuffer, Tile } from "../stream/pass.ts";
import type { Codes } from "./codes.ts";

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
    bytes: panelBytes(points, tileRows),
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

/** Bytes of so many rows in panels. */
export function panelBytes({ features, parts }: Points, rows: number): number {
  return 4 * panelElements(rows, parts * features);
}

/** Host bytes of a tile's rows as they are read, beside the panels that they become. */
export function readBytes(
  { points, resident }: Pick<AssignmentShape, "points" | "resident">,
  tileRows: number,
): number {
  return resident ? 0 : 8 * tileRows * points.features;
}

/** Whether a tile may be taken from points that stay on the device. */
export function isPanelMultiple(tileRows: number, rows: number): boolean {
  return tileRows % PANEL_ROWS === 0 || tileRows >= rows;
}

/** Tables that hold so many codebooks. */
export function codebookBuffers({ points, codes }: AssignmentShape, books: number): SharedBuffer[] {
  const padded = assign.paddedCodes(codes);
  return [
    {
      name: "codebooks",
      bytes: 4 * assign.codebookElements(codes, points.features, books),
      kind: "storage",
    },
    { name: "code_norms", bytes: 4 * books * padded, kind: "storage" },
  ];
}

/** Host bytes of {@link codebookTables}, and of the lengths of their codes. */
export function codebookBytes({ points, codes }: AssignmentShape, books: number): number {
  const elements = assign.codebookElements(codes, points.features, books) +
    books * assign.paddedCodes(codes);
  return 4 * elements + 2 * 8 * books * codes;
}

/** Contents of {@link codebookBuffers}. */
export function codebookTables(
  { points }: AssignmentShape,
  books: readonly Codes[],
): Record<string, ArrayBufferView> {
  const { codebooks, norms } = packCodebooks(
    books.map(({ centers }) => centers),
    points.features,
    books.map(({ coarse }) => coarse),
  );
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
  const problem = [points.features, codes, points.parts] as const;
  const common = {
    buffers: pointsBuffer(shape),
    order: "ascending" as const,
    params: (tile: Tile, from: number, to: number) =>
      assign.vqAssignParams(tileRows, from, to, baseRow(shape, tile)),
  };
  return [
    {
      ...common,
      kernel: vqAssign,
      constants: assign.vqAssignConstants(...problem),
      workgroups: (rows) => assign.vqAssignWorkgroups(rows, codes, books()),
    },
    {
      ...common,
      kernel: vqPick,
      constants: vqPickConstants(...problem),
      workgroups: (rows) => vqPickWorkgroups(rows, books()),
    },
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

/** Bytes of a distance: f64 has them of f64 rows, which f32 may be too narrow for. */
export function distanceBytes({ array }: Points): 4 | 8 {
  return array.dtype === "float64" ? 8 : 4;
}

/** Room for distances of rows, in a type that holds them. */
export function createDistances(points: Points, length: number): Float32Array | Float64Array {
  return distanceBytes(points) === 8 ? new Float64Array(length) : new Float32Array(length);
}
