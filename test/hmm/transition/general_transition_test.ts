import { describe, expect, it } from "vitest";
import { denseTransition } from "../../../src/hmm/transition/dense_transition.ts";
import { generalTransition, roundRow } from "../../../src/hmm/transition/general_transition.ts";
import { sparseTransition } from "../../../src/hmm/transition/sparse_transition.ts";
import type { StateModel } from "../../../src/hmm/states.ts";
import { contFrag, continuous, stateModel } from "../../../src/hmm/decoder.ts";
import { gaussianTaps, transitionOperator } from "../../../src/hmm/transition/transition.ts";
import { referenceTransition } from "../../reference/transition.ts";
import { useGpu } from "../../support/gpu.ts";
import { boxGrid, hmmProblems } from "../../support/hmm_problem.ts";
import { seeded } from "../../support/random.ts";
import { runDenseTransition, runSparseTransition } from "../../support/transition_products.ts";
import * as wide from "../../support/wide_numbers.ts";

const gpu = useGpu();

// rounding of taps and entries to f32 moves an entry by up to 2e-7, the sums of products of any length
// take as much
const TOLERANCE = 4e-7;

/** Three states, of which one row and one column of blocks are uniform throughout. */
function walledStates(interior: number): StateModel {
  const random = seeded(2);
  const matrix = Array.from({ length: interior }, () => {
    const row = Array.from({ length: interior }, () => random() < 0.3 ? random() : 0);
    row[0]! += 0.1;
    const sum = row.reduce((total, value) => total + value, 0);
    return row.map((value) => value / sum);
  }).flat();
  const uniform = { kind: "uniform" } as const;
  return stateModel({
    names: ["jumping", "walled", "own"],
    initial: [0.2, 0.5, 0.3],
    discreteTransition: [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]],
    transitions: [
      [uniform, uniform, uniform],
      [uniform, { kind: "graphWalk", movementVar: 2 }, uniform],
      [uniform, { kind: "identity" }, { kind: "matrix", values: matrix }],
    ],
  });
}

