/**
 * Which cells stand for a condition, and for control, where cells are compared with cells.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import { isControl } from "./baselines.ts";
import { CellSpace, chosenOf, PlacedCells } from "./cell_space.ts";
import type { CellTable, Strata } from "./cell_table.ts";

/** Room for samples, in the space of some training cells; `undefined` where these span none. */
export async function placedCells(
  matrix: CellMatrix,
  table: CellTable,
  step: number,
  options: { cells: number; seed: number },
): Promise<PlacedCells | undefined> {
  const training = Uint32Array.from({ length: table.cells }, (_, cell) => cell)
    .filter((cell) => table.splits[cell] === 0);
  const space = await CellSpace.read(matrix, training, step, options);
  return space && new PlacedCells(space);
}

/** Cells of each half of the truth, and of control that is learned from, context by context. */
export function sampleOf(
  table: CellTable,
  { strata: { ids, strata }, contextOf, isTraining, roleOf }: {
    strata: Strata;
    contextOf: Uint32Array;
    isTraining(cell: number): boolean;
    roleOf(cell: number): number;
  },
  { cells, seed }: CellSpace,
): Set<number> {
  const groups = new Map<string, number[]>();
  ids.forEach((stratum, cell) => {
    const role = roleOf(cell);
    const isOfControl = isControl(table, strata[stratum]!.condition);
    if (role < 0 || isOfControl !== isTraining(cell)) return;
    // control may have several doses
    const key = isOfControl ? `control ${contextOf[stratum]}` : `${stratum} ${role}`;
    const own = groups.get(key);
    if (own) own.push(cell);
    else groups.set(key, [cell]);
  });
  return new Set(
    [...groups].flatMap(([key, own]) => {
      const most = key.startsWith("control") ? cells : Math.ceil(cells / 2);
      return [...chosenOf(own, most, seed)];
    }),
  );
}
