import { describe, expect, it } from "vitest";
import type { Grid } from "../../../src/hmm/grid.ts";
import type { ContinuousTransition } from "../../../src/hmm/states.ts";
import { stateModel } from "../../../src/hmm/states.ts";
import { blockRows } from "../../../src/hmm/transition/transition_blocks.ts";
import { referenceTransition } from "../../reference/transition.ts";
import { boxGrid, largestDifference } from "../../support/hmm_problem.ts";
import { seeded } from "../../support/random.ts";

/** A row of the block as the definition has it. */
function referenceRow(
  grid: Grid,
  block: ContinuousTransition,
  bin: number,
  positions: number[],
): Float64Array {
  const model = stateModel({
    names: ["one"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[block]],
  });
  const unit = new Float64Array(grid.interiorIndex.length);
  unit[bin] = 1;
  return referenceTransition(grid, model, 8, positions).apply(unit);
}

/** Steps that stay near, over the interior and out of it. */
function wander(grid: Grid, samples: number): number[] {
  const random = seeded(4);
  const at = grid.shape.map((bins) => bins / 2);
  return Array.from({ length: samples }, () => {
    at.forEach((_, d) => {
      at[d] = Math.min(grid.shape[d]! - 1e-9, Math.max(0, at[d]! + 3 * (random() - 0.5)));
    });
    return [...at];
  }).flat();
}

describe("blockRows()", () => {
  const line = boxGrid([23], (_, y) => y % 7 !== 3);
  // a U: the ends are near one another and far apart on foot
  const bend = boxGrid([6, 7], (x, y) => y < 2 || y > 4 || x === 5);
  const box = boxGrid([5, 6]);
  const blocks: ContinuousTransition[] = [
    { kind: "randomWalk", movementVar: 2 },
    { kind: "uniform" },
    { kind: "identity" },
    { kind: "oneWayWalk", movementVar: 3, direction: "up" },
    { kind: "oneWayWalk", movementVar: 3, direction: "down" },
    { kind: "graphWalk", movementVar: 1.5 },
    { kind: "graphWalk", movementVar: 4, direction: "towards" },
    { kind: "graphWalk", movementVar: 4, direction: "away" },
    { kind: "empirical" },
    { kind: "empirical", speedup: 3 },
    { kind: "empirical", speedup: 2, timeReversed: true },
  ];
  for (const [name, grid] of Object.entries({ line, bend, box })) {
    for (const block of blocks) {
      if (block.kind === "oneWayWalk" && grid.dimensions !== 1) continue;
      it(`follows the definition of ${JSON.stringify(block)} on a ${name}`, () => {
        const inside = positionsInside(grid, wander(grid, 300));
        const rows = blockRows(grid, block, { positions: inside });
        for (let bin = 0; bin < grid.interiorIndex.length; bin++) {
          const { bins, values } = rows(bin);
          const full = new Float64Array(grid.interiorIndex.length);
          Array.from(bins).forEach((other, i) => full[other] = values[i]!);
          // taps are rounded to f32
          expect(largestDifference(full, referenceRow(grid, block, bin, inside)))
            .toBeLessThan(1e-7);
          expect(Array.from(bins)).toEqual(Array.from(bins).sort((a, b) => a - b));
        }
      });
    }
  }

  it("keeps an empirical movement from bridging samples outside the interior", () => {
    const grid = boxGrid([4], (_, y) => y !== 2);
    const rows = blockRows(grid, { kind: "empirical" }, {
      positions: [0.5, 1.5, 2.5, 3.5, NaN, 0.5, 1.5],
    });
    expect(Array.from(rows(0).bins)).toEqual([1]);
    // it left bin 1 for outside alone
    expect(rows(1).bins.length).toBe(0);
    expect(rows(2).bins.length).toBe(0);
  });

  it("says what a block cannot be built from", () => {
    expect(() => blockRows(box, { kind: "empirical" })).toThrow(/there are no positions/);
    expect(() => blockRows(box, { kind: "oneWayWalk", movementVar: 1, direction: "up" }))
      .toThrow(/the grid is 5 x 6 bins, wanted one dimension/);
    expect(() => blockRows(box, { kind: "matrix", values: [1] }))
      .toThrow(/it has 1 entries, wanted 30 x 30/);
  });
});

/** Drops samples that lie outside the interior, keeping the others' neighbours as they then are. */
function positionsInside(grid: Grid, positions: readonly number[]): number[] {
  const kept: number[] = [];
  for (let i = 0; i < positions.length; i += grid.dimensions) {
    const sample = positions.slice(i, i + grid.dimensions);
    const flat = sample.reduce((place, value, d) => place * grid.shape[d]! + Math.floor(value), 0);
    if (grid.interior[flat]) kept.push(...sample);
  }
  return kept;
}