describe("denseTransition() and sparseTransition()", () => {
  const bend = boxGrid([6, 7], (x, y) => y < 2 || y > 4 || x === 5);
  const some = [
    "one bin, one row",
    "a track with gaps and three states",
    "a ring with two states",
    "a walk wider than the box",
  ];
  const problems = [
    ...hmmProblems().filter(({ name }) => some.includes(name)),
    {
      name: "a bend with three states",
      grid: bend,
      model: walledStates(bend.interiorIndex.length),
    },
    { name: "jumps alone", grid: boxGrid([5]), model: jumpsAlone() },
  ];
  for (const { name, grid, model } of problems) {
    it(`multiply as the definition says: ${name}`, async () => {
      const dense = denseTransition(grid, model);
      const whole = denseTransition(grid, model, { expandUniform: true });
      const sparse = sparseTransition(grid, model);
      const lanes = 3;
      const random = seeded(9);
      const vectors = wide.randomWide(lanes * dense.bins, random);
      const values = wide.logsOf(vectors).map(Math.exp);
      const reference = referenceTransition(grid, model, 8);
      for (const transposed of [false, true]) {
        const twin = new Float64Array(values.length);
        for (let at = 0; at < vectors.length; at += dense.bins) {
          const lane = values.slice(at, at + dense.bins);
          twin.set(transposed ? reference.applyTranspose(lane) : reference.apply(lane), at);
        }
        for (
          const product of [
            await runDenseTransition(gpu(), dense, vectors, transposed),
            await runDenseTransition(gpu(), whole, vectors, transposed),
            await runSparseTransition(gpu(), sparse, vectors, transposed),
          ]
        ) expect(wide.largestError(product, twin.map(Math.log))).toBeLessThan(TOLERANCE);
      }
    });
  }

  it("give a state with one bin a column of ones and a uniform way out", async () => {
    const grid = boxGrid([3]);
    const jump = { kind: "uniform" } as const;
    const model = stateModel({
      names: ["walking", "silent", "still"],
      oneBin: [false, true, false],
      initial: [0.5, 0.25, 0.25],
      discreteTransition: [[0.7, 0.1, 0.2], [0.3, 0.6, 0.1], [0.25, 0.25, 0.5]],
      transitions: [
        [{ kind: "matrix", values: [0.5, 0.5, 0, 0.25, 0.5, 0.25, 0, 0.5, 0.5] }, jump, jump],
        [jump, jump, jump],
        [jump, jump, { kind: "identity" }],
      ],
    });
    const matrix = [
      [0.35, 0.35, 0, 0.1, 0.2 / 3, 0.2 / 3, 0.2 / 3],
      [0.175, 0.35, 0.175, 0.1, 0.2 / 3, 0.2 / 3, 0.2 / 3],
      [0, 0.35, 0.35, 0.1, 0.2 / 3, 0.2 / 3, 0.2 / 3],
      [0.1, 0.1, 0.1, 0.6, 0.1 / 3, 0.1 / 3, 0.1 / 3],
      [0.25 / 3, 0.25 / 3, 0.25 / 3, 0.25, 0.5, 0, 0],
      [0.25 / 3, 0.25 / 3, 0.25 / 3, 0.25, 0, 0.5, 0],
      [0.25 / 3, 0.25 / 3, 0.25 / 3, 0.25, 0, 0, 0.5],
    ];
    const dense = denseTransition(grid, model);
    expect([dense.bins, dense.starts, dense.likelihoods]).toEqual([7, [0, 3, 4, 7], 8]);
    expect([...dense.stateTable]).toEqual([0, 0, 3, 4, 4, 0, 7, 0]);
    const sparse = sparseTransition(grid, model);
    const whole = denseTransition(grid, model, { expandUniform: true });
    const ones = wide.wideOfLogs(new Float64Array(49).map((_, i) => i % 8 === 0 ? 0 : -Infinity));
    for (const transposed of [false, true]) {
      const wanted = transposed ? matrix[0]!.map((_, j) => matrix.map((row) => row[j]!)) : matrix;
      for (
        const product of [
          await runDenseTransition(gpu(), dense, ones, transposed),
          await runDenseTransition(gpu(), whole, ones, transposed),
          await runSparseTransition(gpu(), sparse, ones, transposed),
        ]
      ) expect(wide.largestError(product, wanted.flat().map(Math.log))).toBeLessThan(TOLERANCE);
    }
  });

  it("have the entries that the convolution has, within 2e-7 of each", () => {
    const variance = 1.5;
    const grid = boxGrid([9, 11], (x, y) => (x - 4) ** 2 + (y - 5) ** 2 > 4);
    const { rowScale, packTable } = transitionOperator(grid, continuous({ movementVar: variance }));
    const taps = gaussianTaps(variance, 1, 20);
    const { row, bins } = generalTransition(grid, continuous({ movementVar: variance }));
    for (let bin = 0; bin < bins; bin++) {
      const [x, y] = [Math.floor(grid.interiorIndex[bin]! / 11), grid.interiorIndex[bin]! % 11];
      const { bins: others, values } = row(bin);
      expect(others.length).toBeGreaterThan(0);
      others.forEach((other, i) => {
        const [toX, toY] = [
          Math.floor(grid.interiorIndex[other]! / 11),
          grid.interiorIndex[other]! % 11,
        ];
        const convolved = taps[Math.abs(toX - x)]! * taps[Math.abs(toY - y)]! *
          rowScale[packTable[bin]!]!;
        expect(Math.abs(values[i]! / convolved - 1)).toBeLessThan(2e-7 + 2 ** -149 / convolved);
      });
    }
  });

  it("leave out states whose blocks are uniform", () => {
    const grid = boxGrid([4, 5]);
    const dense = denseTransition(grid, contFrag({ movementVar: 1 }));
    expect([dense.rows, dense.columns, dense.bins]).toEqual([20, 20, 40]);
    const model = walledStates(20);
    const part = denseTransition(grid, model);
    expect([part.firstRow, part.rows, part.firstColumn, part.columns]).toEqual([20, 40, 20, 40]);
    const all = denseTransition(grid, contFrag({ movementVar: 1 }), { expandUniform: true });
    expect([all.rows, all.columns]).toEqual([40, 40]);
  });

  it("cut into parts that a binding holds, and say how large they are", () => {
    const grid = boxGrid([40, 35]);
    const model = contFrag({ movementVar: 1 });
    const dense = denseTransition(grid, model, { bindingBytes: 4 * 1400 * 1100 });
    expect(dense.partRows).toBe(1024);
    const parts = [...dense.parts()];
    expect(parts.map((part) => part.byteLength)).toEqual(dense.partBytes);
    expect(dense.partBytes).toEqual([4 * 1400 * 1024, 4 * 1400 * 376]);
    expect(() => denseTransition(grid, model, { bindingBytes: 2 ** 20 }))
      .toThrow(/256 rows of 1400 take 1433600 B, a binding holds 1048576 B/);
  });

  it("hold every tile that is not zero once, in both lists", () => {
    const { bins, row, tiles, forward, transposed, nonZeros, multiplyAdds } = sparseTransition(
      boxGrid([7, 9]),
      contFrag({ movementVar: 0.5 }),
    );
    let entries = 0;
    for (let bin = 0; bin < bins; bin++) entries += row(bin).values.filter((v) => v !== 0).length;
    expect(nonZeros).toBe(entries);
    expect(tiles.filter((value) => value !== 0).length).toBe(entries);
    expect(tiles.subarray(0, 16).every((value) => value === 0)).toBe(true);
    for (const { slices, entries } of [forward, transposed]) {
      const listed = entries.filter((tile, i) => i % 2 === 1 && tile !== 0);
      expect([...listed].sort((a, b) => a - b))
        .toEqual(Array.from({ length: tiles.length / 16 - 1 }, (_, i) => i + 1));
      expect(2 * slices.at(-1)!).toBe(entries.length);
      expect(multiplyAdds).toBeGreaterThanOrEqual(8 * entries.length);
    }
  });
});

describe("roundRow()", () => {
  it("keeps the sum of a row to far less than rounding each entry would", () => {
    const rows = [
      Array.from({ length: 5329 }, () => 1 / 5329),
      Array.from({ length: 361 }, (_, i) => Math.exp(-((i - 180) ** 2) / 900)),
      [0.1, 0.7, 0.2],
    ];
    for (const row of rows) {
      const sum = row.reduce((total, value) => total + value, 0);
      const values = row.map((value) => value / sum);
      const rounded = roundRow(values);
      const kept = [...rounded].reduce((total, value) => total + value, 0);
      expect(Math.abs(kept - 1)).toBeLessThan(Math.max(2e-11, Math.min(...values) * 2 ** -23));
      rounded.forEach((value, i) =>
        expect(Math.abs(value - values[i]!)).toBeLessThan(1.6 * 2 ** -23 * values[i]!)
      );
    }
  });
});

function jumpsAlone(): StateModel {
  return stateModel({
    names: ["jumping"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "uniform" }]],
  });
}
