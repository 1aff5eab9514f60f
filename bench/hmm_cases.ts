/** Problems for the benches of the HMM kernels: a track, a full box, one and two states. */

import { contFrag, continuous } from "../src/hmm/states.ts";
import type { HmmProblem } from "../test/support/hmm_problem.ts";
import { boxGrid } from "../test/support/hmm_problem.ts";

export const HMM_ROWS = 128;

/** A strip 14 bins wide through a box of 73 x 82, as a camera sees a track. */
const strip = (x: number, y: number) => Math.abs(x - 0.8 * y - 4) < 7;

export function hmmCases(): HmmProblem[] {
  const rows = HMM_ROWS;
  return [
    {
      name: "track, 33 taps",
      grid: boxGrid([73, 82], strip),
      model: continuous({ movementVar: 4 }),
    },
    {
      name: "track, 17 taps",
      grid: boxGrid([73, 82], strip),
      model: continuous({ movementVar: 1 }),
    },
    {
      name: "track, 33 taps, 2 states",
      grid: boxGrid([73, 82], strip),
      model: contFrag({ movementVar: 4 }),
    },
    {
      name: "box 73 x 73, 19 taps, 2 states",
      grid: boxGrid([73, 73]),
      model: contFrag({ movementVar: 1.4 }),
    },
    {
      name: "line of 91 bins, 19 taps",
      grid: boxGrid([91]),
      model: continuous({ movementVar: 1.4 }),
    },
  ].map((problem) => ({ ...problem, rows }));
}

/** The twin multiplies matrices: it checks the first rows alone. */
export const CHECKED_ROWS = 3;

/** Rows of two states for the kernels between products with a matrix: a track's and a full box's. */
export const ROW_CASES = [[993, 1], [993, 64], [5329, 1], [5329, 16]].map(([interior, lanes]) => ({
  lanes: lanes!,
  starts: [0, interior!, 2 * interior!],
  stateTable: Uint32Array.of(0, 0, interior!, 0, 2 * interior!, 0),
}));
